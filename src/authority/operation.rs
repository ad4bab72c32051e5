//! What an operator does to titles and keys, as one value each, and what came of it. The command line makes an
//! [`Operation`] of what was typed; [`admin`](crate::authority::admin) executes it, here or in the running service.

use std::fmt;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::domain::content::ContentId;
use crate::domain::track::TrackType;

/// Something to be done or shown.
#[derive(Serialize, Deserialize)]
#[serde(tag = "operation", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Operation {
    /// Add a title.
    ContentAdd {
        /// Its name.
        content_id: ContentId,
        /// Its policies, the first for tokens that name none.
        policies: Vec<String>,
    },
    /// Remove a title whose keys are all retired, and those with it.
    ContentRemove {
        /// Its name.
        content_id: ContentId,
    },
    /// List the titles.
    ContentList,
    /// Show a title and its keys.
    ContentShow {
        /// Its name.
        content_id: ContentId,
    },
    /// Make a key.
    KeyGenerate {
        /// Its title.
        content_id: ContentId,
        /// What it encrypts.
        track_type: Option<TrackType>,
    },
    /// Store a key.
    KeyImport {
        /// Its identifier, a UUID.
        kid: String,
        /// Its title.
        content_id: ContentId,
        /// What it encrypts.
        track_type: Option<TrackType>,
        /// The key, in hexadecimal digits.
        key: Zeroizing<String>,
    },
    /// Store many keys, in order, up to the first that is refused.
    KeyImportMany {
        /// Titles that are missing are added under these policies; if there are none, a missing title is
        /// refused.
        policies: Vec<String>,
        /// The keys.
        keys: Vec<PlainKey>,
    },
    /// Tell active keys in the clear.
    KeyExport {
        /// Of this title; otherwise of all.
        content_id: Option<ContentId>,
        /// Those that follow this one, a UUID.
        after: Option<String>,
        /// At most as many.
        limit: usize,
    },
    /// List the keys, of one title or of all.
    KeyList {
        /// The title.
        content_id: Option<ContentId>,
    },
    /// Show what is known of a key.
    KeyShow {
        /// Its identifier, a UUID.
        kid: String,
    },
    /// Make a new key beside the ones that are there.
    KeyRotate {
        /// Its title.
        content_id: ContentId,
        /// For this track type only; otherwise for each that the title has.
        track_type: Option<TrackType>,
    },
    /// Give a key out no more.
    KeyRetire {
        /// Its identifier, a UUID.
        kid: String,
    },
    /// List the generations of the KEK.
    KekList,
    /// Make a new primary KEK.
    KekRotate,
    /// Move some secrets to the primary KEK.
    KekRewrap {
        /// At most as many.
        limit: usize,
    },
    /// Drop KEKs that nothing is wrapped under.
    KekRetire {
        /// This generation; otherwise every one that is unused.
        generation: Option<u32>,
    },
    /// Make a new root key, and wrap everything anew from it down.
    RootRotate,
    /// Read every record and open every secret.
    StoreCheck,
    /// List the signing keys.
    SignerList,
    /// Make a new signing key.
    SignerRotate {
        /// Whether it signs at once.
        at_once: bool,
    },
}

impl Operation {
    /// Whether it changes what secrets are wrapped under, so that nothing else may be written meanwhile.
    pub(super) fn changes_what_wraps(&self) -> bool {
        matches!(
            self,
            Self::KekRotate | Self::KekRewrap { .. } | Self::KekRetire { .. } | Self::RootRotate
        )
    }
}

/// What came of it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum Outcome {
    /// A title was added, or was there.
    ContentAdded {
        /// The title.
        content: ContentView,
        /// Whether it is new.
        created: bool,
    },
    /// The titles.
    Contents {
        /// In the order of their names.
        contents: Vec<ContentView>,
    },
    /// A title.
    Content {
        /// It.
        content: ContentView,
        /// Its keys.
        keys: Vec<KeyView>,
    },
    /// A key was stored, or was there.
    KeyStored {
        /// The key.
        key: KeyView,
        /// Whether it is new.
        created: bool,
    },
    /// A title was removed, or was not there.
    ContentRemoved {
        /// Whether it was there.
        changed: bool,
        /// How many retired keys went with it.
        keys: usize,
    },
    /// Many keys were stored.
    KeysImported {
        /// How many are new.
        stored: usize,
        /// How many were there.
        already: usize,
        /// Why the next one was refused.
        refused: Option<String>,
    },
    /// Keys in the clear.
    KeysExported {
        /// In the order of their identifiers.
        keys: Vec<PlainKey>,
        /// Where to go on, unless these were the last.
        next: Option<String>,
    },
    /// Keys, in the order of their identifiers.
    Keys {
        /// They.
        keys: Vec<KeyView>,
    },
    /// The generations of the KEK.
    Keks {
        /// In order.
        keks: Vec<KekView>,
    },
    /// Some secrets were moved.
    Rewrapped {
        /// How many now.
        done: usize,
        /// How many are left.
        left: usize,
    },
    /// Every record was read and every secret opens.
    StoreChecked {
        /// How many titles there are.
        contents: usize,
        /// How many content keys.
        keys: usize,
        /// How many generations of the KEK.
        keks: usize,
    },
    /// The root key is another one.
    RootRotated {
        /// How many secrets were moved.
        secrets: usize,
    },
    /// KEKs were dropped.
    KeksRetired {
        /// Their generations.
        generations: Vec<u32>,
    },
    /// The signing keys.
    Signers {
        /// In the order in which they sign.
        signers: Vec<SignerView>,
    },
    /// A key was retired, or was before.
    KeyRetired {
        /// The key.
        key: KeyView,
        /// Whether it was active until now.
        changed: bool,
    },
}

/// A title as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContentView {
    /// Its name.
    pub content_id: String,
    /// Its policies.
    pub policies: Vec<String>,
    /// How many keys it has.
    pub keys: usize,
    /// When it was added, seconds since 1970.
    pub created_at: u64,
}

/// A key as it is shown: everything but the key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyView {
    /// Its identifier, a UUID.
    pub kid: String,
    /// Its title.
    pub content_id: String,
    /// What it encrypts.
    pub track_type: Option<String>,
    /// `active` or `retired`.
    pub state: String,
    /// The generation of the KEK that wraps it.
    pub kek: u32,
    /// When it was added, seconds since 1970.
    pub created_at: u64,
}

/// A KEK as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KekView {
    /// From 1.
    pub generation: u32,
    /// Whether new secrets are wrapped under it.
    pub primary: bool,
    /// How many are.
    pub secrets: usize,
    /// When it was made, seconds since 1970.
    pub created_at: u64,
}

/// A signing key as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignerView {
    /// The thumbprint of its public half.
    pub kid: String,
    /// From when on it signs, seconds since 1970.
    pub signs_from: u64,
    /// The generation of the KEK that wraps it.
    pub kek: u32,
}

/// A content key in the clear, as `key export` writes it and `key import --from` reads it: one JSON object a
/// line. With [`Operation::KeyImport`], the one secret that crosses the admin socket.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlainKey {
    /// Its title.
    pub content_id: ContentId,
    /// Its identifier, a UUID.
    pub kid: String,
    /// What it encrypts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub track_type: Option<TrackType>,
    /// The key, in hexadecimal digits.
    pub key: Zeroizing<String>,
}

impl fmt::Debug for PlainKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PlainKey({}, ..)", self.kid)
    }
}
