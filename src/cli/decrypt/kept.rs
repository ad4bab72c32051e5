//! The keys of a persistent license, which plays without a connection: the command obeys its times and its playback
//! period as a player does, and records in the license's file what it has seen.
//!
//! Deliberately absent: renewing and returning it, which need the service and the device key.

use std::fs;
use std::path::Path;

use reelkey_client::exchange::jwks::Jwks;
use reelkey_client::exchange::kept::{Error, KeptLicense};
use reelkey_client::exchange::license;
use reelkey_client::exchange::pending::Pending;
use reelkey_client::key::{ContentKey, KeyId};
use reelkey_client::time::UnixTime;

use crate::authority::vault::secret_file;
use crate::cli::clock;
use crate::cli::source;
use crate::cli::terminal::output::Failure;

/// Whether a license file holds a kept license, and not a license as the service sent it.
pub(super) fn is_kept(bytes: &[u8]) -> bool {
    bytes.starts_with(b"{")
}

/// The keys of the kept license in the file `path`, if it plays now. Its first play is on disk when this returns.
///
/// # Errors
/// [`Failure`] if it is no kept license, does not play now, or cannot be written back.
pub(super) fn play(path: &Path, stored: &[u8]) -> Result<Vec<(KeyId, ContentKey)>, Failure> {
    let kept = KeptLicense::parse(stored)
        .map_err(|error| explain(&error).unwrap_or_else(|| error.into()).during(path.display()))?;
    play_and_record(kept, path)
}

/// The keys of a persistent license as the service sent it, which the file `path` holds. From now on the file holds the
/// kept license. The clock of this machine is taken to be right.
///
/// # Errors
/// As [`play`].
pub(super) fn keep(
    path: &Path,
    license: &[u8],
    claims: &license::Claims,
    (pending, request, jwks): (&Pending, &[u8], &Jwks),
) -> Result<Vec<(KeyId, ContentKey)>, Failure> {
    let during = |error: Error| Failure::from(error).during(path.display());
    // It was read as a request already, so it is ASCII.
    let request = String::from_utf8_lossy(request);
    let arrived = UnixTime::from_secs(claims.iat);
    let kept = KeptLicense::keep(pending, &request, license, jwks, arrived).map_err(during)?;
    play_and_record(kept, path)
}

fn play_and_record(
    mut kept: KeptLicense,
    path: &Path,
) -> Result<Vec<(KeyId, ContentKey)>, Failure> {
    if source::is_standard(path) {
        return Err(Failure::new("standard input cannot record when a kept license was played")
            .remedy("name the file that holds the license"));
    }
    let keys = kept.keys_at(clock::now());
    // Also if it does not play: the time that was seen is not forgotten. What it answers comes first then.
    let recorded = record(&kept, path);
    let keys = keys
        .map_err(|error| explain(&error).unwrap_or_else(|| error.into()).during(path.display()))?;
    recorded?;
    Ok(keys)
}

/// Replaces the file, completely or not at all. A link stays, and what it leads to is written.
fn record(kept: &KeptLicense, path: &Path) -> Result<(), Failure> {
    let written = fs::canonicalize(path)
        .and_then(|real| secret_file::write(&real, kept.to_json().as_bytes()));
    written.map_err(|error| {
        let what = format_args!("{}: the play cannot be recorded", path.display());
        let remedy = "make the file and its folder writable: a kept license plays only if its first play is recorded";
        Failure::from(error).during(what).remedy(remedy)
    })
}

/// What a viewer reads where a genuine license does not play.
fn explain(error: &Error) -> Option<Failure> {
    let (what, remedy) = match error {
        Error::NotYet(from) => (
            format!("the license begins at {}", clock::show(from.as_secs())),
            "wait until then, or set the clock right",
        ),
        Error::Expired { at, because } => (
            format!("the license ended at {}, by {because}", clock::show(at.as_secs())),
            "renew it with the player that keeps it, or ask the service for another",
        ),
        Error::PlaybackEnded(at) => (
            format!(
                "playback ended at {}, playback_duration after the first play",
                clock::show(at.as_secs())
            ),
            "ask the service for another license",
        ),
        Error::SetBack(back) => (
            format!("the clock is {} seconds behind the latest play", back.back_secs),
            "set the clock right, or renew the license with the player that keeps it",
        ),
        Error::Returning => (
            "the license is being returned and does not play any more".to_owned(),
            "let the player send its release, and ask the service for another license",
        ),
        Error::Returned => (
            "the license was returned, and its keys are gone".to_owned(),
            "ask the service for another license",
        ),
        _ => return None,
    };
    Some(Failure::new(what).remedy(remedy))
}
