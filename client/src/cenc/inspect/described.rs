//! What a box says of the protection of samples, as it stands there: possible or not (ISO/IEC 23001-7:2023, 6 and 8.2).
//!
//! Deliberately absent: the rules of the standard, which [`protection`](crate::cenc::protection) holds for decryption. A
//! description that breaks one is shown here all the same.

use alloc::vec::Vec;

use crate::cenc::boxes::{BoxRef, Error, Fields};
use crate::key::KeyId;

/// The fields that `tenc`, a `seig` group description and the boxes of PIFF share.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct Described {
    /// `isProtected`: 1 if the samples are encrypted, 0 if they are not. Other values have no meaning.
    pub is_protected: u8,
    /// Encrypted blocks of the pattern.
    pub crypt: u8,
    /// Clear blocks of the pattern; 0:0 is no pattern.
    pub skip: u8,
    /// Whether each sample may have several keys (`multi_key_flag`).
    pub is_multi_key: bool,
    /// The key, or the keys of a description with several: at most 64 of them.
    pub keys: Vec<DescribedKey>,
}

/// A key of a description.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct DescribedKey {
    /// The identifier of the key.
    pub kid: KeyId,
    /// The length of the IVs.
    pub iv: IvLength,
}

/// The length of IVs in bytes, as the box states it. Only 8 and 16 are possible.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum IvLength {
    /// Each sample has its own (`Per_Sample_IV_Size`).
    PerSample(u8),
    /// All samples have the same (`constant_IV_size`).
    Constant(u8),
}

/// The most keys of one description that are remembered: a sample has a handful, and thousands of fragments may name the
/// same description.
const KEYS_MAX: usize = 64;

impl Described {
    /// The KIDs that the samples need: none if they are not protected.
    pub fn needed(&self) -> impl Iterator<Item = KeyId> {
        let is_needed = self.is_protected != 0;
        self.keys.iter().filter(move |_| is_needed).map(|key| key.kid)
    }

    /// `tenc` (8.2). Version 0 has no pattern.
    pub(super) fn of_tenc(tenc: &BoxRef<'_>) -> Result<Self, Error> {
        let mut fields = tenc.fields();
        let version = fields.version_and_flags()?.version;
        fields.u8()?;
        let described = Self::read(&mut fields, false)?;
        Ok(if version == 0 { Self { crypt: 0, skip: 0, ..described } } else { described })
    }

    /// A group description of type `seig` (6).
    pub(super) fn of_seig(fields: &mut Fields<'_>) -> Result<Self, Error> {
        let is_multi_key = fields.u8()? & 0x80 != 0;
        Self::read(fields, is_multi_key)
    }

    /// The fields of PIFF's boxes (PIFF 1.1, 5.3.2 and 5.3.3), and the AlgorithmID.
    pub(super) fn of_piff(fields: &mut Fields<'_>) -> Result<(u32, Self), Error> {
        let [a, b, c, iv_size] = fields.array()?;
        let algorithm = u32::from_be_bytes([0, a, b, c]);
        let kid = KeyId::from_bytes(fields.array()?);
        let keys = [DescribedKey { kid, iv: IvLength::PerSample(iv_size) }].into();
        let is_protected = u8::from(algorithm != 0);
        Ok((algorithm, Self { is_protected, crypt: 0, skip: 0, is_multi_key: false, keys }))
    }

    fn read(fields: &mut Fields<'_>, is_multi_key: bool) -> Result<Self, Error> {
        let [blocks, is_protected] = fields.array()?;
        let count = if is_multi_key { fields.u16()? } else { 1 };
        let mut keys = Vec::new();
        for _ in 0..count {
            let iv_size = fields.u8()?;
            let kid = KeyId::from_bytes(fields.array()?);
            let mut iv = IvLength::PerSample(iv_size);
            if iv_size == 0 && (is_protected != 0 || is_multi_key) {
                let length = fields.u8()?;
                fields.bytes(length.into())?;
                iv = IvLength::Constant(length);
            }
            if keys.len() < KEYS_MAX {
                keys.push(DescribedKey { kid, iv });
            }
        }
        Ok(Self { is_protected, crypt: blocks >> 4, skip: blocks & 0xf, is_multi_key, keys })
    }
}
