//! Slice headers of H.264 (ISO/IEC 14496-10, 7.3.3): where slice data begins, and what it cannot be parsed without.
//!
//! Deliberately absent: fields and switching slices.

use crate::cenc::judge::h264::Parsed;
use crate::cenc::judge::h264::bits::Bits;
use crate::cenc::judge::h264::params::{Order, Picture, Sequence, references};

/// What macroblocks a slice may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    I,
    P,
    B,
}

/// A slice header.
#[derive(Clone, Copy, Debug)]
pub(super) struct Header {
    pub(super) kind: Kind,
    /// The address of the first macroblock.
    pub(super) first: u32,
    /// How many reference indices each list has.
    pub(super) references: [u32; 2],
    /// cabac_init_idc, where there is one.
    pub(super) init: Option<usize>,
    /// SliceQPY.
    pub(super) qp: i32,
}

/// What comes before the parameter sets are known: the first macroblock, the kind, and the ID of the picture parameter set.
///
/// # Errors
/// [`Parsed::Broken`] for values that no slice may have, [`Parsed::Unknown`] for switching slices.
pub(super) fn begin(bits: &mut Bits<'_>) -> Result<(u32, Kind, u32), Parsed> {
    let first = bits.unsigned().ok_or(Parsed::Broken)?;
    let kind = match bits.unsigned().ok_or(Parsed::Broken)? {
        0 | 5 => Kind::P,
        1 | 6 => Kind::B,
        2 | 7 => Kind::I,
        3 | 4 | 8 | 9 => return Err(Parsed::Unknown),
        _ => return Err(Parsed::Broken),
    };
    let picture = bits.unsigned().filter(|&id| id < 256).ok_or(Parsed::Broken)?;
    Ok((first, kind, picture))
}

/// The rest of a header. `nal`: the header of the NAL unit; `first` and `kind` are of [`begin`].
///
/// # Errors
/// [`Parsed::Broken`] for values that no slice may have, [`Parsed::Unknown`] for fields.
pub(super) fn read(
    bits: &mut Bits<'_>,
    nal: u8,
    (first, kind): (u32, Kind),
    (sequence, picture): (&Sequence, &Picture),
) -> Result<Header, Parsed> {
    if first >= sequence.width * sequence.height {
        return Err(Parsed::Broken);
    }
    bits.number(sequence.frame_num_bits).ok_or(Parsed::Broken)?;
    if !sequence.has_frames_only {
        let is_field = bits.flag().ok_or(Parsed::Broken)?;
        if is_field || sequence.is_adaptive {
            return Err(Parsed::Unknown);
        }
    }
    read_frame(bits, nal, (first, kind), (sequence, picture)).ok_or(Parsed::Broken)
}

fn read_frame(
    bits: &mut Bits<'_>,
    nal: u8,
    (first, kind): (u32, Kind),
    (sequence, picture): (&Sequence, &Picture),
) -> Option<Header> {
    let is_idr = nal & 0x1f == 5;
    let is_reference = nal & 0x60 != 0;
    if is_idr {
        bits.unsigned()?; // idr_pic_id
    }
    order(bits, sequence, picture)?;
    if picture.has_redundant {
        bits.unsigned()?;
    }
    let references = lists(bits, kind, picture)?;
    let is_weighted = match kind {
        Kind::I => false,
        Kind::P => picture.is_weighted,
        Kind::B => picture.bipredictive_weights == 1,
    };
    if is_weighted {
        weights(bits, kind, references, sequence.has_chroma)?;
    }
    if is_reference {
        marking(bits, is_idr)?;
    }
    let init = if picture.is_cabac && kind != Kind::I {
        Some(usize::try_from(bits.unsigned().filter(|&init| init < 3)?).ok()?)
    } else {
        None
    };
    let qp = picture.qp.checked_add(bits.signed()?)?;
    if !(0..52).contains(&qp) {
        return None;
    }
    if picture.has_deblocking && bits.unsigned().filter(|&idc| idc < 3)? != 1 {
        bits.signed()?;
        bits.signed()?;
    }
    Some(Header { kind, first, references, init, qp })
}

fn order(bits: &mut Bits<'_>, sequence: &Sequence, picture: &Picture) -> Option<()> {
    match sequence.order {
        Order::Number(length) => {
            bits.number(length)?;
            if picture.has_bottom_order {
                bits.signed()?;
            }
        }
        Order::Cycle { is_always_zero: false } => {
            bits.signed()?;
            if picture.has_bottom_order {
                bits.signed()?;
            }
        }
        Order::Cycle { is_always_zero: true } | Order::Decoding => {}
    }
    Some(())
}

/// Returns how many reference indices each list has, and passes over how the lists are changed (7.3.3.1).
fn lists(bits: &mut Bits<'_>, kind: Kind, picture: &Picture) -> Option<[u32; 2]> {
    let count = match kind {
        Kind::I => return Some([0; 2]),
        Kind::P => 1,
        Kind::B => {
            bits.flag()?; // direct_spatial_mv_pred_flag
            2
        }
    };
    let mut lengths = picture.references;
    if bits.flag()? {
        for length in lengths.iter_mut().take(count) {
            *length = references(bits)?;
        }
    }
    for _ in 0..count {
        if bits.flag()? {
            while bits.unsigned().filter(|&change| change < 6)? != 3 {
                bits.unsigned()?;
            }
        }
    }
    Some(lengths)
}

/// Passes over the weights of references (7.3.3.2).
fn weights(bits: &mut Bits<'_>, kind: Kind, references: [u32; 2], has_chroma: bool) -> Option<()> {
    bits.unsigned().filter(|&denominator| denominator < 8)?;
    if has_chroma {
        bits.unsigned().filter(|&denominator| denominator < 8)?;
    }
    for length in references.into_iter().take(if kind == Kind::B { 2 } else { 1 }) {
        for _ in 0..length {
            for values in [2, 4].into_iter().take(if has_chroma { 2 } else { 1 }) {
                if bits.flag()? {
                    for _ in 0..values {
                        bits.signed()?;
                    }
                }
            }
        }
    }
    Some(())
}

/// Passes over the marking of reference pictures (7.3.3.3).
fn marking(bits: &mut Bits<'_>, is_idr: bool) -> Option<()> {
    if is_idr {
        bits.number(2)?;
    } else if bits.flag()? {
        loop {
            let values = match bits.unsigned()? {
                0 => break,
                1 | 2 | 4 | 6 => 1,
                3 => 2,
                5 => 0,
                _ => return None,
            };
            for _ in 0..values {
                bits.unsigned()?;
            }
        }
    }
    Some(())
}
