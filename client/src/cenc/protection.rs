//! How samples are protected (ISO/IEC 23001-7:2023, clauses 8.2, 9 and 10).
//!
//! What the standard forbids cannot be written down here: a scheme without pattern has none, and a
//! sample either brings its initialization vector or shares a constant one.

use crate::cenc::boxes::{self, BoxRef};
use crate::key::KeyId;

/// A protection in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Protection {
    /// The key.
    pub kid: KeyId,
    /// How it is used.
    pub scheme: Scheme,
}

/// A protection scheme.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// `cenc`: AES-CTR over all protected bytes of a sample, each with its own vector (10.1).
    Cenc(IvSize),
    /// `cbcs`: AES-CBC over a pattern of blocks, begun anew with each subsample (10.4).
    Cbcs(Iv, Pattern),
}

/// How long the vector of a sample is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IvSize {
    /// 8 bytes, followed by a block counter of 8 bytes (9.6.1).
    Eight,
    /// 16 bytes.
    Sixteen,
}

/// Where the vector comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Iv {
    /// Each sample's auxiliary information.
    PerSample(IvSize),
    /// One for all; 8 bytes are padded with zeros on the right (9.3).
    Constant([u8; 16]),
}

/// Which 16-byte blocks of a protected range are encrypted (9.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pattern {
    /// First as many are.
    pub crypt: u8,
    /// Then as many are not, and again; 0 means that all are.
    pub skip: u8,
}

impl IvSize {
    /// In bytes.
    #[must_use]
    pub const fn bytes(self) -> usize {
        match self {
            Self::Eight => 8,
            Self::Sixteen => 16,
        }
    }
}

impl Scheme {
    /// The length of the vector in each sample's auxiliary information.
    #[must_use]
    pub const fn sample_iv_bytes(&self) -> usize {
        match self {
            Self::Cenc(size) | Self::Cbcs(Iv::PerSample(size), _) => size.bytes(),
            Self::Cbcs(Iv::Constant(_), _) => 0,
        }
    }
}

/// A `schm` or `tenc` box breaks a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The box is damaged.
    #[error(transparent)]
    Box(#[from] boxes::Error),
    /// A scheme that is not decrypted here.
    #[error("protection scheme {0} is not supported")]
    Scheme(boxes::FourCc),
    /// `default_isProtected` is neither 0 nor 1 (8.2.3).
    #[error("tenc: default_isProtected is {0}, neither 0 nor 1 (ISO/IEC 23001-7, 8.2.3)")]
    IsProtected(u8),
    /// `default_Per_Sample_IV_Size` is none of 0, 8 and 16 (9.1).
    #[error("tenc: a vector of {0} bytes; only 8 and 16 exist (ISO/IEC 23001-7, 9.1)")]
    IvSize(u8),
    /// `cenc` with a constant vector (10.1).
    #[error("tenc: cenc needs a vector of each sample (ISO/IEC 23001-7, 10.1)")]
    ConstantIv,
    /// `cenc` with a pattern, or a pattern that encrypts nothing (9.6, 10.1).
    #[error("tenc: a pattern of {crypt}:{skip} blocks is impossible here (ISO/IEC 23001-7, 9.6)")]
    Pattern {
        /// Encrypted blocks.
        crypt: u8,
        /// Clear blocks.
        skip: u8,
    },
}

/// Reads `tenc` (8.2) under the scheme that `schm` named. `None`: not protected by default.
///
/// # Errors
/// [`Error`].
pub fn read_tenc(tenc: &BoxRef<'_>, scheme: [u8; 4]) -> Result<Option<Protection>, Error> {
    let mut fields = tenc.fields();
    let (version, _) = fields.version_and_flags()?;
    let [_, blocks, is_protected, iv_size] = fields.array()?;
    let kid = KeyId::from_bytes(fields.array()?);
    match is_protected {
        0 => return Ok(None),
        1 => {}
        other => return Err(Error::IsProtected(other)),
    }
    // Version 0 has no pattern; its byte is reserved (8.2.2).
    let (crypt, skip) = if version == 0 { (0, 0) } else { (blocks >> 4, blocks & 0xf) };
    let iv = match read_iv_size(iv_size)? {
        Some(size) => Iv::PerSample(size),
        None => {
            let length = fields.u8()?;
            let size = read_iv_size(length)?.ok_or(Error::IvSize(length))?;
            let mut constant = [0; 16];
            for (to, from) in constant.iter_mut().zip(fields.bytes(size.bytes())?) {
                *to = *from;
            }
            Iv::Constant(constant)
        }
    };
    let scheme = match (&scheme, iv, crypt, skip) {
        (b"cenc", Iv::PerSample(size), 0, 0) => Scheme::Cenc(size),
        (b"cenc", Iv::Constant(_), 0, 0) => return Err(Error::ConstantIv),
        (b"cbcs", iv, 0, 0) => Scheme::Cbcs(iv, Pattern { crypt: 1, skip: 0 }),
        (b"cbcs", iv, 1.., _) => Scheme::Cbcs(iv, Pattern { crypt, skip }),
        (b"cenc" | b"cbcs", ..) => return Err(Error::Pattern { crypt, skip }),
        _ => return Err(Error::Scheme(boxes::FourCc(scheme))),
    };
    Ok(Some(Protection { kid, scheme }))
}

fn read_iv_size(bytes: u8) -> Result<Option<IvSize>, Error> {
    match bytes {
        0 => Ok(None),
        8 => Ok(Some(IvSize::Eight)),
        16 => Ok(Some(IvSize::Sixteen)),
        other => Err(Error::IvSize(other)),
    }
}
