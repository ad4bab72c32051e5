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
