//! `reelkey device`: the devices of an account.

use clap::Subcommand;
use reelkey_client::strict::jwk::Thumbprint;
use serde_json::json;

use crate::authority::operation::device::{
    DeviceStatusSet, DeviceView, EnrollDevice, ListDevices, SetDeviceStatus, ShowDevice, Wish,
};
use crate::cli::account_argument::{AccountArgs, parse_thumbprint};
use crate::cli::device_ca::{self, DeviceCaCommand};
use crate::cli::folder::paths::Folder;
use crate::cli::terminal::output::{Failure, Output};
use crate::cli::terminal::table::table;
use crate::cli::{clock, operator};

#[derive(Debug, Subcommand)]
pub(crate) enum DeviceCommand {
    /// List the devices of an account.
    List {
        #[command(flatten)]
        account: AccountArgs,
    },
    /// Show a device, also one that was removed.
    Show(One),
    /// Make a device one of the account's before its first license.
    Enroll {
        #[command(flatten)]
        one: One,
        /// A name for people.
        #[arg(long)]
        name: Option<String>,
    },
    /// Refuse every license to a device from its next request on. It keeps its place.
    Revoke(One),
    /// Let a device that was revoked have licenses again.
    Restore(One),
    /// Remove a device from its account. Its place is free after the policy's cooldown.
    Remove(One),
    /// The CAs that vouch for devices.
    #[command(subcommand)]
    Ca(DeviceCaCommand),
}

/// A device of an account.
#[derive(Debug, clap::Args)]
pub(crate) struct One {
    /// The thumbprint of the device key (RFC 7638).
    // One thumbprint in 64 begins with a hyphen.
    #[arg(value_name = "JKT", value_parser = parse_thumbprint, allow_hyphen_values = true)]
    jkt: Thumbprint,
    #[command(flatten)]
    account: AccountArgs,
}

pub(crate) async fn run(folder: &Folder, command: DeviceCommand) -> Result<Output, Failure> {
    match command {
        DeviceCommand::List { account } => {
            let devices =
                operator::execute(folder, ListDevices { account: account.into() }).await?;
            Ok(list(&devices))
        }
        DeviceCommand::Show(One { jkt, account }) => {
            let jkt = jkt.to_string();
            let show = ShowDevice { account: account.into(), jkt };
            let device = operator::execute(folder, show).await?;
            Ok(Output::new(json!(device), list_of(std::slice::from_ref(&device))))
        }
        DeviceCommand::Enroll { one: One { jkt, account }, name } => {
            let jkt = jkt.to_string();
            let enroll = EnrollDevice { account: account.into(), jkt, name };
            let device = operator::execute(folder, enroll).await?;
            let text = match device.status.as_str() {
                "revoked" => {
                    format!(
                        "{} was revoked and stays so.\nnext: reelkey device restore",
                        device.jkt
                    )
                }
                _ => format!("{} is one of the account's devices.", device.jkt),
            };
            Ok(Output::new(json!(device), text))
        }
        DeviceCommand::Revoke(one) => set(folder, one, Wish::Revoked).await,
        DeviceCommand::Restore(one) => set(folder, one, Wish::Active).await,
        DeviceCommand::Remove(one) => set(folder, one, Wish::Removed).await,
        DeviceCommand::Ca(command) => device_ca::run(folder, command).await,
    }
}

async fn set(folder: &Folder, one: One, status: Wish) -> Result<Output, Failure> {
    let One { jkt, account } = one;
    let jkt = jkt.to_string();
    let set = SetDeviceStatus { account: account.into(), jkt, status };
    let DeviceStatusSet { device, changed } = operator::execute(folder, set).await?;
    let text = match (changed, status) {
        (false, _) => format!("{} is {} already; nothing was changed.", device.jkt, device.status),
        (true, Wish::Revoked) => {
            format!("{} is refused from its next request on.", device.jkt)
        }
        (true, Wish::Active) => format!("{} may have licenses again.", device.jkt),
        (true, Wish::Removed) => {
            format!("{} is not one of the account's devices any more.", device.jkt)
        }
    };
    let mut json = json!(device);
    if let Some(members) = json.as_object_mut() {
        members.insert("changed".into(), changed.into());
    }
    Ok(Output::new(json, text))
}

fn list(devices: &[DeviceView]) -> Output {
    let text = match devices.len() {
        0 => "the account has no devices.".to_owned(),
        _ => list_of(devices),
    };
    Output::new(json!(devices), text)
}

fn list_of(devices: &[DeviceView]) -> String {
    let row = |device: &DeviceView| {
        [
            device.jkt.clone(),
            device.name.clone().unwrap_or_default(),
            device.model.clone().unwrap_or_default(),
            device.place.map(|place| place.to_string()).unwrap_or_default(),
            device.status.clone(),
            clock::show(device.last_seen_at),
        ]
    };
    let rows: Vec<_> = devices.iter().map(row).collect();
    table(["DEVICE", "NAME", "MODEL", "PLACE", "STATUS", "LAST LICENSE"], &rows)
}
