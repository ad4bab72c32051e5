//! One key of an issuer's JWK Set, judged when it is read: a key under which signatures can be forged refuses the set.
//!
//! A member of the wrong type is an error and not absent: who writes `"alg": ["ES256"]` meant to restrict the key.
//!
//! Deliberately absent: whether a modulus has two large prime factors, which nobody can tell.

use std::str::FromStr;

use jsonwebtoken::DecodingKey;
use p256::elliptic_curve::bigint::modular::{FixedMontyForm, FixedMontyParams};
use p256::elliptic_curve::bigint::{JacobiSymbol, Odd, U256};
use reelkey_client::strict::base64url;
use reelkey_client::strict::jwk::PublicKey;
use serde_json::Value;

use crate::crypto::issuer_key::{Algorithm, Error, IssuerKey, Key, KeyType, UnknownAlgorithm};

/// Members of a private or symmetric key (RFC 7518 sections 6.2.2, 6.3.2 and 6.4).
const PRIVATE: [&str; 9] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"];

/// Shortest and longest RSA modulus that is accepted, in bytes (RFC 7518 section 3.3 asks for 2048
/// bits; more than 8192 only cost time).
const MODULUS_BYTES: std::ops::RangeInclusive<usize> = 256..=1024;

/// The prime of Curve25519 (RFC 7748 section 4.1).
const PRIME: U256 =
    U256::from_be_hex("7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffed");

/// Edwards' d (RFC 8032 section 5.1).
const EDWARDS_D: U256 =
    U256::from_be_hex("52036cee2b6ffe738cc740797779e89800700a4d4141d8ab75eb4dca135978a3");

/// The y of the eight points of small order: 1 of order 1, -1 of order 2, 0 of order 4, two of order 8.
const SMALL_ORDER_Y: [U256; 5] = [
    U256::ONE,
    U256::from_be_hex("7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffec"),
    U256::ZERO,
    U256::from_le_hex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"),
    U256::from_le_hex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"),
];

/// Reads the key with this number, from 1. `None`: it is for something else, or of a type that no token here may use.
pub(super) fn read(jwk: &Value, number: usize) -> Result<Option<IssuerKey>, Error> {
    let wrong = |why| Error::Key { number, why };
    let text = |name| match jwk.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(&**text)),
        Some(_) => {
            Err(wrong("kty, crv, use, alg and kid are strings where they are there (RFC 7517, 4)"))
        }
    };
    if !jwk.is_object() {
        return Err(wrong("not a JSON object (RFC 7517, 4)"));
    }
    let [kty, crv, purpose, alg, kid] = ["kty", "crv", "use", "alg", "kid"].map(text);
    let (kty, crv, purpose, alg, kid) = (kty?, crv?, purpose?, alg?, kid?);
    let kty = kty.ok_or_else(|| wrong("kty is missing (RFC 7517, 4.1)"))?;
    if kty == "oct" || PRIVATE.iter().any(|name| jwk.get(name).is_some()) {
        return Err(Error::Private { number });
    }
    let verifies = verifies(jwk).map_err(wrong)?;
    if !verifies || purpose.is_some_and(|purpose| purpose != "sig") {
        return Ok(None);
    }
    let (key_type, key) = match (kty, crv) {
        ("EC", Some("P-256")) => {
            let key = PublicKey::from_jwk(jwk)
                .map_err(|_| wrong("x and y are not a point of P-256 (RFC 7518, 6.2.1)"))?;
            (KeyType::P256, DecodingKey::from_ec_der(&key.to_sec1()))
        }
        ("OKP", Some("Ed25519")) => {
            let x = jwk.get("x").and_then(Value::as_str);
            let x = x.and_then(|x| base64url::decode_array::<32>(x).ok());
            let x = x.ok_or_else(|| wrong("x is not base64url of 32 bytes (RFC 8037, 2)"))?;
            judge_ed25519(&x).map_err(wrong)?;
            (KeyType::Ed25519, DecodingKey::from_ed_der(&x))
        }
        ("RSA", _) => {
            let (n, e) = read_rsa(jwk).map_err(wrong)?;
            (KeyType::Rsa, DecodingKey::from_rsa_raw_components(&n, &e))
        }
        _ => return Ok(None),
    };
    let only = match alg.map(Algorithm::from_str) {
        None => None,
        Some(Ok(only)) if only.key_type() == key_type => Some(only),
        Some(Ok(_)) => return Err(wrong("alg does not fit kty and crv (RFC 7517, 4.4)")),
        Some(Err(UnknownAlgorithm)) => return Ok(None),
    };
    Ok(Some(IssuerKey { kid: kid.map(Into::into), only, key_type, key: Key::Public(key) }))
}

/// Whether `key_ops`, if it is there, has `verify` (RFC 7517 section 4.3).
fn verifies(jwk: &Value) -> Result<bool, &'static str> {
    let Some(operations) = jwk.get("key_ops") else { return Ok(true) };
    let operations = operations.as_array().ok_or("key_ops is no array (RFC 7517, 4.3)")?;
    let mut names: Vec<_> = operations.iter().filter_map(Value::as_str).collect();
    names.sort_unstable();
    names.dedup();
    if names.len() != operations.len() {
        return Err("key_ops has something else than strings, or one twice (RFC 7517, 4.3)");
    }
    Ok(names.contains(&"verify"))
}

/// An Ed25519 key is the one encoding of a point of the curve whose order is not small: under a point of small order a
/// signature can be made that fits every message, or one in eight (RFC 8032 section 5.1.3).
fn judge_ed25519(encoded: &[u8; 32]) -> Result<(), &'static str> {
    let mut bytes = *encoded;
    if let Some(last) = bytes.last_mut() {
        *last &= 0x7f;
    }
    let y = U256::from_le_slice(&bytes);
    if y >= PRIME {
        return Err("x is not the canonical encoding of a point (RFC 8032, 5.1.3)");
    }
    if SMALL_ORDER_Y.contains(&y) {
        return Err("x is a point of small order, under which anybody can sign");
    }
    let prime = Option::from(Odd::new(PRIME)).ok_or("x cannot be judged")?;
    let field = FixedMontyParams::new_vartime(prime);
    let [y, d] = [y, EDWARDS_D].map(|value| FixedMontyForm::new(&value, &field));
    let (one, square) = (FixedMontyForm::one(&field), y.square());
    // x² = (y² - 1) / (d y² + 1), and a quotient is a square where the product is.
    let product = square.sub(&one).mul(&d.mul(&square).add(&one));
    match product.jacobi_symbol_vartime() {
        JacobiSymbol::MinusOne => Err("x is no point of the curve (RFC 8032, 5.1.3)"),
        _ => Ok(()),
    }
}

/// Modulus and exponent of an RSA key (RFC 7518 section 6.3.1), each as few bytes as it needs.
fn read_rsa(jwk: &Value) -> Result<(Vec<u8>, Vec<u8>), &'static str> {
    let read = |name: &str| {
        let bytes = jwk.get(name).and_then(Value::as_str);
        let bytes = bytes.and_then(|text| base64url::decode(text).ok());
        bytes.filter(|bytes| bytes.first().is_some_and(|first| *first != 0))
    };
    let n = read("n").filter(|n| MODULUS_BYTES.contains(&n.len()));
    let n =
        n.ok_or("n is not base64url of 2048 to 8192 bits without zeros before (RFC 7518, 6.3.1)")?;
    if n.len() == *MODULUS_BYTES.start() && n.first().is_some_and(|first| *first < 0x80) {
        return Err("n has fewer than 2048 bits (RFC 7518, 3.3)");
    }
    if (2..4096).any(|divisor| divides(divisor, &n)) {
        return Err("n has a small factor, so everybody has the private key");
    }
    let e = read("e").filter(|e| (1..=5).contains(&e.len()));
    let e = e.ok_or("e is not base64url of 1 to 5 bytes without zeros before (RFC 7518, 6.3.1)")?;
    let value = e.iter().fold(0_u64, |value, byte| value << 8 | u64::from(*byte));
    if value < 3 || value % 2 == 0 || value >= 1 << 33 {
        return Err("e is even, or not between 3 and 2^33");
    }
    Ok((n, e))
}

/// Whether `divisor`, below 2^24, divides a number in big-endian bytes.
fn divides(divisor: u32, number: &[u8]) -> bool {
    number.iter().fold(0, |rest, byte| (rest << 8 | u32::from(*byte)) % divisor) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_point_of_small_order_is_refused_and_none_else() {
        for y in SMALL_ORDER_Y {
            for sign in [0, 0x80] {
                let mut bytes: [u8; 32] = y.to_le_bytes().as_ref().try_into().unwrap();
                bytes[31] |= sign;
                assert!(judge_ed25519(&bytes).is_err(), "{bytes:?}");
            }
        }
        for above in 0..19_u8 {
            for sign in [0x7f, 0xff] {
                let mut bytes = [0xff; 32];
                (bytes[0], bytes[31]) = (0xed + above, sign);
                assert!(judge_ed25519(&bytes).unwrap_err().contains("canonical"));
            }
        }
        // RFC 8032 section 7.1, tests 1 and 2.
        for key in [
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
            "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        ] {
            let bytes = U256::from_be_hex(key).to_be_bytes();
            let bytes: [u8; 32] = bytes.as_ref().try_into().unwrap();
            assert_eq!(judge_ed25519(&bytes), Ok(()));
        }
        // Half of all y have no x.
        let off = (2..100_u8).filter(|y| {
            let mut bytes = [0; 32];
            bytes[0] = *y;
            judge_ed25519(&bytes).is_err()
        });
        assert!((30..70).contains(&off.count()));
    }

    #[test]
    fn a_number_is_divided() {
        assert!(divides(3, &[0x01, 0x02]) && divides(2, &[0xff, 0x00]));
        assert!(!divides(7, &[0x01, 0x00]) && divides(4093, &[0x0f, 0xfd]));
    }
}
