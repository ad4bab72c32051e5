//! Reads bits, the highest of each byte first.
//!
//! Deliberately absent: the bytes 3 that H.264 and its successors put between others.

/// A reader of bits.
#[derive(Clone, Debug)]
pub(super) struct Bits<'a> {
    bytes: &'a [u8],
    /// The position of the next bit.
    at: usize,
}

impl<'a> Bits<'a> {
    pub(super) fn of(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// The next `count` bits, at most 32, as a number; `None` if fewer are left.
    pub(super) fn read(&mut self, count: u8) -> Option<u32> {
        (0..count).try_fold(0, |number: u32, _| {
            let byte = self.bytes.get(self.at / 8)?;
            let shift = 7_usize.saturating_sub(self.at % 8);
            self.at = self.at.checked_add(1)?;
            Some(number << 1 | u32::from(byte >> shift & 1))
        })
    }

    /// Passes over bits; `None` if fewer are left.
    pub(super) fn skip(&mut self, count: usize) -> Option<()> {
        let at = self.at.checked_add(count)?;
        self.at = (at.div_ceil(8) <= self.bytes.len()).then_some(at)?;
        Some(())
    }

    /// Passes over the rest of a byte that was begun.
    pub(super) fn align(&mut self) {
        self.at = self.at.next_multiple_of(8);
    }

    /// How many bytes were read, the one that was begun included.
    pub(super) fn bytes_read(&self) -> usize {
        self.at.div_ceil(8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_come_from_the_top_of_each_byte() {
        let mut bits = Bits::of(&[0b1010_0111, 0xff, 0x12, 0x34]);
        assert_eq!((bits.read(3), bits.read(1), bits.read(6)), (Some(5), Some(0), Some(0b01_1111)));
        assert_eq!(bits.bytes_read(), 2);
        bits.align();
        assert_eq!((bits.skip(4), bits.read(12)), (Some(()), Some(0x234)));
        assert_eq!(
            (bits.read(0), bits.read(1), bits.skip(1), bits.skip(0)),
            (Some(0), None, None, Some(()))
        );
    }
}
