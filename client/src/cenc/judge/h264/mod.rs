//! Slice data of H.264 (ISO/IEC 14496-10), parsed to its end without a picture.
//!
//! Common Encryption leaves slice headers of H.264 clear, so a wrong key shows in slice data alone: it does not end where
//! its bytes end, or it has values that no slice may have. [`ParameterSets::parse_slice`] reads every syntax element of a
//! slice and says so. Time is linear in the bytes and the macroblocks of a slice; memory holds one row of macroblocks.
//!
//! Deliberately absent: CAVLC, fields and frames that mix both, 4:2:2 and 4:4:4, more than 8 bits, slice groups, data
//! partitions and extensions for layers and views. Slices that use them are [`Parsed::Unknown`].

mod bits;
mod coefficients;
mod engine;
mod header;
mod inter;
mod macroblock;
mod params;
mod sets;
mod slice;
mod state;
mod tables;

pub(crate) use crate::cenc::judge::h264::sets::ParameterSets;

/// What became of a slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Parsed {
    /// Its data parsed, and its end is where the bytes end.
    Whole,
    /// It has a value that no slice may have, or ends elsewhere.
    Broken,
    /// It uses what is not parsed, or its parameter sets are not known.
    Unknown,
}
