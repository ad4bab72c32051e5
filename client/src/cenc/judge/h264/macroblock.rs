//! A macroblock that is not skipped (ISO/IEC 14496-10, 7.3.5): its type and prediction, down to the residual.

use crate::cenc::judge::h264::coefficients;
use crate::cenc::judge::h264::engine::Engine;
use crate::cenc::judge::h264::header::Kind as SliceKind;
use crate::cenc::judge::h264::inter::{self, Lists, Parts, Shape};
use crate::cenc::judge::h264::state::{Kind, Macroblock, Place};

/// What is shared by the macroblocks of a slice.
#[derive(Clone, Copy)]
pub(super) struct Settings {
    pub(super) lists: Lists,
    pub(super) has_chroma: bool,
    /// transform_8x8_mode_flag.
    pub(super) transform_8x8: bool,
}

/// mb_type.
enum Type {
    /// I_NxN.
    Blocks,
    /// Intra_16x16, with its prediction mode and its pattern.
    Whole {
        mode: u8,
        pattern: u8,
    },
    Pcm,
    Direct,
    Inter(Shape),
}

/// Reads a macroblock. `had_delta`: whether the one before had a quantizer of its own; it is changed to tell of this one.
/// `None` where it has a value that none may have.
pub(super) fn read(
    engine: &mut Engine<'_>,
    place: &mut Place<'_>,
    settings: &Settings,
    had_delta: &mut bool,
) -> Option<()> {
    let this = read_type(engine, place, settings.lists.kind);
    place.now = Macroblock::new(match this {
        Type::Blocks => Kind::IntraBlocks,
        Type::Whole { .. } => Kind::IntraWhole,
        Type::Direct => Kind::Direct,
        Type::Inter(_) => Kind::Inter,
        Type::Pcm => {
            *had_delta = false;
            return pcm(engine, place, settings.has_chroma);
        }
    });
    let mut allow_8x8 = settings.transform_8x8;
    match this {
        Type::Whole { mode, pattern } => {
            needs(place, [mode == 1 || mode == 3, mode == 0 || mode == 3])?;
            place.now.pattern = pattern;
            chroma_mode(engine, place, settings)?;
        }
        Type::Inter(shape) => {
            let parts = Parts::read(engine, shape, &settings.lists);
            inter::read(engine, place, &settings.lists, &parts)?;
            allow_8x8 &= parts.allow_8x8;
        }
        Type::Direct => allow_8x8 &= settings.lists.direct_8x8,
        Type::Blocks | Type::Pcm => {
            if allow_8x8 {
                transform_size(engine, place);
            }
            block_modes(engine, place);
            chroma_mode(engine, place, settings)?;
        }
    }
    let is_whole = place.now.kind == Kind::IntraWhole;
    if !is_whole {
        pattern(engine, place, settings.has_chroma);
        let has_luma = place.now.pattern & 0x0f != 0;
        if allow_8x8 && has_luma && place.now.kind != Kind::IntraBlocks {
            transform_size(engine, place);
        }
    }
    if !is_whole && place.now.pattern == 0 {
        *had_delta = false;
        return Some(());
    }
    *had_delta = quantizer(engine, *had_delta)?;
    coefficients::read(engine, place)
}

/// Passes over samples without a code: 8 bits each.
fn pcm(engine: &mut Engine<'_>, place: &mut Place<'_>, has_chroma: bool) -> Option<()> {
    let begin = engine.position().div_ceil(8);
    engine.restart(begin + if has_chroma { 384 } else { 256 });
    place.now = Macroblock::PCM;
    if !has_chroma {
        (place.now.pattern, place.now.dc, place.now.chroma) = (0x0f, 1, [0; 2]);
    }
    Some(())
}

fn read_type(engine: &mut Engine<'_>, place: &Place<'_>, kind: SliceKind) -> Type {
    match kind {
        SliceKind::I => {
            let other = |at: &Macroblock| matches!(at.kind, Kind::IntraWhole | Kind::Pcm);
            let first = 3 + place.beside(1, other);
            intra_type(engine, first, [6, 7, 8, 9, 10])
        }
        SliceKind::P => type_of_p(engine),
        SliceKind::B => type_of_b(engine, place),
    }
}

/// The type of an intra macroblock (table 9-36). `contexts`: of whether luma has a pattern, of both bins of the pattern of
/// chroma, and of both of the prediction mode.
fn intra_type(engine: &mut Engine<'_>, first: usize, contexts: [usize; 5]) -> Type {
    if !engine.bin(first) {
        return Type::Blocks;
    }
    if engine.terminate() {
        return Type::Pcm;
    }
    let [luma, chroma, full, high, low] = contexts;
    let luma = if engine.bin(luma) { 0x0f } else { 0 };
    let chroma = match engine.bin(chroma) {
        true if engine.bin(full) => 0x20,
        true => 0x10,
        false => 0,
    };
    let mode = 2 * u8::from(engine.bin(high)) + u8::from(engine.bin(low));
    Type::Whole { mode, pattern: luma | chroma }
}

/// mb_type in P slices (table 9-37).
fn type_of_p(engine: &mut Engine<'_>) -> Type {
    if engine.bin(14) {
        return intra_type(engine, 17, [18, 19, 19, 20, 20]);
    }
    if engine.bin(15) {
        return Type::Inter(Shape::Halves { are_upright: !engine.bin(17), lists: [1, 1] });
    }
    if engine.bin(16) {
        return Type::Inter(Shape::Quarters);
    }
    Type::Inter(Shape::Whole(1))
}

/// The lists that the halves of a macroblock are predicted from, by mb_type from 4 on, two by two (table 7-14).
const LISTS_OF_HALVES: [[u8; 2]; 9] =
    [[1, 1], [2, 2], [1, 2], [2, 1], [1, 3], [2, 3], [3, 1], [3, 2], [3, 3]];

/// mb_type in B slices (table 9-37).
fn type_of_b(engine: &mut Engine<'_>, place: &Place<'_>) -> Type {
    let other = |at: &Macroblock| !matches!(at.kind, Kind::Absent | Kind::Skip | Kind::Direct);
    if !engine.bin(27 + place.beside(1, other)) {
        return Type::Direct;
    }
    if !engine.bin(30) {
        return Type::Inter(Shape::Whole(if engine.bin(32) { 2 } else { 1 }));
    }
    let mut bins = usize::from(engine.bin(31));
    for _ in 0..3 {
        bins = 2 * bins + usize::from(engine.bin(32));
    }
    let number = match bins {
        0 => return Type::Inter(Shape::Whole(3)),
        1..8 => bins + 3,
        13 => return intra_type(engine, 32, [33, 34, 34, 35, 35]),
        14 => 11,
        15 => return Type::Inter(Shape::Quarters),
        _ => 2 * bins + usize::from(engine.bin(32)) - 4,
    };
    let index = number.saturating_sub(4);
    let lists = LISTS_OF_HALVES.get(index / 2).copied().unwrap_or([1, 1]);
    Type::Inter(Shape::Halves { are_upright: index % 2 == 1, lists })
}

/// `None` where a prediction mode needs a neighbour that is not there: the one on the left, or the one above.
fn needs(place: &Place<'_>, [left, above]: [bool; 2]) -> Option<()> {
    let is_absent = |at: &Macroblock| at.kind == Kind::Absent;
    let lacks = left && is_absent(place.left) || above && is_absent(place.above);
    (!lacks).then_some(())
}

/// transform_size_8x8_flag.
fn transform_size(engine: &mut Engine<'_>, place: &mut Place<'_>) {
    let context = 399 + place.beside(1, |at| at.transform_8x8);
    place.now.transform_8x8 = engine.bin(context);
}

/// The prediction modes of blocks of 4x4 or 8x8.
fn block_modes(engine: &mut Engine<'_>, place: &Place<'_>) {
    for _ in 0..if place.now.transform_8x8 { 4 } else { 16 } {
        if !engine.bin(68) {
            for _ in 0..3 {
                engine.bin(69);
            }
        }
    }
}

/// intra_chroma_pred_mode: DC, horizontal, vertical or plane.
fn chroma_mode(engine: &mut Engine<'_>, place: &mut Place<'_>, settings: &Settings) -> Option<()> {
    if !settings.has_chroma {
        return Some(());
    }
    if engine.bin(64 + place.beside(1, |at| at.has_chroma_mode)) {
        place.now.has_chroma_mode = true;
        let mode = match engine.bin(67) {
            true if engine.bin(67) => 3,
            true => 2,
            false => 1,
        };
        needs(place, [mode != 2, mode != 1])?;
    }
    Some(())
}

/// coded_block_pattern.
fn pattern(engine: &mut Engine<'_>, place: &mut Place<'_>, has_chroma: bool) {
    for quarter in 0..4 {
        let around = place.around(quarter, 2);
        let [left, above] = around.map(|(at, quarter)| usize::from(at.pattern >> quarter & 1 == 0));
        if engine.bin(73 + left + 2 * above) {
            place.now.pattern |= 1 << quarter;
        }
    }
    if has_chroma && engine.bin(77 + place.beside(2, |at| at.pattern >> 4 != 0)) {
        let full = 81 + place.beside(2, |at| at.pattern >> 4 == 2);
        place.now.pattern |= if engine.bin(full) { 0x20 } else { 0x10 };
    }
}

/// mb_qp_delta. Returns whether it is not zero; `None` where it is out of range: -26 to 26 are let through.
fn quantizer(engine: &mut Engine<'_>, had_delta: bool) -> Option<bool> {
    if !engine.bin(60 + usize::from(had_delta)) {
        return Some(false);
    }
    let mut count = 1;
    let mut context = 62;
    while engine.bin(context) {
        context = 63;
        count += 1;
        if count > 52 {
            return None;
        }
    }
    Some(true)
}
