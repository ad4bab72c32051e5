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
