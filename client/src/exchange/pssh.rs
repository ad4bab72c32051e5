//! Reads the KIDs from `pssh` boxes (ISO/IEC 23001-7:2023, 8.1).
//!
//! KIDs are taken from boxes of the Common system, version 1, which list them in the clear, and from the
//! data of Widevine and PlayReady. Other boxes have to be well-formed, and are ignored; so is data of these
//! two systems that has another form.
//!
//! Deliberately absent: what the boxes say besides KIDs, which [`pssh`](crate::pssh) decodes.

use alloc::collections::BTreeSet;
use alloc::string::String;
use base64ct::{Base64, Encoding};

use crate::key::KeyId;
use crate::pssh::layout::PsshFields;
use crate::pssh::playready::PlayReady;
use crate::pssh::system::SystemId;
use crate::pssh::widevine::Widevine;

/// The greatest number of boxes in one text, and of texts in one request.
pub const PSSH_MAX: usize = 8;

/// The SystemID of the Common system (W3C "cenc" initialization data format, section 4).
pub const COMMON_SYSTEM_ID: [u8; 16] = SystemId::COMMON.0;

/// The `pssh` boxes cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// More than [`PSSH_MAX`] boxes or texts.
    #[error("more than 8 boxes")]
    TooMany,
    /// Not base64 with padding.
    #[error("a box is not base64 (RFC 4648, 4)")]
    Encoding,
    /// The bytes are not one or more whole `pssh` boxes.
    #[error("a text holds something else than whole pssh boxes (ISO/IEC 23001-7, 8.1.2)")]
    NotPssh,
}

/// Reads the KIDs of one or more whole `pssh` boxes, such as the `initData` of an EME `encrypted`
/// event with `initDataType` `cenc`.
///
/// ```
/// use reelkey_client::exchange::pssh;
///
/// let init_data = [
///     &[0, 0, 0, 52][..], // size
///     b"pssh",
///     &[1, 0, 0, 0], // version 1
///     &pssh::COMMON_SYSTEM_ID,
///     &[0, 0, 0, 1], // one KID
///     &[0x4d, 0x97, 0x93, 0x0a, 0x3d, 0x7b, 0x50, 0, 0x80, 0, 0x5c, 0x7b, 0xda, 0x1f, 0x0a, 0x11],
///     &[0, 0, 0, 0], // no data
/// ]
/// .concat();
/// let kids: Vec<_> = pssh::key_ids(&init_data)?.into_iter().collect();
/// // `kids` go into `Ask::kids`.
/// assert_eq!(kids, ["4d97930a-3d7b-5000-8000-5c7bda1f0a11".parse()?]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`Error`].
pub fn key_ids(boxes: &[u8]) -> Result<BTreeSet<KeyId>, Error> {
    let mut kids = BTreeSet::new();
    let mut rest = boxes;
    let mut count = 0;
    while !rest.is_empty() {
        count += 1;
        if count > PSSH_MAX {
            return Err(Error::TooMany);
        }
        rest = read_box(rest, &mut kids).ok_or(Error::NotPssh)?;
    }
    if count == 0 { Err(Error::NotPssh) } else { Ok(kids) }
}

/// Adds the KIDs of the request's `pssh` claim to `kids`. Each text is the base64 of one or more
/// boxes.
///
/// # Errors
/// [`Error`]; `kids` may then hold some of the KIDs.
pub fn collect_kids(texts: &[String], kids: &mut BTreeSet<KeyId>) -> Result<(), Error> {
    if texts.len() > PSSH_MAX {
        return Err(Error::TooMany);
    }
    for text in texts {
        let bytes = Base64::decode_vec(text).map_err(|_| Error::Encoding)?;
        kids.append(&mut key_ids(&bytes)?);
    }
    Ok(())
}

/// Reads the first box, adds its KIDs, and returns the bytes after it.
fn read_box<'a>(bytes: &'a [u8], kids: &mut BTreeSet<KeyId>) -> Option<&'a [u8]> {
    let (fields, following) = PsshFields::read_box(bytes)?;
    let PsshFields { version, system_id, kids: listed, data } = fields;
    let system_id = SystemId(system_id);
    let lists = [SystemId::COMMON, SystemId::WIDEVINE, SystemId::PLAYREADY].contains(&system_id);
    if lists && version == 1 {
        kids.extend(listed.iter().copied().map(KeyId::from_bytes));
    }
    match system_id {
        SystemId::WIDEVINE => {
            kids.extend(Widevine::parse(data).into_iter().flat_map(|header| header.key_ids));
        }
        SystemId::PLAYREADY => {
            kids.extend(PlayReady::parse(data).iter().flat_map(PlayReady::kids));
        }
        _ => {}
    }
    Some(following)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use alloc::vec::Vec;

    fn pssh(version: u8, system: [u8; 16], kids: &[[u8; 16]], data: &[u8]) -> Vec<u8> {
        let mut body = b"pssh".to_vec();
        body.extend([version, 0, 0, 0]);
        body.extend(system);
        if version > 0 {
            body.extend(u32::try_from(kids.len()).unwrap().to_be_bytes());
            body.extend(kids.iter().flatten());
        }
        body.extend(u32::try_from(data.len()).unwrap().to_be_bytes());
        body.extend(data);
        let mut whole = u32::try_from(body.len() + 4).unwrap().to_be_bytes().to_vec();
        whole.extend(body);
        whole
    }

    fn read(bytes: &[u8]) -> Result<Vec<KeyId>, Error> {
        let mut kids = BTreeSet::new();
        collect_kids(&[Base64::encode_string(bytes)], &mut kids)?;
        Ok(kids.into_iter().collect())
    }

    #[test]
    fn the_kids_of_common_boxes_of_version_1_are_read_once_each() {
        let bytes = pssh(1, COMMON_SYSTEM_ID, &[[1; 16], [2; 16]], b"");
        let both = vec![KeyId::from_bytes([1; 16]), KeyId::from_bytes([2; 16])];
        assert_eq!(read(&bytes), Ok(both.clone()));
        let twice = [bytes.clone(), pssh(0, [9; 16], &[], b"other system"), bytes].concat();
        assert_eq!(read(&twice), Ok(both));
    }

    #[test]
    fn the_kids_of_other_systems_and_versions_are_ignored() {
        assert_eq!(read(&pssh(0, COMMON_SYSTEM_ID, &[], b"")), Ok(vec![]));
        assert_eq!(read(&pssh(1, [9; 16], &[[1; 16]], b"")), Ok(vec![]));
    }

    #[test]
    fn the_kids_of_widevine_and_playready_are_read_from_their_data() {
        let kid = KeyId::from_bytes([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]);
        let message = [&[0x12, 16][..], kid.as_bytes()].concat();
        assert_eq!(read(&pssh(0, SystemId::WIDEVINE.0, &[], &message)), Ok(vec![kid]));
        assert_eq!(read(&pssh(0, SystemId::WIDEVINE.0, &[], &message[..17])), Ok(vec![]));
        let listed = pssh(1, SystemId::WIDEVINE.0, &[[9; 16]], &message);
        assert_eq!(read(&listed), Ok(vec![kid, KeyId::from_bytes([9; 16])]));

        // A GUID: its first three fields have the least significant byte first.
        let guid = [4, 3, 2, 1, 6, 5, 8, 7, 9, 10, 11, 12, 13, 14, 15, 16];
        let guid = Base64::encode_string(&guid);
        let header = alloc::format!(
            "<WRMHEADER version=\"4.0.0.0\"><DATA><KID>{guid}</KID></DATA></WRMHEADER>"
        );
        let header: Vec<u8> = header.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let length = u16::try_from(header.len()).unwrap();
        let record = [&[1, 0, 1, 0][..], &length.to_le_bytes(), &header].concat();
        let total = u32::try_from(record.len() + 4).unwrap();
        let object = [&total.to_le_bytes()[..], &record].concat();
        assert_eq!(read(&pssh(0, SystemId::PLAYREADY.0, &[], &object)), Ok(vec![kid]));
        assert_eq!(read(&pssh(0, SystemId::PLAYREADY.0, &[], b"no object")), Ok(vec![]));
    }

    #[test]
    fn a_truncated_box_and_a_wrong_size_are_refused() {
        let whole = pssh(1, COMMON_SYSTEM_ID, &[[1; 16]], b"data");
        for length in 0..whole.len() {
            assert_eq!(read(&whole[..length]), Err(Error::NotPssh), "{length} bytes");
        }
        for at in [0, 3, 4, 28, 31, 48, 51] {
            let mut lie = whole.clone();
            lie[at] ^= 0x7f;
            assert_eq!(read(&lie), Err(Error::NotPssh), "byte {at}");
        }
    }

    #[test]
    fn too_many_boxes_too_many_texts_and_no_base64_are_refused() {
        let many = pssh(0, [9; 16], &[], b"").repeat(9);
        assert_eq!(read(&many), Err(Error::TooMany));
        let mut kids = BTreeSet::new();
        assert_eq!(collect_kids(&["====".into()], &mut kids), Err(Error::Encoding));
        assert_eq!(collect_kids(&vec![String::new(); 9], &mut kids), Err(Error::TooMany));
    }
}
