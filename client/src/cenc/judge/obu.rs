//! AV1: samples of open bitstream units, OBUs ("AV1 Codec ISO Media File Format Binding", 2.4; AV1 specification, 5.3).
//!
//! Each has its size in it, but the last one may do without; together they are the sample. Two bits of their headers are
//! always 0. A film that is encrypted as the binding says has all of that clear, and is silent.

use core::ops::ControlFlow;

use crate::cenc::judge::decrypted::Decrypted;
use crate::cenc::judge::verdict::{Evidence, Verdict};

/// A size takes 8 bytes at most (AV1 specification, 4.10.5).
const SIZE_BYTES_MAX: usize = 8;

pub(super) fn judge(sample: &Decrypted<'_>) -> Verdict {
    let mut walk = Walk { sample, evidence: Evidence::default(), led: false };
    let mut at = 0;
    while at < sample.bytes.len() {
        match walk.step(at) {
            ControlFlow::Continue(next) => at = next,
            ControlFlow::Break(verdict) => return verdict,
        }
    }
    walk.evidence.verdict()
}

/// A walk from unit to unit.
struct Walk<'a> {
    sample: &'a Decrypted<'a>,
    evidence: Evidence,
    /// Whether one of the headers so far was encrypted. What follows it is where a key put it.
    led: bool,
}

impl Walk<'_> {
    /// Judges the unit at `at`, and says where the next one is.
    fn step(&mut self, at: usize) -> ControlFlow<Verdict, usize> {
        let sample = self.sample;
        let mut bytes = sample.part(at..sample.length).iter().copied();
        let Some(header) = bytes.next() else {
            return ControlFlow::Break(self.evidence.verdict());
        };
        let encrypted = sample.was_encrypted(at..at.saturating_add(1));
        self.led |= encrypted;
        if header == 0 && bytes.clone().all(|byte| byte == 0) {
            // Zeros behind the last unit, which decoders pass over.
            return ControlFlow::Break(self.evidence.verdict());
        }
        let (kind, extended, sized) = (header >> 3 & 0xf, header & 4 != 0, header & 2 != 0);
        // The forbidden and the reserved bit. Reserved types are for the future; so far, none lacks a size.
        if header & 0x81 != 0 || (!sized && matches!(kind, 0 | 9..=14)) {
            return ControlFlow::Break(self.broken());
        }
        if encrypted {
            self.evidence.add(2);
        }
        if !sized {
            // The rest of the sample.
            return ControlFlow::Break(self.evidence.verdict());
        }
        let size_at = at.saturating_add(if extended { 2 } else { 1 });
        if size_at >= sample.length {
            return ControlFlow::Break(self.broken());
        }
        if extended {
            bytes.next();
        }
        let at_hand = sample.bytes.len().saturating_sub(size_at);
        let field = bytes.take(SIZE_BYTES_MAX);
        let (size, size_bytes) = match read_leb128(field) {
            Some(read) => read,
            // The end of what is at hand.
            None if at_hand < SIZE_BYTES_MAX && sample.bytes.len() < sample.length => {
                return ControlFlow::Break(self.evidence.verdict());
            }
            None => {
                let end = size_at.saturating_add(SIZE_BYTES_MAX).min(sample.length);
                self.led |= sample.was_encrypted(size_at..end);
                return ControlFlow::Break(self.broken());
            }
        };
        let unit_at = size_at.saturating_add(size_bytes);
        let end = usize::try_from(size).map_or(usize::MAX, |size| unit_at.saturating_add(size));
        let size_encrypted = sample.was_encrypted(size_at..unit_at);
        self.led |= size_encrypted;
        if end > sample.length {
            return ControlFlow::Break(self.broken());
        }
        if size_encrypted && end == sample.length {
            self.evidence.add(8);
        }
        ControlFlow::Continue(end)
    }

    /// The verdict on a unit that breaks a rule.
    fn broken(&self) -> Verdict {
        if self.led { Verdict::Breaks } else { Verdict::Silent }
    }
}

/// A number of 7 bits in each byte, the lowest first (4.10.5), and how many bytes it takes.
fn read_leb128(bytes: impl Iterator<Item = u8>) -> Option<(u64, usize)> {
    let mut number = 0;
    for (index, byte) in bytes.enumerate() {
        let shift = u32::try_from(index).ok()?.checked_mul(7)?;
        number |= u64::from(byte & 0x7f).checked_shl(shift)?;
        if byte & 0x80 == 0 {
            return Some((number, index.saturating_add(1)));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cenc::judge::testing::{judged, noise_verdicts};
    use Verdict::{Breaks, Fits, Silent};

    /// A picture of 16 by 16 pixels, by libaom.
    const SAMPLE: [u8; 36] = [
        0x32, 0x22, 0x30, 0x03, 0xc0, 0x80, 0x00, 0x00, 0x06, 0xc0, 0x00, 0x41, 0x01, 0x00, 0x28,
        0xb8, 0x22, 0x00, 0x18, 0x1e, 0x81, 0x05, 0x1c, 0xd2, 0x9c, 0x72, 0x2a, 0x48, 0x98, 0xcf,
        0x86, 0xc2, 0x69, 0xbe, 0xe7, 0xf5,
    ];

    #[test]
    fn a_right_sample_fits_and_noise_breaks() {
        assert_eq!(judged(judge, &SAMPLE, 0..36), Fits);
        let (breaks, fits) = noise_verdicts(judge, &SAMPLE, 0..36);
        assert!(breaks > 850 && fits < 5, "{breaks} {fits}");
        // The header and the size are clear, as the binding wants them.
        assert_eq!(judged(judge, &SAMPLE, 2..36), Silent);
        assert_eq!(noise_verdicts(judge, &SAMPLE, 2..36), (0, 0));
    }

    #[test]
    fn sizes_add_up_to_the_sample() {
        for (verdict, sample) in [
            // A temporal delimiter, a frame with an extension, one with its size in two bytes, one without a size.
            (Fits, &[0x12, 0, 0x36, 0x20, 1, 7, 0x32, 0x81, 0, 7, 0x30, 1, 2][..]),
            (Fits, &[0x12, 0, 0x32, 2, 1, 2]),
            // Zeros behind the last unit.
            (Silent, &[0x32, 2, 1, 2, 0, 0, 0]),
            (Breaks, &[0x32, 3, 1, 2]),
            (Breaks, &[0x32]),
            (Breaks, &[0xb2, 2, 1, 2]),
            (Breaks, &[0x33, 2, 1, 2]),
            // A reserved type without a size; a size that does not end.
            (Breaks, &[0x48, 2, 1, 2]),
            (Breaks, &[0x32, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0]),
        ] {
            assert_eq!(judged(judge, sample, 0..sample.len()), verdict, "{sample:?}");
            assert_eq!(judged(judge, sample, 0..0), Silent, "{sample:?}");
        }
    }
}
