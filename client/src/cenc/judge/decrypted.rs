//! A decrypted sample, and which of its bytes were encrypted.
//!
//! Deliberately absent: what the bytes mean.

use core::ops::Range;

/// How many bytes of a sample are looked at: more would take longer than decrypting them, and long samples begin as short
/// ones do.
pub(crate) const LOOKED_AT_BYTES: usize = 16 * 1024;

/// A decrypted sample. Positions count from its start.
#[derive(Clone, Copy, Debug)]
pub(super) struct Decrypted<'a> {
    /// The first bytes of the sample: those that are looked at.
    pub(super) bytes: &'a [u8],
    /// How many bytes the sample has.
    pub(super) length: usize,
    encrypted: &'a [Range<usize>],
}

impl<'a> Decrypted<'a> {
    /// `sample`: the bytes, or the first of them; `encrypted`: the positions that were encrypted, in order.
    pub(super) fn new(sample: &'a [u8], length: usize, encrypted: &'a [Range<usize>]) -> Self {
        let at_hand = sample.len().min(length).min(LOOKED_AT_BYTES);
        Self { bytes: sample.get(..at_hand).unwrap_or_default(), length, encrypted }
    }

    /// The bytes at these positions; `None` if not all of them are at hand.
    pub(super) fn get(&self, positions: Range<usize>) -> Option<&'a [u8]> {
        self.bytes.get(positions)
    }

    /// The bytes at these positions, as far as they are at hand.
    pub(super) fn part(&self, positions: Range<usize>) -> &'a [u8] {
        let end = positions.end.min(self.bytes.len());
        self.bytes.get(positions.start..end).unwrap_or_default()
    }

    /// Whether any byte at these positions was encrypted.
    pub(super) fn was_encrypted(&self, positions: Range<usize>) -> bool {
        if positions.is_empty() {
            return false;
        }
        let after = self.encrypted.partition_point(|range| range.end <= positions.start);
        let mut following = self.encrypted.iter().skip(after).filter(|range| !range.is_empty());
        following.next().is_some_and(|range| range.start < positions.end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_was_encrypted_if_a_range_has_it() {
        let sample = Decrypted::new(&[0; 100], 100, &[3..5, 7..7, 10..20]);
        for (positions, expected) in [
            (0..3, false),
            (0..4, true),
            (4..5, true),
            (5..10, false),
            (4..4, false),
            (7..8, false),
            (19..90, true),
            (20..100, false),
        ] {
            assert_eq!(sample.was_encrypted(positions.clone()), expected, "{positions:?}");
        }
    }

    #[test]
    fn no_more_than_16_kib_are_at_hand() {
        let bytes = alloc::vec![0; 1 << 20];
        let sample = Decrypted::new(&bytes, bytes.len(), &[]);
        assert_eq!((sample.bytes.len(), sample.length), (16_384, 1 << 20));
        assert_eq!(Decrypted::new(&bytes, 7, &[]).bytes.len(), 7);
        assert_eq!(sample.part(16_378..16_388).len(), 6);
        assert_eq!(sample.get(16_378..16_388), None);
    }
}
