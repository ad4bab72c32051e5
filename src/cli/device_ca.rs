//! `reelkey device ca`: the CAs that vouch for devices, and the keys that count no more.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use toml_edit::{DocumentMut, Item, Table, value};

use crate::cli::folder::config::{self, Config};
use crate::cli::folder::device_ca::{CaFiles, CaName, FILE_BYTES_MAX, KeyHash, VouchesFor};
use crate::cli::folder::paths::Folder;
use crate::cli::terminal::output::{Failure, Output};
use crate::cli::terminal::table::table;
use crate::cli::{clock, operator, source};
use crate::crypto::device_ca::{AnchorView, DeviceCa, DeviceCas};
use crate::domain::security_level::SecurityLevel;

#[derive(Debug, Subcommand)]
pub(crate) enum DeviceCaCommand {
    /// Let a CA vouch for the devices whose certificates it issues.
    Add(AddArgs),
    /// Give a CA new revocation lists, or another security level.
    Update(UpdateArgs),
    /// List the CAs and what they vouch for.
    List,
    /// Let a CA vouch for nothing any more. Its devices are refused at once.
    Remove {
        /// The CA's name.
        #[arg(value_parser = parse_name)]
        name: CaName,
    },
    /// Refuse every chain with this key, of a CA or of a device.
    Revoke(KeyArgs),
    /// Accept chains with this key again.
    Restore(KeyArgs),
}

#[derive(Debug, Args)]
pub(crate) struct AddArgs {
    /// A name for the CA: letters, digits, - and _.
    #[arg(value_parser = parse_name)]
    name: CaName,
    /// A file with its certificate, PEM. It may hold several.
    #[arg(long, value_name = "FILE")]
    certificate: PathBuf,
    #[command(flatten)]
    vouches_for: VouchesForArgs,
    #[command(flatten)]
    lists: ListArgs,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct VouchesForArgs {
    /// The security level of the devices that it certifies, such as HW_SECURE_ALL.
    #[arg(long, value_name = "LEVEL", value_parser = parse_level)]
    security_level: Option<SecurityLevel>,
    /// It certifies the secure hardware of Android devices, which attests their keys: HW_SECURE_CRYPTO.
    #[arg(long)]
    android_key_attestation: bool,
}

impl VouchesForArgs {
    fn get(&self) -> VouchesFor {
        let level = self.security_level.map(VouchesFor::Level);
        level.unwrap_or(VouchesFor::AndroidKeyAttestation)
    }
}

#[derive(Debug, Args)]
struct ListArgs {
    /// A file with its certificate revocation lists: PEM, or one in DER.
    #[arg(long, value_name = "FILE")]
    crl: Option<PathBuf>,
    /// A file with the status list of Android's attestation keys, JSON.
    #[arg(long, value_name = "FILE")]
    status_list: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct UpdateArgs {
    /// The CA's name.
    #[arg(value_parser = parse_name)]
    name: CaName,
    /// Another security level of the devices that it certifies.
    #[arg(long, value_name = "LEVEL", value_parser = parse_level)]
    security_level: Option<SecurityLevel>,
    #[command(flatten)]
    lists: ListArgs,
}

#[derive(Debug, Args)]
pub(crate) struct KeyArgs {
    /// SHA-256 of the key's subjectPublicKeyInfo, in hexadecimal, as `device ca list` shows it.
    #[arg(value_name = "SHA256", value_parser = parse_hash)]
    key: KeyHash,
}

fn parse_name(text: &str) -> Result<CaName, &'static str> {
    text.parse()
}

fn parse_hash(text: &str) -> Result<KeyHash, &'static str> {
    text.parse()
}

fn parse_level(text: &str) -> Result<SecurityLevel, String> {
    SecurityLevel::parse(text).ok_or_else(|| {
        format!("a level is one of {}", SecurityLevel::ALL.map(SecurityLevel::as_str).join(", "))
    })
}

pub(crate) async fn run(folder: &Folder, command: DeviceCaCommand) -> Result<Output, Failure> {
    match command {
        DeviceCaCommand::Add(args) => add(folder, args).await,
        DeviceCaCommand::Update(args) => update(folder, args).await,
        DeviceCaCommand::List => list(folder),
        DeviceCaCommand::Remove { name } => remove(folder, &name).await,
        DeviceCaCommand::Revoke(KeyArgs { key }) => revoke(folder, key, true).await,
        DeviceCaCommand::Restore(KeyArgs { key }) => revoke(folder, key, false).await,
    }
}

async fn add(folder: &Folder, args: AddArgs) -> Result<Output, Failure> {
    let AddArgs { name, certificate, vouches_for, lists } = args;
    let vouches_for = vouches_for.get();
    let files = CaFiles {
        certificates: read(&certificate)?,
        revocation_lists: lists.crl.as_deref().map(read).transpose()?,
        status_list: lists.status_list.as_deref().map(read).transpose()?,
    };
    let ca = files.parse(&name, vouches_for)?;
    let created = config::edit(folder, |config, document| {
        if let Some(there) = config.device_ca.get(&name) {
            let same = there == vouches_for && CaFiles::read(folder, &name)? == files;
            let what = format_args!("device CA {} exists with other values", name.as_str());
            let remedy = "change it with `reelkey device ca update`, or remove it first";
            return if same { Ok(false) } else { Err(Failure::new(what).remedy(remedy)) };
        }
        let others = config.device_ca.all();
        let others = others.map(|(name, what)| CaFiles::read(folder, name)?.parse(name, what));
        let mut all = others.collect::<Result<Vec<_>, Failure>>()?;
        all.push(ca.clone());
        DeviceCas::new(all, BTreeSet::new())?;
        files.write(folder, &name)?;
        device_cas(document)?.insert(name.as_str(), value(vouches_for.to_string()));
        Ok(true)
    })?;
    operator::reload(folder).await?;
    let mut json = ca_json(&name, vouches_for, &ca);
    if let Some(members) = json.as_object_mut() {
        members.insert("created".into(), created.into());
    }
    let text = match created {
        true => format!("device CA {} added: it vouches for {vouches_for}.", name.as_str()),
        false => format!("device CA {} exists already; nothing was changed.", name.as_str()),
    };
    Ok(Output::new(json, text))
}

async fn update(folder: &Folder, args: UpdateArgs) -> Result<Output, Failure> {
    let UpdateArgs { name, security_level, lists } = args;
    let crl = lists.crl.as_deref().map(read).transpose()?;
    let status_list = lists.status_list.as_deref().map(read).transpose()?;
    if crl.is_none() && status_list.is_none() && security_level.is_none() {
        return Err(Failure::new("there is nothing to change")
            .remedy("name --crl, --status-list or --security-level"));
    }
    let (vouches_for, ca, changed) = config::edit(folder, |config, document| {
        let before = config.device_ca.get(&name).ok_or_else(|| unknown(config, &name))?;
        let after = match (before, security_level) {
            (VouchesFor::AndroidKeyAttestation, Some(_)) => {
                return Err(Failure::new(
                    "a CA of Android key attestation always vouches for HW_SECURE_CRYPTO",
                ));
            }
            (before, level) => level.map_or(before, VouchesFor::Level),
        };
        let old = CaFiles::read(folder, &name)?;
        let new = CaFiles {
            certificates: old.certificates.clone(),
            revocation_lists: crl.or_else(|| old.revocation_lists.clone()),
            status_list: status_list.or_else(|| old.status_list.clone()),
        };
        let ca = new.parse(&name, after)?;
        let changed = old != new || before != after;
        if changed {
            new.write(folder, &name)?;
            if let Some(there) = device_cas(document)?.get_mut(name.as_str()) {
                *there = value(after.to_string());
            }
        }
        Ok((after, ca, changed))
    })?;
    operator::reload(folder).await?;
    let mut json = ca_json(&name, vouches_for, &ca);
    if let Some(members) = json.as_object_mut() {
        members.insert("changed".into(), changed.into());
    }
    let text = match changed {
        true => format!("device CA {} changed.", name.as_str()),
        false => {
            format!("device CA {} has these values already; nothing was changed.", name.as_str())
        }
    };
    Ok(Output::new(json, text))
}

async fn remove(folder: &Folder, name: &CaName) -> Result<Output, Failure> {
    let changed = config::edit(folder, |config, document| {
        device_cas(document)?.remove(name.as_str());
        Ok(config.device_ca.get(name).is_some())
    })?;
    operator::reload(folder).await?;
    // Only now, because no configuration names them any more.
    CaFiles::remove(folder, name)?;
    let text = match changed {
        true => {
            format!("device CA {} removed: its devices are refused from now on.", name.as_str())
        }
        false => format!("there is no device CA {}; nothing was changed.", name.as_str()),
    };
    Ok(Output::new(json!({ "name": name.as_str(), "changed": changed }), text))
}

async fn revoke(folder: &Folder, key: KeyHash, revoked: bool) -> Result<Output, Failure> {
    let changed = config::edit(folder, |config, document| {
        let mut all = config.revoked_device_keys.clone();
        let changed = if revoked { all.insert(key) } else { all.remove(&key) };
        let mut hashes: toml_edit::Array = all.iter().map(ToString::to_string).collect();
        for hash in hashes.iter_mut() {
            hash.decor_mut().set_prefix("\n    ");
        }
        hashes.set_trailing("\n");
        match (changed, all.is_empty()) {
            (false, _) => {}
            (true, true) => drop(document.remove("revoked_device_keys")),
            (true, false) => drop(document.insert("revoked_device_keys", value(hashes))),
        }
        Ok(changed)
    })?;
    operator::reload(folder).await?;
    let text = match (changed, revoked) {
        (true, true) => format!("{key} is revoked: chains with this key are refused from now on."),
        (true, false) => format!("{key} counts again."),
        (false, true) => format!("{key} is revoked already; nothing was changed."),
        (false, false) => format!("{key} is not revoked; nothing was changed."),
    };
    let json = json!({ "key": key.to_string(), "revoked": revoked, "changed": changed });
    Ok(Output::new(json, text))
}

fn list(folder: &Folder) -> Result<Output, Failure> {
    let config = Config::read(folder)?;
    let (mut rows, mut json) = (Vec::new(), Vec::new());
    for (name, vouches_for) in config.device_ca.all() {
        let ca = CaFiles::read(folder, name)?.parse(name, vouches_for)?;
        json.push(ca_json(name, vouches_for, &ca));
        let (listed, lists) = ca.revocations();
        for AnchorView { subject, key_hash, not_after } in ca.certificates() {
            rows.push([
                name.as_str().to_owned(),
                vouches_for.to_string(),
                subject,
                clock::show(not_after.as_secs()),
                format!("{lists} CRL, {listed} serial numbers"),
                KeyHash(key_hash).to_string(),
            ]);
        }
    }
    let revoked: Vec<_> = config.revoked_device_keys.iter().map(ToString::to_string).collect();
    let mut text = match rows.is_empty() {
        true => "no device CA, so no device is certified.\n\
            next: reelkey device ca add NAME --certificate FILE --security-level HW_SECURE_ALL"
            .to_owned(),
        false => {
            table(["CA", "VOUCHES FOR", "SUBJECT", "EXPIRES", "REVOKES", "KEY (SHA-256)"], &rows)
        }
    };
    if !revoked.is_empty() {
        text += &format!("\nrevoked keys:\n  {}", revoked.join("\n  "));
    }
    Ok(Output::new(json!({ "cas": json, "revoked_keys": revoked }), text))
}

fn ca_json(name: &CaName, vouches_for: VouchesFor, ca: &DeviceCa) -> Value {
    let certificate = |view: AnchorView| {
        json!({ "subject": view.subject, "key": KeyHash(view.key_hash).to_string(),
            "expires": view.not_after.as_secs() })
    };
    let certificates: Vec<_> = ca.certificates().map(certificate).collect();
    let (serials, lists) = ca.revocations();
    json!({ "name": name.as_str(), "vouches_for": vouches_for.to_string(),
        "certificates": certificates, "revocation_lists": lists, "revoked_serials": serials })
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let most = usize::try_from(FILE_BYTES_MAX).unwrap_or(usize::MAX);
    let during = |failure: Failure| failure.during(path.display());
    let bytes = source::read(path, most).map_err(|error| during(error.into()))?;
    match bytes.len() > most {
        true => Err(during(Failure::new("longer than 16 MiB"))),
        false => Ok(bytes),
    }
}

fn unknown(config: &Config, name: &CaName) -> Failure {
    let known: Vec<_> = config.device_ca.all().map(|(name, _)| name.as_str()).collect();
    let failure = Failure::new(format_args!("there is no device CA {}", name.as_str()));
    match known.is_empty() {
        true => failure.remedy("add it with `reelkey device ca add`"),
        false => failure.remedy(format_args!("there are: {}", known.join(", "))),
    }
}

fn device_cas(document: &mut DocumentMut) -> Result<&mut Table, Failure> {
    let table = document.entry("device_ca").or_insert(Item::Table(Table::new()));
    table.as_table_mut().ok_or_else(|| Failure::new("device_ca is no [device_ca] table"))
}
