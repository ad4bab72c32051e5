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
