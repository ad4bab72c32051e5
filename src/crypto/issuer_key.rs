//! One key of a token issuer, the algorithms that it may be used with, and why keys are refused.

use std::fmt;
use std::str::FromStr;

use jsonwebtoken::DecodingKey;
use reelkey_client::strict::json;
use zeroize::Zeroizing;

/// A signature algorithm that an issuer may use (RFC 7518 section 3.1, RFC 8037, RFC 9864).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Algorithm {
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// Ed25519; both names of it, `EdDSA` and `Ed25519`, are read.
    EdDsa,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// RSASSA-PSS with SHA-256.
    Ps256,
    /// HMAC with SHA-256: whoever verifies can also sign, so only where the issuer is ours too.
    Hs256,
}

/// The name is none of the five.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a token algorithm is one of ES256, EdDSA (Ed25519), RS256, PS256 and HS256")]
pub struct UnknownAlgorithm;

impl FromStr for Algorithm {
    type Err = UnknownAlgorithm;

    fn from_str(name: &str) -> Result<Self, UnknownAlgorithm> {
        match name {
            "ES256" => Ok(Self::Es256),
            "EdDSA" | "Ed25519" => Ok(Self::EdDsa),
            "RS256" => Ok(Self::Rs256),
            "PS256" => Ok(Self::Ps256),
            "HS256" => Ok(Self::Hs256),
            _ => Err(UnknownAlgorithm),
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
            Self::Rs256 => "RS256",
            Self::Ps256 => "PS256",
            Self::Hs256 => "HS256",
        })
    }
}

impl Algorithm {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Es256, Self::EdDsa, Self::Rs256, Self::Ps256, Self::Hs256];

    pub(super) fn key_type(self) -> KeyType {
        match self {
            Self::Es256 => KeyType::P256,
            Self::EdDsa => KeyType::Ed25519,
            Self::Rs256 | Self::Ps256 => KeyType::Rsa,
            Self::Hs256 => KeyType::Secret,
        }
    }

    /// Whether it needs a shared secret and not a JWK Set.
    #[must_use]
    pub fn is_symmetric(self) -> bool {
        self.key_type() == KeyType::Secret
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeyType {
    P256,
    Ed25519,
    Rsa,
    Secret,
}

#[derive(Clone)]
pub(super) struct IssuerKey {
    pub(super) kid: Option<String>,
    /// The one algorithm that the JWK restricts itself to (RFC 7517 section 4.4).
    pub(super) only: Option<Algorithm>,
    pub(super) key_type: KeyType,
    pub(super) key: Key,
}

#[derive(Clone)]
pub(super) enum Key {
    Public(DecodingKey),
    Secret(Zeroizing<Vec<u8>>),
}

impl fmt::Debug for IssuerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IssuerKey({:?}, {:?})", self.key_type, self.kid)
    }
}

/// The bytes are nothing to verify tokens with.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Longer than 262,144 bytes.
    #[error("the JWK Set is longer than 262144 bytes")]
    TooLong,
    /// Not strict JSON with a `keys` array (RFC 7517 section 5).
    #[error("not a JWK Set (RFC 7517, 5): {0}")]
    Form(#[from] json::Error),
    /// More than 256 keys.
    #[error("the JWK Set holds more than 256 keys")]
    TooMany,
    /// A key has a private or symmetric part.
    #[error("key {number} of the JWK Set is private; an issuer's set holds public keys only")]
    Private {
        /// From 1.
        number: usize,
    },
    /// A key of a known type is unusable.
    #[error("key {number} of the JWK Set: {why}")]
    Key {
        /// From 1.
        number: usize,
        /// The broken rule.
        why: &'static str,
    },
    /// Two keys with one `kid` (RFC 7517 section 4.5).
    #[error("two keys of the JWK Set have one kid")]
    RepeatedKid,
    /// A secret that can be guessed, or is no secret.
    #[error("an HMAC secret has 32 to 1024 bytes (RFC 7518, 3.2), this one has {0}")]
    SecretLength(usize),
    /// A public key, which everybody has, or text of no secret at all.
    #[error("this is {0} and no secret: whoever knows it could sign tokens")]
    NoSecret(&'static str),
    /// Nothing to verify with.
    #[error("the JWK Set holds no P-256, Ed25519 or RSA key for signatures")]
    NoKey,
}
