//! `reelkey policy explain`: what would happen if this viewer asked for that, and by which rules.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use base64ct::{Base64, Encoding};
use clap::Args;
use jiff::Timestamp;
use reelkey_client::exchange::request::SessionType;
use reelkey_client::key::KeyId;
use reelkey_client::strict::jwk::Thumbprint;
use serde_json::json;

use crate::authority::operation::explain::{Explain, Explained, StepView};
use crate::cli::account_argument::parse_thumbprint;
use crate::cli::folder::paths::Folder;
use crate::cli::secret_argument::SecretArgument;
use crate::cli::terminal::output::{Failure, Output};
use crate::cli::terminal::table::table;
use crate::cli::{clock, operator, source};
use crate::crypto::device_ca::chain_from_pem;

/// Far longer than a chain that a request can hold.
const CHAIN_BYTES_MAX: usize = 64 * 1024;

/// The arguments of `policy explain`.
#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    /// The viewer's token: @FILE. The default is standard input.
    #[arg(long, value_name = "@FILE")]
    token: Option<SecretArgument>,
    /// The content that is asked for. It can be omitted if the token names exactly one.
    #[arg(long, value_name = "ID")]
    content: Option<String>,
    /// A key that is asked for.
    #[arg(long, value_name = "KID")]
    kid: Option<KeyId>,
    /// The moment of the request, also for the token: 2026-12-01T20:00:00Z, or seconds since 1970. The default is now.
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    at: Option<u64>,
    /// The device that asks, by the thumbprint of its key. The default is one that was never seen.
    #[arg(long, value_name = "JKT", value_parser = parse_thumbprint, allow_hyphen_values = true)]
    device: Option<Thumbprint>,
    /// The certificate chain of the device that asks: a PEM file, its own certificate first.
    #[arg(long, value_name = "FILE")]
    certificate: Option<PathBuf>,
    /// The address that the client asks from, for policies with evidence by address. The default is one that nobody knows.
    #[arg(long, value_name = "IP")]
    address: Option<IpAddr>,
    /// temporary, or persistent-license for offline playback.
    #[arg(long, value_name = "TYPE", value_parser = parse_session_type, default_value = "temporary")]
    session_type: SessionType,
}

fn parse_time(text: &str) -> Result<u64, &'static str> {
    if let Ok(seconds) = text.parse() {
        return Ok(seconds);
    }
    let time: Timestamp = text
        .parse()
        .map_err(|_| "write a time as 2026-12-01T20:00:00Z, or in seconds since 1970")?;
    u64::try_from(time.as_second()).map_err(|_| "the time is before 1970")
}

fn parse_session_type(text: &str) -> Result<SessionType, &'static str> {
    match text {
        "temporary" => Ok(SessionType::Temporary),
        "persistent-license" => Ok(SessionType::PersistentLicense),
        _ => Err("a session type is temporary or persistent-license"),
    }
}

/// The certificates of a PEM file, each in base64.
fn chain(file: &Path) -> Result<Vec<String>, Failure> {
    let during = |failure: Failure| failure.during(file.display());
    let pem = source::read(file, CHAIN_BYTES_MAX).map_err(|error| during(error.into()))?;
    if pem.len() > CHAIN_BYTES_MAX {
        return Err(during(Failure::new("longer than 64 KiB")));
    }
    let chain = chain_from_pem(&pem).map_err(|error| during(error.into()))?;
    Ok(chain.iter().map(|der| Base64::encode_string(der)).collect())
}

/// Runs `policy explain`. Exits 1 where a license would be refused.
pub(crate) async fn explain(folder: &Folder, args: ExplainArgs) -> Result<Output, Failure> {
    let token = args.token.unwrap_or_else(|| SecretArgument::File("-".into())).read()?;
    let certificates = match &args.certificate {
        None => Vec::new(),
        Some(file) => chain(file)?,
    };
    let explain = Explain {
        token,
        certificates,
        content_id: args.content,
        kid: args.kid.map(|kid| kid.to_string()),
        at: args.at,
        device: args.device.map(|device| device.to_string()),
        persistent: args.session_type == SessionType::PersistentLicense,
        address: args.address,
    };
    let explained = operator::execute(folder, explain).await?;
    let output = Output::new(document(&explained), text(&explained));
    match &explained.reason {
        None => Ok(output),
        Some(reason) => Err(Failure::new(format_args!("refused: {reason}")).after(output)),
    }
}

fn document(explained: &Explained) -> serde_json::Value {
    json!({
        "decision": if explained.is_granted { "grant" } else { "refuse" },
        "reason": explained.reason,
        "policy_id": explained.policy_id,
        "expires_at": explained.expires_at,
        "expires_because": explained.expires_because,
        "tracks": explained.tracks,
        "steps": explained.steps,
    })
}

fn text(explained: &Explained) -> String {
    let row = |step: &StepView| {
        let mark = match step.outcome.as_str() {
            "pass" => "yes",
            "fail" => "NO",
            _ => "",
        };
        [mark.to_owned(), step.rule.clone(), readable(&step.expected), readable(&step.actual)]
    };
    let rows: Vec<_> = explained.steps.iter().map(row).collect();
    let mut text = table(["", "RULE", "EXPECTED", "ACTUAL"], &rows);
    let policy = explained.policy_id.as_deref().unwrap_or("(none)");
    let last = match (&explained.reason, explained.expires_at, &explained.expires_because) {
        (None, Some(end), Some(because)) => format!(
            "granted under {policy} until {} ({because}): {}",
            clock::show(end),
            explained.tracks.join(", ")
        ),
        (reason, ..) => {
            format!("refused under {policy}: {}", reason.as_deref().unwrap_or_default())
        }
    };
    text.push_str("\n\n");
    text.push_str(&last);
    text
}

/// Seconds since 1970 as a date: times are compared in seconds, and people read dates.
fn readable(value: &str) -> String {
    let words = value.split(' ').map(|word| match word.parse::<u64>() {
        Ok(seconds) if seconds >= 1_000_000_000 => clock::show(seconds),
        _ => word.to_owned(),
    });
    words.collect::<Vec<_>>().join(" ")
}
