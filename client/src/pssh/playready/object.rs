//! A PlayReady Object (PRO): its length, the count of its records, and the records. All numbers have the least significant
//! byte first.
//!
//! Deliberately absent: records of other types than the header, which are passed over.

use alloc::vec::Vec;

/// The type of the record that holds the header.
const RIGHTS_MANAGEMENT_HEADER: u16 = 1;

/// The length and the count of an object, then the type and the length of its record.
const AROUND_BYTES: usize = 10;

/// An object is at most 15 KB long.
pub(super) const OBJECT_BYTES_MAX: usize = 15 * 1024;

/// The header's text in UTF-16, as bytes; `None` if this is no object with a header.
pub(super) fn header_of(object: &[u8]) -> Option<&[u8]> {
    let (_length, rest) = object.split_first_chunk::<4>()?;
    let (count, mut rest) = rest.split_first_chunk::<2>()?;
    for _ in 0..u16::from_le_bytes(*count) {
        let (kind, after) = rest.split_first_chunk::<2>()?;
        let (length, after) = after.split_first_chunk::<2>()?;
        let (value, after) = after.split_at_checked(u16::from_le_bytes(*length).into())?;
        if u16::from_le_bytes(*kind) == RIGHTS_MANAGEMENT_HEADER {
            return Some(value);
        }
        rest = after;
    }
    None
}

/// The object of this header. `None` if it would be longer than [`OBJECT_BYTES_MAX`].
pub(super) fn object_of(header: &str) -> Option<Vec<u8>> {
    let utf16: Vec<u8> = header.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let bytes = utf16.len().checked_add(AROUND_BYTES).filter(|bytes| *bytes <= OBJECT_BYTES_MAX)?;
    let length = u16::try_from(utf16.len()).ok()?;
    let mut object = u32::try_from(bytes).ok()?.to_le_bytes().to_vec();
    for number in [1, RIGHTS_MANAGEMENT_HEADER, length] {
        object.extend(number.to_le_bytes());
    }
    object.extend(utf16);
    Some(object)
}
