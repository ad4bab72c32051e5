//! The cryptographic provider of jsonwebtoken, implemented with ring.
//!
//! jsonwebtoken ships with two providers. One would add the C code of a second TLS library to the binary. The other
//! has an RSA implementation with a known timing weakness (RUSTSEC-2023-0071). ring is already a dependency. This
//! provider verifies the four public-key algorithms that an issuer may use. It signs only with ES256, because this
//! program mints only development tokens.

use jsonwebtoken::crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{Error, ErrorKind};
use jsonwebtoken::signature::{Error as SignatureError, Signer, Verifier};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey, DecodingKeyKind, EncodingKey};
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, ED25519, EcdsaKeyPair,
    RSA_PKCS1_2048_8192_SHA256, RSA_PSS_2048_8192_SHA256, RsaParameters, RsaPublicKeyComponents,
    UnparsedPublicKey, VerificationAlgorithm,
};

static PROVIDER: CryptoProvider = CryptoProvider {
    signer_factory: signer,
    verifier_factory: verifier,
    // Only jsonwebtoken's own JWK conversions call these functions, and our own code reads the keys.
    key_utils: KeyUtils::new_unimplemented(),
};

/// Makes ring the provider of this process. jsonwebtoken keeps it in a static variable, the only global state of this
/// program. A second call has no effect.
pub(crate) fn install() {
    PROVIDER.install_default().ok();
}

fn verifier(algorithm: &Algorithm, key: &DecodingKey) -> Result<Box<dyn JwtVerifier>, Error> {
    let by = |scheme: &'static dyn VerificationAlgorithm| -> Result<Box<dyn JwtVerifier>, Error> {
        let key = UnparsedPublicKey::new(scheme, key.try_get_as_bytes()?.to_vec());
        Ok(Box::new(ByPoint { algorithm: *algorithm, key }))
    };
    match (algorithm, key.family()) {
        (Algorithm::ES256, AlgorithmFamily::Ec) => by(&ECDSA_P256_SHA256_FIXED),
        (Algorithm::EdDSA, AlgorithmFamily::Ed) => by(&ED25519),
        (Algorithm::RS256, AlgorithmFamily::Rsa) => {
            ByModulus::boxed(*algorithm, key, &RSA_PKCS1_2048_8192_SHA256)
        }
        (Algorithm::PS256, AlgorithmFamily::Rsa) => {
            ByModulus::boxed(*algorithm, key, &RSA_PSS_2048_8192_SHA256)
        }
        _ => Err(ErrorKind::InvalidAlgorithm.into()),
    }
}

/// ECDSA and Ed25519, whose public key is one byte string.
struct ByPoint {
    algorithm: Algorithm,
    key: UnparsedPublicKey<Vec<u8>>,
}

impl Verifier<Vec<u8>> for ByPoint {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), SignatureError> {
        self.key.verify(message, signature).map_err(|_| SignatureError::new())
    }
}

impl JwtVerifier for ByPoint {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}

/// RSA, whose public key is a modulus and an exponent.
struct ByModulus {
    algorithm: Algorithm,
    scheme: &'static RsaParameters,
    key: RsaPublicKeyComponents<Vec<u8>>,
}

impl ByModulus {
    fn boxed(
        algorithm: Algorithm,
        key: &DecodingKey,
        scheme: &'static RsaParameters,
    ) -> Result<Box<dyn JwtVerifier>, Error> {
        let DecodingKeyKind::RsaModulusExponent { n, e } = key.kind() else {
            return Err(ErrorKind::InvalidKeyFormat.into());
        };
        let key = RsaPublicKeyComponents { n: n.clone(), e: e.clone() };
        Ok(Box::new(Self { algorithm, scheme, key }))
    }
}

impl Verifier<Vec<u8>> for ByModulus {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), SignatureError> {
        self.key.verify(self.scheme, message, signature).map_err(|_| SignatureError::new())
    }
}

impl JwtVerifier for ByModulus {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}

fn signer(algorithm: &Algorithm, key: &EncodingKey) -> Result<Box<dyn JwtSigner>, Error> {
    if (*algorithm, key.family()) != (Algorithm::ES256, AlgorithmFamily::Ec) {
        return Err(ErrorKind::InvalidAlgorithm.into());
    }
    let rng = SystemRandom::new();
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, key.as_bytes(), &rng)
        .map_err(|_| Error::from(ErrorKind::InvalidEcdsaKey))?;
    Ok(Box::new(Es256Signer { pair, rng }))
}

struct Es256Signer {
    pair: EcdsaKeyPair,
    rng: SystemRandom,
}

impl Signer<Vec<u8>> for Es256Signer {
    fn try_sign(&self, message: &[u8]) -> Result<Vec<u8>, SignatureError> {
        let signature = self.pair.sign(&self.rng, message).map_err(|_| SignatureError::new())?;
        Ok(signature.as_ref().to_vec())
    }
}

impl JwtSigner for Es256Signer {
    fn algorithm(&self) -> Algorithm {
        Algorithm::ES256
    }
}
