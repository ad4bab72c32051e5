//! The content keys that a film is decrypted with: found by their identifiers, by tracks, or the only one.
//!
//! Deliberately absent: where the keys come from. A license brings them ([`exchange`](crate::exchange)), or a file.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::fmt;

use crate::key::{ContentKey, KeyId};

/// Content keys, each under its key identifier (KID).
///
/// ```
/// use reelkey_client::cenc::Keys;
/// use reelkey_client::key::ContentKey;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut keys = Keys::default();
/// let kid = "5ee1ce7a-0d3b-4c5d-8e6f-708192a3b4c5".parse()?;
/// keys.insert(kid, ContentKey::parse_hex("0f1e2d3c4b5a69788796a5b4c3d2e1f0")?);
///
/// // The keys of a license come as such pairs.
/// # let license_keys = [(kid, ContentKey::parse_hex("0f1e2d3c4b5a69788796a5b4c3d2e1f0")?)];
/// let keys: Keys = license_keys.into_iter().collect();
/// # let _ = keys;
/// # Ok(())
/// # }
/// ```
#[derive(Default)]
pub struct Keys {
    by_kid: BTreeMap<KeyId, ContentKey>,
    by_track: BTreeMap<u32, ContentKey>,
    only: Option<ContentKey>,
    leaves_tracks: bool,
}

/// There is no key for protected samples.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub struct MissingKey {
    /// The KID: that of `tenc` or of the samples' group (ISO/IEC 23001-7:2023, 8.2 and 6).
    pub kid: KeyId,
    /// The track ID.
    pub track: u32,
    /// The KIDs for which there are keys.
    pub given: Vec<KeyId>,
}

impl fmt::Display for MissingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// So many KIDs are named.
        const NAMED_MAX: usize = 8;
        write!(f, "there is no key for KID {} of track {}", self.kid, self.track)?;
        let Some((first, others)) = self.given.split_first() else { return Ok(()) };
        write!(f, "; keys were given for {first}")?;
        for kid in others.iter().take(NAMED_MAX - 1) {
            write!(f, ", {kid}")?;
        }
        match self.given.len().saturating_sub(NAMED_MAX) {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

/// How a key was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// By the track.
    Track,
    /// By the KID.
    Kid,
    /// By the KID in PlayReady's byte order.
    SwappedKid,
    /// As the only key.
    Only,
}

impl Keys {
    /// Adds a key. It replaces an earlier one with the same KID.
    pub fn insert(&mut self, kid: KeyId, content_key: ContentKey) {
        self.by_kid.insert(kid, content_key);
    }

    /// Adds a key for all protected samples of a track, whatever their KID. It goes before keys that were added with
    /// [`insert`](Self::insert): some films have the same KID, or none, on tracks with different keys.
    ///
    /// ```
    /// # use reelkey_client::cenc::Keys;
    /// # use reelkey_client::key::ContentKey;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let mut keys = Keys::default();
    /// keys.insert_for_track(1, ContentKey::parse_hex("0f1e2d3c4b5a69788796a5b4c3d2e1f0")?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn insert_for_track(&mut self, track_id: u32, content_key: ContentKey) {
        self.by_track.insert(track_id, content_key);
    }

    /// Adds a key for the only KID of a film that has no other key. A film in which several KIDs have no other key is an
    /// error then ([`Error::SeveralKids`](crate::cenc::Error::SeveralKids)).
    ///
    /// ```
    /// # use reelkey_client::cenc::{Keys, decrypt_file};
    /// # use reelkey_client::key::ContentKey;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../src/cli/demo/clip/cbcs/video.mp4");
    /// let mut film = std::fs::read(path)?;
    /// let mut keys = Keys::default();
    /// keys.insert_only(ContentKey::parse_hex("0f1e2d3c4b5a69788796a5b4c3d2e1f0")?);
    /// decrypt_file(&keys, &mut film)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn insert_only(&mut self, content_key: ContentKey) {
        self.only = Some(content_key);
    }

    /// Leaves a track encrypted if there is no key for it, and says so in a note ([`Note::LeftTrack`]). Otherwise a missing
    /// key is an error.
    ///
    /// [`Note::LeftTrack`]: crate::cenc::notes::Note::LeftTrack
    pub fn leave_tracks_without_keys(&mut self) {
        self.leaves_tracks = true;
    }

    /// Whether tracks without keys are left as they are.
    pub(super) fn leaves_tracks(&self) -> bool {
        self.leaves_tracks
    }

    /// The key for samples of this track with this KID.
    pub(super) fn find(&self, track_id: u32, kid: KeyId) -> Option<(&ContentKey, Found)> {
        let by_track = self.by_track.get(&track_id).map(|key| (key, Found::Track));
        let by_kid = || self.by_kid.get(&kid).map(|key| (key, Found::Kid));
        let swapped = || {
            let key = self.by_kid.get(&kid.in_playready_order());
            key.map(|key| (key, Found::SwappedKid))
        };
        let only = || self.only.as_ref().map(|key| (key, Found::Only));
        by_track.or_else(by_kid).or_else(swapped).or_else(only)
    }

    /// The error that there is none.
    pub(super) fn missing(&self, track: u32, kid: KeyId) -> MissingKey {
        MissingKey { kid, track, given: self.by_kid.keys().copied().collect() }
    }
}

/// Prints the KIDs and track IDs for which there are keys.
impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut keys = f.debug_tuple("Keys");
        keys.field(&self.by_kid);
        if !self.by_track.is_empty() {
            keys.field(&self.by_track);
        }
        if let Some(only) = &self.only {
            keys.field(only);
        }
        keys.finish()
    }
}

impl FromIterator<(KeyId, ContentKey)> for Keys {
    fn from_iter<I: IntoIterator<Item = (KeyId, ContentKey)>>(keys: I) -> Self {
        Self { by_kid: keys.into_iter().collect(), ..Self::default() }
    }
}
