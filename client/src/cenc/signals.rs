//! The boxes that say that samples are encrypted: sample encryption (`senc`, and PIFF's of the same form), auxiliary
//! information (`saiz` and `saio`) and groups of protection (`seig`).
//!
//! Whatever says so is decrypted or is an error: ciphertext is never copied in silence. Once the samples are clear, none
//! of these boxes is left. Deliberately absent: reading what they say of each sample, which
//! [`aux_info`](crate::cenc::aux_info) and [`group`] do.

use alloc::vec::Vec;

use crate::cenc::boxes::{self, BoxRef, FourCc};
use crate::cenc::group::{self, Descriptions};

/// PIFF's SampleEncryptionBox, a `uuid` box of `senc`'s form (PIFF 1.1, 5.3.2).
pub(super) const PIFF_SENC: [u8; 16] = [
    0xa2, 0x39, 0x4f, 0x52, 0x5a, 0x9b, 0x4f, 0x14, 0xa2, 0x44, 0x6c, 0x42, 0x7c, 0x64, 0x8d, 0xf4,
];

/// The types of auxiliary information that are about protection: those of the schemes (ISO/IEC 23001-7:2023, 7.1).
const AUX_INFO_TYPES: [&[u8; 4]; 5] = [b"cenc", b"cbc1", b"cens", b"cbcs", b"piff"];

/// The boxes about protection of one `traf`, or of one `stbl` and the `trak` around it.
#[derive(Debug, Default)]
pub(super) struct Signals<'a> {
    /// `senc`, or PIFF's box where there is no `senc`.
    pub(super) senc: Option<BoxRef<'a>>,
    pub(super) saiz: Option<BoxRef<'a>>,
    pub(super) saio: Option<BoxRef<'a>>,
    /// Every box about protection, those above included.
    all: Vec<BoxRef<'a>>,
}

impl<'a> Signals<'a> {
    /// Finds the boxes in `containers`. Auxiliary information without a type is about protection only where the samples
    /// have a protected sample entry (ISO/IEC 14496-12:2022, 8.7.8.3).
    pub(super) fn of(
        containers: impl IntoIterator<Item = BoxRef<'a>>,
        has_protected_entry: bool,
    ) -> Result<Self, boxes::Error> {
        let (mut found, mut piff) = (Self::default(), None);
        for container in containers {
            for this in container.children(0)? {
                let this = this?;
                let place = match &this.kind.0 {
                    b"senc" => &mut found.senc,
                    b"uuid" if this.body.starts_with(&PIFF_SENC) => &mut piff,
                    b"saiz" if is_protection(&this, has_protected_entry)? => &mut found.saiz,
                    b"saio" if is_protection(&this, has_protected_entry)? => &mut found.saio,
                    _ if group::is_seig(&this)? => &mut None,
                    _ => continue,
                };
                *place = Some(this);
                found.all.push(this);
            }
        }
        found.senc = found.senc.or(piff);
        Ok(found)
    }

    /// All of them.
    pub(super) fn all(&self) -> &[BoxRef<'a>] {
        &self.all
    }

    /// The first box that says that there are encrypted samples. An empty `senc` or `saiz` does not, and neither does a
    /// group of clear samples.
    pub(super) fn encrypted(&self) -> Result<Option<&BoxRef<'a>>, group::Error> {
        for this in &self.all {
            let says_so = match &this.kind.0 {
                b"senc" => entries(this, 0)? > 0,
                b"uuid" => entries(this, PIFF_SENC.len())? > 0,
                b"sgpd" => Descriptions::read(this)?.protect(),
                // Without saiz, saio lists nothing; sbgp and csgp name groups that an sgpd describes.
                _ => false,
            };
            if says_so || (this.kind.0 == *b"saiz" && aux_info_count(this)? > 0) {
                return Ok(Some(this));
            }
        }
        Ok(None)
    }
}

/// How many samples a `senc` has. Its fields begin behind `skip` bytes.
fn entries(senc: &BoxRef<'_>, skip: usize) -> Result<u32, boxes::Error> {
    let mut fields = senc.fields();
    fields.bytes(skip)?;
    let flags = fields.version_and_flags()?.flags;
    if skip > 0 && flags & 1 != 0 {
        // PIFF's own algorithm, IV size and KID.
        fields.bytes(20)?;
    }
    fields.u32()
}

/// How many samples a `saiz` lists.
fn aux_info_count(saiz: &BoxRef<'_>) -> Result<u32, boxes::Error> {
    let mut fields = saiz.fields();
    if fields.version_and_flags()?.flags & 1 != 0 {
        fields.bytes(8)?;
    }
    fields.u8()?;
    fields.u32()
}

/// Whether a `saiz` or `saio` is about protection: its type says so, or it has no type and the samples are protected.
fn is_protection(this: &BoxRef<'_>, has_protected_entry: bool) -> Result<bool, boxes::Error> {
    let mut fields = this.fields();
    match fields.version_and_flags()?.flags & 1 {
        0 => Ok(has_protected_entry),
        _ => Ok(AUX_INFO_TYPES.contains(&&fields.array()?)),
    }
}

/// The contradiction between a box that says that samples are encrypted and a sample entry that says they are clear.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the {kind} at byte {at} says that samples of track {track} are encrypted, and the track's sample entry says that they \
     are clear: this is not the initialization segment that they were encrypted with"
)]
#[non_exhaustive]
pub struct Contradiction {
    /// The box that says it.
    pub kind: FourCc,
    /// Where it begins.
    pub at: usize,
    /// The track ID.
    pub track: u32,
}
