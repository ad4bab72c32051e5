//! Samples of NAL units, each behind its length (ISO/IEC 14496-15:2022, 4.3.3): H.264, HEVC and VVC.
//!
//! The lengths have to add up to the sample. The header of each unit has bits that are always 0, and one of its numbers
//! is never 0. No slice has the bytes 00 00 00, 00 00 01 or 00 00 02 (ISO/IEC 14496-10:2022, 7.4.1; ISO/IEC 23008-2:2023,
//! 7.4.2; ISO/IEC 23090-3:2022, 7.4.2). Encrypted films mostly leave lengths and headers clear, and the noise of one slice
//! seldom has those bytes. So slices of H.264 are parsed to their end; of the other codecs, all of that is silent then.
//!
//! Real files have units of no bytes, zeros behind the last unit and zeros behind a slice. Aggregators have lengths in
//! them, so the bytes of other units than slices are not looked at. A needless 00 00 03 is harmless to decoders, and
//! not held against a file.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::{ControlFlow, Range};

use crate::cenc::judge::decrypted::Decrypted;
use crate::cenc::judge::h264::{ParameterSets, Parsed};
use crate::cenc::judge::verdict::{Evidence, Verdict};

/// A video codec with NAL units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Codec {
    /// H.264, AVC (ISO/IEC 14496-10).
    H264,
    /// H.265, HEVC (ISO/IEC 23008-2).
    Hevc,
    /// H.266, VVC (ISO/IEC 23090-3).
    Vvc,
}

/// What is known of the NAL units of a track.
#[derive(Clone, Debug)]
pub(crate) struct NalUnits {
    codec: Codec,
    /// How many bytes the length of a unit takes: 1 to 4.
    length_bytes: usize,
    /// Of H.264, where the sample entry has all of them.
    sets: Option<Arc<Sets>>,
}

/// The parameter sets of the sample entry.
#[derive(Debug)]
struct Sets {
    parsed: ParameterSets,
    /// The body of `avcC`.
    configuration: Vec<u8>,
}

/// The same configuration, for all that is judged by it.
impl PartialEq for NalUnits {
    fn eq(&self, other: &Self) -> bool {
        let of = |units: &Self| units.sets.as_ref().map(|sets| sets.configuration.clone());
        (self.codec, self.length_bytes) == (other.codec, other.length_bytes)
            && of(self) == of(other)
    }
}

impl Eq for NalUnits {}

impl NalUnits {
    /// Reads the size of the lengths from the body of `avcC`, `hvcC` or `vvcC` (14496-15, 5.3.3, 8.3.3 and 11.2.4), and the
    /// parameter sets unless samples may bring others.
    pub(super) fn read(codec: Codec, configuration: &[u8], has_all_sets: bool) -> Option<Self> {
        let length_size_minus_1 = match codec {
            Codec::H264 => configuration.get(4)? & 3,
            Codec::Hevc => configuration.get(21)? & 3,
            Codec::Vvc => configuration.get(4)? >> 1 & 3,
        };
        let wanted = codec == Codec::H264 && has_all_sets;
        let parsed = wanted.then(|| ParameterSets::read(configuration)).flatten();
        let sets =
            parsed.map(|parsed| Arc::new(Sets { parsed, configuration: Vec::from(configuration) }));
        let length_bytes = usize::from(length_size_minus_1).saturating_add(1);
        Some(Self { codec, length_bytes, sets })
    }

    pub(super) fn judge(&self, sample: &Decrypted<'_>) -> Verdict {
        let mut walk =
            Walk { of: self, sample, evidence: Evidence::default(), led: false, picture: false };
        let mut at = 0;
        while at < sample.length {
            match walk.step(at) {
                ControlFlow::Continue(next) => at = next,
                ControlFlow::Break(verdict) => return verdict,
            }
        }
        walk.evidence.verdict()
    }
}

/// A walk from unit to unit.
struct Walk<'a> {
    of: &'a NalUnits,
    sample: &'a Decrypted<'a>,
    evidence: Evidence,
    /// Whether one of the lengths so far was encrypted. What follows it is where a key put it.
    led: bool,
    /// Whether there was a slice.
    picture: bool,
}

impl Walk<'_> {
    /// Judges the unit whose length is at `at`, and says where the next one is.
    fn step(&mut self, at: usize) -> ControlFlow<Verdict, usize> {
        let sample = self.sample;
        let left = sample.length.saturating_sub(at);
        let unit_at = at.saturating_add(self.of.length_bytes);
        if unit_at > sample.length {
            let padding = sample.part(at..sample.length).iter().all(|byte| *byte == 0);
            return ControlFlow::Break(match padding {
                true => self.evidence.verdict(),
                false => self.broken(at..sample.length),
            });
        }
        let Some(prefix) = sample.get(at..unit_at) else {
            return ControlFlow::Break(self.evidence.verdict());
        };
        let length = prefix.iter().fold(0, |length: usize, byte| length << 8 | usize::from(*byte));
        let unit = unit_at..unit_at.saturating_add(length);
        if unit.end > sample.length {
            return ControlFlow::Break(self.broken(at..unit_at));
        }
        if sample.was_encrypted(at..unit_at) {
            self.led = true;
            // Noise is seldom as small as what is left of the sample.
            let prefix_bits = u32::try_from(prefix.len()).unwrap_or(4).saturating_mul(8);
            let left_bits = usize::BITS.saturating_sub(left.leading_zeros());
            self.evidence.add(prefix_bits.saturating_sub(left_bits));
        }
        let end = unit.end;
        if self.is_other_set(&unit) {
            return ControlFlow::Break(Verdict::Unreliable);
        }
        match self.unit(unit) {
            Some(broken) => ControlFlow::Break(self.broken(broken)),
            None => ControlFlow::Continue(end),
        }
    }

    /// Judges one unit. `Some`: the positions of bytes that break a rule and may have been encrypted.
    fn unit(&mut self, unit: Range<usize>) -> Option<Range<usize>> {
        let sample = self.sample;
        let at = |offset: usize| {
            unit.start.saturating_add(offset)..unit.start.saturating_add(offset).saturating_add(1)
        };
        let bytes = sample.part(unit.clone());
        let header = Header::read(self.of.codec, bytes)?;
        if let Some(offset) = header.wrong {
            return Some(at(offset));
        }
        if sample.was_encrypted(at(0)) {
            self.evidence.add(1);
        }
        if !header.slice {
            return None;
        }
        let first = !core::mem::replace(&mut self.picture, true);
        if let (Codec::Hevc, true, Some(slice)) = (self.of.codec, first, bytes.get(2)) {
            // first_slice_segment_in_pic_flag: a sample begins a picture (23008-2, 7.4.2.4.5 and 7.4.7.1).
            if slice & 0x80 == 0 {
                return Some(at(2));
            }
            if sample.was_encrypted(at(2)) {
                self.evidence.add(1);
            }
        }
        self.start_code(unit.start, bytes).or_else(|| self.slice_data(unit))
    }

    /// Whether the unit is a clear parameter set of H.264 that the sample entry does not have.
    fn is_other_set(&self, unit: &Range<usize>) -> bool {
        const KIND: u8 = 0x1f;
        let Some(sets) = &self.of.sets else { return false };
        let bytes = self.sample.part(unit.clone());
        let is_set = bytes.first().is_some_and(|header| matches!(header & KIND, 7 | 8));
        let is_clear = !self.sample.was_encrypted(unit.clone());
        is_set && is_clear && !sets.configuration.windows(bytes.len()).any(|there| there == bytes)
    }

    /// Parses the data of a slice of H.264, if it was encrypted and all of it is at hand. `Some`: an encrypted byte of it.
    fn slice_data(&mut self, unit: Range<usize>) -> Option<Range<usize>> {
        /// A slice of noise ends where its bytes do in less than one of so many cases: a power of two.
        const PARSED_BITS: u32 = 16;
        let sets = self.of.sets.as_ref()?;
        let bytes = self.sample.get(unit.clone())?;
        if !self.sample.was_encrypted(unit.clone()) {
            return None;
        }
        match sets.parsed.parse_slice(bytes) {
            Parsed::Broken => Some(unit),
            Parsed::Whole => {
                self.evidence.add(PARSED_BITS);
                None
            }
            Parsed::Unknown => None,
        }
    }

    /// Bytes that a slice cannot have, if one of them was encrypted.
    fn start_code(&self, start: usize, unit: &[u8]) -> Option<Range<usize>> {
        let zeros = unit.iter().rev().take_while(|byte| **byte == 0).count();
        let slice = unit.get(..unit.len().saturating_sub(zeros))?;
        let found =
            slice.windows(3).enumerate().filter(|(_, bytes)| matches!(bytes, [0, 0, 0..=2]));
        let mut found = found
            .map(|(at, _)| start.saturating_add(at)..start.saturating_add(at).saturating_add(3));
        found.find(|at| self.sample.was_encrypted(at.clone()))
    }

    /// The verdict on bytes that break a rule.
    fn broken(&self, at: Range<usize>) -> Verdict {
        match self.led || self.sample.was_encrypted(at) {
            true => Verdict::Breaks,
            false => Verdict::Silent,
        }
    }
}

/// What the header of a unit says.
struct Header {
    /// Which of its bytes breaks a rule, from 0.
    wrong: Option<usize>,
    /// Whether the unit is a slice.
    slice: bool,
}

impl Header {
    /// `None` if the unit is not at hand or too short for a header.
    fn read(codec: Codec, unit: &[u8]) -> Option<Self> {
        let first = *unit.first()?;
        let forbidden = (first & 0x80 != 0).then_some(0);
        if codec == Codec::H264 {
            // 7.3.1. Type 0 is unspecified and no file has it.
            let kind = first & 0x1f;
            let wrong = if kind == 0 { Some(0) } else { forbidden };
            return Some(Self { wrong, slice: (1..=5).contains(&kind) });
        }
        let second = *unit.get(1)?;
        // nuh_temporal_id_plus1.
        let no_layer = (second & 7 == 0).then_some(1);
        Some(match codec {
            Codec::H264 | Codec::Hevc => {
                let kind = first >> 1 & 0x3f;
                Self { wrong: forbidden.or(no_layer), slice: matches!(kind, 0..=9 | 16..=21) }
            }
            Codec::Vvc => {
                let reserved = (first & 0x40 != 0).then_some(0);
                let wrong = forbidden.or(reserved).or(no_layer);
                Self { wrong, slice: matches!(second >> 3, 0..=3 | 7..=10) }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cenc::judge::testing::{judged, noise_verdicts};
    use Verdict::{Breaks, Fits, Silent};

    const H264: NalUnits = NalUnits { codec: Codec::H264, length_bytes: 4, sets: None };
    const HEVC: NalUnits = NalUnits { codec: Codec::Hevc, length_bytes: 4, sets: None };
    const VVC: NalUnits = NalUnits { codec: Codec::Vvc, length_bytes: 2, sets: None };

    /// A picture of 16 by 16 pixels, by x265.
    const HEVC_SAMPLE: [u8; 32] = [
        0x00, 0x00, 0x00, 0x1c, 0x02, 0x01, 0xd0, 0x09, 0x7e, 0x10, 0xc6, 0x4c, 0xa4, 0x40, 0x5c,
        0xf1, 0xbd, 0x64, 0x31, 0x44, 0x18, 0x94, 0x7f, 0x22, 0x2e, 0x30, 0xfd, 0x9c, 0x18, 0xff,
        0x07, 0x87,
    ];

    #[test]
    fn the_size_of_lengths_is_where_each_configuration_has_it() {
        let mut bytes = [0xfc; 23];
        let read = |codec, bytes: &[u8]| {
            NalUnits::read(codec, bytes, false).map(|units| units.length_bytes)
        };
        (bytes[4], bytes[21]) = (0xff, 0xfd);
        assert_eq!(read(Codec::H264, &bytes), Some(4));
        assert_eq!(read(Codec::Hevc, &bytes), Some(2));
        assert_eq!(read(Codec::Vvc, &[0, 0, 0, 0, 0b1111_1011]), Some(2));
        assert_eq!(read(Codec::Hevc, &bytes[..21]), None);
    }

    #[test]
    fn a_right_sample_fits_and_noise_breaks() {
        let judge = |sample: &Decrypted<'_>| HEVC.judge(sample);
        assert_eq!(judged(judge, &HEVC_SAMPLE, 0..32), Fits);
        assert_eq!(noise_verdicts(judge, &HEVC_SAMPLE, 0..32), (1000, 0));
        // A clear length: a bit of the header, the layer and the first bit of the slice are left.
        assert_eq!(judged(judge, &HEVC_SAMPLE, 4..32), Silent);
        let (breaks, fits) = noise_verdicts(judge, &HEVC_SAMPLE, 4..32);
        assert!(breaks > 600 && fits == 0, "{breaks} {fits}");
        // A clear header as well.
        assert_eq!(noise_verdicts(judge, &HEVC_SAMPLE, 7..32), (0, 0));
    }

    #[test]
    fn lengths_add_up_to_the_sample() {
        let judge =
            |sample: &[u8], encrypted| judged(|sample| H264.judge(sample), sample, encrypted);
        for (verdict, sample) in [
            (Fits, &b"\0\0\0\x02\x65\x88\0\0\0\x01\x0c"[..]),
            // Units of no bytes and zeros behind the last one.
            (Fits, b"\0\0\0\0\0\0\0\x02\x65\x88\0\0\0"),
            (Breaks, b"\0\0\0\x02\x65\x88\0\0\x01"),
            (Breaks, b"\0\0\0\x03\x65\x88"),
            (Breaks, b"\xff\xff\xff\xff\x65\x88"),
        ] {
            assert_eq!(judge(sample, 0..sample.len()), verdict, "{sample:?}");
            assert_eq!(judge(sample, 0..0), Silent, "{sample:?}");
        }
        // The second length was clear, and the first, which led to it, was encrypted.
        assert_eq!(judge(b"\0\0\0\x02\x65\x88\0\0\0\x09\x0c", 0..4), Breaks);
        assert_eq!(judge(b"\0\0\0\x02\x65\x88\0\0\0\x09\x0c", 4..6), Silent);
    }

    #[test]
    fn a_forbidden_bit_breaks_where_it_was_encrypted() {
        for (units, sample) in [
            (&H264, &b"\0\0\0\x02\xe5\x88"[..]),
            (&H264, b"\0\0\0\x02\x60\x88"),
            (&HEVC, b"\0\0\0\x03\x82\x01\xd0"),
            (&HEVC, b"\0\0\0\x03\x02\x00\xd0"),
            (&HEVC, b"\0\0\0\x03\x02\x01\x50"),
            (&VVC, b"\0\x03\x80\x09\0"),
            (&VVC, b"\0\x03\x40\x09\0"),
            (&VVC, b"\0\x03\0\x08\0"),
        ] {
            let judge = |encrypted| judged(|sample| units.judge(sample), sample, encrypted);
            assert_eq!(judge(units.length_bytes..sample.len()), Breaks, "{sample:?}");
            assert_eq!(judge(sample.len()..sample.len()), Silent, "{sample:?}");
        }
        assert_eq!(judged(|sample| VVC.judge(sample), b"\0\x03\0\x09\0", 2..5), Silent);
    }

    #[test]
    fn a_start_code_breaks_in_a_slice_alone() {
        let judge =
            |sample: &[u8], encrypted| judged(|sample| H264.judge(sample), sample, encrypted);
        for (verdict, sample) in [
            (Breaks, &b"\0\0\0\x06\x65\x88\0\0\x01\x80"[..]),
            (Breaks, b"\0\0\0\x06\x41\x88\0\0\x02\x80"),
            (Breaks, b"\0\0\0\x06\x41\x88\0\0\0\x80"),
            // Bytes 3 that keep zeros apart, zeros behind a slice, and an aggregator with lengths.
            (Silent, b"\0\0\0\x06\x65\x88\0\0\x03\x01"),
            (Silent, b"\0\0\0\x06\x65\x88\x80\0\0\x00"),
            (Silent, b"\0\0\0\x06\x7e\x88\0\0\0\x01"),
        ] {
            assert_eq!(judge(sample, 5..10), verdict, "{sample:?}");
            assert_eq!(judge(sample, 9..10), Silent, "{sample:?}");
        }
    }

    #[test]
    fn a_long_sample_is_judged_by_its_first_64_kib() {
        let mut sample = alloc::vec![0x55; 100_000];
        sample[..5].copy_from_slice(&[0, 1, 0x86, 0x9c, 0x65]);
        let judge = |sample: &[u8]| judged(|sample| H264.judge(sample), sample, 0..100_000);
        assert_eq!(judge(&sample), Fits);
        sample[3] += 1;
        assert_eq!(judge(&sample), Breaks);
    }
}
