//! The fields of a `pssh` box (ISO/IEC 23001-7:2023, 8.1.2). Nothing is copied.
//!
//! Deliberately absent: the header of the box, and what its data means to a system.

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
}
