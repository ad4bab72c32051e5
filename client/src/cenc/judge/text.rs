//! Timed text: TTML, WebVTT and 3GPP text.
//!
//! Deliberately absent: `sbtt` and `stxt`, whose text may be anything, also compressed.

use core::ops::Range;

use crate::cenc::boxes::Header;
use crate::cenc::judge::decrypted::Decrypted;
use crate::cenc::judge::verdict::{Evidence, Verdict};

/// How much of an XML document is looked at: its first tag, or less. Pictures may follow the document.
const TAG_BYTES: usize = 64;

/// White space of XML (XML 1.0, 2.3).
const SPACE: [u8; 4] = *b" \t\r\n";

/// TTML (ISO/IEC 14496-30:2018, 5): an XML document, in UTF-8 or in UTF-16.
pub(super) fn judge_xml(sample: &Decrypted<'_>) -> Verdict {
    let is_ascii = |byte: &u8| *byte == b'<' || SPACE.contains(byte);
    let (skip, encoding) = match sample.bytes {
        [0xef, 0xbb, 0xbf, ..] => (3, Encoding::Utf8),
        [0xfe, 0xff, ..] => (2, Encoding::Utf16Be),
        [0xff, 0xfe, ..] => (2, Encoding::Utf16Le),
        [0, first, ..] if is_ascii(first) => (0, Encoding::Utf16Be),
        [first, 0, ..] if is_ascii(first) => (0, Encoding::Utf16Le),
        _ => (0, Encoding::Utf8),
    };
    let unit_bytes: usize = if encoding == Encoding::Utf8 { 1 } else { 2 };
    let text = sample.bytes.get(skip..).unwrap_or_default();
    let mut units = text.chunks_exact(unit_bytes).map(|unit| match (encoding, unit) {
        (Encoding::Utf8, [ascii]) | (Encoding::Utf16Be, [0, ascii]) => Some(*ascii),
        (Encoding::Utf16Le, [ascii, 0]) => Some(*ascii),
        _ => None,
    });
    let is_space = |unit: &Option<u8>| unit.is_some_and(|ascii| SPACE.contains(&ascii));
    let Some((index, first)) = units.by_ref().enumerate().find(|(_, unit)| !is_space(unit)) else {
        return Verdict::Silent;
    };
    let at = skip.saturating_add(index.saturating_mul(unit_bytes));
    match (first, encoding) {
        (Some(b'<'), Encoding::Utf8) => judge_tag(sample, at),
        (first, _) => {
            let positions = at..at.saturating_add(unit_bytes);
            Verdict::of(first == Some(b'<'), sample.was_encrypted(positions))
        }
    }
}

/// How a text is encoded.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Encoding {
    Utf8,
    Utf16Be,
    Utf16Le,
}

/// The tag at `at`, in UTF-8: no characters that XML does not have (2.2).
fn judge_tag(sample: &Decrypted<'_>, at: usize) -> Verdict {
    let tag = sample.part(at..at.saturating_add(TAG_BYTES));
    let end = tag.iter().position(|byte| *byte == b'>').unwrap_or(tag.len());
    let tag = tag.get(..end).unwrap_or_default();
    let wrong = match core::str::from_utf8(tag) {
        Ok(_) => None,
        Err(error) => error.error_len().map(|_| error.valid_up_to()),
    };
    let control = tag.iter().position(|byte| *byte < b' ' && !SPACE.contains(byte));
    let positions = match wrong.or(control) {
        Some(wrong) => at.saturating_add(wrong)..at.saturating_add(wrong).saturating_add(1),
        None => at..at.saturating_add(end),
    };
    Verdict::of(wrong.or(control).is_none(), sample.was_encrypted(positions))
}

/// WebVTT (ISO/IEC 14496-30:2018, 6): boxes.
pub(super) fn judge_vtt(sample: &Decrypted<'_>) -> Verdict {
    judge_boxes(sample, 0, Evidence::default())
}

/// 3GPP text (3GPP TS 26.245, 5.17): the length of a text, the text, and boxes. The text itself is UTF-8 or UTF-16 by the
/// standard and anything in real files.
pub(super) fn judge_3gpp(sample: &Decrypted<'_>) -> Verdict {
    let Some(length) = sample.bytes.first_chunk() else { return Verdict::Silent };
    let end = usize::from(u16::from_be_bytes(*length)).saturating_add(2);
    let encrypted = sample.was_encrypted(0..2);
    if end > sample.length {
        return Verdict::of(false, encrypted);
    }
    let mut evidence = Evidence::default();
    if encrypted {
        let left_bits = usize::BITS.saturating_sub(sample.length.leading_zeros());
        evidence.add(16_u32.saturating_sub(left_bits));
    }
    evidence.verdict()
}

/// Boxes from `at` to the end of the sample.
fn judge_boxes(sample: &Decrypted<'_>, mut at: usize, mut evidence: Evidence) -> Verdict {
    let mut led = false;
    while at < sample.length {
        let header = at..at.saturating_add(8).min(sample.length);
        led |= sample.was_encrypted(header.clone());
        match box_end(sample, header) {
            None => return evidence.verdict(),
            Some(Err(())) => return if led { Verdict::Breaks } else { Verdict::Silent },
            Some(Ok(end)) => at = end,
        }
        if led {
            evidence.add(8);
        }
    }
    evidence.verdict()
}

/// The end of the box with this header; `None` if the header is not at hand, `Err` if it breaks a rule.
fn box_end(sample: &Decrypted<'_>, header: Range<usize>) -> Option<Result<usize, ()>> {
    if header.len() < 8 {
        return Some(Err(()));
    }
    let bytes = sample.get(header.start..header.start.saturating_add(16).min(sample.length))?;
    let Some(read) = Header::parse(bytes) else { return Some(Err(())) };
    let left = u64::try_from(sample.length.saturating_sub(header.start)).unwrap_or(u64::MAX);
    let size = read.size.unwrap_or(left);
    let right = size >= u64::from(read.length)
        && size <= left
        && read.kind.0.iter().all(u8::is_ascii_graphic);
    let size = usize::try_from(size).ok().filter(|_| right);
    Some(size.map(|size| header.start.saturating_add(size)).ok_or(()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cenc::judge::testing::{judged, noise_verdicts};
    use Verdict::{Breaks, Fits, Silent};

    const XML: &[u8] =
        b"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<tt xmlns=\"http://www.w3.org/ns/ttml\"/>";

    #[test]
    fn a_document_begins_with_a_tag() {
        for (verdict, sample) in [
            (Fits, XML),
            (Fits, b"\xef\xbb\xbf <tt/>"),
            (Fits, b"\r\n\t<tt xml:lang='\xc3\xa4'/>"),
            (Fits, b"\xfe\xff\0<\0t\0t"),
            (Fits, b"\xff\xfe \0<\0t\0"),
            (Fits, b"\0<\0t\0t"),
            (Fits, b"<\0t\0t\0"),
            // A picture behind the document.
            (Fits, b"<tt/>\x89PNG\r\n\x1a\n\xff\xfe\0\x80"),
            (Silent, b"  "),
            (Silent, b""),
            (Breaks, b"tt"),
            (Breaks, b"\xfe\xff\0t\0t"),
            (Breaks, b"<t\x01"),
            (Breaks, b"<t\xff\x80"),
            (Breaks, b"\xff\xfe\0<"),
        ] {
            assert_eq!(judged(judge_xml, sample, 0..sample.len()), verdict, "{sample:?}");
            assert_eq!(judged(judge_xml, sample, 0..0), Silent, "{sample:?}");
        }
        assert_eq!(noise_verdicts(judge_xml, XML, 0..XML.len()), (1000, 0));
    }

    #[test]
    fn boxes_fill_a_sample_of_webvtt() {
        let cue = b"\0\0\0\x13vttc\0\0\0\x0bpaylHi!";
        for (verdict, sample) in [
            (Fits, &cue[..]),
            (Fits, b"\0\0\0\x08vtte"),
            (Silent, b""),
            (Breaks, b"\0\0\0\x09vtte"),
            (Breaks, b"\0\0\0\x08\0tte"),
            (Breaks, b"\0\0\0\x07vtte"),
            (Breaks, b"\0\0\0\x08vtte\0"),
        ] {
            assert_eq!(judged(judge_vtt, sample, 0..sample.len()), verdict, "{sample:?}");
            assert_eq!(judged(judge_vtt, sample, 0..0), Silent, "{sample:?}");
        }
        assert_eq!(judged(judge_vtt, cue, 8..19), Silent);
        assert_eq!(noise_verdicts(judge_vtt, cue, 0..19), (1000, 0));
    }

    #[test]
    fn a_3gpp_text_is_no_longer_than_its_sample() {
        for (verdict, sample) in [
            (Fits, &b"\0\0"[..]),
            (Fits, b"\0\x05H\xe4llo\0\0\0\x08styl"),
            (Silent, b"\0"),
            (Breaks, b"\0\x06Hello"),
        ] {
            assert_eq!(judged(judge_3gpp, sample, 0..sample.len()), verdict, "{sample:?}");
        }
        let (breaks, fits) = noise_verdicts(judge_3gpp, b"\0\x05Hello", 0..7);
        assert!(breaks > 995 && fits < 5, "{breaks} {fits}");
    }
}
