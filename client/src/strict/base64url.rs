//! base64url without padding (RFC 7515 section 2, RFC 4648 section 5). Only the canonical form is read.
//!
//! ```
//! use reelkey_client::strict::base64url;
//!
//! assert_eq!(base64url::encode(&[0, 1, 2, 255]), "AAEC_w");
//! assert_eq!(base64url::decode("AAEC_w")?, [0, 1, 2, 255]);
//! assert_eq!(base64url::decode_array::<4>("AAEC_w")?, [0, 1, 2, 255]);
//! base64url::decode("AAEC_x").unwrap_err(); // spare bits: a second spelling of the same bytes
//! # Ok::<(), base64url::Malformed>(())
//! ```
//!
//! Deliberately absent: base64 with `+`, `/` and padding.

use alloc::string::String;
use alloc::vec::Vec;
use base64ct::{Base64UrlUnpadded, Encoding};

/// The text is not canonical unpadded base64url: a foreign character, padding, white space, a
/// wrong length, or bits set after the last byte (RFC 4648 section 3.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not canonical unpadded base64url")]
pub struct Malformed;

/// Encodes `bytes`.
#[must_use]
pub fn encode(bytes: &[u8]) -> String {
    Base64UrlUnpadded::encode_string(bytes)
}

/// Decodes text of any length, in time that does not depend on its content.
///
/// # Errors
/// [`Malformed`].
pub fn decode(text: &str) -> Result<Vec<u8>, Malformed> {
    Base64UrlUnpadded::decode_vec(text).map_err(|_| Malformed)
}

/// Decodes text of exactly `N` bytes.
///
/// # Errors
/// [`Malformed`], also if the text has another number of bytes.
pub fn decode_array<const N: usize>(text: &str) -> Result<[u8; N], Malformed> {
    let mut bytes = [0; N];
    let read = Base64UrlUnpadded::decode(text, &mut bytes).map_err(|_| Malformed)?.len();
    if read == N { Ok(bytes) } else { Err(Malformed) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_canonical_form_is_read() {
        assert_eq!(decode("AAEC_w"), Ok(alloc::vec![0, 1, 2, 255]));
        for wrong in ["AAEC_x", "AAEC_w==", "AAEC/w", "AAEC_w ", "AAEC_", "\u{e9}AAA", "AAEC_w\n"] {
            assert_eq!(decode(wrong), Err(Malformed), "{wrong:?}");
            assert_eq!(decode_array::<4>(wrong), Err(Malformed), "{wrong:?}");
        }
    }

    #[test]
    fn an_array_of_another_length_is_refused() {
        assert_eq!(decode_array("AAEC_w"), Ok([0, 1, 2, 255]));
        assert_eq!(decode_array::<5>("AAEC_w"), Err(Malformed));
        assert_eq!(decode_array::<3>("AAEC_w"), Err(Malformed));
    }
}
