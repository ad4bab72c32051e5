//! `license id = base64url(HMAC-SHA256(k, signing input)[..16])`: a request's name, the same however
//! often it arrives, without a memory that could be filled.

use std::fmt;

use reelkey_client::strict::base64url;
use ring::hmac;

/// The key that names requests: 32 random bytes made with the store and never replaced, because
/// another key would give a repeated request another license.
///
/// ring keeps the key in memory that it does not zero. It opens nothing: who has it can foretell
/// license ids.
pub struct NamingKey(hmac::Key);

impl NamingKey {
    /// Takes the key's bytes.
    #[must_use]
    pub fn new(bytes: &[u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, bytes))
    }

    /// The id of the license that answers the request with this signing input: 22 characters.
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
