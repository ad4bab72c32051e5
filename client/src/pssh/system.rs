//! The DRM systems and their identifiers, as DASH-IF registers them.
//!
//! Deliberately absent: what each system does with its data.

use core::fmt;

use crate::key::KeyId;

/// The identifier of a DRM system (SystemID, ISO/IEC 23001-7:2023, 8.1.3), printed as a UUID.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SystemId(pub [u8; 16]);

impl SystemId {
    /// The Common system, whose boxes list KIDs for every system (W3C "cenc" initialization data format, section 4).
    pub const COMMON: Self = Self::of(0x1077_efec_c0b2_4d02_ace3_3c1e_52e2_fb4b);
    /// Widevine.
    pub const WIDEVINE: Self = Self::of(0xedef_8ba9_79d6_4ace_a3c8_27dc_d51d_21ed);
    /// PlayReady.
    pub const PLAYREADY: Self = Self::of(0x9a04_f079_9840_4286_ab92_e65b_e088_5f95);
    /// FairPlay.
    pub const FAIRPLAY: Self = Self::of(0x94ce_86fb_07ff_4f43_adb8_93d2_fa96_8ca2);

    /// ClearKey of Encrypted Media Extensions, as DASH-IF registers it.
    pub const CLEAR_KEY: Self = Self::of(0xe271_9d58_a985_b3c9_781a_b030_af78_d30e);

    const fn of(number: u128) -> Self {
        Self(number.to_be_bytes())
    }

    /// The name of the system, if it is known here.
    #[must_use]
    pub fn name(&self) -> Option<&'static str> {
        NAMES.iter().find(|(id, _)| id == self).map(|(_, name)| *name)
    }
}

/// The systems that films name, from the list of DASH-IF (<https://dashif.org/identifiers/content_protection/>).
const NAMES: [(SystemId, &str); 18] = [
    (SystemId::COMMON, "W3C Common"),
    (SystemId::WIDEVINE, "Widevine"),
    (SystemId::PLAYREADY, "PlayReady"),
    (SystemId::FAIRPLAY, "FairPlay"),
    (SystemId::CLEAR_KEY, "ClearKey"),
    (SystemId::of(0x5e62_9af5_38da_4063_8977_97ff_bd99_02d4), "Marlin"),
    (SystemId::of(0x69f9_08af_4816_46ea_910c_cd5d_cccb_0a3a), "Marlin"),
    (SystemId::of(0xf239_e769_efa3_4850_9c16_a903_c693_2efb), "Adobe Primetime"),
    (SystemId::of(0xadb4_1c24_2dbf_4a6d_958b_4457_c0d2_7b95), "Nagra MediaAccess"),
    (SystemId::of(0x9a27_dd82_fde2_4725_8cbc_4234_aa06_ec09), "Verimatrix"),
    (SystemId::of(0xa681_29d3_575b_4f1a_9cba_3223_846c_f7c3), "Cisco VideoGuard"),
    (SystemId::of(0x644f_e7b5_260f_4fad_949a_0762_ffb0_54b4), "CMLA"),
    (SystemId::of(0x80a6_be7e_1448_4c37_9e70_d5ae_be04_c8d2), "Irdeto"),
    (SystemId::of(0x3d5e_6d35_9b9a_41e8_b843_dd3c_6e72_c42c), "ChinaDRM"),
    (SystemId::of(0x45d4_81cb_8fe0_49c0_ada9_ab2d_2455_b2f2), "CoreCrypt"),
    (SystemId::of(0x279f_e473_512c_48fe_ade8_d176_fee6_b40f), "Arris Titanium"),
    (SystemId::of(0xb441_3586_c58c_ffb0_94a5_d489_6c1a_f6c3), "Viaccess-Orca"),
    (SystemId::of(0x6a99_532d_869f_5922_9a91_113a_b7b1_e2f3), "MobiTV"),
];

impl fmt::Display for SystemId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Both are 16 bytes that people write as a UUID.
        KeyId::from_bytes(self.0).fmt(f)
    }
}

impl fmt::Debug for SystemId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SystemId({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn a_system_is_printed_as_a_uuid_and_known_by_its_name() {
        assert_eq!(SystemId::WIDEVINE.to_string(), "edef8ba9-79d6-4ace-a3c8-27dcd51d21ed");
        let names = [SystemId::COMMON, SystemId::PLAYREADY, SystemId::FAIRPLAY].map(|id| id.name());
        assert_eq!(names, [Some("W3C Common"), Some("PlayReady"), Some("FairPlay")]);
        assert_eq!(SystemId([1; 16]).name(), None);
    }
}
