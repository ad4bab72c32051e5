//! Writing `pssh` boxes (ISO/IEC 23001-7:2023, 8.1.2).
//!
//! [`boxed`] takes any system and any data. The functions beside it have the boxes whose whole contents a rule gives: those of
//! the Common system, of ClearKey and of FairPlay. Deliberately absent: the data of Widevine ([`widevine::Header`]) and of
//! PlayReady ([`playready::Header`]).
//!
//! [`widevine::Header`]: crate::pssh::widevine::Header
//! [`playready::Header`]: crate::pssh::playready::Header

use alloc::vec::Vec;

use crate::key::KeyId;
use crate::pssh::layout::behind_system_id;
use crate::pssh::system::SystemId;

/// A box that is written here has at most so many bytes. Those of real films have some hundred, a PlayReady Object 15 KB.
pub const BOX_BYTES_MAX: usize = 64 * 1024;

/// The box would be longer than [`BOX_BYTES_MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the pssh box would have more than 65536 bytes: name fewer keys in one box")]
pub struct TooLong;

/// A whole box with this data: of version 1 if it lists KIDs, of version 0 otherwise.
///
/// ```
/// use reelkey_client::pssh::{SystemId, boxed, widevine};
///
/// let kid = "4d97930a-3d7b-5000-8000-5c7bda1f0a11".parse()?;
/// let header = widevine::Header { kids: &[kid], ..Default::default() };
/// let whole = boxed(SystemId::WIDEVINE, None, &header.payload())?;
/// assert_eq!(whole.len(), 32 + 18);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`TooLong`].
pub fn boxed(
    system_id: SystemId,
    kids_v1: Option<&[KeyId]>,
    data: &[u8],
) -> Result<Vec<u8>, TooLong> {
    let following = behind_system_id(kids_v1, data).ok_or(TooLong)?;
    let size = 28_usize.saturating_add(following.len());
    if size > BOX_BYTES_MAX {
        return Err(TooLong);
    }
    let mut bytes = u32::try_from(size).map_err(|_| TooLong)?.to_be_bytes().to_vec();
    bytes.extend(b"pssh");
    bytes.extend([u8::from(kids_v1.is_some()), 0, 0, 0]);
    bytes.extend(system_id.0);
    bytes.extend(following);
    Ok(bytes)
}

/// The box of the Common system: version 1, the KIDs and no data (W3C "cenc" initialization data format, section 4).
///
/// # Errors
/// [`TooLong`].
pub fn common(kids: &[KeyId]) -> Result<Vec<u8>, TooLong> {
    boxed(SystemId::COMMON, Some(kids), &[])
}

/// What the box of the Common system has behind its SystemID: the count of KIDs, the KIDs, and no data. nginx-vod-module
/// copies this into a box of version 1.
///
/// # Errors
/// [`TooLong`].
pub fn common_fields(kids: &[KeyId]) -> Result<Vec<u8>, TooLong> {
    let fields = behind_system_id(Some(kids), &[]).ok_or(TooLong)?;
    if fields.len() > BOX_BYTES_MAX { Err(TooLong) } else { Ok(fields) }
}

/// The box of ClearKey: version 1, the KIDs and no data, as that of the Common system.
///
/// # Errors
/// [`TooLong`].
pub fn clear_key(kids: &[KeyId]) -> Result<Vec<u8>, TooLong> {
    boxed(SystemId::CLEAR_KEY, Some(kids), &[])
}

/// The box of FairPlay, which has no data: only playlists say more.
#[must_use]
pub fn fairplay() -> Vec<u8> {
    [&[0, 0, 0, 32][..], b"pssh", &[0; 4], &SystemId::FAIRPLAY.0, &[0; 4]].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pssh::decoded::Pssh;
    use alloc::vec;

    const KID: KeyId = KeyId::from_bytes(*b"sixteen byte kid");

    #[test]
    fn the_box_of_the_common_system_has_the_kids_in_the_clear() {
        let expected = [
            &[0, 0, 0, 0x34][..],
            b"pssh\x01\0\0\0",
            &SystemId::COMMON.0,
            &[0, 0, 0, 1],
            b"sixteen byte kid",
            &[0, 0, 0, 0],
        ]
        .concat();
        assert_eq!(common(&[KID]), Ok(expected.clone()));
        assert_eq!(common_fields(&[KID]).unwrap(), &expected[28..]);
        let read = Pssh::parse_all(&clear_key(&[KID, KID]).unwrap()).unwrap();
        assert_eq!((read[0].system_id.name(), read[0].kids.len()), (Some("ClearKey"), 2));
        assert_eq!(fairplay()[24..], [0xfa, 0x96, 0x8c, 0xa2, 0, 0, 0, 0]);
        assert_eq!(boxed(SystemId::FAIRPLAY, None, &[]), Ok(fairplay()));
    }

    #[test]
    fn a_box_that_would_be_too_long_is_refused() {
        let most = BOX_BYTES_MAX - 32;
        assert!(boxed(SystemId::WIDEVINE, None, &vec![0; most]).is_ok());
        assert_eq!(boxed(SystemId::WIDEVINE, None, &vec![0; most + 1]), Err(TooLong));
        assert_eq!(common(&vec![KID; 4096]), Err(TooLong));
        assert_eq!(common_fields(&vec![KID; 4096]), Err(TooLong));
    }
}
