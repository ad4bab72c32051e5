//! The trusted issuers of authorization tokens: their keys, their algorithms, and the contents that they may
//! authorize.

use std::collections::BTreeMap;
use std::sync::Arc;

use reelkey_client::time::UnixTime;
use tokio::sync::Notify;

use crate::authority::fetched_keys::{FetchedKeys, Unusable};
use crate::crypto::issuer_key::Algorithm;
use crate::crypto::issuer_keys::IssuerKeys;
use crate::domain::claim_name::ClaimName;
use crate::domain::content::ContentPattern;
use crate::domain::duration::Duration;

/// The longest lifetime of a token, unless the operator sets another.
pub const LONGEST_LIFE_DEFAULT: Duration = Duration::from_secs(24 * 3600);

/// An issuer that the operator configured.
#[derive(Clone, Debug)]
pub struct Issuer {
    /// `iss`, compared byte by byte.
    pub iss: String,
    /// Its verification keys.
    pub keys: Keys,
    /// The algorithms that it may use. The token's `alg` alone never decides.
    pub algorithms: Vec<Algorithm>,
    /// The value that `aud` must contain.
    pub audience: String,
    /// The longest time between `iat` and `exp`.
    pub longest_life: Duration,
    /// The contents that it may authorize.
    pub content: Vec<ContentPattern>,
    /// The claim that names contents, where it is not `content_id`.
    pub content_claim: Option<ClaimName>,
}

/// Where an issuer's verification keys come from.
#[derive(Clone, Debug)]
pub enum Keys {
    /// From a file: they change when the operator says so.
    Fixed(IssuerKeys),
    /// From a URL.
    Fetched(FetchedKeys),
}

impl From<IssuerKeys> for Keys {
    fn from(keys: IssuerKeys) -> Self {
        Self::Fixed(keys)
    }
}

/// The signature of a token is not verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unverified {
    /// It does not verify.
    Signature,
    /// The keys are fetched, and no key among them is the one that the token names.
    UnknownKey,
    /// There are no keys to verify it with.
    NoKeys(Unusable),
}

/// A signature over a message, as a token has it.
#[derive(Clone, Copy, Debug)]
pub struct Signature<'a> {
    /// By this algorithm, which the issuer may use.
    pub algorithm: Algorithm,
    /// By the key of this name.
    pub kid: Option<&'a str>,
    /// What was signed.
    pub message: &'a [u8],
    /// The signature, base64url.
    pub text: &'a str,
}

impl Keys {
    /// Verifies a signature at the time `now`.
    ///
    /// # Errors
    /// [`Unverified`].
    pub fn verify(&self, signature: Signature<'_>, now: UnixTime) -> Result<(), Unverified> {
        let Signature { algorithm, kid, message, text } = signature;
        let verify = |keys: &IssuerKeys| match keys.verify(algorithm, kid, message, text) {
            true => Ok(()),
            false => Err(Unverified::Signature),
        };
        match self {
            Self::Fixed(keys) => verify(keys),
            Self::Fetched(fetched) => {
                let keys = fetched.usable(now).map_err(Unverified::NoKeys)?;
                if keys.has(algorithm, kid) { verify(&keys) } else { Err(Unverified::UnknownKey) }
            }
        }
    }
}

/// The configured issuers, by `iss`.
#[derive(Clone, Debug, Default)]
pub struct Issuers {
    by_iss: BTreeMap<String, Issuer>,
    /// Somebody should look which keys are to be fetched.
    call: Arc<Notify>,
}

impl Issuers {
    /// The issuer with this `iss`.
    #[must_use]
    pub fn find(&self, iss: &str) -> Option<&Issuer> {
        self.by_iss.get(iss)
    }

    /// The issuers whose keys are fetched.
    pub fn fetched(&self) -> impl Iterator<Item = (&Issuer, &FetchedKeys)> {
        self.by_iss.values().filter_map(|issuer| match &issuer.keys {
            Keys::Fixed(_) => None,
            Keys::Fetched(keys) => Some((issuer, keys)),
        })
    }

    /// Asks for the keys of `iss` to be fetched, if they are fetched at all. Waits for nothing.
    pub fn want_keys(&self, iss: &str) {
        if let Some(Issuer { keys: Keys::Fetched(keys), .. }) = self.find(iss) {
            keys.want();
            self.call.notify_one();
        }
    }

    /// Waits until somebody wants keys, or other issuers are in force.
    pub async fn called(&self) {
        self.call.notified().await;
    }

    /// Keeps the keys that were fetched for the issuers before these, where they come from the same place.
    #[must_use]
    pub fn after(mut self, before: &Self) -> Self {
        self.call = Arc::clone(&before.call);
        for issuer in self.by_iss.values_mut() {
            let old = before.find(&issuer.iss).map(|old| &old.keys);
            if let (Keys::Fetched(new), Some(Keys::Fetched(old))) = (&mut issuer.keys, old) {
                new.go_on_from(old);
            }
        }
        self.call.notify_one();
        self
    }
}

impl FromIterator<Issuer> for Issuers {
    fn from_iter<I: IntoIterator<Item = Issuer>>(issuers: I) -> Self {
        let by_iss = issuers.into_iter().map(|issuer| (issuer.iss.clone(), issuer)).collect();
        Self { by_iss, call: Arc::default() }
    }
}
