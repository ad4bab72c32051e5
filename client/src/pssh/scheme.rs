//! The protection schemes of Common Encryption (ISO/IEC 23001-7:2023, 10), as signalling names them.
//!
//! Deliberately absent: decrypting by them.

use core::fmt;
use core::str::FromStr;

/// A protection scheme of Common Encryption, which is written as four letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ProtectionScheme {
    /// AES-CTR, whole samples or subsamples.
    Cenc,
    /// AES-CBC, whole samples or subsamples.
    Cbc1,
    /// AES-CTR with a pattern.
    Cens,
    /// AES-CBC with a pattern and a constant IV.
    Cbcs,
}

impl ProtectionScheme {
    /// Every scheme.
    pub const ALL: [Self; 4] = [Self::Cenc, Self::Cbc1, Self::Cens, Self::Cbcs];

    /// The four letters.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cenc => "cenc",
            Self::Cbc1 => "cbc1",
            Self::Cens => "cens",
            Self::Cbcs => "cbcs",
        }
    }

    /// The four letters as a number, the first letter in the most significant byte.
    #[must_use]
    pub const fn four_cc(self) -> u32 {
        u32::from_be_bytes(match self {
            Self::Cenc => *b"cenc",
            Self::Cbc1 => *b"cbc1",
            Self::Cens => *b"cens",
            Self::Cbcs => *b"cbcs",
        })
    }

    /// The scheme of this number, if it is one.
    #[must_use]
    pub fn from_four_cc(number: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|scheme| scheme.four_cc() == number)
    }

    /// Whether the cipher is AES in CBC mode. It is CTR otherwise.
    #[must_use]
    pub const fn is_cbc(self) -> bool {
        matches!(self, Self::Cbc1 | Self::Cbcs)
    }
}

impl fmt::Display for ProtectionScheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text is no protection scheme.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a protection scheme is cenc, cens, cbc1 or cbcs")]
pub struct InvalidScheme;

/// Reads the four letters, in lower case.
impl FromStr for ProtectionScheme {
    type Err = InvalidScheme;

    fn from_str(text: &str) -> Result<Self, InvalidScheme> {
        Self::ALL.into_iter().find(|scheme| scheme.as_str() == text).ok_or(InvalidScheme)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scheme_is_read_from_its_letters_and_its_number() {
        for scheme in ProtectionScheme::ALL {
            assert_eq!(scheme.as_str().parse(), Ok(scheme));
            assert_eq!(ProtectionScheme::from_four_cc(scheme.four_cc()), Some(scheme));
        }
        // The numbers that clients of the Widevine Common Encryption API send.
        let numbers = ProtectionScheme::ALL.map(ProtectionScheme::four_cc);
        assert_eq!(numbers, [1_667_591_779, 1_667_392_305, 1_667_591_795, 1_667_392_371]);
        assert_eq!("CENC".parse::<ProtectionScheme>(), Err(InvalidScheme));
        assert_eq!(ProtectionScheme::from_four_cc(0), None);
    }
}
