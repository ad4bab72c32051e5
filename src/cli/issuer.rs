//! `reelkey issuer`: the trusted issuers of authorization tokens.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::cli::folder::config::{self, AlgorithmName, Config, IssuerEntry};
use crate::cli::folder::issuer_files::{self, NewKeys};
use crate::cli::folder::paths::Folder;
use crate::cli::operator;
use crate::cli::terminal::output::{Failure, Output};
use crate::cli::terminal::table::table;
use crate::crypto::issuer_key::Algorithm;
use crate::domain::content::ContentPattern;
use crate::domain::duration::Duration;
use crate::domain::nearest::nearest;

#[derive(Debug, Subcommand)]
pub(crate) enum IssuerCommand {
    /// Trust an issuer for some contents.
    Add(AddArgs),
    /// Change an issuer in one step. Options that are not given stay as they are.
    Update(UpdateArgs),
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

#[derive(Debug, Args)]
pub(crate) struct UpdateArgs {
    /// The issuer's name.
    iss: String,
    #[command(flatten)]
    changes: Changes,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
struct Changes {
    /// A file with its new public keys: a JWK Set, which replaces the old one. Keep the old keys in it too while tokens
    /// signed with them are in use.
    #[arg(long, value_name = "FILE", conflicts_with = "secret_file")]
    jwks: Option<PathBuf>,
    /// A file of mode 0600 with its new secret (HS256).
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
    /// The algorithms that it may sign with, instead of the old ones.
    #[arg(long, value_name = "ALG")]
    alg: Vec<Algorithm>,
    /// The contents that it may authorize, instead of the old ones.
    #[arg(long, value_name = "PATTERN")]
    content: Vec<ContentPattern>,
    /// The value that `aud` must contain.
    #[arg(long)]
    audience: Option<String>,
    /// The longest time between `iat` and `exp`.
    #[arg(long, value_name = "DURATION")]
    longest_token_life: Option<Duration>,
}

pub(crate) async fn run(folder: &Folder, command: IssuerCommand) -> Result<Output, Failure> {
    match command {
        IssuerCommand::Add(args) => add(folder, args).await,
        IssuerCommand::Update(args) => update(folder, args).await,
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
    let given = match (&args.keys.jwks, &args.keys.secret_file) {
        (_, Some(source)) => Some(NewKeys::of_secret(source)?),
        (Some(source), None) => Some(NewKeys::of_jwks(source)?),
        (None, None) => None,
    };
    let algorithms = algorithms(args.alg, args.keys.secret_file.is_some());
    let mut entry = IssuerEntry {
        jwks: None,
        secret_file: None,
        algorithms,
        content: args.content,
        audience: args.audience,
        longest_token_life: args.longest_token_life,
        development: args.keys.dev,
        iss: args.iss,
    };
    let created = config::edit(folder, |config, document| {
        let there = config.issuers.iter().find(|other| other.iss == entry.iss);
        let keys = match (given, there) {
            (Some(keys), _) => keys,
            (None, Some(there)) if there.development => {
                NewKeys::of_development(&issuer_files::development_key(folder, there)?)
            }
            (None, _) => {
                NewKeys::of_development(&issuer_files::new_development_key(folder, &entry.iss)?)
            }
        };
        if let Some(there) = there {
            (entry.jwks, entry.secret_file) = (there.jwks.clone(), there.secret_file.clone());
            let differs = |what| {
                let what = format!("issuer {} exists with other {what}", entry.iss);
                Failure::new(what).remedy("change it with `reelkey issuer update`")
            };
            if keys.is_secret() != there.secret_file.is_some() || *there != entry {
                return Err(differs("values"));
            }
            return if keys.are_those_of(there, folder) { Ok(false) } else { Err(differs("keys")) };
        }
        keys.copy(folder, config, &mut entry)?;
        // Read back in the same way as `serve` reads it. If it cannot be used, it is not added and its copy is deleted.
        if let Err(failure) = entry.keys(folder) {
            issuer_files::remove_copy(folder, config, &entry)?;
            return Err(failure);
        }
        config::append_issuer(document, &entry).map(|()| true)
    })?;
    operator::reload_issuers(folder).await?;
    Ok(added(folder, &entry, created))
}

/// The algorithms that an issuer may sign with. If none is named: HS256 for a secret, otherwise ES256.
fn algorithms(named: Vec<Algorithm>, is_secret: bool) -> Vec<AlgorithmName> {
    let default = if is_secret { Algorithm::Hs256 } else { Algorithm::Es256 };
    let named = if named.is_empty() { vec![default] } else { named };
    named.into_iter().map(AlgorithmName).collect()
}

async fn update(folder: &Folder, args: UpdateArgs) -> Result<Output, Failure> {
    let UpdateArgs { iss, changes: args } = args;
    let keys = match (&args.jwks, &args.secret_file) {
        (_, Some(source)) => Some(NewKeys::of_secret(source)?),
        (Some(source), None) => Some(NewKeys::of_jwks(source)?),
        (None, None) => None,
    };
    let (old, new) = config::edit(folder, |config, document| {
        let old = config.issuers.iter().find(|entry| entry.iss == iss);
        let old = old.ok_or_else(|| unknown(config, &iss))?;
        let mut new = old.clone();
        let is_secret = keys.as_ref().map_or_else(|| old.secret_file.is_some(), NewKeys::is_secret);
        if !args.alg.is_empty() || is_secret != old.secret_file.is_some() {
            new.algorithms = algorithms(args.alg, is_secret);
        }
        if !args.content.is_empty() {
            new.content = args.content;
        }
        new.audience = args.audience.or(new.audience);
        new.longest_token_life = args.longest_token_life.or(new.longest_token_life);
        let keys = keys.filter(|keys| !keys.are_those_of(old, folder));
        if let Some(keys) = &keys {
            // `token mint` stops working for it, because its private key does not fit the new keys.
            new.development = false;
            keys.copy(folder, config, &mut new)?;
        }
        if let Err(failure) = new.keys(folder) {
            if keys.is_some() {
                issuer_files::remove_copy(folder, config, &new)?;
            }
            return Err(failure);
        }
        config::update_issuer(document, old, &new)?;
        Ok((old.clone(), new))
    })?;
    operator::reload_issuers(folder).await?;
    if old.file() != new.file() {
        clean_up(folder, &old)?;
    }
    let changed = old != new;
    let mut json = issuer_json(&new);
    if let Some(members) = json.as_object_mut() {
        members.insert("changed".into(), changed.into());
    }
    let text = match changed {
        true => format!("issuer {} changed: its new values are in force.", new.iss),
        false => format!("issuer {} has these values already; nothing was changed.", new.iss),
    };
    Ok(Output::new(json, text))
}

/// Deletes the files that were kept for `old`. The configuration must not name them any more.
fn clean_up(folder: &Folder, old: &IssuerEntry) -> Result<(), Failure> {
    let public = issuer_files::public_keys(folder, old);
    issuer_files::remove_copy(folder, &Config::read(folder)?, old)?;
    if old.development {
        issuer_files::remove_development_key(folder, &old.iss, &public)?;
    }
    Ok(())
}

/// The error for an unknown issuer. It names the issuer with the nearest name.
fn unknown(config: &Config, iss: &str) -> Failure {
    let failure = Failure::new(format_args!("there is no issuer {iss}"));
    match nearest(iss, config.issuers.iter().map(|entry| &*entry.iss)) {
        Some(name) => failure.remedy(format_args!("did you mean {name}?")),
        None => failure.remedy("see `reelkey issuer list`, or add it with `reelkey issuer add`"),
    }
}

async fn remove(folder: &Folder, iss: &str) -> Result<Output, Failure> {
    let (removed, meant) = config::edit(folder, |config, document| {
        config::remove_issuer(document, iss)?;
        let meant = nearest(iss, config.issuers.iter().map(|entry| &*entry.iss)).map(str::to_owned);
        Ok((config.issuers.iter().find(|entry| entry.iss == iss).cloned(), meant))
    })?;
    operator::reload_issuers(folder).await?;
    let json = json!({ "iss": iss, "changed": removed.is_some() });
    let Some(entry) = removed else {
        let mut text = format!("there is no issuer {iss}; nothing was changed.");
        if let Some(name) = meant {
            text.push_str(&format!("\ndid you mean {name}?"));
        }
        return Ok(Output::new(json, text));
    };
    // Only now, because no configuration names them any more.
    clean_up(folder, &entry)?;
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
        (true, false) => format!("issuer {} added.", entry.iss),
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
