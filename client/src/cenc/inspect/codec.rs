//! The codec of a sample entry as RFC 6381 writes it.
//!
//! Deliberately absent: codecs whose names say nothing more than their format.

use alloc::format;
use alloc::string::{String, ToString};

use crate::cenc::boxes::{BoxRef, FourCc};

/// The name of the codec: the format and, where its configuration is among `children`, profile and level.
pub(super) fn codec_of(format: FourCc, children: &[BoxRef<'_>]) -> String {
    let find = |kind: &[u8; 4]| children.iter().find(|child| child.kind.0 == *kind);
    let detail = match &format.0 {
        b"avc1" | b"avc2" | b"avc3" | b"avc4" => find(b"avcC").and_then(|c| avc(c.body)),
        b"hvc1" | b"hev1" => find(b"hvcC").and_then(|c| hevc(c.body)),
        b"av01" => find(b"av1C").and_then(|c| av1(c.body)),
        b"vp08" | b"vp09" => find(b"vpcC").and_then(|c| vpx(c.body)),
        b"dvh1" | b"dvhe" | b"dva1" | b"dvav" => {
            find(b"dvcC").or_else(|| find(b"dvvC")).and_then(|c| dolby_vision(c.body))
        }
        b"mp4a" => find(b"esds").and_then(|c| mpeg4_audio(c.body)),
        _ => None,
    };
    detail.map_or_else(|| format.to_string(), |detail| format!("{format}.{detail}"))
}

/// AVCDecoderConfigurationRecord (ISO/IEC 14496-15, 5.3.3): profile, compatibility, level.
fn avc(body: &[u8]) -> Option<String> {
    let [_, profile, compatibility, level] = body.first_chunk()?;
    Some(format!("{profile:02x}{compatibility:02x}{level:02x}"))
}

/// HEVCDecoderConfigurationRecord (14496-15, 8.3.2), written as its annex E says.
fn hevc(body: &[u8]) -> Option<String> {
    let &[_, profile, a, b, c, d, ref constraints @ .., level] = body.first_chunk::<13>()?;
    let space = match profile >> 6 {
        1 => "A",
        2 => "B",
        3 => "C",
        _ => "",
    };
    let tier = if profile & 0x20 == 0 { 'L' } else { 'H' };
    let compatibility = u32::from_be_bytes([a, b, c, d]).reverse_bits();
    let mut name = format!("{space}{}.{compatibility:X}.{tier}{level}", profile & 0x1f);
    let used = constraints.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    for byte in constraints.iter().take(used) {
        name.push_str(&format!(".{byte:02X}"));
    }
    Some(name)
}

/// AV1CodecConfigurationRecord (AV1 in ISOBMFF, 2.3 and 5).
fn av1(body: &[u8]) -> Option<String> {
    let [_, first, second] = body.first_chunk()?;
    let tier = if second & 0x80 == 0 { 'M' } else { 'H' };
    let depth = match (second & 0x40 != 0, second & 0x20 != 0) {
        (false, _) => 8,
        (true, false) => 10,
        (true, true) => 12,
    };
    Some(format!("{}.{:02}{tier}.{depth:02}", first >> 5, first & 0x1f))
}

/// VPCodecConfigurationBox (VP Codec ISO Media File Format Binding): profile, level, bit depth.
fn vpx(body: &[u8]) -> Option<String> {
    let [_, _, _, _, profile, level, depth] = body.first_chunk()?;
    Some(format!("{profile:02}.{level:02}.{:02}", depth >> 4))
}

/// DOVIDecoderConfigurationRecord: profile in 7 bits, level in 6.
fn dolby_vision(body: &[u8]) -> Option<String> {
    let [_, _, first, second] = body.first_chunk()?;
    Some(format!("{:02}.{:02}", first >> 1, (first & 1) << 5 | second >> 3))
}

/// ES_Descriptor (ISO/IEC 14496-1, 7.2.6): the object type and, for MPEG-4 audio, the type in its configuration.
fn mpeg4_audio(body: &[u8]) -> Option<String> {
    let mut rest = descriptor(body.get(4..)?, 3)?;
    let (&[_, _, flags], after) = rest.split_first_chunk()?;
    rest = after;
    if flags & 0x80 != 0 {
        rest = rest.get(2..)?;
    }
    if flags & 0x40 != 0 {
        let length = usize::from(*rest.first()?);
        rest = rest.get(1 + length..)?;
    }
    if flags & 0x20 != 0 {
        rest = rest.get(2..)?;
    }
    let config = descriptor(rest, 4)?;
    let object_type = config.first()?;
    let audio_type = config.get(13..).and_then(|rest| descriptor(rest, 5)).and_then(|specific| {
        let first = specific.first()?;
        match first >> 3 {
            31 => Some(32 + ((first & 7) << 3 | specific.get(1)? >> 5)),
            other => Some(other),
        }
    });
    match (object_type, audio_type) {
        (0x40, Some(audio_type)) => Some(format!("40.{audio_type}")),
        (other, _) => Some(format!("{other:02x}")),
    }
}

/// The body of the descriptor with this tag that `bytes` begin with. Its size has seven bits a byte.
fn descriptor(bytes: &[u8], tag: u8) -> Option<&[u8]> {
    let (found, mut rest) = bytes.split_first()?;
    let mut size = 0_usize;
    for _ in 0..4 {
        let (byte, after) = rest.split_first()?;
        rest = after;
        size = size << 7 | usize::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            break;
        }
    }
    (*found == tag).then(|| rest.get(..size).unwrap_or(rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(format: &[u8; 4], kind: &[u8; 4], body: &[u8]) -> String {
        codec_of(FourCc(*format), &[BoxRef { kind: FourCc(*kind), at: 0, body_at: 8, body }])
    }

    #[test]
    fn codecs_have_the_names_that_rfc_6381_and_their_bindings_give_them() {
        assert_eq!(name(b"avc1", b"avcC", &[1, 0x64, 0, 0x0b, 0xff]), "avc1.64000b");
        let main = [1, 1, 0x60, 0, 0, 0, 0x90, 0, 0, 0, 0, 0, 93];
        assert_eq!(name(b"hvc1", b"hvcC", &main), "hvc1.1.6.L93.90");
        let high = [1, 0xa2, 0x20, 0, 0, 0, 0xb0, 0, 1, 0, 0, 0, 150];
        assert_eq!(name(b"hev1", b"hvcC", &high), "hev1.B2.4.H150.B0.00.01");
        assert_eq!(name(b"av01", b"av1C", &[0x81, 0x04, 0x0c]), "av01.0.04M.08");
        assert_eq!(name(b"av01", b"av1C", &[0x81, 0x4d, 0xe0]), "av01.2.13H.12");
        assert_eq!(name(b"vp09", b"vpcC", &[1, 0, 0, 0, 2, 41, 0xa2]), "vp09.02.41.10");
        assert_eq!(name(b"dvh1", b"dvcC", &[1, 0, 0x0a, 0x35]), "dvh1.05.06");
        let config = |audio: &[u8]| [&[4, 15 + 2, 0x40][..], &[0; 12], &[5, 2], audio].concat();
        let esds = |config: &[u8]| [&[0, 0, 0, 0, 3, 0x80, 22, 0, 1, 0][..], config].concat();
        assert_eq!(name(b"mp4a", b"esds", &esds(&config(&[0x12, 0x10]))), "mp4a.40.2");
        assert_eq!(name(b"mp4a", b"esds", &esds(&config(&[0xf9, 0x40]))), "mp4a.40.42");
        assert_eq!(name(b"mp4a", b"esds", &esds(&[4, 13, 0x6b])), "mp4a.6b");
        // Without a configuration, or with part of one.
        for (format, kind) in [(b"avc1", b"hvcC"), (b"hvc1", b"hvcC"), (b"mp4a", b"esds")] {
            assert_eq!(name(format, kind, &[1]).as_bytes(), format);
        }
    }
}
