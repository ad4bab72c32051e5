//! Accounts as operators name them, and forgetting one.

use std::convert::Infallible;

use serde::{Deserialize, Serialize};

use crate::authority::operation::order::{Desk, Operation};
use crate::authority::registry::accounts;
use crate::authority::stop::Stop;
use crate::authority::vault::fault::Fault;
use crate::store::record::fact::account::AccountId;

/// An account: who says so, and its name there.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccountName {
    /// The issuer (`iss` of its tokens).
    pub issuer: String,
    /// The account (`sub`).
    pub account: String,
}

impl AccountName {
    /// The account as facts name it.
    ///
    /// # Errors
    /// [`Fault`].
    pub(in crate::authority::operation) async fn id(
        &self,
        desk: &Desk<'_>,
    ) -> Result<AccountId, Fault> {
        let naming_key = desk.vault.naming_key().await?;
        Ok(AccountId::from_bytes(naming_key.account_id(&self.issuer, &self.account)))
    }
}

/// Forgets an account.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EraseAccount {
    /// The account.
    pub account: AccountName,
}

impl Operation for EraseAccount {
    const NAME: &'static str = "account/erase";
    /// How many records were removed.
    type Outcome = usize;
    type Refusal = Infallible;

    async fn execute(self, desk: &Desk<'_>) -> Result<usize, Stop<Infallible>> {
        let account = self.account.id(desk).await?;
        Ok(accounts::erase(&*desk.vault.facts(), &account).await?)
    }
}
