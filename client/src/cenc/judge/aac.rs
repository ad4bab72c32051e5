//! AAC: raw_data_block (ISO/IEC 14496-3:2019, 4.4.2.1), as far as the sections of its first channel.
//!
//! Each frame begins with a channel, alone or one of a pair; fill and data elements may stand in front of it. Noise breaks
//! a rule almost always: three elements of eight cannot stand there, Low Complexity has no prediction, and the lengths of
//! the sections add up to a number that was given before.
//!
//! Real streams switch between one channel and two without saying so in their configuration. So either is right.
//! A reserved bit is not looked at, since decoders pass over it.

use crate::cenc::judge::bits::Bits;
use crate::cenc::judge::decrypted::Decrypted;
use crate::cenc::judge::verdict::Verdict;

/// So many fill and data elements are passed over.
const PASSED_OVER_MAX: usize = 8;

/// No sampling frequency has more scale factor bands (4.5.4, tables of swb_offset).
const BANDS_MAX: u32 = 51;

/// The shortest frame that has a channel in it. Shorter ones may say that there is nothing.
const FRAME_BYTES_MIN: usize = 8;

/// Why a frame is not judged.
enum Stop {
    /// It breaks a rule.
    Broken,
    /// It ends too soon, or has what is not read here.
    Unknown,
}

pub(super) fn judge(sample: &Decrypted<'_>) -> Verdict {
    if sample.length < FRAME_BYTES_MIN {
        return Verdict::Silent;
    }
    let mut bits = Bits::of(sample.bytes);
    let holds = match read_frame(&mut bits) {
        Ok(()) => true,
        Err(Stop::Broken) => false,
        Err(Stop::Unknown) => return Verdict::Silent,
    };
    Verdict::of(holds, sample.was_encrypted(0..bits.bytes_read()))
}

/// How the lines of a channel are divided: ics_info (4.4.2.1, table 4.6).
struct Windows {
    short: bool,
    groups: u32,
    bands: u32,
}

/// The elements up to the first channel, and the start of that.
fn read_frame(bits: &mut Bits<'_>) -> Result<(), Stop> {
    for passed_over in 0..PASSED_OVER_MAX {
        match read(bits, 3)? {
            // single_channel_element
            0 => {
                read(bits, 4)?;
                return read_channel(bits, None);
            }
            // channel_pair_element
            1 => {
                read(bits, 4)?;
                let windows = if read(bits, 1)? == 1 { Some(read_common(bits)?) } else { None };
                return read_channel(bits, windows);
            }
            // data_stream_element
            4 => {
                read(bits, 4)?;
                let aligned = read(bits, 1)? == 1;
                let mut count = read(bits, 8)?;
                if count == 255 {
                    count = count.saturating_add(read(bits, 8)?);
                }
                if aligned {
                    bits.align();
                }
                skip_bytes(bits, count)?;
            }
            // program_config_element
            5 => return Err(Stop::Unknown),
            // fill_element
            6 => {
                let mut count = read(bits, 4)?;
                if count == 15 {
                    count = read(bits, 8)?.saturating_add(14);
                }
                skip_bytes(bits, count)?;
            }
            // A frame of nothing but fill.
            7 if passed_over > 0 => return Err(Stop::Unknown),
            // coupling_channel_element, lfe_channel_element, and the end.
            _ => return Err(Stop::Broken),
        }
    }
    Err(Stop::Unknown)
}

/// What both channels of a pair share: their windows and ms_mask_present.
fn read_common(bits: &mut Bits<'_>) -> Result<Windows, Stop> {
    let windows = read_windows(bits)?;
    match read(bits, 2)? {
        1 => {
            let mask = windows.groups.saturating_mul(windows.bands);
            bits.skip(usize::try_from(mask).unwrap_or(usize::MAX)).ok_or(Stop::Unknown)?;
        }
        3 => return Err(Stop::Broken),
        _ => {}
    }
    Ok(windows)
}

/// individual_channel_stream (table 4.50) up to its section_data.
fn read_channel(bits: &mut Bits<'_>, windows: Option<Windows>) -> Result<(), Stop> {
    let _global_gain = read(bits, 8)?;
    let windows = match windows {
        Some(windows) => windows,
        None => read_windows(bits)?,
    };
    read_sections(bits, &windows)
}

fn read_windows(bits: &mut Bits<'_>) -> Result<Windows, Stop> {
    let _reserved = read(bits, 1)?;
    let short = read(bits, 2)? == 2;
    let _shape = read(bits, 1)?;
    if short {
        let bands = read(bits, 4)?;
        // A bit of 1 puts a window into the group of the one before it.
        let groups = read(bits, 7)?.count_ones();
        return Ok(Windows { short, groups: 8_u32.saturating_sub(groups), bands });
    }
    let bands = read(bits, 6)?;
    let predicted = read(bits, 1)? == 1;
    if bands > BANDS_MAX || predicted {
        return Err(Stop::Broken);
    }
    Ok(Windows { short, groups: 1, bands })
}

/// section_data (table 4.52).
fn read_sections(bits: &mut Bits<'_>, windows: &Windows) -> Result<(), Stop> {
    let (length_bits, escape) = if windows.short { (3, 7) } else { (5, 31) };
    for _ in 0..windows.groups {
        let mut band = 0_u32;
        while band < windows.bands {
            // Codebook 12 is reserved (table 4.151).
            if read(bits, 4)? == 12 {
                return Err(Stop::Broken);
            }
            loop {
                let length = read(bits, length_bits)?;
                band = band.saturating_add(length);
                if band > windows.bands {
                    return Err(Stop::Broken);
                }
                if length != escape {
                    break;
                }
            }
        }
    }
    Ok(())
}

fn read(bits: &mut Bits<'_>, count: u8) -> Result<u32, Stop> {
    bits.read(count).ok_or(Stop::Unknown)
}

fn skip_bytes(bits: &mut Bits<'_>, count: u32) -> Result<(), Stop> {
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    bits.skip(count.saturating_mul(8)).ok_or(Stop::Unknown)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cenc::judge::testing::{judged, noise_verdicts};

    /// One channel, by FFmpeg.
    const FRAME: [u8; 141] = [
        0x01, 0x04, 0x94, 0xda, 0x09, 0x75, 0x44, 0xba, 0xa2, 0x5d, 0x59, 0x4e, 0x9f, 0xff, 0xa3,
        0xff, 0xbf, 0xe3, 0xad, 0x6a, 0x6b, 0x5e, 0xbf, 0xff, 0x0f, 0xff, 0x7f, 0xd7, 0xae, 0x35,
        0x6e, 0x3d, 0x7f, 0xfe, 0x1f, 0xfd, 0x7f, 0x9e, 0xb5, 0xc4, 0xbb, 0xdf, 0xff, 0xe3, 0xff,
        0xcf, 0xfc, 0x79, 0xd6, 0xa4, 0xe0, 0x25, 0xe3, 0x3d, 0xcf, 0x3c, 0xf3, 0xcf, 0x04, 0xbc,
        0x9a, 0xef, 0xf0, 0x57, 0xbb, 0x8d, 0x77, 0xbd, 0x24, 0xe9, 0x53, 0x15, 0x3b, 0xd3, 0xce,
        0xf4, 0xf3, 0xbd, 0x3c, 0xef, 0x73, 0x4e, 0xf4, 0xea, 0x53, 0xc9, 0x9c, 0xe7, 0x53, 0xcf,
        0x73, 0x55, 0x66, 0xf1, 0x36, 0x5f, 0x15, 0x66, 0xf5, 0x13, 0xa4, 0xec, 0x85, 0xb7, 0xb9,
        0xb9, 0xde, 0x9f, 0x9d, 0xe8, 0x79, 0xde, 0xf9, 0x7d, 0x1e, 0xf9, 0x7d, 0x3e, 0x8c, 0xf9,
        0x1d, 0xe7, 0x93, 0xe7, 0xb2, 0xaf, 0xa7, 0x3e, 0x91, 0xf6, 0xe8, 0xd4, 0x48, 0x18, 0x18,
        0x18, 0x90, 0xe6, 0x41, 0xb3, 0xe0,
    ];

    #[test]
    fn a_right_frame_fits_and_noise_breaks_or_is_silent() {
        assert_eq!(judged(judge, &FRAME, 0..141), Verdict::Fits);
        assert_eq!(judged(judge, &FRAME, 0..0), Verdict::Silent);
        assert_eq!(judged(judge, &FRAME, 20..141), Verdict::Silent);
        let (breaks, fits) = noise_verdicts(judge, &FRAME, 0..141);
        assert!(breaks > 600 && fits < 40, "{breaks} {fits}");
    }

    /// A frame of bits, written as ones and zeros.
    fn frame(bits: &str) -> [u8; 24] {
        let mut bytes = [0; 24];
        for (at, bit) in bits.bytes().filter(|bit| *bit != b' ').enumerate() {
            bytes[at / 8] |= (bit - b'0') << (7 - at % 8);
        }
        bytes
    }

    #[test]
    fn each_element_is_read_as_it_is_laid_out() {
        // Long windows with two bands: reserved, sequence, shape, bands, prediction.
        let long = "0 00 0 000010 0";
        // One section of both bands.
        let sections = "0001 00010";
        let gain = "10000000";
        for (verdict, bits) in [
            (Verdict::Fits, alloc::format!("000 0000 {gain} {long} {sections}")),
            (Verdict::Fits, alloc::format!("001 0000 0 {gain} {long} {sections}")),
            // A pair with common windows, and a mask of its bands.
            (Verdict::Fits, alloc::format!("001 0000 1 {long} 01 11 {gain} {sections}")),
            (Verdict::Breaks, alloc::format!("001 0000 1 {long} 11 11 {gain} {sections}")),
            // A fill element of one byte; an empty one, and a data element whose one byte is aligned.
            (Verdict::Fits, alloc::format!("110 0001 11111111 000 0000 {gain} {long} {sections}")),
            (
                Verdict::Fits,
                alloc::format!(
                    "110 0000 100 0000 1 00000001 1 11111111 000 0000 {gain} {long} {sections}"
                ),
            ),
            // Short windows in two groups of one band.
            (
                Verdict::Fits,
                alloc::format!("000 0000 {gain} 0 10 0 0001 1110111 0001 001 0001 001"),
            ),
            (
                Verdict::Breaks,
                alloc::format!("000 0000 {gain} 0 10 0 0001 1110111 0001 001 0001 011"),
            ),
            // Prediction, too many bands, a reserved codebook, a section that is too long.
            (Verdict::Breaks, alloc::format!("000 0000 {gain} 0 00 0 000010 1 {sections}")),
            (Verdict::Breaks, alloc::format!("000 0000 {gain} 0 00 0 110100 0 {sections}")),
            (Verdict::Breaks, alloc::format!("000 0000 {gain} {long} 1100 00010")),
            (Verdict::Breaks, alloc::format!("000 0000 {gain} {long} 0001 00011")),
            // Elements that cannot be the first one, and one that is not read.
            (Verdict::Breaks, "010".into()),
            (Verdict::Breaks, "011".into()),
            (Verdict::Breaks, "111".into()),
            (Verdict::Silent, "101".into()),
            (Verdict::Silent, "110 0000 111".into()),
        ] {
            assert_eq!(judged(judge, &frame(&bits), 0..24), verdict, "{bits}");
        }
        assert_eq!(judged(judge, &[0xe0, 0], 0..2), Verdict::Silent);
    }
}
