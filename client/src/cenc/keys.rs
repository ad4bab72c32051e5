//! The content keys that a film is decrypted with, found by their identifiers.
//!
//! Deliberately absent: where the keys come from. A license brings them ([`exchange`](crate::exchange)), or a file.

use alloc::collections::BTreeMap;

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
#[derive(Debug, Default)]
pub struct Keys(BTreeMap<KeyId, ContentKey>);

impl Keys {
    /// Adds a key. It replaces an earlier one with the same KID.
    pub fn insert(&mut self, kid: KeyId, content_key: ContentKey) {
        self.0.insert(kid, content_key);
    }

    /// The key with this KID.
    pub(super) fn find(&self, kid: KeyId) -> Option<&ContentKey> {
        self.0.get(&kid)
    }
}

impl FromIterator<(KeyId, ContentKey)> for Keys {
    fn from_iter<I: IntoIterator<Item = (KeyId, ContentKey)>>(keys: I) -> Self {
        Self(keys.into_iter().collect())
    }
}
