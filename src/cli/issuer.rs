//! `reelkey issuer`: the trusted issuers of authorization tokens.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use toml_edit::DocumentMut;

use crate::cli::folder::config::{self, Config};
use crate::cli::folder::issuer_entry::{self, IssuerEntry};
use crate::cli::folder::issuer_files::{self, NewKeys};
use crate::cli::folder::paths::Folder;
use crate::cli::issuer_keys::{Fetching, Given, Wanted};
use crate::cli::operator;
use crate::cli::terminal::output::{Failure, Output};
use crate::cli::terminal::table::table;
use crate::crypto::issuer_key::Algorithm;
use crate::domain::claim_name::ClaimName;
use crate::domain::content::ContentPattern;
use crate::domain::duration::Duration;
use crate::domain::key_url::KeyUrl;
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
    #[command(flatten)]
    fetching: FetchArgs,
    /// The algorithms that it may sign with: ES256, EdDSA, RS256, PS256, or HS256 with a secret. The default is ES256, and
    /// with --discover what the issuer names.
    #[arg(long, value_name = "ALG")]
    alg: Vec<Algorithm>,
    /// The contents that it may authorize: movies/bunny, movies/* or *.
    #[arg(long, value_name = "PATTERN", required = true)]
    content: Vec<ContentPattern>,
    /// The claim of its tokens that names contents, where it cannot make `content_id`. It may be a URL.
    #[arg(long, value_name = "CLAIM")]
    content_claim: Option<ClaimName>,
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
    /// Where its public keys are fetched, now and as often as they change: `https://auth.example/jwks`.
    #[arg(long, value_name = "URL")]
    jwks_url: Option<KeyUrl>,
    /// Ask the issuer where its public keys are (OpenID Connect Discovery), and fetch them there.
    #[arg(long)]
    discover: bool,
    /// A file of mode 0600 with its secret of 32 bytes or more (HS256), instead of public keys.
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
    /// Make a development issuer. Its private key is kept in the data folder, and `token mint` signs with it.
    #[arg(long)]
    dev: bool,
}

/// How keys are fetched.
#[derive(Debug, Args)]
struct FetchArgs {
    /// A PEM file of certificate authorities. They are believed where its keys are fetched, in place of the system's.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// How long its last keys serve that should be fetched again and cannot be. The default is 24h.
    #[arg(long, value_name = "DURATION")]
    keep_keys_for: Option<Duration>,
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
    #[arg(long, value_name = "FILE", conflicts_with_all = ["secret_file", "jwks_url"])]
    jwks: Option<PathBuf>,
    /// Where its public keys are fetched from now on.
    #[arg(long, value_name = "URL", conflicts_with = "secret_file")]
    jwks_url: Option<KeyUrl>,
    /// A PEM file of certificate authorities. They are believed where its keys are fetched, in place of the system's.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// How long its last keys serve that should be fetched again and cannot be.
    #[arg(long, value_name = "DURATION")]
    keep_keys_for: Option<Duration>,
    /// A file of mode 0600 with its new secret (HS256).
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
    /// The algorithms that it may sign with, instead of the old ones.
    #[arg(long, value_name = "ALG")]
    alg: Vec<Algorithm>,
    /// The contents that it may authorize, instead of the old ones.
    #[arg(long, value_name = "PATTERN")]
    content: Vec<ContentPattern>,
    /// The claim of its tokens that names contents.
    #[arg(long, value_name = "CLAIM")]
    content_claim: Option<ClaimName>,
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
    let wanted = Wanted {
        jwks: args.keys.jwks,
        secret_file: args.keys.secret_file,
        jwks_url: args.keys.jwks_url,
        discover: args.keys.discover,
        ca: args.fetching.ca,
        keep_keys_for: args.fetching.keep_keys_for,
    };
    let given = wanted.read(&args.iss, &args.alg).await?;
    let mut entry = IssuerEntry {
        algorithms: given.algorithms(args.alg),
        content: args.content,
        content_claim: args.content_claim,
        audience: args.audience,
        longest_token_life: args.longest_token_life,
        development: args.keys.dev,
        ..IssuerEntry::named(args.iss)
    };
    let created = config::edit(folder, |config, document| {
        let there = config.issuers.iter().find(|other| other.iss == entry.iss);
        let keys = match (&given, there) {
            (Given::Fetched(fetching), _) => {
                return add_fetched(folder, config, document, &mut entry, fetching);
            }
            (Given::Copied(keys), _) => keys,
            (Given::Nothing, Some(there)) if there.development => {
                &NewKeys::of_development(&issuer_files::development_key(folder, there)?)
            }
            (Given::Nothing, _) => {
                &NewKeys::of_development(&issuer_files::new_development_key(folder, &entry.iss)?)
            }
        };
        if let Some(there) = there {
            (entry.jwks, entry.secret_file) = (there.jwks.clone(), there.secret_file.clone());
            if keys.is_secret() != there.secret_file.is_some() || *there != entry {
                return Err(differs(&entry, "values"));
            }
            let same = keys.are_those_of(there, folder);
            return if same { Ok(false) } else { Err(differs(&entry, "keys")) };
        }
        keys.copy(folder, config, &mut entry)?;
        append(folder, config, document, &entry)
    })?;
    operator::reload_issuers(folder).await?;
    Ok(added(folder, &entry, &given, created))
}

fn differs(entry: &IssuerEntry, what: &str) -> Failure {
    Failure::new(format_args!("issuer {} exists with other {what}", entry.iss))
        .remedy("change it with `reelkey issuer update`")
}

/// Adds an issuer whose keys were fetched, and keeps them.
fn add_fetched(
    folder: &Folder,
    config: &Config,
    document: &mut DocumentMut,
    entry: &mut IssuerEntry,
    fetching: &Fetching,
) -> Result<bool, Failure> {
    let there = config.issuers.iter().find(|other| other.iss == entry.iss);
    let Some(there) = there else {
        fetching.put(folder, config, entry)?;
        return append(folder, config, document, entry);
    };
    fetching.put_like(folder, there, entry)?;
    if there == entry { Ok(false) } else { Err(differs(entry, "values")) }
}

/// Reads the keys back in the same way as `serve` reads them. If they cannot be used, the issuer is not added and its
/// copies are deleted.
fn append(
    folder: &Folder,
    config: &Config,
    document: &mut DocumentMut,
    entry: &IssuerEntry,
) -> Result<bool, Failure> {
    if let Err(failure) = entry.keys(folder) {
        issuer_files::remove_copies(folder, config, entry)?;
        return Err(failure);
    }
    issuer_entry::append_issuer(document, entry).map(|()| true)
}

async fn update(folder: &Folder, args: UpdateArgs) -> Result<Output, Failure> {
    let UpdateArgs { iss, changes: args } = args;
    let config = Config::read(folder)?;
    let old = config.issuers.iter().find(|entry| entry.iss == iss);
    let old = old.ok_or_else(|| unknown(&config, &iss))?;
    let wanted = Wanted {
        jwks: args.jwks,
        secret_file: args.secret_file,
        jwks_url: args.jwks_url,
        discover: false,
        ca: args.ca,
        keep_keys_for: args.keep_keys_for,
    };
    let given = wanted.read_again(folder, old, &args.alg).await?;
    let (old, new) = config::edit(folder, |config, document| {
        let old = config.issuers.iter().find(|entry| entry.iss == iss);
        let old = old.ok_or_else(|| unknown(config, &iss))?;
        let mut new = old.clone();
        if !args.alg.is_empty() || given.is_secret(old) != old.secret_file.is_some() {
            new.algorithms = given.algorithms(args.alg);
        }
        if !args.content.is_empty() {
            new.content = args.content;
        }
        new.content_claim = args.content_claim.or(new.content_claim);
        new.audience = args.audience.or(new.audience);
        new.longest_token_life = args.longest_token_life.or(new.longest_token_life);
        new.keep_keys_for = args.keep_keys_for.or(new.keep_keys_for);
        given.put(folder, config, &mut new)?;
        if let Err(failure) = new.keys(folder) {
            issuer_files::remove_copies(folder, config, &new)?;
            return Err(failure);
        }
        issuer_entry::update_issuer(document, old, &new)?;
        Ok((old.clone(), new))
    })?;
    operator::reload_issuers(folder).await?;
    if !old.files().eq(new.files()) || old.jwks_url != new.jwks_url {
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
    issuer_files::remove_copies(folder, &Config::read(folder)?, old)?;
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
        issuer_entry::remove_issuer(document, iss)?;
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

fn added(folder: &Folder, entry: &IssuerEntry, given: &Given, created: bool) -> Output {
    let mut json = issuer_json(entry);
    if let Some(members) = json.as_object_mut() {
        members.insert("created".into(), created.into());
    }
    let text = match (created, entry.development) {
        (false, _) => format!("issuer {} exists already; nothing was changed.", entry.iss),
        (true, false) => format!("issuer {} added.{}", entry.iss, given.told()),
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
                entry.origin(),
            ]
        })
        .collect();
    Ok(Output::new(json, table(["ISSUER", "ALGORITHMS", "CONTENT", "KEYS FROM"], &rows)))
}

fn issuer_json(entry: &IssuerEntry) -> Value {
    let algorithms: Vec<_> = entry.algorithms.iter().map(|name| name.0.to_string()).collect();
    let content: Vec<_> = entry.content.iter().map(ToString::to_string).collect();
    json!({ "iss": entry.iss, "jwks": entry.jwks, "jwks_url": entry.jwks_url.as_ref().map(KeyUrl::as_str), "ca": entry.ca,
        "keep_keys_for": entry.keep_keys_for.map(Duration::as_secs), "secret_file": entry.secret_file,
        "algorithms": algorithms, "content": content,
        "content_claim": entry.content_claim.as_ref().map(ClaimName::as_str), "audience": entry.audience, "development": entry.development,
        "longest_token_life": entry.longest_token_life.map(Duration::as_secs) })
}
