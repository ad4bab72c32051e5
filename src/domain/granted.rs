//! Which keys of a content a device is granted, each with the policy's requirements for it.

use reelkey_client::key::KeyId;

use crate::domain::denial::{Denial, listed};
use crate::domain::policy::{Policy, TrackRule};
use crate::domain::refusal::Refusal;
use crate::domain::request::{Delivery, Request, TitleKey};
use crate::domain::steps::Steps;
use crate::domain::track::TrackType;

/// The most keys in one license.
pub const KEYS_MAX: usize = 256;

/// One granted key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GrantedTrack {
    /// Its KID.
    pub kid: KeyId,
    /// The track type that it encrypts.
    pub track: Option<TrackType>,
    /// The policy's requirements for it.
    pub rule: TrackRule,
    /// The crypto period that it is for.
    pub period: Option<u32>,
}

/// Removes the keys that the policy does not allow on this device. At least one of the named keys must be left.
pub(super) fn judge(
    request: &Request,
    policy: &Policy,
    keys: &[TitleKey],
    steps: &mut Steps,
) -> Result<Vec<GrantedTrack>, Denial> {
    let named = |kid: &KeyId| request.kids.is_empty() || request.kids.contains(kid);
    let allowed: Vec<_> = keys.iter().filter(|key| policy.allows(key.track)).collect();
    let list = policy.tracks.as_ref().map_or_else(|| "any".into(), listed);
    let is_left = allowed.iter().any(|key| named(&key.kid));
    steps.check(is_left, Refusal::PlaybackNotAllowed, "tracks", list, tracks_of(keys))?;
    let with_rule = allowed.into_iter().map(|key| {
        let rule = policy.track_rule(key.track);
        GrantedTrack { kid: key.kid, track: key.track, rule, period: key.period }
    });
    let mut tracks: Vec<_> = with_rule
        .filter(|track| {
            track.rule.security_level.is_none_or(|least| least <= request.vouched.level())
        })
        .collect();
    // A track of a higher level is never given in the clear, whatever the device.
    let refusal = match request.delivery {
        Delivery::Sealed => Refusal::SecurityLevel,
        Delivery::ClearKey | Delivery::HlsAes128 => Refusal::ClearKeysNotAllowed,
    };
    steps.check(
        tracks.iter().any(|track| named(&track.kid)),
        refusal,
        "track.security_level",
        "a track that this device may have",
        request.vouched.level().as_str(),
    )?;
    // If the content has more keys than fit into a license, the named ones come first.
    tracks.sort_by_key(|track| (!named(&track.kid), track.track, track.kid));
    tracks.truncate(KEYS_MAX);
    Ok(tracks)
}

/// The track types of keys, as a person reads them.
fn tracks_of(keys: &[TitleKey]) -> String {
    listed(keys.iter().map(|key| key.track.map_or("(none)", TrackType::as_str)))
}
