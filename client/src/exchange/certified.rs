//! Requests of devices with a certificate: the chain takes the place of the bare device key in the header.
//!
//! Deliberately absent: obtaining certificates, and judging them.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use base64ct::{Base64, Encoding};
use sha2::{Digest, Sha256};

use crate::exchange::draft::Draft;
use crate::exchange::pending::Pending;
use crate::exchange::request::TYP;
use crate::strict::base64url;

impl Draft<Pending> {
    /// Adds the certificate chain of the device key, each certificate in DER, the device's own first (`x5c`, RFC 7515
    /// section 4.1.6). A service that trusts the CA gives the device the security level that the CA vouches for. For
    /// Android, it is the chain that `KeyStore.getCertificateChain` returns.
    ///
    /// Without certificates the draft stays as it is. A chain has at most 8 certificates and 6 KiB; its first certificate
    /// has to be of the device key.
    ///
    /// ```
    /// # use getrandom::SysRng;
    /// # use reelkey_client::exchange::{Ask, DeviceKey, SessionType};
    /// # use reelkey_client::time::UnixTime;
    /// # let ask = Ask { service_id: "reelkey", token: "token", kids: &[], content_id: Some("bunny"),
    /// #     session_type: SessionType::Temporary, iat: UnixTime::from_secs(1_700_000_000) };
    /// # let device = DeviceKey::generate(&mut SysRng)?;
    /// # let chain: Vec<Vec<u8>> = vec![b"certificate".to_vec()];
    /// let draft = ask.draft(&device.public_key(), None, &mut SysRng)?.with_certificates(&chain);
    /// let (body, pending) = draft.sign(&device);
    /// # drop((body, pending));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn with_certificates(mut self, chain: &[impl AsRef<[u8]>]) -> Self {
        let (Some((_, payload)), false) = (self.signing_input.split_once('.'), chain.is_empty())
        else {
            return self;
        };
        let quoted = |der| format!("\"{}\"", Base64::encode_string(der));
        let x5c: Vec<String> = chain.iter().map(|der| quoted(der.as_ref())).collect();
        let header = format!(r#"{{"typ":"{TYP}","alg":"ES256","x5c":[{}]}}"#, x5c.join(","));
        let signing_input = format!("{}.{payload}", base64url::encode(header.as_bytes()));
        self.pending.request_hash = Sha256::digest(&signing_input).into();
        Self { signing_input, ..self }
    }
}
