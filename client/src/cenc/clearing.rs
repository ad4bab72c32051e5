//! Making the boxes of an encrypted film those of a clear one. No byte moves: a box that a clear film does without becomes
//! one that readers pass over.
//!
//! Deliberately absent: which boxes those are, which [`entry`](crate::cenc::entry) and [`signals`](crate::cenc::signals)
//! say.

use crate::cenc::boxes::BoxRef;

/// `free`: a box that readers pass over (ISO/IEC 14496-12:2022, 8.1.2).
const FREE: [u8; 4] = *b"free";

/// A box type to be replaced, so that a player of clear files understands the file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clearing {
    /// The position of the type.
    pub(super) at: usize,
    pub(super) old: [u8; 4],
    pub(super) new: [u8; 4],
}

impl Clearing {
    /// Makes a box one that readers pass over: `free`.
    pub(super) fn free(this: &BoxRef<'_>) -> Self {
        Self { at: this.at.saturating_add(4), old: this.kind.0, new: FREE }
    }

    /// Replaces the type, if it still is the one that was read.
    pub(super) fn apply(self, bytes: &mut [u8]) {
        let kind = bytes.get_mut(self.at..).and_then(|rest| rest.first_chunk_mut());
        if let Some(kind) = kind.filter(|kind| **kind == self.old) {
            *kind = self.new;
        }
    }
}
