//! The packagers: what each may ask for, and how it proves who it is.
//!
//! Deliberately absent: how a request carries a secret or a signature. That is HTTP's business.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use base64ct::{Base64, Encoding};
use reelkey_client::strict::base64url;
use reelkey_client::time::UnixTime;
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use crate::authority::vault::fault::Fault;
use crate::authority::vault::open::Vault;
use crate::crypto::wrap::DoesNotOpen;
use crate::crypto::{client_ca, digest};
use crate::domain::content::{ContentId, ContentPattern};
use crate::domain::packager::{PackagerName, Permission};
use crate::store::record::packager::PackagerRecord;
use crate::store::record::secret_record::SecretRecord;
use crate::store::record::stored::{self, Stored};

/// The most requests of one packager that are worked on at once. The others wait for their turn: a packager that starts asks
/// for a hundred crypto periods in one burst, and most packagers end when they are refused once.
const AT_ONCE: usize = 32;

/// The SHA-256 of a packager's secret. A secret that somebody chose may be guessed by it, so it is never printed.
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "Zeroizing<String>", into = "Zeroizing<String>")]
pub struct SecretHash(Zeroizing<[u8; 32]>);

impl SecretHash {
    /// The hash of this secret.
    #[must_use]
    pub fn of(secret: &[u8]) -> Self {
        Self(Zeroizing::new(digest::sha256(secret)))
    }
}

/// Compared in constant time.
impl PartialEq for SecretHash {
    fn eq(&self, other: &Self) -> bool {
        digest::is_same(&self.0, &other.0)
    }
}

impl Eq for SecretHash {}

/// base64url.
impl TryFrom<Zeroizing<String>> for SecretHash {
    type Error = base64url::Malformed;

    fn try_from(text: Zeroizing<String>) -> Result<Self, Self::Error> {
        Ok(Self(Zeroizing::new(base64url::decode_array(&text)?)))
    }
}

impl From<SecretHash> for Zeroizing<String> {
    fn from(hash: SecretHash) -> Self {
        Self::new(base64url::encode(hash.0.as_slice()))
    }
}

impl fmt::Debug for SecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretHash(..)")
    }
}

/// What a packager may do and how it proves who it is, as it is kept under a KEK.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rights {
    /// The contents that it may ask for.
    pub content: Vec<ContentPattern>,
    /// What it may do.
    pub allow: BTreeSet<Permission>,
    /// The policies of the contents that it may add by asking for their keys; empty: it adds none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub policies: Vec<String>,
    /// The hash of its secret.
    pub secret_sha256: SecretHash,
    /// The key by which it signs requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signing: Option<SigningKey>,
    /// The certificate of the CA of its client certificates: DER in base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_ca: Option<String>,
}

/// The key by which a packager signs requests, as the Widevine Common Encryption API has them.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum SigningKey {
    /// A shared AES key of 16, 24 or 32 bytes and its initialization vector, in hexadecimal.
    Aes {
        /// The key.
        key: Zeroizing<String>,
        /// The initialization vector, 16 bytes.
        iv: String,
    },
    /// An RSA public key: a `SubjectPublicKeyInfo` or an `RSAPublicKey`, DER in base64.
    Rsa(String),
}

impl Rights {
    /// Whether these are the same rights, with the same secret or whatever secret.
    #[must_use]
    pub fn is_same(&self, other: &Self, any_secret: bool) -> bool {
        let Self { content, allow, policies, secret_sha256, signing, client_ca } = self;
        (any_secret || *secret_sha256 == other.secret_sha256)
            && *content == other.content
            && *allow == other.allow
            && *policies == other.policies
            && *signing == other.signing
            && *client_ca == other.client_ca
    }
}

impl SigningKey {
    /// How it signs, in one word.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Aes { .. } => "aes",
            Self::Rsa(_) => "rsa",
        }
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.kind())
    }
}

impl fmt::Debug for Rights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rights({:?}, {:?}, ..)", self.content, self.allow)
    }
}

/// A packager.
#[derive(Debug)]
pub struct Packager {
    /// Its name.
    pub name: PackagerName,
    /// What it may do.
    pub rights: Rights,
    /// The certificate of the CA of its client certificates, DER.
    client_ca: Option<Vec<u8>>,
    /// Its turns.
    pub(super) turns: Arc<Semaphore>,
}

impl Packager {
    /// Whether it may do this with this content.
    #[must_use]
    pub fn may(&self, permission: Permission, content: &ContentId) -> bool {
        let rights = &self.rights;
        rights.allow.contains(&permission)
            && rights.content.iter().any(|pattern| pattern.matches(content))
    }

    /// Whether this is its secret.
    #[must_use]
    pub fn has_secret(&self, secret: &[u8]) -> bool {
        self.rights.secret_sha256 == SecretHash::of(secret)
    }
}

/// All packagers, by name.
#[derive(Debug, Default)]
pub struct Packagers {
    by_name: BTreeMap<PackagerName, Arc<Packager>>,
}

impl Packagers {
    /// Unwraps all packagers. Those that were there before keep their turns.
    ///
    /// # Errors
    /// [`Fault`].
    pub async fn read(vault: &Vault, before: &Self) -> Result<Self, Fault> {
        let records = stored::all::<PackagerRecord>(&*vault.store()).await?;
        let packagers = records.into_iter().map(|record| {
            let rights = rights_of(vault, &record)?;
            let damaged = || Fault::Record { record: record.name(), source: DoesNotOpen };
            let ca = rights.client_ca.as_deref().map(Base64::decode_vec).transpose();
            let client_ca = ca.map_err(|_| damaged())?;
            let turns = before.by_name.get(&record.name).map(|before| Arc::clone(&before.turns));
            let turns = turns.unwrap_or_else(|| Arc::new(Semaphore::new(AT_ONCE)));
            let name = record.name.clone();
            Ok((name.clone(), Arc::new(Packager { name, rights, client_ca, turns })))
        });
        Ok(Self { by_name: packagers.collect::<Result<_, Fault>>()? })
    }

    /// The packager of this name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&Arc<Packager>> {
        self.by_name.get(&name.parse().ok()?)
    }

    /// The packager that has this secret.
    #[must_use]
    pub fn by_secret(&self, secret: &[u8]) -> Option<&Arc<Packager>> {
        let shown = SecretHash::of(secret);
        self.by_name.values().find(|packager| packager.rights.secret_sha256 == shown)
    }

    /// The packager whose CA vouches for this chain of client certificates, the client's own first, at the time `now`.
    #[must_use]
    pub fn by_certificate(&self, chain: &[Vec<u8>], now: UnixTime) -> Option<&Arc<Packager>> {
        self.by_name.values().find(|packager| {
            packager.client_ca.as_ref().is_some_and(|ca| client_ca::vouches(ca, chain, now))
        })
    }

    /// Whether any of them may show client certificates.
    #[must_use]
    pub fn take_certificates(&self) -> bool {
        self.by_name.values().any(|packager| packager.client_ca.is_some())
    }

    /// All of them, ordered by name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Packager>> {
        self.by_name.values()
    }
}

/// Unwraps the rights of a packager.
///
/// # Errors
/// [`Fault::Record`].
pub fn rights_of(vault: &Vault, record: &Stored<PackagerRecord>) -> Result<Rights, Fault> {
    let rights = vault.keyring().packager(record)?;
    let damaged = |_| Fault::Record { record: record.name(), source: DoesNotOpen };
    serde_json::from_slice(&rights).map_err(damaged)
}
