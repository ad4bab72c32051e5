//! The form in which a device stores a kept license: one JSON object, read strictly.
//!
//! Deliberately absent: what the license allows. [`kept`](crate::exchange::kept) judges that.

use alloc::boxed::Box;
use alloc::string::String;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use zeroize::Zeroizing;

use crate::exchange::held::{Error, Held, State};
use crate::exchange::jwks::Jwks;
use crate::exchange::license;
use crate::exchange::pending::Pending;
use crate::exchange::release::PendingRelease;
use crate::exchange::request::{self, SessionType, SignedRequest};
use crate::exchange::stored::PrivateJwk;
use crate::exchange::wall_clock::WallClock;
use crate::strict::json;
use crate::strict::jwk::PublicKey;
use crate::time::UnixTime;

/// The version of the form.
const VERSION: u32 = 1;

/// The longest kept license, in bytes: the license, its request, a release, and a few keys.
pub(crate) const BYTES_MAX: usize = license::BYTES_MAX + 2 * request::BYTES_MAX + 4096;

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Name {
    /// The license plays, if its times allow.
    Held,
    /// A release was signed.
    Returning,
    /// The service took it back.
    Returned,
}

/// The members as they are stored. Unknown ones are refused: another version wrote them.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    version: u32,
    state: Name,
    license_id: Option<String>,
    license: Option<String>,
    request: Option<String>,
    #[serde(default, deserialize_with = "json::object_or_null")]
    sealing_key: Option<PrivateJwk>,
    verifying_key: Option<Value>,
    clock_ahead: Option<i64>,
    latest: Option<u64>,
    first_issued: Option<u64>,
    first_play: Option<u64>,
    release: Option<String>,
}

/// The members that are not secret, as they are written. `sealing_key` follows.
#[derive(Serialize)]
struct Public<'a> {
    version: u32,
    state: Name,
    license: &'a str,
    request: &'a str,
    verifying_key: Value,
    clock_ahead: i64,
    latest: u64,
    first_issued: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_play: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    release: Option<&'a str>,
}

#[derive(Serialize)]
struct Tombstone<'a> {
    version: u32,
    state: Name,
    license_id: &'a str,
}

/// Writes a kept license. **Secret**, unless it was returned.
pub(crate) fn write(state: &State) -> Zeroizing<String> {
    // Serializing strings and numbers cannot fail. If it ever did, nobody would read the empty text.
    match state {
        State::Returned { license_id } => {
            let tombstone = Tombstone { version: VERSION, state: Name::Returned, license_id };
            Zeroizing::new(serde_json::to_string(&tombstone).unwrap_or_default())
        }
        State::Held(held) => {
            let mut verifying_key = held.signer.key.to_jwk();
            if let Some(members) = verifying_key.as_object_mut() {
                members.insert("kid".into(), held.signer.kid.as_str().into());
            }
            let public = Public {
                version: VERSION,
                state: if held.release.is_some() { Name::Returning } else { Name::Held },
                license: &held.license,
                request: &held.request,
                verifying_key,
                clock_ahead: held.clock.ahead_secs,
                latest: held.clock.latest.as_secs(),
                first_issued: held.first_issued.as_secs(),
                first_play: held.first_play,
                release: held.release.as_deref(),
            };
            let public = serde_json::to_string(&public).unwrap_or_default();
            let sealing_key = held.pending.to_private_jwk();
            // Has its final capacity from the start, so that growing leaves no copy behind.
            let length = public.len() + sealing_key.len() + 32;
            let mut text = Zeroizing::new(String::with_capacity(length));
            text.push_str(public.strip_suffix('}').unwrap_or_default());
            for part in [r#","sealing_key":"#, &sealing_key, "}"] {
                text.push_str(part);
            }
            text
        }
    }
}

/// Reads a kept license and verifies it again.
pub(crate) fn read(stored: &[u8]) -> Result<State, Error> {
    if stored.len() > BYTES_MAX {
        return Err(Error::TooLong(BYTES_MAX));
    }
    let stored: Stored = json::read(stored)?;
    if stored.version != VERSION {
        return Err(Error::Version);
    }
    match (stored.state, stored) {
        (
            Name::Returned,
            Stored {
                license_id: Some(license_id),
                license: None,
                request: None,
                sealing_key: None,
                ..
            },
        ) => Ok(State::Returned { license_id }),
        (Name::Returned, _) => Err(Error::Contradiction),
        (Name::Held | Name::Returning, stored) => {
            held(stored).map(|held| State::Held(Box::new(held)))
        }
    }
}

fn held(stored: Stored) -> Result<Held, Error> {
    let is_returning = matches!(stored.state, Name::Returning);
    let Stored {
        license_id: None,
        license: Some(license),
        request: Some(request),
        sealing_key: Some(sealing_key),
        verifying_key: Some(verifying_key),
        clock_ahead: Some(ahead_secs),
        latest: Some(latest),
        first_issued: Some(first_issued),
        first_play,
        release,
        ..
    } = stored
    else {
        return Err(Error::Contradiction);
    };
    let kid = verifying_key.get("kid").and_then(Value::as_str).ok_or(Error::Contradiction)?;
    let key = PublicKey::from_jwk(&verifying_key).map_err(Error::VerifyingKey)?;
    let parsed = SignedRequest::parse(request.as_bytes())?;
    let pending = Pending::restore(parsed, &sealing_key)?;
    let jwks = Jwks::of(kid.into(), key);
    let (claims, signer) = pending.verify(license.as_bytes(), &jwks)?;
    if claims.session_type != SessionType::PersistentLicense {
        return Err(Error::Temporary);
    }
    if let Some(release) = &release
        && !PendingRelease::resume(release.as_bytes())?.is_of(&claims)
    {
        return Err(Error::OtherLicense);
    }
    let played = first_play.map_or(Some(first_issued), |play| first_issued.checked_add(play));
    let is_first = claims.counter == 0;
    if is_returning != release.is_some()
        || latest < claims.iat
        || (is_first && first_issued != claims.iat)
        || played.is_none_or(|played| played > latest)
    {
        return Err(Error::Contradiction);
    }
    Ok(Held {
        license,
        request,
        signer,
        claims,
        pending,
        clock: WallClock { ahead_secs, latest: UnixTime::from_secs(latest) },
        first_issued: UnixTime::from_secs(first_issued),
        first_play,
        release,
    })
}
