//! Residual of a macroblock (ISO/IEC 14496-10, 7.3.5.3): which blocks have coefficients, and the coefficients.
//!
//! Their values are read and not kept.

use crate::cenc::judge::h264::engine::Engine;
use crate::cenc::judge::h264::state::{Kind, Macroblock, Place};
use crate::cenc::judge::h264::tables::{LAST_8X8, SIGNIFICANT_8X8};

/// A kind of block (ctxBlockCat, table 9-42) and its contexts (table 9-34).
struct Category {
    /// The most coefficients.
    length: usize,
    coded: usize,
    significant: usize,
    last: usize,
    level: usize,
    /// How many contexts levels after one above 1 have.
    large: usize,
}

const fn category(length: usize, coded: usize, map: usize, level: usize) -> Category {
    Category {
        length,
        coded: 85 + coded,
        significant: 105 + map,
        last: 166 + map,
        level: 227 + level,
        large: 4,
    }
}

const LUMA_DC: Category = category(16, 0, 0, 0);
const LUMA_AC: Category = category(15, 4, 15, 10);
const LUMA: Category = category(16, 8, 29, 20);
const CHROMA_DC: Category = Category { large: 3, ..category(4, 12, 44, 30) };
const CHROMA_AC: Category = category(15, 16, 47, 39);
/// Its coded_block_flag is not written: the pattern says it.
const LUMA_8X8: Category =
    Category { length: 64, coded: 0, significant: 402, last: 417, level: 426, large: 4 };

/// Reads the residual of a macroblock whose pattern is known.
pub(super) fn read(engine: &mut Engine<'_>, place: &mut Place<'_>) -> Option<()> {
    if place.now.kind == Kind::IntraWhole && dc(engine, place, 0, &LUMA_DC)? {
        place.now.dc |= 1;
    }
    for quarter in 0..4 {
        if place.now.pattern >> quarter & 1 == 1 {
            luma(engine, place, quarter)?;
        }
    }
    let chroma = place.now.pattern >> 4;
    if chroma != 0 {
        for plane in 1..3 {
            if dc(engine, place, plane, &CHROMA_DC)? {
                place.now.dc |= 1 << plane;
            }
        }
    }
    if chroma == 2 {
        for plane in 0..2 {
            for block in 0..4 {
                let coded = |at: &Macroblock, block: usize| {
                    at.chroma.get(plane).is_some_and(|blocks| blocks >> block & 1 == 1)
                };
                let increment = increment(place, place.around(block, 2), coded);
                if read_block(engine, &CHROMA_AC, increment)? {
                    let blocks = place.now.chroma.get_mut(plane)?;
                    *blocks |= 1 << block;
                }
            }
        }
    }
    Some(())
}

/// The context increment of coded_block_flag (9.3.3.1.1.9).
fn increment(
    place: &Place<'_>,
    around: [(&Macroblock, usize); 2],
    coded: impl Fn(&Macroblock, usize) -> bool,
) -> usize {
    let [left, above] = around.map(|(at, block)| match at.kind {
        Kind::Absent => usize::from(place.now.is_intra()),
        _ => usize::from(coded(at, block)),
    });
    left + 2 * above
}

/// A DC block: 0 of luma, 1 and 2 of chroma. Returns whether it has coefficients.
fn dc(
    engine: &mut Engine<'_>,
    place: &Place<'_>,
    plane: usize,
    category: &Category,
) -> Option<bool> {
    let around = [(place.left, plane), (place.above, plane)];
    let increment = increment(place, around, |at, plane| at.dc >> plane & 1 == 1);
    read_block(engine, category, increment)
}

/// The blocks of a quarter of luma.
fn luma(engine: &mut Engine<'_>, place: &mut Place<'_>, quarter: usize) -> Option<()> {
    let corner = quarter % 2 * 2 + quarter / 2 * 8;
    if place.now.transform_8x8 {
        place.now.luma |= 0x33 << corner;
        return coefficients(engine, &LUMA_8X8);
    }
    let category = if place.now.kind == Kind::IntraWhole { &LUMA_AC } else { &LUMA };
    for block in [corner, corner + 1, corner + 4, corner + 5] {
        let coded = |at: &Macroblock, block: usize| at.luma >> block & 1 == 1;
        let increment = increment(place, place.around(block, 4), coded);
        if read_block(engine, category, increment)? {
            place.now.luma |= 1 << block;
        }
    }
    Some(())
}

/// A block whose coded_block_flag is written. Returns it.
fn read_block(engine: &mut Engine<'_>, category: &Category, increment: usize) -> Option<bool> {
    let is_coded = engine.bin(category.coded + increment);
    if is_coded {
        coefficients(engine, category)?;
    }
    Some(is_coded)
}

/// The coefficients of a block that has some (7.3.5.3.3).
fn coefficients(engine: &mut Engine<'_>, category: &Category) -> Option<()> {
    let mut count = 0;
    let mut position = 0;
    loop {
        if position + 1 == category.length {
            count += 1; // the last one is there where no other was
            break;
        }
        let (significant, last) = offsets(category, position);
        if engine.bin(category.significant + significant) {
            count += 1;
            if engine.bin(category.last + last) {
                break;
            }
        }
        position += 1;
    }
    let (mut ones, mut larger) = (0, 0);
    for _ in 0..count {
        let first = if larger > 0 { 0 } else { 4.min(1 + ones) };
        if engine.bin(category.level + first) {
            level(engine, category.level + 5 + category.large.min(larger))?;
            larger += 1;
        } else {
            ones += 1;
        }
        engine.bypass(); // coeff_sign_flag
    }
    Some(())
}

/// Which contexts the flags at a position take (9.3.3.1.3).
fn offsets(category: &Category, position: usize) -> (usize, usize) {
    match category.length {
        64 => {
            let of = |table: &[u8]| table.get(position).copied().map_or(0, usize::from);
            (of(&SIGNIFICANT_8X8), of(&LAST_8X8))
        }
        4 => (position.min(2), position.min(2)),
        _ => (position, position),
    }
}

/// The rest of coeff_abs_level_minus1, whose first bin is one.
fn level(engine: &mut Engine<'_>, context: usize) -> Option<()> {
    for _ in 1..14 {
        if !engine.bin(context) {
            return Some(());
        }
    }
    engine.golomb(0).map(drop)
}
