//! The bytes that a stream holds: those that are not final yet, and those that are and wait to be handed on.
//!
//! The caller says how many bytes are final and where in the file they come from. Deliberately absent: what they mean.

use alloc::vec::Vec;
use core::fmt;

/// A queue of bytes: they are added at the back, become final in order, and are handed on from the front. Its memory is
/// zeroed once and used again.
///
/// Each byte lies as far from the start of a cache line as it does in its file: a copy between two places that agree in
/// this takes a tenth less time.
#[derive(Default)]
pub(super) struct Buffer {
    memory: Vec<u8>,
    /// The bytes from `start` to `done` are final and wait to be handed on.
    start: usize,
    /// The bytes from `done` to `filled` are not final.
    done: usize,
    filled: usize,
}

/// The size of a cache line.
const LINE_BYTES: u8 = 64;

impl Buffer {
    /// How many bytes are not final.
    pub(super) fn len(&self) -> usize {
        self.filled - self.done
    }

    /// The bytes that are not final.
    pub(super) fn bytes(&self) -> &[u8] {
        self.memory.get(self.done..self.filled).unwrap_or_default()
    }

    /// The bytes that are not final, to be decrypted.
    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        self.memory.get_mut(self.done..self.filled).unwrap_or_default()
    }

    /// Room for `length` bytes behind those that are there. The first byte that is not final has position `at` in the file.
    pub(super) fn room(&mut self, length: usize, at: u64) -> &mut [u8] {
        // One cache line more, within which the first byte is placed.
        let end = self.filled.saturating_add(length).saturating_add(LINE_BYTES.into());
        if self.memory.len() < end {
            // The rest of one piece is usually short; it should fit beside the next piece.
            self.memory.resize(end.saturating_add(length / 8), 0);
        }
        if self.start == self.filled {
            self.start = self.front(at);
            (self.done, self.filled) = (self.start, self.start);
        }
        self.memory.get_mut(self.filled..self.filled.saturating_add(length)).unwrap_or_default()
    }

    /// The first `length` bytes of the room are filled now.
    pub(super) fn fill(&mut self, length: usize) {
        self.filled = self.filled.saturating_add(length).min(self.memory.len());
    }

    /// The next `length` bytes are final.
    pub(super) fn finish(&mut self, length: usize) {
        self.done = self.done.saturating_add(length).min(self.filled);
    }

    /// The bytes that are final and wait to be handed on.
    pub(super) fn ready(&self) -> &[u8] {
        self.memory.get(self.start..self.done).unwrap_or_default()
    }

    /// Removes the first `length` of the ready bytes, which were handed on. After the last of them the rest, whose first
    /// byte has position `at` in the file, moves to the front.
    pub(super) fn consume(&mut self, length: usize, at: u64) {
        if length == 0 {
            return;
        }
        self.start = self.start.saturating_add(length).min(self.done);
        if self.start == self.done {
            // There is room for a cache line behind the filled bytes.
            let (front, rest) = (self.front(at), self.len());
            self.memory.copy_within(self.done..self.filled, front);
            (self.start, self.done, self.filled) = (front, front, front + rest);
        }
    }

    /// Where in the first cache line of the memory the byte from position `at` of the file belongs.
    fn front(&self, at: u64) -> usize {
        let address = u64::try_from(self.memory.as_ptr().addr()).unwrap_or(0);
        usize::try_from(at.wrapping_sub(address) % u64::from(LINE_BYTES)).unwrap_or(0)
    }
}

/// Prints only how many bytes there are: some of them are clear media.
impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Buffer({} bytes)", self.filled - self.start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_lie_in_their_cache_line_as_they_do_in_their_file() {
        let mut buffer = Buffer::default();
        let (mut came, mut gone) = (1000_u64, 1000_u64);
        for (read, finished) in [(1, 1), (5, 0), (100, 1), (4096, 4199), (10, 3), (7, 8), (1, 0)] {
            for byte in buffer.room(read, gone).iter_mut() {
                *byte = came.to_le_bytes()[0];
                came += 1;
            }
            buffer.fill(read);
            buffer.finish(finished);
            let mut out = Vec::new();
            let at = gone + u64::try_from(finished).unwrap();
            // In two parts, as a reader with a small buffer takes them.
            for part in [buffer.ready().len() / 2, usize::MAX] {
                let part = part.min(buffer.ready().len());
                out.extend_from_slice(&buffer.ready()[..part]);
                buffer.consume(part, at);
            }
            let between = |from, to| (from..to).map(|at: u64| at.to_le_bytes()[0]);
            assert!(out.into_iter().eq(between(gone, at)));
            assert!(buffer.bytes().iter().copied().eq(between(at, came)));
            gone = at;
            let address = u64::try_from(buffer.bytes().as_ptr().addr()).unwrap();
            assert!(buffer.len() == 0 || address % 64 == gone % 64, "{read}, {finished}");
        }
    }
}
