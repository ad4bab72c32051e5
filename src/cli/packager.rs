//! `reelkey packager`: the programs that may ask for content keys.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use base64ct::{Base64, Base64UrlUnpadded, Encoding};
use clap::{Args, Subcommand};
use serde_json::json;
use zeroize::Zeroizing;

use crate::authority::operation::packager::{
    AddPackager, ListPackagers, PackagerAdded, PackagerView, RemovePackager, RotatePackagerSecret,
};
use crate::authority::packager::{SecretHash, SigningKey};
use crate::cli::folder::paths::Folder;
use crate::cli::source;
use crate::cli::terminal::confirm::confirm;
use crate::cli::terminal::output::{Failure, Output};
use crate::cli::terminal::table::table;
use crate::cli::{clock, operator};
use crate::crypto::rsa::RsaPublicKey;
use crate::crypto::{client_ca, random};
use crate::domain::content::ContentPattern;
use crate::domain::packager::{PackagerName, Permission};

/// The shortest and the longest secret, in bytes.
const SECRET_BYTES: std::ops::RangeInclusive<usize> = 8..=256;

/// The longest file of a secret, a key or a certificate, in bytes.
const FILE_BYTES_MAX: usize = 16 * 1024;

/// The longest certificate of a CA, in bytes: it has to fit into a record.
const CA_BYTES_MAX: usize = 2 * 1024;

#[derive(Debug, Subcommand)]
pub(crate) enum PackagerCommand {
    /// Let a packager or an origin ask for content keys.
    Add(AddArgs),
    /// List the packagers, and what each may do.
    List,
    /// Give a packager a new secret. The old one is refused from now on.
    RotateSecret {
        /// Its name.
        name: PackagerName,
        /// The file of the new secret; - is standard input. Without it, one is made and printed once.
        #[arg(long, value_name = "FILE")]
        secret_file: Option<PathBuf>,
    },
    /// Refuse a packager from now on. The keys that it was given stay.
    Remove {
        /// Its name.
        name: PackagerName,
        /// Do not ask for confirmation.
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Debug, Args)]
pub(crate) struct AddArgs {
    /// Its name: the user of HTTP's Basic scheme, and the signer of requests.
    name: PackagerName,
    /// The contents that it may ask for: a content ID, prefix/* or *.
    #[arg(long, required = true, value_name = "PATTERN")]
    content: Vec<ContentPattern>,
    /// What it may do: issue (keys to encrypt with), read (keys that there are, to decrypt).
    #[arg(long, value_delimiter = ',', default_value = "issue")]
    allow: Vec<Permission>,
    /// Let it add contents by asking for their keys, under this policy.
    #[arg(long, value_name = "NAME")]
    policy: Vec<String>,
    /// The file of its secret; - is standard input. Without it, one is made and printed once.
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
    /// The key by which it signs requests to the Widevine API: AESKEY:IV in hexadecimal, or an RSA public key (PEM or DER).
    #[arg(long, value_name = "FILE")]
    widevine_signing_key_file: Option<PathBuf>,
    /// A CA whose client certificates stand for the secret; PEM.
    #[arg(long, value_name = "FILE")]
    client_ca: Option<PathBuf>,
}

pub(crate) async fn run(folder: &Folder, command: PackagerCommand) -> Result<Output, Failure> {
    match command {
        PackagerCommand::Add(args) => add(folder, args).await,
        PackagerCommand::List => Ok(list(&operator::execute(folder, ListPackagers {}).await?)),
        PackagerCommand::RotateSecret { name, secret_file } => {
            let secret = Secret::of(secret_file.as_deref())?;
            let operation = RotatePackagerSecret { name, secret_sha256: secret.hash() };
            let packager = operator::execute(folder, operation).await?;
            let name = &packager.name;
            let text = format!("{name} has a new secret; the old one is refused from now on.");
            Ok(told(&packager, text, json!({ "changed": true }), &secret))
        }
        PackagerCommand::Remove { name, yes } => {
            confirm(&format!("Refuse the packager {name} from now on?"), yes)?;
            let operation = RemovePackager { name: name.clone() };
            let changed = operator::execute(folder, operation).await?.changed;
            let text = match changed {
                true => format!("{name} is refused from now on. The keys that it was given stay."),
                false => format!("there is no packager {name}; nothing was changed."),
            };
            Ok(Output::new(json!({ "name": name, "changed": changed }), text))
        }
    }
}

async fn add(folder: &Folder, args: AddArgs) -> Result<Output, Failure> {
    let secret = Secret::of(args.secret_file.as_deref())?;
    let signing = args.widevine_signing_key_file.as_deref().map(signing_key).transpose()?;
    let ca = args.client_ca.as_deref().map(ca).transpose()?;
    let operation = AddPackager {
        name: args.name,
        content: args.content,
        allow: args.allow.into_iter().collect::<BTreeSet<_>>(),
        policies: args.policy,
        secret_sha256: secret.hash(),
        is_secret_new: secret.is_made,
        signing,
        client_ca: ca,
    };
    let PackagerAdded { packager, created } = operator::execute(folder, operation).await?;
    let name = &packager.name;
    if !created {
        let text = format!("{name} exists already; nothing was changed.");
        return Ok(Output::new(with(&packager, json!({ "created": false })), text));
    }
    let text = format!("{name} may {} keys of {}.", may(&packager), listed(&packager.content));
    Ok(told(&packager, text, json!({ "created": true }), &secret))
}

/// A packager, and its secret if it was made here: it is printed this once.
fn told(
    packager: &PackagerView,
    text: String,
    members: serde_json::Value,
    secret: &Secret,
) -> Output {
    let mut json = with(packager, members);
    if !secret.is_made {
        return Output::new(json, text);
    }
    if let Some(members) = json.as_object_mut() {
        members.insert("secret".into(), secret.text.as_str().into());
    }
    let text = format!(
        "{text}\nsecret: {}\nIt is shown this once. With HTTP's Basic scheme the user is {}.",
        secret.text.as_str(),
        packager.name
    );
    Output::new(json, text)
}

fn with(packager: &PackagerView, members: serde_json::Value) -> serde_json::Value {
    let mut json = json!(packager);
    if let (Some(all), serde_json::Value::Object(members)) = (json.as_object_mut(), members) {
        all.extend(members);
    }
    json
}

fn may(packager: &PackagerView) -> String {
    let allowed: Vec<_> = packager.allow.iter().map(|one| one.as_str()).collect();
    allowed.join(" and ")
}

fn listed<T: ToString>(all: &[T]) -> String {
    all.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn list(packagers: &[PackagerView]) -> Output {
    let json = json!(packagers);
    if packagers.is_empty() {
        let text = "no packagers yet.\nnext: reelkey packager add encoder --content 'movies/*'";
        return Output::new(json, text);
    }
    let row = |packager: &PackagerView| {
        let mut proofs = vec!["secret"];
        proofs.extend(packager.signing.as_deref());
        proofs.extend(packager.client_ca.then_some("certificate"));
        [
            packager.name.to_string(),
            listed(&packager.content),
            may(packager),
            match packager.policies.is_empty() {
                true => "no".into(),
                false => format!("under {}", packager.policies.join(", ")),
            },
            proofs.join(", "),
            clock::show(packager.secret_changed_at),
        ]
    };
    let rows: Vec<_> = packagers.iter().map(row).collect();
    let head = ["PACKAGER", "CONTENT", "MAY", "ADDS CONTENTS", "PROVES BY", "SECRET SINCE"];
    Output::new(json, table(head, &rows))
}

/// The secret of a packager.
struct Secret {
    text: Zeroizing<String>,
    /// Whether it was made here.
    is_made: bool,
}

impl Secret {
    /// Reads it from a file, or makes one.
    fn of(file: Option<&Path>) -> Result<Self, Failure> {
        let Some(file) = file else {
            let bytes = Zeroizing::new(random::bytes::<32>()?);
            let text = Zeroizing::new(Base64UrlUnpadded::encode_string(bytes.as_slice()));
            return Ok(Self { text, is_made: true });
        };
        let bytes = read(file)?;
        let text = std::str::from_utf8(&bytes).unwrap_or_default().trim();
        let fits =
            SECRET_BYTES.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        if !fits {
            let what = "a packager's secret is 8 to 256 visible ASCII characters without spaces";
            return Err(Failure::new(what)
                .during(file.display())
                .remedy("leave --secret-file out, and a good one is made and printed"));
        }
        Ok(Self { text: Zeroizing::new(text.to_owned()), is_made: false })
    }

    fn hash(&self) -> SecretHash {
        SecretHash::of(self.text.as_bytes())
    }
}

fn read(file: &Path) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let bytes = source::read(file, FILE_BYTES_MAX);
    let bytes = Zeroizing::new(bytes.map_err(|e| Failure::from(e).during(file.display()))?);
    match bytes.len() > FILE_BYTES_MAX {
        true => Err(Failure::new("the file is too long").during(file.display())),
        false => Ok(bytes),
    }
}

/// Reads `AESKEY:IV`, or an RSA public key.
fn signing_key(file: &Path) -> Result<SigningKey, Failure> {
    let bytes = read(file)?;
    let aes = std::str::from_utf8(&bytes).ok().and_then(|text| {
        let (key, iv) = text.trim().split_once(':')?;
        let is_hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let fits = matches!(key.len(), 32 | 48 | 64) && iv.len() == 32 && is_hex(key) && is_hex(iv);
        let key = Zeroizing::new(key.to_ascii_lowercase());
        fits.then(|| SigningKey::Aes { key, iv: iv.to_ascii_lowercase() })
    });
    if let Some(key) = aes {
        return Ok(key);
    }
    let key = RsaPublicKey::parse(&bytes).map_err(|error| {
        Failure::from(error).during(file.display()).remedy(
            "it holds AESKEY:IV in hexadecimal (16 or 32 bytes, and 16 bytes), or an RSA public key in PEM or DER",
        )
    })?;
    Ok(SigningKey::Rsa(Base64::encode_string(&key.to_der())))
}

/// Reads the certificate of a CA.
fn ca(file: &Path) -> Result<String, Failure> {
    let pem = read(file)?;
    let der =
        client_ca::parse(&pem).map_err(|error| Failure::from(error).during(file.display()))?;
    if der.len() > CA_BYTES_MAX {
        return Err(Failure::new("the certificate has more than 2 KiB").during(file.display()));
    }
    Ok(Base64::encode_string(&der))
}
