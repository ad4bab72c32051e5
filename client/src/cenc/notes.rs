//! What is worth saying of a film that was decrypted all the same.
//!
//! Deliberately absent: errors. Whatever is noted here did not stop the decryption.

use alloc::vec::Vec;
use core::fmt;

use crate::key::KeyId;

/// Something worth saying of a film that was decrypted all the same. Its text is a sentence for a person.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Note {
    /// Nothing says that anything is encrypted, so every byte was copied. If the media is noise, an earlier program has dropped
    /// what described its encryption.
    NothingEncrypted,
    /// Fragments of a protected track that say nothing of encryption, an inserted advertisement for example. They were
    /// taken for clear.
    ClearFragments {
        /// How many.
        count: usize,
        /// Where the first begins, in bytes from the start of the stream or segment.
        first_at: u64,
    },
    /// Bytes behind the last box that are no box. They were copied.
    Junk {
        /// Where they begin, in bytes from the start of the stream or file.
        at: u64,
    },
    /// No key was given for this KID, but one for the KID in PlayReady's byte order. It was used.
    SwappedKid {
        /// The KID of the film.
        kid: KeyId,
    },
    /// A key does not seem to fit: the first samples that it decrypted break the rules of their format.
    WrongKey {
        /// The track ID.
        track: u32,
        /// The KID.
        kid: KeyId,
    },
    /// A track was left encrypted, because no key was given for it
    /// ([`Keys::leave_tracks_without_keys`](crate::cenc::Keys::leave_tracks_without_keys)).
    LeftTrack {
        /// The track ID.
        track: u32,
        /// The KID for which there is no key.
        kid: KeyId,
    },
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NothingEncrypted => {
                f.write_str("nothing in it says that it is encrypted; it was copied as it is")
            }
            Self::ClearFragments { count: 1, first_at } => write!(
                f,
                "the fragment at byte {first_at} says nothing of encryption and was taken for clear"
            ),
            Self::ClearFragments { count, first_at } => write!(
                f,
                "{count} fragments say nothing of encryption and were taken for clear, the first at byte {first_at}"
            ),
            Self::Junk { at } => {
                write!(f, "the bytes from byte {at} on are no box and were copied")
            }
            Self::SwappedKid { kid } => write!(
                f,
                "the key for KID {} was used for KID {kid}: the same in PlayReady's byte order",
                kid.in_playready_order()
            ),
            Self::WrongKey { track, kid } => write!(
                f,
                "the key for KID {kid} does not seem to fit: what it decrypted of track {track} is noise"
            ),
            Self::LeftTrack { track, kid } => {
                write!(f, "track {track} was left encrypted: there is no key for KID {kid}")
            }
        }
    }
}

/// The notes of a film, each of them once: never more than its tracks and keys.
#[derive(Clone, Debug, Default)]
pub(super) struct Notes(Vec<Note>);

impl Notes {
    /// All of them.
    pub(super) fn all(&self) -> &[Note] {
        &self.0
    }

    /// All of them, for a caller to keep.
    pub(super) fn into_all(self) -> Vec<Note> {
        self.0
    }

    /// Adds a note, or adds to one of the same kind.
    pub(super) fn add(&mut self, note: Note) {
        if let Note::ClearFragments { count: more, .. } = note {
            let before = self.0.iter_mut().find_map(|note| match note {
                Note::ClearFragments { count, .. } => Some(count),
                _ => None,
            });
            if let Some(count) = before {
                *count = count.saturating_add(more);
                return;
            }
        }
        if !self.0.contains(&note) {
            self.0.push(note);
        }
    }

    /// Adds that bytes from this position on are no box, if any are.
    pub(super) fn add_tail(&mut self, at: Option<usize>) {
        if let Some(at) = at {
            self.add(Note::Junk { at: u64::try_from(at).unwrap_or(u64::MAX) });
        }
    }

    /// Adds those of a part that begins at byte `at`.
    pub(super) fn add_all(&mut self, notes: &Self, at: u64) {
        for note in &notes.0 {
            self.add(match note {
                Note::ClearFragments { count, first_at } => {
                    Note::ClearFragments { count: *count, first_at: first_at.saturating_add(at) }
                }
                Note::Junk { at: there } => Note::Junk { at: there.saturating_add(at) },
                note => note.clone(),
            });
        }
    }
}
