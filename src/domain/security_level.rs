//! Security levels: how well a device protects keys and pictures.

use serde::Deserialize;

/// The usual robustness levels of DRM clients, weakest first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum SecurityLevel {
    /// Software handles the keys. Every device has this level unless it proves a higher one.
    #[default]
    SwSecureCrypto,
    /// Obfuscated software handles the keys and decodes.
    SwSecureDecode,
    /// Hardware handles the keys.
    HwSecureCrypto,
    /// Hardware handles the keys and decodes.
    HwSecureDecode,
    /// Hardware handles everything up to the screen.
    HwSecureAll,
}

impl SecurityLevel {
    /// All levels, weakest first.
    pub const ALL: [Self; 5] = [
        Self::SwSecureCrypto,
        Self::SwSecureDecode,
        Self::HwSecureCrypto,
        Self::HwSecureDecode,
        Self::HwSecureAll,
    ];

    /// The level of this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.as_str() == name)
    }

    /// Its name.
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
