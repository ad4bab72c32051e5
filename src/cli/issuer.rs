//! `reelkey issuer`: the trusted issuers of authorization tokens.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::authority::vault::secret_file;
use crate::cli::folder::config::{self, AlgorithmName, Config, IssuerEntry};
use crate::cli::folder::paths::Folder;
use crate::cli::operator;
use crate::cli::terminal::output::{Failure, Output, table};
use crate::crypto::development_key::DevelopmentKey;
use crate::crypto::digest::sha256;
use crate::crypto::issuer_keys::{Algorithm, IssuerKeys, JWKS_BYTES_MAX};
use crate::domain::content::ContentPattern;
use crate::domain::duration::Duration;

#[derive(Debug, Subcommand)]
pub(crate) enum IssuerCommand {
    /// Trust an issuer for some contents.
    Add(AddArgs),
    /// List the issuers.
    List,
    /// Stop trusting an issuer. Its tokens are refused at once.
    Remove {
        /// The issuer's name.
        iss: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct AddArgs {
    /// The issuer's name, exactly as in `iss` of its tokens.
    iss: String,
    #[command(flatten)]
    keys: KeyArgs,
    /// The algorithms that it may sign with: ES256, EdDSA, RS256, PS256, or HS256 with a secret. The default is ES256.
    #[arg(long, value_name = "ALG")]
    alg: Vec<Algorithm>,
    /// The contents that it may authorize: movies/bunny, movies/* or *.
    #[arg(long, value_name = "PATTERN", required = true)]
    content: Vec<ContentPattern>,
    /// The value that `aud` must contain. The default is the service ID.
    #[arg(long)]
    audience: Option<String>,
    /// The longest time between `iat` and `exp`. The default is 24h.
    #[arg(long, value_name = "DURATION")]
    longest_token_life: Option<Duration>,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct KeyArgs {
    /// A file with its public keys: a JWK Set.
    #[arg(long, value_name = "FILE")]
    jwks: Option<PathBuf>,
    /// A file of mode 0600 with its secret of 32 bytes or more (HS256), instead of public keys.
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
    /// Make a development issuer. Its private key is kept in the data folder, and `token mint` signs with it.
    #[arg(long)]
    dev: bool,
}

pub(crate) async fn run(folder: &Folder, command: IssuerCommand) -> Result<Output, Failure> {
    match command {
        IssuerCommand::Add(args) => add(folder, args).await,
        IssuerCommand::List => list(folder),
        IssuerCommand::Remove { iss } => remove(folder, &iss).await,
    }
}

async fn add(folder: &Folder, args: AddArgs) -> Result<Output, Failure> {
    if args.iss.is_empty() || args.iss.len() > 512 || args.iss.chars().any(char::is_control) {
        return Err(Failure::new(
            "an issuer's name is 1 to 512 characters without control characters",
        ));
    }
    let keys = NewKeys::read(folder, &args)?;
    let default = if args.keys.secret_file.is_some() { Algorithm::Hs256 } else { Algorithm::Es256 };
    let algorithms = if args.alg.is_empty() { vec![default] } else { args.alg };
    let entry = IssuerEntry {
        jwks: keys.jwks().map(Path::to_path_buf),
        secret_file: keys.secret_file().map(Path::to_path_buf),
        algorithms: algorithms.into_iter().map(AlgorithmName).collect(),
        content: args.content,
        audience: args.audience,
        longest_token_life: args.longest_token_life,
        development: args.keys.dev,
        iss: args.iss,
    };
    let created = config::edit(folder, |config, document| {
        let there = config.issuers.iter().find(|other| other.iss == entry.iss);
        if there.is_some_and(|there| *there != entry) {
            let what = format!("issuer {} exists with other values", entry.iss);
            return Err(Failure::new(what).remedy("remove it first with `reelkey issuer remove`"));
        }
        let path = folder.root().join(&keys.name);
        let same_keys = fs::read(&path).is_ok_and(|old| *keys.bytes == old);
        if there.is_some() && !same_keys {
            let what = format!("issuer {} exists with other keys", entry.iss);
            return Err(Failure::new(what).remedy("remove it first with `reelkey issuer remove`"));
        }
        if !same_keys {
            config::write_whole(&path, &keys.bytes)?;
        }
        // Read back in the same way as `serve` reads it. If it cannot be used, it is not added and its copy is
        // deleted.
        if let Err(failure) = entry.keys(folder.root()) {
            if !same_keys {
                fs::remove_file(&path).ok();
            }
            return Err(failure);
        }
        match there {
            Some(_) => Ok(false),
            None => config::append_issuer(document, &entry).map(|()| true),
        }
    })?;
    operator::reload_issuers(folder).await?;
    Ok(added(folder, &entry, created))
}

/// The keys or the secret of an issuer, which are copied into the data folder.
struct NewKeys {
    /// The file's path, relative to the data folder.
    name: PathBuf,
    bytes: Zeroizing<Vec<u8>>,
    is_secret: bool,
}

impl NewKeys {
    fn read(folder: &Folder, args: &AddArgs) -> Result<Self, Failure> {
        let name = |end| Path::new("keys/issuers").join(format!("{}.{end}", slug(&args.iss)));
        if let Some(source) = &args.keys.secret_file {
            config::read_shared_secret(source)?;
            let bytes = secret_file::read(source, JWKS_BYTES_MAX)?;
            return Ok(Self { name: name("secret"), bytes, is_secret: true });
        }
        let bytes = match &args.keys.jwks {
            Some(source) => read_jwks(source)?,
            None => development_jwks(folder, &args.iss)?,
        };
        IssuerKeys::parse(&bytes)?;
        Ok(Self { name: name("jwks.json"), bytes: Zeroizing::new(bytes), is_secret: false })
    }

    fn jwks(&self) -> Option<&Path> {
        Some(&*self.name).filter(|_| !self.is_secret)
    }

    fn secret_file(&self) -> Option<&Path> {
        Some(&*self.name).filter(|_| self.is_secret)
    }
}

async fn remove(folder: &Folder, iss: &str) -> Result<Output, Failure> {
    let removed = config::edit(folder, |config, document| {
        config::remove_issuer(document, iss)?;
        Ok(config.issuers.iter().find(|entry| entry.iss == iss).cloned())
    })?;
    operator::reload_issuers(folder).await?;
    let json = json!({ "iss": iss, "changed": removed.is_some() });
    let Some(entry) = removed else {
        let text = format!("there is no issuer {iss}; nothing was changed.");
        return Ok(Output::new(json, text));
    };
    // Only now, because no configuration names them any more. A file that is not such a copy stays.
    let copies = [entry.jwks, entry.secret_file].into_iter().flatten();
    let copies = copies.filter(|path| path.starts_with("keys/issuers"));
    let copies = copies.map(|path| folder.root().join(path));
    for path in copies.chain([development_key_path(folder, iss)]) {
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(Failure::from(error).during(path.display()));
            }
            _ => {}
        }
    }
    let text = format!("issuer {iss} removed: its tokens are refused from now on.");
    Ok(Output::new(json, text))
}

fn added(folder: &Folder, entry: &IssuerEntry, created: bool) -> Output {
    let mut json = issuer_json(entry);
    if let Some(members) = json.as_object_mut() {
        members.insert("created".into(), created.into());
    }
    let text = match (created, entry.development) {
        (false, _) => format!("issuer {} exists already; nothing was changed.", entry.iss),
        (true, false) => {
            format!("issuer {} added.", entry.iss)
        }
        (true, true) => format!(
            "development issuer {} added; its private key is in {}.\n\
             next: reelkey token mint --data {} --issuer {} --sub alice --content movies/bunny",
            entry.iss,
            folder.development_keys().display(),
            folder.root().display(),
            entry.iss
        ),
    };
    Output::new(json, text)
}

fn read_jwks(source: &Path) -> Result<Vec<u8>, Failure> {
    let is_url = source.to_string_lossy().contains("://");
    if is_url {
        return Err(Failure::new("a JWK Set by URL is not supported yet")
            .remedy("save it to a file and give that"));
    }
    let during = |error: io::Error| Failure::from(error).during(source.display());
    let length = fs::metadata(source).map_err(during)?.len();
    if length > u64::try_from(JWKS_BYTES_MAX).unwrap_or(u64::MAX) {
        return Err(Failure::new(format_args!("{} is too long for a JWK Set", source.display())));
    }
    fs::read(source).map_err(during)
}

/// The development issuer's public keys. Its private key is generated if it does not exist.
fn development_jwks(folder: &Folder, iss: &str) -> Result<Vec<u8>, Failure> {
    let path = development_key_path(folder, iss);
    let key = if path.exists() {
        read_development_key(folder, iss)?
    } else {
        let key = DevelopmentKey::generate()?;
        secret_file::write(&path, key.to_jwk().as_bytes())
            .map_err(|error| Failure::from(error).during(path.display()))?;
        key
    };
    Ok(format!("{}\n", json!({ "keys": [key.public_jwk()] })).into_bytes())
}

/// The private key of a development issuer.
pub(super) fn read_development_key(folder: &Folder, iss: &str) -> Result<DevelopmentKey, Failure> {
    let path = development_key_path(folder, iss);
    let text = fs::read_to_string(&path).map(Zeroizing::new).map_err(|error| {
        Failure::from(error)
            .during(path.display())
            .remedy("make a development issuer with `reelkey issuer add ISS --dev`")
    })?;
    DevelopmentKey::parse(&text).map_err(|error| Failure::from(error).during(path.display()))
}

fn development_key_path(folder: &Folder, iss: &str) -> PathBuf {
    folder.development_keys().join(format!("{}.jwk.json", slug(iss)))
}

/// A file name for an issuer: the readable part of its name and a hash, because two names may have the same readable
/// part.
fn slug(iss: &str) -> String {
    let bare = iss.split_once("://").map_or(iss, |(_, rest)| rest);
    let readable: String = bare
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' })
        .take(48)
        .collect();
    let [a, b, c, d, ..] = sha256(iss.as_bytes());
    format!("{}-{a:02x}{b:02x}{c:02x}{d:02x}", readable.trim_matches(['.', '-']))
}

fn list(folder: &Folder) -> Result<Output, Failure> {
    let config = Config::read(folder)?;
    let json = config.issuers.iter().map(issuer_json).collect();
    if config.issuers.is_empty() {
        let text = "no issuers yet, so no token is accepted.\n\
            next: reelkey issuer add https://auth.example --jwks FILE --content 'movies/*'";
        return Ok(Output::new(json, text));
    }
    let join = |texts: Vec<String>| texts.join(" ");
    let rows: Vec<_> = config
        .issuers
        .iter()
        .map(|entry| {
            [
                entry.iss.clone(),
                join(entry.algorithms.iter().map(|name| name.0.to_string()).collect()),
                join(entry.content.iter().map(ToString::to_string).collect()),
                if entry.development { "development" } else { "" }.to_owned(),
            ]
        })
        .collect();
    Ok(Output::new(json, table(["ISSUER", "ALGORITHMS", "CONTENT", ""], &rows)))
}

fn issuer_json(entry: &IssuerEntry) -> Value {
    let algorithms: Vec<_> = entry.algorithms.iter().map(|name| name.0.to_string()).collect();
    let content: Vec<_> = entry.content.iter().map(ToString::to_string).collect();
    json!({ "iss": entry.iss, "jwks": entry.jwks, "secret_file": entry.secret_file, "algorithms": algorithms, "content": content,
        "audience": entry.audience, "development": entry.development,
        "longest_token_life": entry.longest_token_life.map(Duration::as_secs) })
}
