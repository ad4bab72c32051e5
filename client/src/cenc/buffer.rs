//! What a stream holds.

use alloc::vec::Vec;
use core::fmt;

/// Bytes that come in behind and go out in front, as many at a time as can. Its memory is zeroed once and used again.
#[derive(Default)]
pub(super) struct Buffer {
    memory: Vec<u8>,
    /// Up to here the bytes are final, and to be handed on.
    done: usize,
    filled: usize,
}

impl Buffer {
    /// How many bytes there are that are not final.
    pub(super) fn len(&self) -> usize {
        self.filled - self.done
    }

    /// The bytes that are not final.
    pub(super) fn bytes(&self) -> &[u8] {
        self.memory.get(self.done..self.filled).unwrap_or_default()
    }

    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        self.memory.get_mut(self.done..self.filled).unwrap_or_default()
    }

    /// Room for so many bytes behind those that are there.
    pub(super) fn room(&mut self, length: usize) -> &mut [u8] {
        let end = self.filled.saturating_add(length);
        if self.memory.len() < end {
            self.memory.resize(end, 0);
        }
        self.memory.get_mut(self.filled..end).unwrap_or_default()
    }

    /// So many bytes of the room hold something now.
    pub(super) fn fill(&mut self, length: usize) {
        self.filled = self.filled.saturating_add(length).min(self.memory.len());
    }

    /// So many more are final.
    pub(super) fn finish(&mut self, length: usize) {
        self.done = self.done.saturating_add(length).min(self.filled);
    }

    /// Hands on what is final; the rest moves to the front.
    pub(super) fn hand_on(&mut self, out: &mut dyn FnMut(&[u8])) {
        if let Some(done @ [_, ..]) = self.memory.get(..self.done) {
            out(done);
            self.memory.copy_within(self.done..self.filled, 0);
            self.filled -= self.done;
            self.done = 0;
        }
    }
}

/// Some of it is clear media, so only how much there is.
impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Buffer({} bytes)", self.filled)
    }
}
