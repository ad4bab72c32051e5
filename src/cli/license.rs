//! `reelkey license`: the licenses that are remembered.

use clap::{Args, Subcommand};
use reelkey_client::strict::jwk::Thumbprint;
use serde_json::json;

use crate::authority::operation::license::{
    Act, ChangeLicense, LicenseChanged, LicenseView, ListLicenses, ShowLicense,
};
use crate::cli::account_argument::{AnyAccountArgs, parse_thumbprint};
use crate::cli::folder::paths::Folder;
use crate::cli::terminal::output::{Failure, Output};
use crate::cli::terminal::table::table;
use crate::cli::{clock, operator};
use crate::domain::content::ContentId;

#[derive(Debug, Subcommand)]
pub(crate) enum LicenseCommand {
    /// List licenses. Only those are remembered whose policies need it: with windows, renewals, offline playback or limits.
    List(ListArgs),
    /// Show a license and what happened to it.
    Show {
        /// The license ID (jti).
        // One ID in 64 begins with a hyphen.
        #[arg(allow_hyphen_values = true)]
        id: String,
    },
    /// Withdraw a license, and refuse others for the same account, content and entitlement until it is restored.
    Revoke {
        /// The license ID (jti).
        #[arg(allow_hyphen_values = true)]
        id: String,
    },
    /// Let a license that was revoked be renewed again, and others be granted.
    Restore {
        /// The license ID (jti).
        #[arg(allow_hyphen_values = true)]
        id: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    account: AnyAccountArgs,
    /// Only licenses of this device, by the thumbprint of its key.
    #[arg(long, value_name = "JKT", value_parser = parse_thumbprint, allow_hyphen_values = true)]
    device: Option<Thumbprint>,
    /// Only licenses for this content.
    #[arg(long, value_name = "ID")]
    content: Option<ContentId>,
    /// Only licenses that this policy granted.
    #[arg(long, value_name = "NAME")]
    policy: Option<String>,
    /// Only licenses that are still valid.
    #[arg(long)]
    live: bool,
    /// At most this many.
    #[arg(long, value_name = "NUMBER", default_value_t = 100)]
    limit: usize,
}

pub(crate) async fn run(folder: &Folder, command: LicenseCommand) -> Result<Output, Failure> {
    match command {
        LicenseCommand::List(args) => list(folder, args).await,
        LicenseCommand::Show { id } => {
            Ok(show(&operator::execute(folder, ShowLicense { id }).await?))
        }
        LicenseCommand::Revoke { id } => change(folder, id, Act::Revoke).await,
        LicenseCommand::Restore { id } => change(folder, id, Act::Restore).await,
    }
}

async fn list(folder: &Folder, args: ListArgs) -> Result<Output, Failure> {
    let limit = args.limit;
    let list = ListLicenses {
        account: args.account.name(),
        device: args.device.map(|device| device.to_string()),
        content_id: args.content,
        policy_id: args.policy,
        live: args.live,
        limit,
    };
    let licenses = operator::execute(folder, list).await?;
    let json = json!(licenses);
    if licenses.is_empty() {
        return Ok(Output::new(json, "no such license is remembered."));
    }
    let row = |license: &LicenseView| {
        [
            license.id.clone(),
            license.status.clone(),
            license.account.clone(),
            license.content_id.clone(),
            license.policy_id.clone(),
            clock::show(license.expires_at),
        ]
    };
    let rows: Vec<_> = licenses.iter().map(row).collect();
    let mut text = table(["LICENSE", "STATUS", "ACCOUNT", "CONTENT", "POLICY", "ENDS"], &rows);
    if licenses.len() == limit {
        text.push_str("\nthere may be more: raise --limit, or name account, device or content.");
    }
    Ok(Output::new(json, text))
}

fn show(license: &LicenseView) -> Output {
    let mut rows = vec![
        ["license".to_owned(), license.id.clone()],
        ["status".into(), license.status.clone()],
        ["account".into(), license.account.clone()],
        ["content".into(), license.content_id.clone()],
        ["entitlement".into(), license.entitlement_id.clone()],
        ["policy".into(), license.policy_id.clone()],
        ["session type".into(), license.session_type.clone()],
        ["device".into(), license.device.clone()],
        ["renewals".into(), license.counter.to_string()],
        ["ends".into(), clock::show(license.expires_at)],
    ];
    rows.extend(license.events.iter().map(|event| [event.r#type.clone(), clock::show(event.at)]));
    Output::new(json!(license), table(["", ""], &rows))
}

async fn change(folder: &Folder, id: String, act: Act) -> Result<Output, Failure> {
    let LicenseChanged { license, changed } =
        operator::execute(folder, ChangeLicense { id, act }).await?;
    let text = match (changed, act) {
        (false, _) => format!("{} is {} already; nothing was changed.", license.id, license.status),
        (true, Act::Revoke) => format!(
            "{} is revoked: the account gets no license for {} until `reelkey license restore`. The device keeps its keys \
             until the license ends at {}.",
            license.id,
            license.content_id,
            clock::show(license.expires_at)
        ),
        (true, Act::Restore | Act::End) => format!("{} is {}.", license.id, license.status),
    };
    let mut json = json!(license);
    if let Some(members) = json.as_object_mut() {
        members.insert("changed".into(), changed.into());
    }
    Ok(Output::new(json, text))
}
