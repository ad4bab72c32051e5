//! How well a device guards keys and pictures.

use serde::Deserialize;

/// The robustness levels of the field, weakest first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum SecurityLevel {
    /// Keys are handled by software. What every device has that proved nothing else.
    #[default]
    SwSecureCrypto,
    /// Keys and decoding are handled by obfuscated software.
    SwSecureDecode,
    /// Keys are handled by hardware.
    HwSecureCrypto,
    /// Keys and decoding are handled by hardware.
    HwSecureDecode,
    /// The whole path to the screen is hardware.
    HwSecureAll,
}

impl SecurityLevel {
    /// The name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SwSecureCrypto => "SW_SECURE_CRYPTO",
            Self::SwSecureDecode => "SW_SECURE_DECODE",
            Self::HwSecureCrypto => "HW_SECURE_CRYPTO",
            Self::HwSecureDecode => "HW_SECURE_DECODE",
            Self::HwSecureAll => "HW_SECURE_ALL",
        }
    }
}
