//! How commands name an account: `--issuer ISS --account SUB`.

use clap::Args;
use reelkey_client::strict::jwk::Thumbprint;

use crate::authority::operation::account::AccountName;

/// An account that has to be named.
#[derive(Clone, Debug, Args)]
pub(crate) struct AccountArgs {
    /// The issuer of the account's tokens (iss).
    #[arg(long, value_name = "ISS")]
    issuer: String,
    /// The account's name at its issuer (sub).
    #[arg(long, value_name = "SUB")]
    account: String,
}

impl From<AccountArgs> for AccountName {
    fn from(args: AccountArgs) -> Self {
        Self { issuer: args.issuer, account: args.account }
    }
}

/// An account that may be named.
#[derive(Clone, Debug, Args)]
pub(crate) struct AnyAccountArgs {
    /// The issuer of the account's tokens (iss).
    #[arg(long, value_name = "ISS", requires = "account")]
    issuer: Option<String>,
    /// The account's name at its issuer (sub).
    #[arg(long, value_name = "SUB", requires = "issuer")]
    account: Option<String>,
}

impl AnyAccountArgs {
    /// The account, if both parts of its name are there.
    pub(crate) fn name(self) -> Option<AccountName> {
        Some(AccountName { issuer: self.issuer?, account: self.account? })
    }
}

/// Reads the thumbprint of a device key.
pub(crate) fn parse_thumbprint(text: &str) -> Result<Thumbprint, &'static str> {
    Thumbprint::parse(text).map_err(|_| "a thumbprint is base64url of 32 bytes, 43 characters")
}
