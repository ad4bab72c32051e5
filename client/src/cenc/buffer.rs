//! What a stream holds.

use alloc::vec::Vec;
use core::fmt;

/// Bytes that come in behind and go out in front, as many at a time as can. Its memory is zeroed once and used again.
///
/// They lie as far from the start of a cache line as they do in their file: a copy between memory that is the same in
/// this is a tenth quicker.
#[derive(Default)]
pub(super) struct Buffer {
    memory: Vec<u8>,
    /// Here the bytes begin.
    start: usize,
    /// Up to here they are final, and to be handed on.
    done: usize,
    filled: usize,
}

/// The bytes of a cache line.
const LINE_BYTES: u8 = 64;

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

    /// Room for so many bytes behind those that are there. The first of all is `at` this place in its file.
    pub(super) fn room(&mut self, length: usize, at: u64) -> &mut [u8] {
        // A line more, so that there is one to choose a place in.
        let end = self.filled.saturating_add(length).saturating_add(LINE_BYTES.into());
        if self.memory.len() < end {
            // What is left over of one piece is short as a rule, and should find room beside the next.
            self.memory.resize(end.saturating_add(length / 8), 0);
        }
        if self.start == self.filled {
            self.start = self.front(at);
            (self.done, self.filled) = (self.start, self.start);
        }
        self.memory.get_mut(self.filled..self.filled.saturating_add(length)).unwrap_or_default()
    }

    /// So many bytes of the room hold something now.
    pub(super) fn fill(&mut self, length: usize) {
        self.filled = self.filled.saturating_add(length).min(self.memory.len());
    }

    /// So many more are final.
    pub(super) fn finish(&mut self, length: usize) {
        self.done = self.done.saturating_add(length).min(self.filled);
    }

    /// Hands on what is final; the rest, which begins `at` this place in its file, moves to the front.
    pub(super) fn hand_on(&mut self, at: u64, out: &mut dyn FnMut(&[u8])) {
        if let Some(done @ [_, ..]) = self.memory.get(self.start..self.done) {
            out(done);
            // There is room for a line behind what is filled.
            let (front, rest) = (self.front(at), self.len());
            self.memory.copy_within(self.done..self.filled, front);
            (self.start, self.done, self.filled) = (front, front, front + rest);
        }
    }

    /// Where in the first line of the memory a byte from this place belongs.
    fn front(&self, at: u64) -> usize {
        let address = u64::try_from(self.memory.as_ptr().addr()).unwrap_or(0);
        usize::try_from(at.wrapping_sub(address) % u64::from(LINE_BYTES)).unwrap_or(0)
    }
}

/// Some of it is clear media, so only how much there is.
impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Buffer({} bytes)", self.filled - self.start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_lie_in_their_line_as_they_do_in_their_file() {
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
            buffer.hand_on(at, &mut |bytes| out.extend_from_slice(bytes));
            let between = |from, to| (from..to).map(|at: u64| at.to_le_bytes()[0]);
            assert!(out.into_iter().eq(between(gone, at)));
            assert!(buffer.bytes().iter().copied().eq(between(at, came)));
            gone = at;
            let address = u64::try_from(buffer.bytes().as_ptr().addr()).unwrap();
            assert!(buffer.len() == 0 || address % 64 == gone % 64, "{read}, {finished}");
        }
    }
}
