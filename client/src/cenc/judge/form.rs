//! What the samples of a track look like, as its sample entry says it.
//!
//! Deliberately absent: the fields of sample entries, which lie before their boxes; and the rules of each format.

use core::ops::Range;

use crate::cenc::boxes::{BoxRef, Boxes, FourCc};
use crate::cenc::judge::bits::Bits;
use crate::cenc::judge::decrypted::Decrypted;
use crate::cenc::judge::nal::{Codec, NalUnits};
use crate::cenc::judge::verdict::Verdict;
use crate::cenc::judge::{aac, audio, obu, text};

/// What samples of a track look like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// NAL units behind their lengths: H.264, HEVC, VVC.
    Nal(NalUnits),
    /// OBUs: AV1.
    Obu,
    /// AC-3 and Enhanced AC-3.
    Ac3,
    /// FLAC.
    Flac,
    /// AAC Low Complexity, alone or as the core of HE-AAC.
    Aac,
    /// MP3, and the two other layers.
    Mp3,
    /// TTML.
    Xml,
    /// WebVTT.
    Vtt,
    /// 3GPP text.
    Text3gpp,
}

impl Form {
    /// Reads a sample entry. `format` is the original format (`frma`), `boxes` are the child boxes. `None` if samples of
    /// this format cannot be judged.
    pub(crate) fn read(format: FourCc, boxes: Boxes<'_>) -> Option<Self> {
        let nal = |codec, kind| {
            let configuration = find(boxes.clone(), kind)?;
            // Samples of these formats bring no parameter sets of their own (ISO/IEC 14496-15, 5.4.2).
            let has_all_sets = matches!(&format.0, b"avc1" | b"avc2" | b"dva1");
            NalUnits::read(codec, configuration.body, has_all_sets).map(Self::Nal)
        };
        match &format.0 {
            b"avc1" | b"avc2" | b"avc3" | b"avc4" | b"dva1" | b"dvav" => nal(Codec::H264, b"avcC"),
            b"hvc1" | b"hev1" | b"hvc2" | b"hev2" | b"dvh1" | b"dvhe" => nal(Codec::Hevc, b"hvcC"),
            b"vvc1" | b"vvi1" => nal(Codec::Vvc, b"vvcC"),
            b"av01" => Some(Self::Obu),
            b"ac-3" | b"ec-3" => Some(Self::Ac3),
            b"fLaC" => Some(Self::Flac),
            b"mp4a" => read_mp4a(boxes),
            b"stpp" => Some(Self::Xml),
            b"wvtt" => Some(Self::Vtt),
            b"tx3g" => Some(Self::Text3gpp),
            _ => None,
        }
    }

    /// Judges a sample. `sample` are the decrypted bytes, or the first of them; `length` is how many the sample has;
    /// `encrypted` are the positions that were encrypted, in order and not overlapping.
    pub(crate) fn judge(
        &self,
        sample: &[u8],
        length: usize,
        encrypted: &[Range<usize>],
    ) -> Verdict {
        let sample = Decrypted::new(sample, length, encrypted);
        match self {
            Self::Nal(units) => units.judge(&sample),
            Self::Obu => obu::judge(&sample),
            Self::Ac3 => audio::judge_ac3(&sample),
            Self::Flac => audio::judge_flac(&sample),
            Self::Aac => aac::judge(&sample),
            Self::Mp3 => audio::judge_mp3(&sample),
            Self::Xml => text::judge_xml(&sample),
            Self::Vtt => text::judge_vtt(&sample),
            Self::Text3gpp => text::judge_3gpp(&sample),
        }
    }
}

fn find<'a>(boxes: Boxes<'a>, kind: &[u8; 4]) -> Option<BoxRef<'a>> {
    boxes.find(kind).ok().flatten()
}

/// `mp4a`: what it is stands in `esds`, which QuickTime has in a `wave` box.
fn read_mp4a(boxes: Boxes<'_>) -> Option<Form> {
    let esds = find(boxes.clone(), b"esds").or_else(|| {
        let wave = find(boxes, b"wave")?;
        find(wave.children(0).ok()?, b"esds")
    });
    let elementary_stream = descriptor(esds?.body.get(4..)?, 3)?;
    // ES_ID, then flags that say which fields follow (ISO/IEC 14496-1:2010, 7.2.6.5).
    let (flags, mut rest) = elementary_stream.get(2..)?.split_first()?;
    if flags & 0x80 != 0 {
        rest = rest.get(2..)?;
    }
    if flags & 0x40 != 0 {
        let (url_bytes, behind) = rest.split_first()?;
        rest = behind.get(usize::from(*url_bytes)..)?;
    }
    if flags & 0x20 != 0 {
        rest = rest.get(2..)?;
    }
    let decoder = descriptor(rest, 4)?;
    match decoder.first()? {
        // MPEG-4 audio, and Low Complexity of MPEG-2.
        0x40 | 0x67 => {
            let specific = descriptor(decoder.get(13..)?, 5)?;
            is_low_complexity(&mut Bits::of(specific))?.then_some(Form::Aac)
        }
        0x69 | 0x6b => Some(Form::Mp3),
        0xa5 | 0xa6 => Some(Form::Ac3),
        _ => None,
    }
}

/// The body of the descriptor that `bytes` begin with, if it has this tag (14496-1, 8.3.3). Its size takes up to 4 bytes.
fn descriptor(bytes: &[u8], tag: u8) -> Option<&[u8]> {
    let mut rest = bytes.strip_prefix(&[tag])?;
    let mut length = 0_usize;
    for _ in 0..4 {
        let (byte, behind) = rest.split_first()?;
        rest = behind;
        length = length << 7 | usize::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            return rest.get(..length);
        }
    }
    None
}

/// AudioSpecificConfig (ISO/IEC 14496-3:2019, 1.6.2.1): AAC Low Complexity, or HE-AAC on top of it, whose channels are
/// those of a configuration.
fn is_low_complexity(bits: &mut Bits<'_>) -> Option<bool> {
    const LOW_COMPLEXITY: u32 = 2;
    let mut object_type = object_type(bits)?;
    skip_frequency(bits)?;
    let channels = bits.read(4)?;
    // Spectral band replication, and parametric stereo with it.
    if matches!(object_type, 5 | 29) {
        skip_frequency(bits)?;
        object_type = self::object_type(bits)?;
    }
    Some(object_type == LOW_COMPLEXITY && (1..=7).contains(&channels))
}

fn object_type(bits: &mut Bits<'_>) -> Option<u32> {
    match bits.read(5)? {
        31 => Some(bits.read(6)?.saturating_add(32)),
        object_type => Some(object_type),
    }
}

fn skip_frequency(bits: &mut Bits<'_>) -> Option<()> {
    if bits.read(4)? == 15 { bits.skip(24) } else { Some(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cenc::Init;
    use crate::cenc::judge::tally::Tally;
    use crate::cenc::judge::testing::with_noise;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    const VIDEO: &[u8] = include_bytes!("../../../../src/cli/demo/clip/clear/video.mp4");
    const AUDIO: &[u8] = include_bytes!("../../../../src/cli/demo/clip/clear/audio.mp4");

    /// A film of the demo: its form, and its samples.
    fn film(film: &'static [u8], fields_bytes: usize) -> (Form, Vec<&'static [u8]>) {
        let entries_at = film.windows(4).position(|kind| kind == b"stsd").unwrap() + 12;
        let entry = Boxes::of(&film[entries_at..]).next().unwrap().unwrap();
        let form = Form::read(entry.kind, entry.children(fields_bytes).unwrap()).unwrap();
        let plan = Init::parse(film).unwrap().plan(film).unwrap();
        (form, plan.samples().map(|sample| &film[sample.bytes]).collect())
    }

    fn films() -> [(Form, Vec<&'static [u8]>); 2] {
        [film(VIDEO, 78), film(AUDIO, 28)]
    }

    fn esds(object_type: u8, specific: &[u8]) -> Vec<u8> {
        let mut decoder = [&[object_type, 0x15][..], &[0; 11], &[5, 0x80, 0x80, 0x80]].concat();
        decoder.push(specific.len().try_into().unwrap());
        decoder.extend(specific);
        let stream =
            [&[0, 1, 0xe0, 9, 9, 1, b'u', 9, 9, 4][..], &[decoder.len().try_into().unwrap()]];
        let stream = [&stream.concat()[..], &decoder].concat();
        let body = [&[0, 0, 0, 0, 3][..], &[stream.len().try_into().unwrap()], &stream].concat();
        make_box(b"esds", &body)
    }

    fn make_box(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
        let size = u32::try_from(body.len() + 8).unwrap();
        [&size.to_be_bytes()[..], kind, body].concat()
    }

    fn read(format: &[u8; 4], boxes: &[u8]) -> Option<Form> {
        Form::read(FourCc(*format), Boxes::of(boxes))
    }

    #[test]
    fn a_right_film_is_not_called_wrong_and_noise_is() {
        for (form, samples) in films() {
            let [mut right, mut wrong] = [Tally::new(&form), Tally::new(&form)];
            assert!(samples.len() > 70);
            for (seed, sample) in (1..).zip(samples) {
                let whole = 0..sample.len();
                let verdict = form.judge(sample, sample.len(), core::slice::from_ref(&whole));
                assert_eq!(verdict, Verdict::Fits, "{form:?}, sample {seed}");
                right.count(verdict);
                let noisy = with_noise(sample, whole.clone(), seed);
                wrong.count(form.judge(&noisy, sample.len(), &[whole]));
            }
            assert!(!right.is_wrong() && wrong.is_wrong(), "{right:?} {wrong:?}");
        }
    }

    #[test]
    fn what_mp4a_is_stands_in_its_esds() {
        let stereo = [0x12, 0x10];
        for (expected, object_type, specific) in [
            (Some(Form::Aac), 0x40, &stereo[..]),
            (Some(Form::Aac), 0x67, &stereo),
            // HE-AAC, signalled as such, of 24 kHz and with a frequency that is written out.
            (Some(Form::Aac), 0x40, &[0x2b, 0x11, 0x88, 0]),
            (Some(Form::Aac), 0x40, &[0xef, 0x80, 0, 0, 0x08, 0x88, 0]),
            (Some(Form::Mp3), 0x6b, &[]),
            (Some(Form::Ac3), 0xa6, &[]),
            // Main, no configuration of channels, Extended HE-AAC; Vorbis.
            (None, 0x40, &[0x0a, 0x10]),
            (None, 0x40, &[0x12, 0x00]),
            (None, 0x40, &[0xf9, 0x46, 0x10]),
            (None, 0xdd, &stereo),
        ] {
            let esds = esds(object_type, specific);
            assert_eq!(read(b"mp4a", &esds), expected, "{object_type:x} {specific:x?}");
            let wave = [make_box(b"frma", b"mp4a"), esds.clone(), alloc::vec![0; 4]].concat();
            assert_eq!(read(b"mp4a", &make_box(b"wave", &wave)), expected);
            for end in 0..esds.len() {
                assert_eq!(read(b"mp4a", &esds[..end]), None);
            }
        }
    }

    #[test]
    fn a_format_without_rules_or_configuration_has_no_form() {
        assert_eq!(read(b"Opus", b""), None);
        assert_eq!(read(b"avc1", b""), None);
        assert_eq!(read(b"avc1", &make_box(b"avcC", &[1, 2])), None);
        assert_eq!(read(b"av01", b""), Some(Form::Obu));
    }

    fn every_form() -> Vec<Form> {
        let nal = |codec, byte| Form::Nal(NalUnits::read(codec, &[byte; 22], false).unwrap());
        let mut forms: Vec<_> = (0..4)
            .flat_map(|size| {
                [nal(Codec::H264, size), nal(Codec::Hevc, size), nal(Codec::Vvc, size * 2)]
            })
            .collect();
        forms.extend([Form::Obu, Form::Ac3, Form::Flac, Form::Aac, Form::Mp3]);
        forms.extend([Form::Xml, Form::Vtt, Form::Text3gpp]);
        forms
    }

    /// Positions in order, of a sample that may be as long.
    fn ranges(length: usize) -> impl Strategy<Value = Vec<Range<usize>>> {
        prop::collection::vec(0..=length, 0..12).prop_map(|mut ends| {
            ends.sort_unstable();
            ends.chunks_exact(2).map(|pair| pair[0]..pair[1]).collect()
        })
    }

    proptest! {
        #[test]
        fn any_bytes_get_a_verdict(
            sample in prop::collection::vec(prop_oneof![Just(0), Just(0x32), any::<u8>()], 0..200),
            more in prop_oneof![Just(0), 0..300_usize, Just(usize::MAX)],
            encrypted in ranges(200),
        ) {
            let length = sample.len().saturating_add(more);
            for form in every_form() {
                form.judge(&sample, length, &encrypted);
                form.judge(&sample, sample.len() / 2, &encrypted);
                prop_assert_eq!(form.judge(&sample, length, &[]), Verdict::Silent);
            }
        }

        #[test]
        fn any_bytes_are_read_as_boxes(bytes in prop::collection::vec(any::<u8>(), 0..80), kind: u8) {
            let esds = make_box(b"esds", &bytes);
            let avc = make_box(b"avcC", &bytes);
            read(b"mp4a", &esds);
            read(b"avc1", &avc);
            read(b"hvc1", &bytes);
            prop_assert_eq!(read(&[kind; 4], &bytes), None);
        }

        #[test]
        fn a_right_sample_never_breaks(index in 0..70_usize, encrypted in ranges(1000), cut in 0..1000_usize) {
            for (form, samples) in films() {
                let sample = samples[index];
                let at_hand = &sample[..cut.min(sample.len())];
                prop_assert_ne!(form.judge(sample, sample.len(), &encrypted), Verdict::Breaks);
                prop_assert_ne!(form.judge(at_hand, sample.len(), &encrypted), Verdict::Breaks);
            }
        }
    }
}
