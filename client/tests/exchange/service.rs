mod service {
    //! A license service in memory, for the tests and the examples of the client crate. It grants one
    //! key to every request, renews every license and takes every one back.
    //!
    //! The server is another crate; this is the least that a license needs to be opened. Included as
    //! text, because an example cannot import from a test.

    use aes_gcm::aead::AeadInOut;
    use aes_gcm::{Aes256Gcm, KeyInit, Nonce};
    use p256::SecretKey;
    use core::cell::Cell;
    use reelkey_client::exchange::DeviceKey;
    use reelkey_client::exchange::jwe::{Parties, derive_key, protected_header};
    use reelkey_client::exchange::request::SignedRequest;
    use reelkey_client::strict::base64url;
    use reelkey_client::strict::jwk::PublicKey;
    use serde_json::{Value, json};
    use sha2::{Digest, Sha256};

    /// The ID of every license.
    const ID: &str = "q83vEjRWeJCrze8SNFZ4kA";

    pub(crate) struct Service {
        signer: DeviceKey,
        renewals: Cell<u64>,
    }

    impl Service {
        pub(crate) fn new() -> Self {
            let signer = DeviceKey::generate(&mut getrandom::SysRng).unwrap();
            Self { signer, renewals: Cell::new(0) }
        }

        /// What `GET /.well-known/jwks.json` returns.
        pub(crate) fn jwks(&self) -> String {
            let mut jwk = self.signer.public_key().to_jwk();
            jwk["kid"] = "signer".into();
            json!({ "keys": [jwk] }).to_string()
        }

        /// What `POST /v1/license` returns for `body`, valid for 600 seconds from the request on.
        pub(crate) fn license(&self, body: &str) -> String {
            let request = SignedRequest::parse(body.as_bytes()).unwrap();
            let iat = request.iat.as_secs();
            let renewed = u64::from(request.license_id.is_some());
            self.renewals.set(self.renewals.get() + renewed);
            let counter = self.renewals.get() * renewed;
            let claims = json!({
                "iss": request.aud, "sub": "viewer", "jti": ID, "iat": iat, "nbf": iat,
                "exp": iat + 600, "cnf": { "jkt": request.device_key.thumbprint().to_string() },
                "nonce": request.jti, "counter": counter, "content_id": "movies/bunny",
                "session_type": request.session_type, "policy_id": "default",
                "policy": { "can_play": true, "can_renew": true, "license_duration": 600,
                    "renewal_delay": 240, "renewal_retry_interval": 30,
                    "renewal_recovery_duration": 120, "expires_because": "license_duration" },
                "tracks": [{ "kid": "XuHOeg07TF2Ob3CBkqO0xQ", "track_type": "HD" }],
                "keys": Self::seal(&request),
            });
            self.sign(&claims)
        }

        /// What `POST /v1/license` returns for `body`, a release.
        pub(crate) fn receipt(&self, body: &str) -> String {
            let request = SignedRequest::parse(body.as_bytes()).unwrap();
            let claims = json!({
                "iss": request.aud, "sub": "viewer", "jti": request.license_id,
                "iat": request.iat.as_secs(), "nonce": request.jti,
                "cnf": { "jkt": request.device_key.thumbprint().to_string() },
                "counter": self.renewals.get(),
            });
            self.sign_as("license-release+jwt", &claims)
        }

        /// A license with these claims.
        pub(crate) fn sign(&self, claims: &Value) -> String {
            self.sign_as("license+jwt", claims)
        }

        /// An answer with this `typ` and these claims.
        pub(crate) fn sign_as(&self, typ: &str, claims: &Value) -> String {
            let header = json!({ "typ": typ, "alg": "ES256", "kid": "signer" }).to_string();
            let claims = claims.to_string();
            let parts = [header, claims].map(|part| base64url::encode(part.as_bytes()));
            let input = parts.join(".");
            let signature = self.signer.sign(input.as_bytes());
            format!("{input}.{}", base64url::encode(signature.as_bytes()))
        }

        fn seal(request: &SignedRequest<'_>) -> String {
            let ephemeral = SecretKey::from_slice(&[7; 32]).unwrap();
            let epk = PublicKey::from_sec1(&ephemeral.public_key().to_sec1_bytes()).unwrap();
            let enc_jwk = PublicKey::from_jwk(&request.enc_jwk).unwrap();
            let recipient = p256::PublicKey::from_sec1_bytes(&enc_jwk.to_sec1()).unwrap();
            let scalar = ephemeral.to_nonzero_scalar();
            let shared = p256::ecdh::diffie_hellman(scalar, recipient.as_affine());
            let request_hash: [u8; 32] = Sha256::digest(request.signing_input).into();
            let parties = Parties { apu: request.aud.as_bytes(), apv: &request_hash };
            let key = derive_key(shared.raw_secret_bytes(), parties);
            let header = protected_header(&epk, parties);
            let mut text = br#"{"keys":[{"kty":"oct","kid":"XuHOeg07TF2Ob3CBkqO0xQ","k":"Dx4tPEtaaXiHlqW0w9Lh8A"}]}"#.to_vec();
            let tag = Aes256Gcm::new((&*key).into())
                .encrypt_inout_detached(
                    &Nonce::from([3; 12]),
                    header.as_bytes(),
                    text.as_mut_slice().into(),
                )
                .unwrap();
            let [iv, text, tag] = [&[3; 12][..], &text, &tag].map(base64url::encode);
            format!("{header}..{iv}.{text}.{tag}")
        }
    }
}
