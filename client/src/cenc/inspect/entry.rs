//! A sample entry (ISO/IEC 14496-12:2022, 8.5.2 and 12): its format, and the protections in it (8.12).
//!
//! Entries have fields of many forms before their boxes. Where a form is not known, or an entry is damaged, what can be
//! read is shown. Deliberately absent: errors.

use alloc::vec::Vec;

use crate::cenc::boxes::{BoxRef, Boxes, FourCc};
use crate::cenc::inspect::codec::codec_of;
use crate::cenc::inspect::described::Described;
use crate::cenc::inspect::film::{SampleEntry, SampleProtection};
use crate::cenc::protection::PIFF_TENC;

/// More protections of one entry than this are not remembered.
const PROTECTIONS_MAX: usize = 16;

/// The length of the fields of a visual sample entry (12.1.3).
const VISUAL_FIELDS: usize = 78;

/// What fields an entry begins with.
#[derive(Clone, Copy, PartialEq)]
enum Form {
    Visual,
    Audio,
    Unknown,
}

/// Reads an entry of a track with this handler, in an `stsd` of this version.
pub(super) fn read_entry(
    entry: &BoxRef<'_>,
    handler: Option<FourCc>,
    stsd_version: u8,
) -> SampleEntry {
    let form = match (&entry.kind.0, handler.as_ref().map(|handler| &handler.0)) {
        (b"encv", _) => Form::Visual,
        (b"enca", _) => Form::Audio,
        (_, Some(b"vide" | b"auxv" | b"pict")) => Form::Visual,
        (_, Some(b"soun")) => Form::Audio,
        _ => Form::Unknown,
    };
    let sound = Sound::read(entry, stsd_version).filter(|_| form == Form::Audio);
    let fields = match (form, &sound) {
        (Form::Visual, _) => Some(VISUAL_FIELDS),
        (_, Some(sound)) => Some(sound.fields),
        _ => None,
    };
    let mut children = fields.map_or_else(Vec::new, |fields| children_of(entry, fields));
    // QuickTime has the configuration of sound in a box of its own.
    let wave = children.iter().find(|child| child.kind.0 == *b"wave").copied();
    children.extend(wave.iter().flat_map(|wave| children_of(wave, 0)));
    let mut sinfs: Vec<_> =
        children.iter().filter(|child| child.kind.0 == *b"sinf").copied().collect();
    if sinfs.is_empty() && is_protected(entry.kind) {
        sinfs.extend(search_sinf(entry.body));
    }
    let mut format = entry.kind;
    let mut protections = Vec::new();
    for sinf in sinfs.iter().take(PROTECTIONS_MAX) {
        let parts = children_of(sinf, 0);
        let frma = parts.iter().find(|part| part.kind.0 == *b"frma");
        if let Some(original) = frma.and_then(|frma| frma.fields().array().ok()) {
            format = FourCc(original);
        }
        protections.push(protection_of(&parts));
    }
    if protections.is_empty() && is_protected(entry.kind) {
        protections.push(SampleProtection { scheme: None, piff_algorithm: None, default: None });
    }
    let pair = |at: usize| entry.body.get(at..).and_then(|rest| rest.first_chunk::<2>());
    let dimensions = pair(24).zip(pair(26)).filter(|_| form == Form::Visual);
    SampleEntry {
        kind: entry.kind,
        format,
        codec: codec_of(format, &children),
        dimensions: dimensions.map(|(w, h)| (u16::from_be_bytes(*w), u16::from_be_bytes(*h))),
        channels: sound.as_ref().map(|sound| sound.channels),
        sample_rate: sound.as_ref().map(|sound| sound.rate),
        protections,
    }
}

/// The boxes in `parent` behind its fields, up to the first that is damaged.
fn children_of<'a>(parent: &BoxRef<'a>, fields: usize) -> Vec<BoxRef<'a>> {
    parent.children(fields).into_iter().flatten().map_while(Result::ok).collect()
}

/// Whether a type is one of protected entries (8.12.1), or of Apple's.
fn is_protected(kind: FourCc) -> bool {
    matches!(&kind.0, [b'e', b'n', b'c', _] | b"drmi" | b"drms" | b"resv")
}

/// The first `sinf` in the bytes of an entry whose fields are not known.
fn search_sinf(body: &[u8]) -> Option<BoxRef<'_>> {
    let places = body.windows(4).enumerate().filter(|(_, kind)| kind == b"sinf");
    places.filter_map(|(at, _)| body.get(at.checked_sub(4)?..)).find_map(|rest| {
        let this = Boxes::of(rest).next()?.ok()?;
        children_of(&this, 0).iter().any(|part| part.kind.0 == *b"frma").then_some(this)
    })
}

/// The scheme (8.12.6) and its defaults, from the boxes of a `sinf`.
fn protection_of(parts: &[BoxRef<'_>]) -> SampleProtection {
    let find = |kind: &[u8; 4]| parts.iter().find(|part| part.kind.0 == *kind);
    let scheme = find(b"schm").and_then(|schm| {
        let mut fields = schm.fields();
        fields.version_and_flags().ok()?;
        fields.array().ok().map(FourCc)
    });
    let mut found = SampleProtection { scheme, piff_algorithm: None, default: None };
    for this in find(b"schi").iter().flat_map(|schi| children_of(schi, 0)) {
        if this.kind.0 == *b"tenc" {
            found.default = Described::of_tenc(&this).ok();
        } else if this.kind.0 == *b"uuid" && this.body.starts_with(&PIFF_TENC) {
            // Behind the type of the uuid box, its version and its flags.
            let mut fields = this.fields();
            let read =
                fields.bytes(PIFF_TENC.len() + 4).and_then(|_| Described::of_piff(&mut fields));
            if let Ok((algorithm, described)) = read {
                found.piff_algorithm = Some(algorithm);
                found.default = Some(described);
            }
        }
    }
    found
}

/// The fields of an audio sample entry (12.2.3), also in QuickTime's versions 1 and 2.
struct Sound {
    /// How long the fields are.
    fields: usize,
    channels: u32,
    rate: u32,
}

impl Sound {
    fn read(entry: &BoxRef<'_>, stsd_version: u8) -> Option<Self> {
        let mut fields = entry.fields();
        fields.bytes(8).ok()?;
        let version = fields.u16().ok()?;
        fields.bytes(6).ok()?;
        let channels = u32::from(fields.u16().ok()?);
        fields.bytes(6).ok()?;
        let rate = fields.u32().ok()? >> 16;
        Some(match (version, stsd_version) {
            (1, 0) => Self { fields: 44, channels, rate },
            (2, 0) => {
                let _size = fields.u32().ok()?;
                let rate = whole_number(fields.u64().ok()?);
                Self { fields: 64, rate, channels: fields.u32().ok()? }
            }
            _ => Self { fields: 28, channels, rate },
        })
    }
}

/// The whole part of a floating-point number of 64 bits (IEEE 754); 0 if it is less than 1 or does not fit.
fn whole_number(bits: u64) -> u32 {
    let exponent = (bits >> 52 & 0x7ff).checked_sub(1023);
    let mantissa = bits & ((1 << 52) - 1) | 1 << 52;
    match exponent {
        Some(exponent @ 0..=31) if bits >> 63 == 0 => {
            u32::try_from(mantissa >> (52 - exponent)).unwrap_or(0)
        }
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_in_floating_point_is_read_without_arithmetic_of_it() {
        for rate in [1, 44_100, 48_000, u32::MAX] {
            assert_eq!(whole_number(f64::from(rate).to_bits()), rate);
        }
        for odd in [0.5, -48_000.0, 1e300, f64::NAN, f64::INFINITY, 0.0] {
            assert_eq!(whole_number(odd.to_bits()), 0);
        }
    }
}
