//! `license id = base64url(HMAC-SHA256(k, signing input)[..16])`: the same request always gets the same license ID. No
//! record of past requests is needed, so none can grow full.

use std::fmt;

use reelkey_client::strict::base64url;
use ring::hmac;

/// The key that names requests: 32 random bytes, made together with the store. It is never replaced, because under
/// another key a repeated request would get another license ID.
///
/// ring keeps the key in memory that it does not zero. The key opens nothing: whoever has it can only predict license
/// IDs.
pub struct NamingKey(hmac::Key);

impl NamingKey {
    /// Makes the key from its bytes.
    #[must_use]
    pub fn new(bytes: &[u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, bytes))
    }

    /// The license ID for the request with this signing input: 22 characters.
    #[must_use]
    pub fn license_id(&self, signing_input: &str) -> String {
        let tag = hmac::sign(&self.0, signing_input.as_bytes());
        base64url::encode(tag.as_ref().first_chunk::<16>().map_or(&[], |half| half))
    }
}

impl fmt::Debug for NamingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NamingKey(..)")
    }
}
