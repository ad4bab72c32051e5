//! The parameter sets of a track, and the slices that are parsed with them.

use alloc::collections::BTreeMap;

use crate::cenc::judge::h264::Parsed;
use crate::cenc::judge::h264::bits::{Bits, payload};
use crate::cenc::judge::h264::header;
use crate::cenc::judge::h264::params::{Picture, Sequence, read_picture, read_sequence};
use crate::cenc::judge::h264::slice;

/// The parameter sets of a track by their IDs; `None` for those whose slices cannot be parsed.
#[derive(Clone, Debug, Default)]
pub(crate) struct ParameterSets {
    sequences: BTreeMap<u32, Option<Sequence>>,
    pictures: BTreeMap<u32, Option<Picture>>,
}

impl ParameterSets {
    /// Reads the parameter sets in the body of an `avcC` box (ISO/IEC 14496-15:2022, 5.3.3.1). `None` where it is damaged.
    pub(crate) fn read(avcc: &[u8]) -> Option<Self> {
        let (&[1, _, _, _, _, count], mut rest) = avcc.split_first_chunk()? else { return None };
        let mut sets = Self::default();
        for _ in 0..count & 0x1f {
            rest = sets.add_next(rest)?;
        }
        let (&count, mut rest) = rest.split_first()?;
        for _ in 0..count {
            rest = sets.add_next(rest)?;
        }
        Some(sets)
    }

    /// Adds a set behind its length, and returns what follows.
    fn add_next<'a>(&mut self, bytes: &'a [u8]) -> Option<&'a [u8]> {
        let (&length, rest) = bytes.split_first_chunk()?;
        let (nal, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(length)))?;
        self.add(nal);
        Some(rest)
    }

    /// Adds a parameter set that is a NAL unit in a sample, in place of one with its ID. Other NAL units change nothing.
    pub(crate) fn add(&mut self, nal: &[u8]) {
        match nal.first().map(|header| header & 0x1f) {
            Some(7) => {
                if let Some((id, set)) = read_sequence(nal) {
                    self.sequences.insert(id, set);
                }
            }
            Some(8) => {
                if let Some((id, set)) = read_picture(nal) {
                    self.pictures.insert(id, set);
                }
            }
            _ => {}
        }
    }

    /// Parses a slice: a NAL unit with its header and its emulation prevention bytes.
    pub(crate) fn parse_slice(&self, nal: &[u8]) -> Parsed {
        self.try_parse(nal).unwrap_or_else(|instead| instead)
    }

    fn try_parse(&self, nal: &[u8]) -> Result<Parsed, Parsed> {
        let Some((&header, rest)) = nal.split_first() else { return Ok(Parsed::Unknown) };
        if !matches!(header & 0x9f, 1 | 5) {
            return Ok(Parsed::Unknown);
        }
        let bytes = payload(rest).map_err(|_| Parsed::Unknown)?;
        let mut bits = Bits::new(&bytes);
        let (first, kind, id) = header::begin(&mut bits)?;
        let picture = self.pictures.get(&id).and_then(Option::as_ref).ok_or(Parsed::Unknown)?;
        let sequence = self.sequences.get(&picture.sequence).and_then(Option::as_ref);
        let sequence = sequence.ok_or(Parsed::Unknown)?;
        let header = header::read(&mut bits, header, (first, kind), (sequence, picture))?;
        if !picture.is_cabac {
            return Ok(Parsed::Unknown);
        }
        bits.align_with_ones().ok_or(Parsed::Broken)?;
        match slice::parse(bits.rest(), &header, sequence, picture) {
            Some(()) => Ok(Parsed::Whole),
            None => Ok(Parsed::Broken),
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    /// Twenty slices with I, P and B macroblocks, then two of noise that have samples without a code, made by:
    ///
    /// ```sh
    /// x264="-pix_fmt yuv420p -c:v libx264 -threads 1 -bsf:v filter_units=remove_types=6 -f h264"
    /// ffmpeg -f lavfi -i testsrc2=s=96x80 -frames:v 10 -qp 32 -g 8 -bf 2 \
    ///     -x264-params slices=2:ref=3:partitions=all $x264 moving.h264
    /// ffmpeg -f lavfi -i testsrc2=s=48x32,noise=alls=60:allf=t -frames:v 2 -qp 12 \
    ///     -x264-params no-psy=1:subme=7 $x264 noise.h264
    /// cat moving.h264 noise.h264 > slices.h264
    /// ```
    const FILM: &[u8] = include_bytes!("slices.h264");

    /// The NAL units of a byte stream (annex B).
    fn units(film: &[u8]) -> Vec<&[u8]> {
        let starts: Vec<_> =
            (0..film.len()).filter(|&at| film[at..].starts_with(&[0, 0, 1])).collect();
        let ends = starts.iter().skip(1).copied().chain([film.len()]);
        let unit = |(&start, end): (&usize, usize)| {
            let unit = &film[start + 3..end];
            unit.strip_suffix(&[0]).unwrap_or(unit) // of the next start code
        };
        starts.iter().zip(ends).map(unit).collect()
    }

    /// Gives every slice to `change`, and returns what became of it.
    fn parse(mut change: impl FnMut(&mut Vec<u8>)) -> Vec<Parsed> {
        let mut sets = ParameterSets::default();
        let mut all = Vec::new();
        for unit in units(FILM) {
            sets.add(unit);
            if matches!(unit[0] & 0x1f, 1 | 5) {
                let mut slice = unit.to_vec();
                change(&mut slice);
                all.push(sets.parse_slice(&slice));
            }
        }
        all
    }

    fn count(all: &[Parsed], which: Parsed) -> usize {
        all.iter().filter(|&&parsed| parsed == which).count()
    }

    #[test]
    fn every_slice_of_an_encoder_ends_where_its_bytes_end() {
        assert_eq!(parse(|_| {}), [Parsed::Whole; 22]);
    }

    #[test]
    fn zero_words_at_the_end_of_a_slice_belong_to_it() {
        let all = parse(|slice| slice.extend([0, 0, 3, 0, 0, 3]));
        assert_eq!(all, [Parsed::Whole; 22]);
    }

    #[test]
    fn a_slice_that_lacks_its_end_or_has_more_is_broken() {
        assert_eq!(parse(|slice| slice.truncate(slice.len() * 3 / 4)), [Parsed::Broken; 22]);
        assert_eq!(parse(|slice| slice.extend([0x5a; 4])), [Parsed::Broken; 22]);
    }

    #[test]
    fn a_slice_of_other_bytes_is_broken() {
        let mut random = 0x9e37_79b9_u32;
        let all = parse(|slice| {
            for byte in slice.iter_mut().skip(12) {
                random ^= random << 13;
                random ^= random >> 17;
                random ^= random << 5;
                *byte = random.to_be_bytes()[0] | 4; // nothing to escape
            }
        });
        assert_eq!(all, [Parsed::Broken; 22]);
    }

    #[test]
    fn two_other_bytes_in_the_middle_break_nearly_every_slice() {
        let all = parse(|slice| {
            let middle = slice.len() / 2;
            slice[middle] ^= 0x55;
            slice[middle + 1] ^= 0xaa;
        });
        // Samples without a code are right whatever they are.
        assert!(count(&all, Parsed::Broken) >= 19, "{all:?}");
    }

    #[test]
    fn the_sets_of_an_avcc_box_are_read_to_its_end() {
        let sets: Vec<_> =
            units(FILM).into_iter().filter(|unit| matches!(unit[0] & 0x1f, 7 | 8)).collect();
        let length = |set: &[u8]| u16::try_from(set.len()).unwrap().to_be_bytes();
        let mut avcc = alloc::vec![1, 100, 0, 10, 0xff, 0xe1];
        for (set, next) in [(sets[0], &[1][..]), (sets[1], &[])] {
            avcc.extend(length(set));
            avcc.extend(set);
            avcc.extend(next);
        }
        let read = ParameterSets::read(&avcc).unwrap();
        let slice = units(FILM).into_iter().find(|unit| unit[0] & 0x1f == 5).unwrap();
        assert_eq!(read.parse_slice(slice), Parsed::Whole);
        assert!(ParameterSets::read(&avcc[..avcc.len() - 1]).is_none());
        assert!(ParameterSets::read(&[]).is_none());
        assert_eq!(ParameterSets::default().parse_slice(slice), Parsed::Unknown);
    }

    #[test]
    fn a_set_that_is_not_understood_takes_the_place_of_one_that_was() {
        let mut sets = ParameterSets::default();
        let all = units(FILM);
        all.iter().for_each(|unit| sets.add(unit));
        let slice = all.into_iter().rfind(|unit| unit[0] & 0x1f == 1).unwrap();
        assert_eq!(sets.parse_slice(slice), Parsed::Whole);
        // Profile 100, level 10, ID 0, 4:4:4.
        sets.add(&[7, 100, 0, 10, 0b1001_0000]);
        assert_eq!(sets.parse_slice(slice), Parsed::Unknown);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(
            bytes in prop::collection::vec(any::<u8>(), 0..300),
            header in prop::sample::select(alloc::vec![0x41_u8, 0x65, 0x01, 0x67, 0x68]),
            kept in 0_usize..40,
        ) {
            let mut sets = ParameterSets::default();
            let mut slices = Vec::new();
            for unit in units(FILM) {
                sets.add(unit);
                if matches!(unit[0] & 0x1f, 1 | 5) {
                    let mut slice = unit.get(..kept.min(unit.len())).unwrap().to_vec();
                    slice.extend(&bytes);
                    slices.push(slice);
                }
            }
            let mut random = alloc::vec![header];
            random.extend(&bytes);
            slices.push(random.clone());
            for slice in &slices {
                sets.parse_slice(slice);
            }
            ParameterSets::read(&bytes);
            sets.add(&random);
            for slice in &slices {
                sets.parse_slice(slice);
            }
        }
    }
}
