//! `seal[enc_jwk](keys)`: a compact JWE, `ECDH-ES` with `A256GCM` (RFC 7516, RFC 7518 section 4.6).
//!
//! The header and the key derivation are defined in the client crate, so both ends share them. ring does the key
//! agreement, because its type allows an ephemeral key to be used only once. `aes-gcm` encrypts, because it zeroes its
//! key.

use aes_gcm::aead::AeadInOut;
use aes_gcm::{Aes256Gcm, KeyInit, Nonce};
use base64ct::{Base64UrlUnpadded, Encoding};
use reelkey_client::exchange::jwe::{Parties, derive_key, protected_header};
use reelkey_client::key::{ContentKey, KeyId};
use reelkey_client::strict::base64url;
use reelkey_client::strict::jwk::PublicKey;
use ring::agreement::{ECDH_P256, EphemeralPrivateKey, UnparsedPublicKey, agree_ephemeral};
use ring::rand::{SecureRandom, SystemRandom};
use zeroize::Zeroizing;

use crate::crypto::clean_stack::on_clean_stack;

/// Sealing failed. Nothing may be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The operating system gave no randomness.
    #[error("the operating system gives no randomness")]
    Randomness,
    /// ring refused a point that had been checked before.
    #[error("the key agreement failed")]
    Agreement,
    /// The cipher refused the length of the plaintext.
    #[error("the keys could not be encrypted")]
    Encryption,
}

/// Seals `keys` to `recipient`, as the JWK Set that a browser's CDM takes.
///
/// The plaintext is in one buffer that is never reallocated and is encrypted in place, [on a clean
/// stack](crate::crypto::clean_stack).
///
/// # Errors
/// [`Error`].
pub fn seal(
    keys: &[(KeyId, ContentKey)],
    recipient: &PublicKey,
    parties: Parties<'_>,
) -> Result<String, Error> {
    on_clean_stack(|| encrypt(keys, recipient, parties))
}

fn encrypt(
    keys: &[(KeyId, ContentKey)],
    recipient: &PublicKey,
    parties: Parties<'_>,
) -> Result<String, Error> {
    let rng = SystemRandom::new();
    let ephemeral =
        EphemeralPrivateKey::generate(&ECDH_P256, &rng).map_err(|_| Error::Randomness)?;
    let epk = ephemeral.compute_public_key().map_err(|_| Error::Agreement)?;
    let epk = PublicKey::from_sec1(epk.as_ref()).map_err(|_| Error::Agreement)?;
    let peer = UnparsedPublicKey::new(&ECDH_P256, recipient.to_sec1());
    let key = agree_ephemeral(ephemeral, &peer, |z| derive_key(z, parties))
        .map_err(|_| Error::Agreement)?;

    let header = protected_header(&epk, parties);
    let mut iv = [0; 12];
    rng.fill(&mut iv).map_err(|_| Error::Randomness)?;
    let mut text = jwk_set(keys);
    let tag = Aes256Gcm::new((&*key).into())
        .encrypt_inout_detached(&Nonce::from(iv), header.as_bytes(), text.as_mut_slice().into())
        .map_err(|_| Error::Encryption)?;
    let [iv, text, tag] = [&iv[..], &text, &tag].map(base64url::encode);
    Ok(format!("{header}..{iv}.{text}.{tag}"))
}

/// `{"keys":[{"kty":"oct","kid":..,"k":..}]}` (RFC 7518 section 6.4): exactly what every browser's CDM takes.
#[must_use]
pub fn jwk_set(keys: &[(KeyId, ContentKey)]) -> Zeroizing<Vec<u8>> {
    const ENTRY_BYTES_MAX: usize = 80;
    let mut set = Zeroizing::new(Vec::with_capacity(16 + keys.len() * ENTRY_BYTES_MAX));
    set.extend_from_slice(br#"{"keys":["#);
    for (at, (kid, key)) in keys.iter().enumerate() {
        if at > 0 {
            set.push(b',');
        }
        set.extend_from_slice(br#"{"kty":"oct","kid":""#);
        push_base64url(&mut set, kid.as_bytes());
        set.extend_from_slice(br#"","k":""#);
        push_base64url(&mut set, key.expose());
        set.extend_from_slice(br#""}"#);
    }
    set.extend_from_slice(b"]}");
    set
}

/// The 16 bytes of a key: exactly what an HLS player takes.
#[must_use]
pub fn bare(key: &ContentKey) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(key.expose().to_vec())
}

fn push_base64url(text: &mut Vec<u8>, bytes: &[u8; 16]) {
    let mut encoded = Zeroizing::new([0; 22]);
    // 16 bytes encode to exactly 22 characters, so the buffer always fits.
    if let Ok(encoded) = Base64UrlUnpadded::encode(bytes, encoded.as_mut_slice()) {
        text.extend_from_slice(encoded.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plaintext_is_what_a_cdm_takes_and_never_moves() {
        let key = ContentKey::parse_hex("000102030405060708090a0b0c0d0e0f").unwrap();
        let keys = [(KeyId::from_bytes([255; 16]), key)];
        let set = jwk_set(&keys);
        assert_eq!(
            std::str::from_utf8(&set).unwrap(),
            r#"{"keys":[{"kty":"oct","kid":"_____________________w","k":"AAECAwQFBgcICQoLDA0ODw"}]}"#
        );
        let many: Vec<_> = (0..=255)
            .map(|n| {
                let key = ContentKey::parse_hex("000102030405060708090a0b0c0d0e0f").unwrap();
                (KeyId::from_bytes([n; 16]), key)
            })
            .collect();
        assert!(jwk_set(&many).len() <= 16 + 256 * 80);
    }
}
