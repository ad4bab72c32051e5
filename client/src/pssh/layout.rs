//! The fields of a `pssh` box (ISO/IEC 23001-7:2023, 8.1.2), read without a copy and written.
//!
//! Deliberately absent: what the data means to a system.

use alloc::vec::Vec;

use crate::key::KeyId;

/// The body of a `pssh` box.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PsshFields<'a> {
    pub(crate) version: u8,
    pub(crate) system_id: [u8; 16],
    /// The KIDs that the box lists in the clear. Version 0 has none.
    pub(crate) kids: &'a [[u8; 16]],
    pub(crate) data: &'a [u8],
}

impl<'a> PsshFields<'a> {
    /// Reads everything behind the header of a box. `None` if the fields are not exactly as long as the body.
    pub(crate) fn read(body: &'a [u8]) -> Option<Self> {
        let (&[version, _, _, _], body) = body.split_first_chunk()?;
        let (&system_id, mut body) = body.split_first_chunk()?;
        let mut kids: &[[u8; 16]] = &[];
        if version > 0 {
            let (count, rest) = body.split_first_chunk()?;
            let count = usize::try_from(u32::from_be_bytes(*count)).ok()?;
            let (listed, rest) = rest.split_at_checked(count.checked_mul(16)?)?;
            (kids, _) = listed.as_chunks();
            body = rest;
        }
        let (data_size, data) = body.split_first_chunk()?;
        let data_size = usize::try_from(u32::from_be_bytes(*data_size)).ok()?;
        (data.len() == data_size).then_some(Self { version, system_id, kids, data })
    }

    /// Reads the box at the start of `bytes`, and returns its fields and the bytes behind it. `None` if there is no whole
    /// `pssh` box.
    pub(crate) fn read_box(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let size = usize::try_from(u32::from_be_bytes(*bytes.first_chunk()?)).ok()?;
        let (this, following) = bytes.split_at_checked(size)?;
        let (_, this) = this.split_at_checked(4)?;
        Some((Self::read(this.strip_prefix(b"pssh")?)?, following))
    }
}

/// Writes everything that follows the SystemID. `None` if a number has no room in its field.
pub(crate) fn behind_system_id(kids: Option<&[KeyId]>, data: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    if let Some(kids) = kids {
        bytes.extend(u32::try_from(kids.len()).ok()?.to_be_bytes());
        bytes.extend(kids.iter().flat_map(|kid| *kid.as_bytes()));
    }
    bytes.extend(u32::try_from(data.len()).ok()?.to_be_bytes());
    bytes.extend(data);
    Some(bytes)
}
