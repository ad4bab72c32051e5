//! Common Encryption (ISO/IEC 23001-7:2023) in MP4 (ISO/IEC 14496-12:2022), fragmented or not.
//!
//! A file is read once and decrypted where it lies:
//!
//! 1. [`Init::parse`](init::Init::parse) reads the tracks and their protection out of the `moov`;
//! 2. [`Init::plan`](init::Init::plan) reads a segment's fragments into a [`Plan`]: where
//!    each sample is and how it is protected. Everything that can be wrong is found here, before a
//!    byte is changed;
//! 3. [`Plan::decrypt`](plan::Plan::decrypt) changes the samples in place, and the boxes that speak of
//!    protection into `free` ones, so that no offset moves.
//!
//! [`decrypt_file`] does all three for a file that has both parts, and [`Stream`] for one that comes in pieces.
//!
//! ```
//! use std::io::Read;
//! use reelkey_client::cenc::{Keys, Stream};
//! use reelkey_client::key::ContentKey;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../src/cli/demo/clip/cbcs/video.mp4");
//! # let mut socket = std::fs::File::open(path)?;
//! let mut keys = Keys::default();
//! let kid = "5ee1ce7a-0d3b-4c5d-8e6f-708192a3b4c5".parse()?;
//! keys.insert(kid, ContentKey::parse_hex("0f1e2d3c4b5a69788796a5b4c3d2e1f0")?);
//!
//! let (mut stream, mut film) = (Stream::new(&keys), Vec::new());
//! let mut piece = [0; 1500];
//! loop {
//!     let length = socket.read(&mut piece)?;
//!     if length == 0 {
//!         break;
//!     }
//!     stream.push(&piece[..length], &mut |clear| film.extend_from_slice(clear))?;
//! }
//! let samples = stream.finish(&mut |clear| film.extend_from_slice(clear))?;
//! assert_eq!(samples, 75);
//! # assert!(!film.windows(4).any(|window| window == b"encv"));
//! # Ok(())
//! # }
//! ```
//!
//! Read here: the schemes `cenc`, `cbc1`, `cens` and `cbcs` and both of PIFF 1.1, whole samples and subsamples,
//! initialization vectors of samples and constant ones, `senc` boxes and `saiz`/`saio` alone, sample groups
//! (`seig`), plain or compact, fragments and sample tables. Deliberately refused, by an error of its own and never as
//! garbage: protected tracks that are neither video nor audio.

pub mod aux_info;
mod block;
pub mod boxes;
mod buffer;
mod cipher;
mod flow;
pub mod fragment;
pub mod group;
pub mod init;
pub mod plan;
pub mod protection;
mod samples;
pub mod stream;
pub mod table;
#[cfg(all(feature = "std", target_arch = "x86_64"))]
mod wide;

use alloc::boxed::Box;
use alloc::collections::BTreeMap;

use crate::key::{ContentKey, KeyId};

pub use crate::cenc::init::Init;
pub use crate::cenc::plan::Plan;
pub use crate::cenc::stream::Stream;

/// The content keys at hand, by their identifiers.
#[derive(Debug, Default)]
pub struct Keys(BTreeMap<KeyId, ContentKey>);

impl Keys {
    /// Adds a key; of two with one identifier the later stays.
    pub fn insert(&mut self, kid: KeyId, key: ContentKey) {
        self.0.insert(kid, key);
    }

    pub(crate) fn find(&self, kid: KeyId) -> Option<&ContentKey> {
        self.0.get(&kid)
    }
}

impl FromIterator<(KeyId, ContentKey)> for Keys {
    fn from_iter<I: IntoIterator<Item = (KeyId, ContentKey)>>(keys: I) -> Self {
        Self(keys.into_iter().collect())
    }
}

/// The file cannot be decrypted. Nothing of it was changed; of a stream, nothing of the fragment.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A box lies about its size or ends too early (ISO/IEC 14496-12:2022, 4.2).
    #[error(transparent)]
    Box(#[from] boxes::Error),
    /// The `moov` is missing or unreadable (14496-12, 8.2 to 8.5), or says of protection what cannot be (8.12; ISO/IEC
    /// 23001-7:2023, 8.2 and 9).
    #[error(transparent)]
    Init(#[from] init::Error),
    /// A fragment is unreadable, or contradicts the rest (14496-12, 8.8; groups: 8.9).
    #[error(transparent)]
    Fragment(#[from] fragment::Error),
    /// A sample table is unreadable, or contradicts the rest (14496-12, 8.5 to 8.7).
    #[error(transparent)]
    Table(#[from] table::Error),
    /// The samples' auxiliary information is missing or unreadable (23001-7, 7; 14496-12, 8.7.8 and 8.7.9).
    #[error(transparent)]
    AuxInfo(#[from] aux_info::Error),
    /// Something in a part of a stream, which was read by itself: its offsets count from there.
    #[error("in what begins at byte {at}: {source}")]
    Within {
        /// Where it begins in the stream.
        at: u64,
        /// What is wrong with it.
        source: Box<Self>,
    },
    /// A stream cannot go on before the box is whole, and by then more would be held than is allowed.
    #[error(
        "box {kind}: more than {max} bytes would be held of the stream; read it as a file, or allow more"
    )]
    TooLong {
        /// The box that does not end.
        kind: boxes::FourCc,
        /// The most that may be held.
        max: usize,
    },
    /// The `moov` lists samples and there are fragments too, which a stream cannot tell apart in time.
    #[error("there are samples in the moov and in fragments; read the file whole")]
    TableAndFragments,
    /// No key is at hand for protected samples: the KID is that of `tenc` or of their group (23001-7, 8.2 and 6).
    #[error("there is no key for KID {0}")]
    MissingKey(KeyId),
    /// The bytes are not those that were planned for.
    #[error("the plan is for other bytes than these")]
    OtherBytes,
}

impl Error {
    /// The error of a part that begins so many bytes into the stream.
    fn within(self, at: u64) -> Self {
        match self {
            Self::MissingKey(_) | Self::OtherBytes => self,
            _ if at == 0 => self,
            source => Self::Within { at, source: Box::new(source) },
        }
    }
}

/// Decrypts a file that holds its `moov` and its fragments, in place.
///
/// # Errors
/// [`Error`]; the file is then as it was.
pub fn decrypt_file(keys: &Keys, file: &mut [u8]) -> Result<(), Error> {
    let init = Init::parse(file)?;
    let plan = init.plan(file)?;
    plan.decrypt(keys, file)?;
    init.clear(file);
    Ok(())
}
