//! How samples are protected (ISO/IEC 23001-7:2023, clauses 6, 8.2, 9 and 10).
//!
//! The same five facts stand in `tenc` for a whole track, in a `seig` group description for some of its samples, and in
//! two boxes of PIFF 1.1. They are read into one description; under a scheme it is a [`Protection`]. A [`Protection`]
//! cannot express what the standard forbids: a scheme without a pattern has no field for one, and the IV is either the
//! sample's own or constant.
//!
//! Deliberately absent: which samples are protected so. Sample entries and groups say that.

use crate::cenc::boxes::{self, BoxRef, Fields, FourCc};
use crate::key::KeyId;

/// PIFF's TrackEncryptionBox, a `uuid` box (PIFF 1.1, 5.3.3).
pub(super) const PIFF_TENC: [u8; 16] = [
    0x89, 0x74, 0xdb, 0xce, 0x7b, 0xe7, 0x4c, 0x51, 0x84, 0xf9, 0x71, 0x48, 0xf9, 0x88, 0x25, 0x54,
];

/// How a sample is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Protection {
    /// The identifier of the content key.
    pub kid: KeyId,
    /// How the content key is used.
    pub scheme: Scheme,
}

/// A protection scheme.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// `cenc`: AES-CTR over all protected bytes of a sample, each with its own IV (10.1).
    Cenc(IvSize),
    /// `cbc1`: AES-CBC over all whole protected blocks of a sample (10.2).
    Cbc1(IvSize),
    /// `cens`: AES-CTR over a pattern of blocks (10.3).
    Cens(IvSize, Pattern),
    /// `cbcs`: AES-CBC over a pattern of blocks, begun anew with each subsample (10.4).
    Cbcs(Iv, Pattern),
}

/// The length of a sample's IV.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IvSize {
    /// 8 bytes, followed by a block counter of 8 bytes (9.6.1).
    Eight,
    /// 16 bytes.
    Sixteen,
}

/// An IV as AES takes it. One of 8 bytes is padded with zeros on the right (9.3).
pub type IvBlock = [u8; 16];

/// Where the IV of a sample comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Iv {
    /// From the sample's auxiliary information.
    PerSample(IvSize),
    /// All samples have this one.
    Constant(IvBlock),
}

/// Which 16-byte blocks of a protected range are encrypted (9.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct Pattern {
    /// The number of encrypted blocks at the start of each period.
    pub crypt: u8,
    /// The number of clear blocks behind them; 0 means that all blocks are encrypted.
    pub skip: u8,
}

impl IvSize {
    /// The length in bytes.
    #[must_use]
    pub const fn bytes(self) -> usize {
        match self {
            Self::Eight => 8,
            Self::Sixteen => 16,
        }
    }
}

impl Scheme {
    /// Where the IV of a sample comes from.
    #[must_use]
    pub const fn iv(&self) -> Iv {
        match self {
            Self::Cenc(size) | Self::Cbc1(size) | Self::Cens(size, _) => Iv::PerSample(*size),
            Self::Cbcs(iv, _) => *iv,
        }
    }
}

impl Iv {
    /// The length of the IV in each sample's auxiliary information, in bytes.
    #[must_use]
    pub const fn sample_bytes(&self) -> usize {
        match self {
            Self::PerSample(size) => size.bytes(),
            Self::Constant(_) => 0,
        }
    }
}

/// The protection that a box describes breaks a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The box is damaged.
    #[error(transparent)]
    Box(#[from] boxes::Error),
    /// A scheme that is not decrypted here.
    #[error("protection scheme {0} is none of cenc, cbc1, cens and cbcs (ISO/IEC 23001-7, 10)")]
    Scheme(FourCc),
    /// `isProtected` is neither 0 nor 1 (8.2.3).
    #[error("isProtected is {0}, neither 0 nor 1 (ISO/IEC 23001-7, 8.2.3)")]
    IsProtected(u8),
    /// `Per_Sample_IV_Size` is none of 0, 8 and 16 (9.1).
    #[error("a vector of {0} bytes; only 8 and 16 exist (ISO/IEC 23001-7, 9.1)")]
    IvSize(u8),
    /// Another scheme than `cbcs` with a constant IV (10.1 to 10.3).
    #[error("{0} needs a vector of each sample (ISO/IEC 23001-7, 10)")]
    ConstantIv(FourCc),
    /// A pattern under a scheme without one, or a pattern that encrypts nothing (9.6, 10).
    #[error("a pattern of {crypt}:{skip} blocks is impossible here (ISO/IEC 23001-7, 9.6)")]
    Pattern {
        /// Encrypted blocks.
        crypt: u8,
        /// Clear blocks.
        skip: u8,
    },
    /// Samples with several keys each (6).
    #[error(
        "multi_key_flag is set: samples with several keys are not supported (ISO/IEC 23001-7, 6)"
    )]
    MultiKey,
    /// PIFF's AlgorithmID is none of 0, 1 and 2 (PIFF 1.1, 5.3.2).
    #[error("PIFF's algorithm {0} is not supported (PIFF 1.1, 5.3.2)")]
    Algorithm(u32),
}

/// How samples are protected, as a box describes it without the scheme.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Description {
    crypt: u8,
    skip: u8,
    /// `None`: the samples are not protected.
    protected: Option<KeyAndIv>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct KeyAndIv {
    kid: KeyId,
    iv: Iv,
}

/// How a protected sample entry says that its samples are protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) scheme: FourCc,
    /// For samples in no group.
    pub(super) default: Description,
}

impl Description {
    /// The fields of `tenc` (8.2).
    pub(super) fn of_tenc(tenc: &BoxRef<'_>) -> Result<Self, Error> {
        let mut fields = tenc.fields();
        let version = fields.version_and_flags()?.version;
        let mut description = Self::read(&mut fields)?;
        if version == 0 {
            // It has no pattern; the byte is reserved (8.2.2).
            (description.crypt, description.skip) = (0, 0);
        }
        Ok(description)
    }

    /// A group description of type `seig` (6), whose fields are those of `tenc`.
    pub(super) fn of_seig(fields: &mut Fields<'_>) -> Result<Self, Error> {
        const MULTI_KEY_FLAG: u8 = 1 << 7;
        let mut first = fields.clone();
        if first.u8()? & MULTI_KEY_FLAG != 0 {
            return Err(Error::MultiKey);
        }
        Self::read(fields)
    }

    fn read(fields: &mut Fields<'_>) -> Result<Self, Error> {
        let [_, blocks, is_protected, iv_size] = fields.array()?;
        let kid = KeyId::from_bytes(fields.array()?);
        let (crypt, skip) = (blocks >> 4, blocks & 0xf);
        let protected = match is_protected {
            0 => None,
            1 => Some(KeyAndIv { kid, iv: Self::read_iv(iv_size, fields)? }),
            other => return Err(Error::IsProtected(other)),
        };
        Ok(Self { crypt, skip, protected })
    }

    fn read_iv(sample_size: u8, fields: &mut Fields<'_>) -> Result<Iv, Error> {
        if let Some(size) = read_iv_size(sample_size)? {
            return Ok(Iv::PerSample(size));
        }
        let length = fields.u8()?;
        let size = read_iv_size(length)?.ok_or(Error::IvSize(length))?;
        let mut constant = [0; 16];
        for (to, from) in constant.iter_mut().zip(fields.bytes(size.bytes())?) {
            *to = *from;
        }
        Ok(Iv::Constant(constant))
    }

    /// The fields of PIFF's own boxes: algorithm, IV size and KID (PIFF 1.1, 5.3.2 and 5.3.3). The algorithm is the scheme.
    pub(super) fn of_piff(fields: &mut Fields<'_>) -> Result<Entry, Error> {
        let [a, b, c, iv_size] = fields.array()?;
        let algorithm = u32::from_be_bytes([0, a, b, c]);
        let kid = KeyId::from_bytes(fields.array()?);
        let scheme = match algorithm {
            0 | 1 => FourCc(*b"cenc"),
            2 => FourCc(*b"cbc1"),
            other => return Err(Error::Algorithm(other)),
        };
        let size = read_iv_size(iv_size)?;
        let protected = match (algorithm, size) {
            (0, _) => None,
            (_, Some(size)) => Some(KeyAndIv { kid, iv: Iv::PerSample(size) }),
            (_, None) => return Err(Error::IvSize(iv_size)),
        };
        Ok(Entry { scheme, default: Self { crypt: 0, skip: 0, protected } })
    }

    /// The KID, if the samples are protected.
    pub(super) fn kid(&self) -> Option<KeyId> {
        self.protected.map(|protected| protected.kid)
    }

    /// The protection that this describes under `scheme`; `None` if the samples are not protected.
    pub(super) fn under(&self, scheme: FourCc) -> Result<Option<Protection>, Error> {
        let Some(KeyAndIv { kid, iv }) = self.protected else { return Ok(None) };
        let (crypt, skip) = (self.crypt, self.skip);
        let pattern = match (crypt, skip) {
            (0, 0) => Pattern { crypt: 1, skip: 0 },
            (1.., _) => Pattern { crypt, skip },
            (0, _) => return Err(Error::Pattern { crypt, skip }),
        };
        let has_pattern = (crypt, skip) != (0, 0);
        let scheme = match (&scheme.0, iv) {
            (b"cenc" | b"cbc1", _) if has_pattern => return Err(Error::Pattern { crypt, skip }),
            (b"cenc", Iv::PerSample(size)) => Scheme::Cenc(size),
            (b"cbc1", Iv::PerSample(size)) => Scheme::Cbc1(size),
            (b"cens", Iv::PerSample(size)) => Scheme::Cens(size, pattern),
            (b"cbcs", iv) => Scheme::Cbcs(iv, pattern),
            (b"cenc" | b"cbc1" | b"cens", Iv::Constant(_)) => {
                return Err(Error::ConstantIv(scheme));
            }
            _ => return Err(Error::Scheme(scheme)),
        };
        Ok(Some(Protection { kid, scheme }))
    }
}

fn read_iv_size(bytes: u8) -> Result<Option<IvSize>, Error> {
    match bytes {
        0 => Ok(None),
        8 => Ok(Some(IvSize::Eight)),
        16 => Ok(Some(IvSize::Sixteen)),
        other => Err(Error::IvSize(other)),
    }
}
