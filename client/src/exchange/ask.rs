//! From what a player wants to the request that it sends.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use p256::SecretKey;
use p256::elliptic_curve::Generate;
use p256::elliptic_curve::rand_core::TryCryptoRng;
use sha2::{Digest, Sha256};

use crate::exchange::device::DeviceKey;
use crate::exchange::pending::Pending;
use crate::exchange::request::{Claims, DeviceDescription, RequestType, SessionType, TYP};
use crate::key::KeyId;
use crate::strict::base64url;
use crate::strict::jwk::PublicKey;
use crate::time::UnixTime;

/// What a player asks for: a new license.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// The id of the service, known beforehand: the answer is held to it.
    pub service_id: &'a str,
    /// The authorization token that goes into the `Authorization` header.
    pub token: &'a str,
    /// The keys wanted, from `default_KID`.
    pub kids: &'a [KeyId],
    /// The title wanted.
    pub content_id: Option<&'a str>,
    /// How long the license is to be kept.
    pub session_type: SessionType,
    /// Now, or `server_time` of a refusal where the device has no clock.
    pub iat: UnixTime,
}

impl Ask<'_> {
    /// Writes the request that `device` has to sign, with a fresh name and a fresh key to seal to.
    ///
    /// # Errors
    /// What `rng` says when it fails.
    pub fn draft<R: TryCryptoRng + ?Sized>(
        &self,
        device: &PublicKey,
        description: Option<DeviceDescription>,
        rng: &mut R,
    ) -> Result<Draft, R::Error> {
        let secret = SecretKey::try_generate_from_rng(rng)?;
        let mut name = [0; 16];
        rng.try_fill_bytes(&mut name)?;
        let claims = Claims {
            aud: self.service_id.into(),
            iat: self.iat.as_secs(),
            jti: base64url::encode(&name),
            request_type: RequestType::New,
            session_type: self.session_type,
            kids: self.kids.iter().map(|kid| base64url::encode(kid.as_bytes())).collect(),
            pssh: Vec::new(),
            content_id: self.content_id.map(Into::into),
            enc_jwk: PublicKey::from_p256(secret.public_key()).to_jwk(),
            ath: Some(base64url::encode(&Sha256::digest(self.token))),
            license_id: None,
            device: description,
            end_session: None,
        };
        let header = format!(r#"{{"typ":"{TYP}","alg":"ES256","jwk":{}}}"#, device.to_jwk());
        // A struct of texts and numbers always has a JSON form, and an empty text is no request.
        let payload = serde_json::to_vec(&claims).unwrap_or_default();
        let signing_input =
            format!("{}.{}", base64url::encode(header.as_bytes()), base64url::encode(&payload));
        let pending = Pending {
            secret,
            service_id: claims.aud,
            nonce: claims.jti,
            iat: self.iat,
            device: device.thumbprint(),
            request_hash: Sha256::digest(&signing_input).into(),
        };
        Ok(Draft { signing_input, pending })
    }
}

/// A request that lacks its signature.
#[derive(Debug)]
pub struct Draft {
    signing_input: String,
    pending: Pending,
}

impl Draft {
    /// What the device key has to sign (RFC 7515 section 5.1), ASCII.
    #[must_use]
    pub fn signing_input(&self) -> &str {
        &self.signing_input
    }

    /// Signs with a key in memory. Answers the body to POST, and what opens its answer.
    #[must_use]
    pub fn sign(self, key: &DeviceKey) -> (String, Pending) {
        let signature = key.sign(self.signing_input.as_bytes());
        self.with_signature(&signature)
    }

    /// Takes a signature made elsewhere: `r || s`, 32 bytes each, big-endian (RFC 7518 section
    /// 3.4), which is what WebCrypto answers.
    #[must_use]
    pub fn with_signature(self, signature: &[u8; 64]) -> (String, Pending) {
        let mut body = self.signing_input.to_string();
        body.push('.');
        body.push_str(&base64url::encode(signature));
        (body, self.pending)
    }
}
