//! `license id = base64url(HMAC-SHA256(k, signing input)[..16])`: the same request always gets the same license ID. No
//! record of past requests is needed, so none can grow full.

use std::fmt;

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

    /// The license ID for the request with this signing input.
    #[must_use]
    pub fn license_id(&self, signing_input: &str) -> [u8; 16] {
        self.name(&[signing_input.as_bytes()])
    }

    /// The name of an account, whose issuer and name there these are. It does not reveal them. No signing input begins as
    /// this does.
    #[must_use]
    pub fn account_id(&self, iss: &str, sub: &str) -> [u8; 16] {
        let length = u64::try_from(iss.len()).unwrap_or(u64::MAX).to_be_bytes();
        self.name(&[b"account ", &length, iss.as_bytes(), sub.as_bytes()])
    }

    fn name(&self, parts: &[&[u8]]) -> [u8; 16] {
        let mut context = hmac::Context::with_key(&self.0);
        for part in parts {
            context.update(part);
        }
        context.sign().as_ref().first_chunk().copied().unwrap_or_default()
    }
}

impl fmt::Debug for NamingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NamingKey(..)")
    }
}
