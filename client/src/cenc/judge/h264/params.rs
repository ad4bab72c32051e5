//! Parameter sets of H.264 (ISO/IEC 14496-10, 7.3.2.1 and 7.3.2.2), as far as slices cannot be parsed without them.
//!
//! Deliberately absent: the usability information at the end of a sequence parameter set, on which no slice depends.

use crate::cenc::judge::h264::bits::{Bits, payload};

/// The most macroblocks of a picture: a frame of level 5.2 (table A-1).
pub(super) const MACROBLOCKS_MAX: u32 = 36_864;

/// How pictures are numbered in the order of output: what a slice header says of it (pic_order_cnt_type).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// A number of so many bits.
    Number(u32),
    /// Differences to a cycle, or nothing where they are always zero.
    Cycle { is_always_zero: bool },
    /// As they are decoded.
    Decoding,
}

/// A sequence parameter set.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sequence {
    /// Whether pictures have chroma, as 4:2:0. If not, they are monochrome.
    pub(super) has_chroma: bool,
    /// How many bits frame_num has.
    pub(super) frame_num_bits: u32,
    pub(super) order: Order,
    /// Width of a picture in macroblocks.
    pub(super) width: u32,
    /// Height of a frame in macroblocks.
    pub(super) height: u32,
    /// frame_mbs_only_flag: there are no fields.
    pub(super) has_frames_only: bool,
    /// mb_adaptive_frame_field_flag.
    pub(super) is_adaptive: bool,
    /// direct_8x8_inference_flag.
    pub(super) direct_8x8: bool,
}

/// A picture parameter set.
#[derive(Clone, Copy, Debug)]
pub(super) struct Picture {
    /// The sequence parameter set that it belongs to.
    pub(super) sequence: u32,
    /// entropy_coding_mode_flag: slice data is CABAC.
    pub(super) is_cabac: bool,
    /// bottom_field_pic_order_in_frame_present_flag.
    pub(super) has_bottom_order: bool,
    /// How many reference indices the lists have, unless the slice says otherwise.
    pub(super) references: [u32; 2],
    /// weighted_pred_flag.
    pub(super) is_weighted: bool,
    /// weighted_bipred_idc.
    pub(super) bipredictive_weights: u32,
    /// The quantizer, to which slice_qp_delta is added.
    pub(super) qp: i32,
    /// deblocking_filter_control_present_flag.
    pub(super) has_deblocking: bool,
    /// redundant_pic_cnt_present_flag.
    pub(super) has_redundant: bool,
    /// transform_8x8_mode_flag.
    pub(super) transform_8x8: bool,
}

/// The profiles whose sequence parameter set says more of chroma (7.3.2.1.1).
const HIGH_PROFILES: [u32; 13] = [44, 83, 86, 100, 110, 118, 122, 128, 134, 135, 138, 139, 244];

/// A sequence parameter set and its ID, from a NAL unit with its header. The set is `None` where its slices cannot be
/// parsed; all is, where there is no ID.
pub(super) fn read_sequence(nal: &[u8]) -> Option<(u32, Option<Sequence>)> {
    let bytes = payload(nal.get(1..)?).ok()?;
    let mut bits = Bits::new(&bytes);
    let profile = bits.number(8)?;
    bits.number(16)?;
    let id = bits.unsigned().filter(|&id| id < 32)?;
    Some((id, sequence(&mut bits, profile)))
}

fn sequence(bits: &mut Bits<'_>, profile: u32) -> Option<Sequence> {
    let has_chroma = if HIGH_PROFILES.contains(&profile) { chroma(bits)? } else { true };
    let frame_num_bits = bits.unsigned().filter(|&more| more <= 12)? + 4;
    let order = order(bits)?;
    bits.unsigned()?; // max_num_ref_frames
    bits.flag()?; // gaps_in_frame_num_value_allowed_flag
    let width = bits.unsigned()?.checked_add(1)?;
    let units = bits.unsigned()?.checked_add(1)?;
    let has_frames_only = bits.flag()?;
    let height = if has_frames_only { units } else { units.checked_mul(2)? };
    let is_adaptive = !has_frames_only && bits.flag()?;
    let direct_8x8 = bits.flag()?;
    width.checked_mul(height).filter(|&size| size <= MACROBLOCKS_MAX)?;
    Some(Sequence {
        has_chroma,
        frame_num_bits,
        order,
        width,
        height,
        has_frames_only,
        is_adaptive,
        direct_8x8,
    })
}

/// Whether there is chroma, where it is 4:2:0 or absent and samples have 8 bits.
fn chroma(bits: &mut Bits<'_>) -> Option<bool> {
    let format = bits.unsigned().filter(|&format| format <= 1)?;
    let depths = (bits.unsigned()?, bits.unsigned()?);
    bits.flag()?; // qpprime_y_zero_transform_bypass_flag
    if bits.flag()? {
        scaling_lists(bits, 8)?;
    }
    (depths == (0, 0)).then_some(format == 1)
}

/// Passes over `count` scaling lists, those after the sixth of 8x8 (7.3.2.1.1.1).
fn scaling_lists(bits: &mut Bits<'_>, count: u32) -> Option<()> {
    for list in 0..count {
        if !bits.flag()? {
            continue;
        }
        let (mut last, mut next) = (8, 8);
        for _ in 0..if list < 6 { 16 } else { 64 } {
            if next != 0 {
                let delta = bits.signed().filter(|delta| (-128..128).contains(delta))?;
                next = (last + delta + 256) % 256;
            }
            last = if next == 0 { last } else { next };
        }
    }
    Some(())
}

fn order(bits: &mut Bits<'_>) -> Option<Order> {
    match bits.unsigned()? {
        0 => Some(Order::Number(bits.unsigned().filter(|&more| more <= 12)? + 4)),
        1 => {
            let is_always_zero = bits.flag()?;
            bits.signed()?;
            bits.signed()?;
            for _ in 0..bits.unsigned().filter(|&length| length < 256)? {
                bits.signed()?;
            }
            Some(Order::Cycle { is_always_zero })
        }
        2 => Some(Order::Decoding),
        _ => None,
    }
}

/// A picture parameter set and its ID, from a NAL unit with its header. The set is `None` where its slices cannot be
/// parsed; all is, where there is no ID.
pub(super) fn read_picture(nal: &[u8]) -> Option<(u32, Option<Picture>)> {
    let bytes = payload(nal.get(1..)?).ok()?;
    let mut bits = Bits::new(&bytes);
    let id = bits.unsigned().filter(|&id| id < 256)?;
    let ones = usize::try_from(bytes.last()?.trailing_zeros()).ok()? + 1;
    Some((id, picture(&mut bits, bytes.len() * 8 - ones)))
}

/// `end`: how many bits there are before the stop bit.
fn picture(bits: &mut Bits<'_>, end: usize) -> Option<Picture> {
    let sequence = bits.unsigned().filter(|&id| id < 32)?;
    let is_cabac = bits.flag()?;
    let has_bottom_order = bits.flag()?;
    if bits.unsigned()? != 0 {
        return None; // slice groups: macroblocks in another order
    }
    let references = [references(bits)?, references(bits)?];
    let is_weighted = bits.flag()?;
    let bipredictive_weights = bits.number(2)?;
    let qp = 26_i32.checked_add(bits.signed()?)?;
    bits.signed()?; // pic_init_qs
    bits.signed()?; // chroma_qp_index_offset
    let has_deblocking = bits.flag()?;
    bits.flag()?; // constrained_intra_pred_flag
    let has_redundant = bits.flag()?;
    let transform_8x8 = bits.position() < end && bits.flag()?;
    Some(Picture {
        sequence,
        is_cabac,
        has_bottom_order,
        references,
        is_weighted,
        bipredictive_weights,
        qp,
        has_deblocking,
        has_redundant,
        transform_8x8,
    })
}

/// A number of reference indices, written as one less.
pub(super) fn references(bits: &mut Bits<'_>) -> Option<u32> {
    bits.unsigned().filter(|&less| less < 32).map(|less| less + 1)
}
