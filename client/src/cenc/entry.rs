//! Sample entries (ISO/IEC 14496-12:2022, 8.5.2): which are protected, and how (8.12).
//!
//! A protected sample entry has a format of its own, and keeps the original one in its `sinf`. Deliberately absent: what
//! the formats mean to a player.

use alloc::vec::Vec;

use crate::cenc::boxes::{self, BoxRef, Boxes, FourCc};
use crate::cenc::clearing::Clearing;

use crate::cenc::judge::Form;
use crate::cenc::moov::{Error, need};
use crate::cenc::protection::{self, Description, Entry, PIFF_TENC};

/// The formats of protected sample entries (8.12.1), and those of Apple's.
const PROTECTED: [&[u8; 4]; 11] = [
    b"encv", b"enca", b"enct", b"encs", b"encm", b"encf", b"encp", b"encu", b"enc3", b"drmi",
    b"drms",
];

/// The schemes that are decrypted here: those of Common Encryption, and PIFF's.
const SCHEMES: [&[u8; 4]; 5] = [b"cenc", b"cbc1", b"cens", b"cbcs", b"piff"];

/// Reads a sample entry: how its samples are protected, or `None` if they are clear, and what they look like once they are
/// decrypted, if that can be judged. What is to be done to its boxes is added to `clearings`.
pub(super) fn read(
    entry: &BoxRef<'_>,
    is_in_stsd_of_version_0: bool,
    clearings: &mut Vec<Clearing>,
) -> Result<Option<(Entry, Option<Form>)>, Error> {
    let is_protected = PROTECTED.contains(&&entry.kind.0);
    let boxes = match &entry.kind.0 {
        b"encv" => entry.children(78)?,
        b"enca" => entry.children(audio_fields_len(entry, is_in_stsd_of_version_0)?)?,
        _ => find_sinfs(entry)?,
    };
    let sinfs = sinfs_of(boxes.clone())?;
    let Some(first) = sinfs.first() else {
        let missing = Error::Missing { at: entry.at, missing: FourCc(*b"sinf") };
        return if is_protected { Err(missing) } else { Ok(None) };
    };
    // Several systems may protect an entry, each with a sinf of its own: the one whose scheme is known.
    let mut known = None;
    for sinf in &sinfs {
        let scheme = scheme_of(sinf);
        if known.is_none() && scheme.is_ok_and(|scheme| SCHEMES.contains(&&scheme.0)) {
            known = Some(sinf);
        }
    }
    let sinf = known.unwrap_or(first);
    let format = need(sinf, b"frma")?.fields().array()?;
    if PROTECTED.contains(&&format) {
        // Protected twice: the clear file would not play.
        return Err(Error::SampleEntry { kind: FourCc(format), at: entry.at });
    }
    let wrong = |source| Error::Protection { at: entry.at, source };
    let scheme = scheme_of(sinf)?;
    if known.is_none() {
        return Err(wrong(protection::Error::Scheme(scheme)));
    }
    let found = read_schi(&need(sinf, b"schi")?, scheme)?.map_err(wrong)?;
    // Impossible combinations are found here, with the position of the box, though no sample may have them.
    found.default.under(found.scheme).map_err(wrong)?;
    let kind_at = entry.at.saturating_add(4);
    clearings.push(Clearing { at: kind_at, old: entry.kind.0, new: format });
    clearings.extend(sinfs.iter().map(Clearing::free));
    Ok(Some((found, Form::read(FourCc(format), boxes))))
}

/// The `sinf` boxes among these. QuickTime ends a sample entry with four bytes of zero, which are no box.
fn sinfs_of(boxes: Boxes<'_>) -> Result<Vec<BoxRef<'_>>, boxes::Error> {
    let mut sinfs = Vec::new();
    for this in boxes {
        let this = match this {
            Err(boxes::Error::Header { .. }) => break,
            this => this?,
        };
        if this.kind.0 == *b"sinf" {
            sinfs.push(this);
        }
    }
    Ok(sinfs)
}

/// Finds the boxes from the first `sinf` on of an entry whose fields are not known: those of timed text, for example, have strings of any
/// length before the boxes. A `sinf` is one that begins with the box that it has to have.
fn find_sinfs<'a>(entry: &BoxRef<'a>) -> Result<Boxes<'a>, boxes::Error> {
    const FIRST_SIZE_BYTES: usize = 4;
    let kinds = entry.body.windows(4).enumerate();
    for (at, _) in kinds.filter(|(_, kind)| kind == b"sinf") {
        let Some(skip) = at.checked_sub(FIRST_SIZE_BYTES) else { continue };
        let rest = entry.children(skip)?;
        let Some(Ok(sinf)) = rest.clone().next() else { continue };
        let first = Boxes::of(sinf.body).next().and_then(Result::ok);
        if first.is_some_and(|first| matches!(&first.kind.0, b"frma" | b"schm" | b"schi")) {
            return Ok(rest);
        }
    }
    entry.children(entry.body.len())
}

/// The scheme of a `sinf`: that of its `schm` (8.12.5).
fn scheme_of(sinf: &BoxRef<'_>) -> Result<FourCc, Error> {
    let mut schm = need(sinf, b"schm")?.fields();
    schm.version_and_flags()?;
    Ok(FourCc(schm.array()?))
}

/// How many bytes of fields an audio sample entry has before its boxes (12.2.3). QuickTime's sound descriptions of version
/// 1 and 2, in an `stsd` of version 0, have more: 16 of them, or as many as they say.
fn audio_fields_len(entry: &BoxRef<'_>, is_in_stsd_of_version_0: bool) -> Result<usize, Error> {
    /// The header of the entry, of which `sizeOfStructOnly` counts all bytes.
    const HEADER_BYTES: usize = 8;
    let mut fields = entry.fields();
    fields.bytes(8)?;
    let wrong = Error::SampleEntry { kind: entry.kind, at: entry.at };
    match (fields.u16()?, is_in_stsd_of_version_0) {
        (0, _) | (1, false) => Ok(28),
        (1, true) => Ok(44),
        (2, true) => {
            // Behind revision and vendor, four constants of 16 bits and one of 32.
            fields.bytes(18)?;
            let size = usize::try_from(fields.u32()?).unwrap_or(usize::MAX);
            size.checked_sub(HEADER_BYTES).filter(|length| *length >= 64).ok_or(wrong)
        }
        _ => Err(wrong),
    }
}

/// The parameters of a scheme: `tenc`, or PIFF's box, whose algorithm is the scheme (PIFF 1.1, 5.3.3).
fn read_schi(schi: &BoxRef<'_>, scheme: FourCc) -> Result<Result<Entry, protection::Error>, Error> {
    for this in schi.children(0)? {
        let this = this?;
        if this.kind.0 == *b"tenc" {
            return Ok(Description::of_tenc(&this).map(|default| Entry { scheme, default }));
        }
        if this.kind.0 == *b"uuid" && this.body.starts_with(&PIFF_TENC) {
            let mut fields = this.fields();
            fields.bytes(PIFF_TENC.len())?;
            fields.version_and_flags()?;
            return Ok(Description::of_piff(&mut fields));
        }
    }
    Err(Error::Missing { at: schi.at, missing: FourCc(*b"tenc") })
}
