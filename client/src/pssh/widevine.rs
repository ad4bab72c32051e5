//! The data of Widevine: a message of Protocol Buffers, `WidevinePsshData`. [`Header`] writes it, [`Widevine`] is what was read.
//!
//! Deliberately absent: entitlement keys, and fields without meaning for a film.

use alloc::string::String;
use alloc::vec::Vec;

use crate::key::KeyId;
use crate::pssh::scheme::ProtectionScheme;

/// What the data of a Widevine box says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Widevine {
    /// The KIDs (field 2). Those that are not 16 bytes long are left out.
    pub key_ids: Vec<KeyId>,
    /// The content provider (field 3).
    pub provider: Option<String>,
    /// The provider's name for the content (field 4), which may be text or not.
    pub content_id: Option<Vec<u8>>,
    /// The provider's policy (field 6).
    pub policy: Option<String>,
    /// Which crypto period of a live channel the keys are for (field 7).
    pub crypto_period_index: Option<u64>,
    /// The protection scheme as four characters: `cenc`, `cbc1`, `cens` or `cbcs` (field 9).
    pub protection_scheme: Option<[u8; 4]>,
    /// How many seconds each crypto period lasts (field 10).
    pub crypto_period_seconds: Option<u64>,
}

impl Widevine {
    /// Reads the data of the box; `None` if it is no such message. Unknown fields are passed over.
    #[must_use]
    pub fn parse(data: &[u8]) -> Option<Self> {
        let (mut header, mut rest) = (Self::default(), data);
        while !rest.is_empty() {
            let key = take_varint(&mut rest)?;
            let (number, value) = (key >> 3, Value::take(key & 7, &mut rest)?);
            match (number, value) {
                (2, Value::Bytes(kid)) => {
                    header.key_ids.extend(kid.try_into().ok().map(KeyId::from_bytes));
                }
                (3, Value::Bytes(text)) => header.provider = Some(lossy(text)),
                (4, Value::Bytes(id)) => header.content_id = Some(id.to_vec()),
                (6, Value::Bytes(text)) => header.policy = Some(lossy(text)),
                (7, Value::Number(index)) => header.crypto_period_index = Some(index),
                (9, Value::Number(scheme)) => header.protection_scheme = scheme_of(scheme),
                (10, Value::Number(seconds)) => header.crypto_period_seconds = Some(seconds),
                _ => {}
            }
        }
        Some(header)
    }
}

/// What to write for Widevine. A field that is `None` is left out.
///
/// ```
/// use reelkey_client::pssh::{ProtectionScheme, Widevine, widevine::Header};
///
/// let kid = "4d97930a-3d7b-5000-8000-5c7bda1f0a11".parse()?;
/// let scheme = Some(ProtectionScheme::Cbcs);
/// let payload = Header { kids: &[kid], scheme, ..Header::default() }.payload();
/// assert!(payload.ends_with(&[0x48, 0xf3, 0xc6, 0x89, 0x9b, 0x06]));
/// assert_eq!(Widevine::parse(&payload).unwrap().key_ids, [kid]);
/// # Ok::<(), reelkey_client::key::InvalidKeyId>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Header<'a> {
    /// The KIDs (field 2).
    pub kids: &'a [KeyId],
    /// The content provider (field 3).
    pub provider: Option<&'a str>,
    /// The provider's name for the content (field 4).
    pub content_id: Option<&'a [u8]>,
    /// The provider's policy (field 6).
    pub policy: Option<&'a str>,
    /// Which crypto period the keys are for (field 7).
    pub crypto_period_index: Option<u32>,
    /// The protection scheme (field 9).
    pub scheme: Option<ProtectionScheme>,
    /// How many seconds each crypto period lasts (field 10).
    pub crypto_period_seconds: Option<u32>,
}

impl Header<'_> {
    /// The message, its fields in the order of their numbers, as Shaka Packager writes it. It is the data of a box, not a box.
    #[must_use]
    pub fn payload(&self) -> Vec<u8> {
        let mut message = Vec::new();
        for kid in self.kids {
            push_bytes(&mut message, 2, kid.as_bytes());
        }
        let texts = [
            (3, self.provider.map(str::as_bytes)),
            (4, self.content_id),
            (6, self.policy.map(str::as_bytes)),
        ];
        for (number, value) in texts {
            if let Some(value) = value {
                push_bytes(&mut message, number, value);
            }
        }
        let scheme = self.scheme.map(ProtectionScheme::four_cc);
        for (number, value) in
            [(7, self.crypto_period_index), (9, scheme), (10, self.crypto_period_seconds)]
        {
            if let Some(value) = value {
                message.push(number << 3);
                push_varint(&mut message, value.into());
            }
        }
        message
    }
}

/// A field of wire type 2: its number, the length and the bytes.
fn push_bytes(message: &mut Vec<u8>, number: u8, value: &[u8]) {
    message.push(number << 3 | 2);
    push_varint(message, u64::try_from(value.len()).unwrap_or(u64::MAX));
    message.extend(value);
}

fn push_varint(message: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        message.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    message.push(number.to_le_bytes()[0]);
}

/// The scheme as a number is its four characters. Early files have 0 for `cenc` and 1 for `cbc1`.
fn scheme_of(number: u64) -> Option<[u8; 4]> {
    match number {
        0 => Some(*b"cenc"),
        1 => Some(*b"cbc1"),
        other => u32::try_from(other).ok().map(u32::to_be_bytes),
    }
}

fn lossy(text: &[u8]) -> String {
    String::from_utf8_lossy(text).into_owned()
}

/// The value of a field, by its wire type.
enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

impl<'a> Value<'a> {
    fn take(wire_type: u64, rest: &mut &'a [u8]) -> Option<Self> {
        match wire_type {
            0 => take_varint(rest).map(Self::Number),
            1 => take(rest, 8).map(Self::Bytes),
            2 => {
                let length = usize::try_from(take_varint(rest)?).ok()?;
                take(rest, length).map(Self::Bytes)
            }
            5 => take(rest, 4).map(Self::Bytes),
            _ => None,
        }
    }
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (bytes, following) = rest.split_at_checked(length)?;
    *rest = following;
    Some(bytes)
}

/// Seven bits a byte, the lowest first; the high bit says that more follow.
fn take_varint(rest: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let byte = *take(rest, 1)?.first()?;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_of_a_message_are_read_in_any_order_and_unknown_ones_are_passed_over() {
        let data = [
            &b"\x08\x01\x12\x10sixteen byte kid\x12\x10another such kid"[..],
            b"\x12\x03odd\x1a\x05intel\x22\x02\xff\x00\x32\x02SD\x38\xac\x02",
            b"\x48\xf3\xc6\x89\x9b\x06\x71\0\0\0\0\0\0\0\0\x7d\0\0\0\0",
        ]
        .concat();
        let header = Widevine::parse(&data).unwrap();
        let kids = [b"sixteen byte kid", b"another such kid"].map(|kid| KeyId::from_bytes(*kid));
        assert_eq!(header.key_ids, kids);
        assert_eq!(header.provider.as_deref(), Some("intel"));
        assert_eq!(header.content_id.as_deref(), Some(&[0xff, 0][..]));
        assert_eq!((header.policy.as_deref(), header.crypto_period_index), (Some("SD"), Some(300)));
        assert_eq!(header.protection_scheme, Some(*b"cbcs"));
    }

    #[test]
    fn a_message_that_is_cut_or_of_another_kind_is_none() {
        let whole = b"\x12\x10sixteen byte kid";
        assert!((1..whole.len()).all(|length| Widevine::parse(&whole[..length]).is_none()));
        assert_eq!(Widevine::parse(b"\x0b"), None, "a wire type that is not used any more");
        assert_eq!(Widevine::parse(&[0xff; 11]), None, "a number without end");
        assert_eq!(Widevine::parse(b""), Some(Widevine::default()));
    }
}
