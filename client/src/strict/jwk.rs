//! P-256 public keys as JWKs (RFC 7517, RFC 7518 section 6.2) and their thumbprints (RFC 7638).
//!
//! A [`PublicKey`] is a point that was checked to lie on the curve; there is no other way to make
//! one. Members beyond `kty crv x y` are ignored, because WebCrypto adds `key_ops` and `ext`. A
//! private member (`d`) is refused: its sender has published the private key.
//!
//! Deliberately absent: other key types, and private keys
//! ([`DeviceKey`](crate::exchange::device::DeviceKey)).

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use p256::elliptic_curve::point::AffineCoordinates;
use p256::elliptic_curve::sec1::ToSec1Point;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::strict::base64url;

/// A P-256 public key: a point on the curve, not the identity.
///
/// ```
/// use reelkey_client::strict::jwk::PublicKey;
/// use serde_json::json;
///
/// let jwk = json!({ "kty": "EC", "crv": "P-256", "ext": true, // by WebCrypto
///     "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
///     "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0" });
/// let key = PublicKey::from_jwk(&jwk)?;
/// assert_eq!(key.thumbprint().to_string(), "oKIywvGUpTVTyxMQ3bwIIeQUudfr_CkLMjCE19ECD-U");
/// # Ok::<(), reelkey_client::strict::jwk::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey(p256::PublicKey);

/// The value is not a usable P-256 public JWK.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Not an object, or `kty`, `crv`, `x` or `y` is missing or not a string.
    #[error("a public key is a JWK with the strings kty, crv, x and y")]
    Shape,
    /// `kty` is not `EC` or `crv` is not `P-256`.
    #[error("the key's kty is EC and its crv P-256, nothing else")]
    Curve,
    /// The JWK has `d`, the private half (RFC 7518 section 6.2.2.1).
    #[error("the JWK holds a private key; send the public half only")]
    Private,
    /// `x` or `y` is not the base64url of 32 bytes (RFC 7518 section 6.2.1.2).
    #[error("x and y are base64url of exactly 32 bytes each")]
    Coordinate,
    /// The coordinates are not a point of the curve (SEC 1 section 3.2.2).
    #[error("x and y are not a point of P-256")]
    NotOnCurve,
}

impl PublicKey {
    /// Reads a JWK.
    ///
    /// # Errors
    /// [`Error`], one variant per broken rule.
    pub fn from_jwk(jwk: &Value) -> Result<Self, Error> {
        let members = jwk.as_object().ok_or(Error::Shape)?;
        if members.contains_key("d") {
            return Err(Error::Private);
        }
        if text(members, "kty")? != "EC" || text(members, "crv")? != "P-256" {
            return Err(Error::Curve);
        }
        let x: [u8; 32] = coordinate(members, "x")?;
        let y: [u8; 32] = coordinate(members, "y")?;
        let mut point = Vec::with_capacity(65);
        point.push(4);
        point.extend_from_slice(&x);
        point.extend_from_slice(&y);
        Self::from_sec1(&point)
    }

    /// Reads the uncompressed form of SEC 1 section 2.3.3: `04 || x || y`, 65 bytes.
    ///
    /// # Errors
    /// [`Error::NotOnCurve`], also for another length or encoding.
    pub fn from_sec1(point: &[u8]) -> Result<Self, Error> {
        if point.len() != 65 {
            return Err(Error::NotOnCurve);
        }
        p256::PublicKey::from_sec1_bytes(point).map(Self).map_err(|_| Error::NotOnCurve)
    }

    /// Writes the uncompressed form of SEC 1 section 2.3.3: `04 || x || y`, big-endian, 65 bytes.
    #[must_use]
    pub fn to_sec1(&self) -> Vec<u8> {
        self.0.to_sec1_point(false).as_bytes().to_vec()
    }

    /// Writes the JWK with the members `kty crv x y` and no other.
    #[must_use]
    pub fn to_jwk(&self) -> Value {
        let (x, y) = self.coordinates();
        json!({ "kty": "EC", "crv": "P-256", "x": x, "y": y })
    }

    /// The SHA-256 thumbprint of RFC 7638.
    #[must_use]
    pub fn thumbprint(&self) -> Thumbprint {
        // RFC 7638 section 3.2: the required members in lexicographic order, without white space.
        let (x, y) = self.coordinates();
        let canonical = alloc::format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
        Thumbprint(Sha256::digest(canonical).into())
    }

    /// Whether `other` is this key or its negative: the point with the same x and the other y, which
    /// belongs to the private key `n - d`.
    ///
    /// The holder of one private key has both, and ECDH with either gives the same shared secret. Keys
    /// that must differ, such as `enc_jwk` and the device key, are compared with this method and not
    /// with `==`.
    ///
    /// ```
    /// # use p256::SecretKey;
    /// # use reelkey_client::strict::jwk::PublicKey;
    /// # let secret = SecretKey::from_slice(&[7; 32])?;
    /// # let minus = SecretKey::from(-secret.to_nonzero_scalar());
    /// # let key = PublicKey::from_sec1(&secret.public_key().to_sec1_bytes())?;
    /// # let negative = PublicKey::from_sec1(&minus.public_key().to_sec1_bytes())?;
    /// assert!(key != negative && key.is_same_or_negative(&negative));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn is_same_or_negative(&self, other: &Self) -> bool {
        // y^2 = x^3 + ax + b: exactly two points have the same x, and they are each other's negative.
        self.0.as_affine().x() == other.0.as_affine().x()
    }

    pub(crate) fn as_p256(&self) -> &p256::PublicKey {
        &self.0
    }

    pub(crate) fn from_p256(key: p256::PublicKey) -> Self {
        Self(key)
    }

    fn coordinates(&self) -> (String, String) {
        let point = self.to_sec1();
        let (x, y) = point.get(1..).unwrap_or_default().split_at(32);
        (base64url::encode(x), base64url::encode(y))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", self.thumbprint())
    }
}

fn text<'a>(members: &'a Map<String, Value>, name: &str) -> Result<&'a str, Error> {
    members.get(name).and_then(Value::as_str).ok_or(Error::Shape)
}

fn coordinate(members: &Map<String, Value>, name: &str) -> Result<[u8; 32], Error> {
    base64url::decode_array(text(members, name)?).map_err(|_| Error::Coordinate)
}

/// The SHA-256 JWK thumbprint of a key (RFC 7638): identifies a device, as `jkt` in `cnf` (RFC 9449
/// section 6.1). Printed as base64url, 43 characters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Thumbprint([u8; 32]);

impl Thumbprint {
    /// Reads the base64url form.
    ///
    /// # Errors
    /// [`base64url::Malformed`] if the text is not the base64url of 32 bytes.
    pub fn parse(text: &str) -> Result<Self, base64url::Malformed> {
        base64url::decode_array(text).map(Self)
    }

    /// The thumbprint with these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Thumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&base64url::encode(&self.0))
    }
}

impl fmt::Debug for Thumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Thumbprint({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    /// The key of RFC 7515 appendix A.3.1.
    fn example() -> Value {
        json!({
            "kty": "EC", "crv": "P-256",
            "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
            "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"
        })
    }

    fn with(name: &str, value: Value) -> Value {
        let mut jwk = example();
        jwk[name] = value;
        jwk
    }

    #[test]
    fn a_jwk_of_webcrypto_is_read_and_written_without_its_extra_members() {
        let mut browser = with("key_ops", json!([]));
        browser["ext"] = json!(true);
        let key = PublicKey::from_jwk(&browser).unwrap();
        assert_eq!(key.to_jwk(), example());
        assert_eq!(PublicKey::from_sec1(&key.to_sec1()), Ok(key));
    }

    #[test]
    fn the_thumbprint_is_the_hash_of_the_four_members_in_order() {
        let key = PublicKey::from_jwk(&example()).unwrap();
        let (x, y) = (example()["x"].clone(), example()["y"].clone());
        let canonical = alloc::format!(r#"{{"crv":"P-256","kty":"EC","x":{x},"y":{y}}}"#);
        let expected = base64url::encode(&Sha256::digest(canonical));
        assert_eq!(key.thumbprint().to_string(), expected);
        assert_eq!(Thumbprint::parse(&expected), Ok(key.thumbprint()));
    }

    #[test]
    fn an_invalid_point_and_a_private_key_are_refused() {
        let zero = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        let over = "_____wAAAAEAAAAAAAAAAAAAAAD_______________8";
        let mut identity = with("x", json!(zero));
        identity["y"] = json!(zero);
        for (jwk, error) in [
            (with("x", example()["y"].clone()), Error::NotOnCurve),
            (with("x", json!(over)), Error::NotOnCurve),
            (identity, Error::NotOnCurve),
            (with("x", json!("AAAA")), Error::Coordinate),
            (with("x", json!(1)), Error::Shape),
            (with("kty", json!("OKP")), Error::Curve),
            (with("crv", json!("P-384")), Error::Curve),
            (with("d", json!("AAAA")), Error::Private),
            (json!([]), Error::Shape),
        ] {
            assert_eq!(PublicKey::from_jwk(&jwk), Err(error), "{jwk}");
        }
        let (short, long) = ([4; 64], [4; 66]);
        assert_eq!(PublicKey::from_sec1(&short), Err(Error::NotOnCurve));
        assert_eq!(PublicKey::from_sec1(&long), Err(Error::NotOnCurve));
    }

    #[test]
    fn a_key_and_its_negative_share_x_and_no_other_key_does() {
        let key = |scalar| PublicKey::from_p256(p256::SecretKey::from(scalar).public_key());
        let secret = p256::SecretKey::from_slice(&[7; 32]).unwrap().to_nonzero_scalar();
        let (one, negative) = (key(secret), key(-secret));
        assert_ne!(one, negative);
        assert_eq!(one.to_jwk()["x"], negative.to_jwk()["x"]);
        assert!(one.is_same_or_negative(&one) && one.is_same_or_negative(&negative));
        assert!(negative.is_same_or_negative(&one));
        let other = PublicKey::from_jwk(&example()).unwrap();
        assert!(!one.is_same_or_negative(&other) && !other.is_same_or_negative(&negative));
    }
}
