//! Motion of a macroblock (ISO/IEC 14496-10, 7.3.5.1 and 7.3.5.2): its parts, their references and motion vectors.

use crate::cenc::judge::h264::engine::Engine;
use crate::cenc::judge::h264::header::Kind as SliceKind;
use crate::cenc::judge::h264::state::{DIFFERENCE_MAX, Place};

/// A part of a macroblock with its own references. Lengths are in 4x4 blocks.
#[derive(Clone, Copy)]
pub(super) struct Part {
    /// Its first block.
    corner: usize,
    width: usize,
    height: usize,
    /// Which lists it is predicted from: 1 and 2 are bits of list 0 and list 1. Without one it is direct.
    lists: u8,
    /// Width and height of what has a motion vector of its own.
    step: (usize, usize),
}

/// The parts of a macroblock.
#[derive(Clone, Copy)]
pub(super) struct Parts {
    parts: [Option<Part>; 4],
    /// Whether a transform of 8x8 may be used, as far as parts matter (noSubMbPartSizeLessThan8x8Flag).
    pub(super) allow_8x8: bool,
}

/// What is shared by the macroblocks of a slice.
#[derive(Clone, Copy)]
pub(super) struct Lists {
    pub(super) kind: SliceKind,
    /// How many reference indices each list has.
    pub(super) references: [u32; 2],
    /// direct_8x8_inference_flag.
    pub(super) direct_8x8: bool,
}

/// How mb_type parts a macroblock. `lists` are as in [`Part`].
#[derive(Clone, Copy)]
pub(super) enum Shape {
    Whole(u8),
    /// Two halves: side by side, or one above the other.
    Halves {
        are_upright: bool,
        lists: [u8; 2],
    },
    /// Four, each with a type of its own.
    Quarters,
}

impl Parts {
    /// The parts of a macroblock; the types of its quarters are read here.
    pub(super) fn read(engine: &mut Engine<'_>, shape: Shape, slice: &Lists) -> Self {
        let parts = match shape {
            Shape::Whole(lists) => [Some(Part::new(0, (4, 4), lists)), None, None, None],
            Shape::Halves { are_upright: true, lists: [left, right] } => {
                [Some(Part::new(0, (2, 4), left)), Some(Part::new(2, (2, 4), right)), None, None]
            }
            Shape::Halves { are_upright: false, lists: [upper, lower] } => {
                [Some(Part::new(0, (4, 2), upper)), Some(Part::new(8, (4, 2), lower)), None, None]
            }
            Shape::Quarters => return Self::quarters(engine, slice),
        };
        Self { parts, allow_8x8: true }
    }

    fn quarters(engine: &mut Engine<'_>, slice: &Lists) -> Self {
        let mut allow_8x8 = true;
        let parts = [0, 2, 8, 10].map(|corner| {
            let (lists, step) = match slice.kind {
                SliceKind::B => quarter_of_b(engine),
                _ => (1, quarter_of_p(engine)),
            };
            allow_8x8 &= if lists == 0 { slice.direct_8x8 } else { step == (2, 2) };
            Some(Part { step, ..Part::new(corner, (2, 2), lists) })
        });
        Self { parts, allow_8x8 }
    }
}

impl Part {
    /// A part with one motion vector for each list.
    fn new(corner: usize, (width, height): (usize, usize), lists: u8) -> Self {
        Self { corner, width, height, lists, step: (width, height) }
    }
}

/// sub_mb_type in P slices (table 9-38).
fn quarter_of_p(engine: &mut Engine<'_>) -> (usize, usize) {
    if engine.bin(21) {
        return (2, 2);
    }
    if !engine.bin(22) {
        return (2, 1);
    }
    if engine.bin(23) { (1, 2) } else { (1, 1) }
}

/// sub_mb_type in B slices (table 9-38): the lists, and the size of what has a motion vector.
fn quarter_of_b(engine: &mut Engine<'_>) -> (u8, (usize, usize)) {
    if !engine.bin(36) {
        return (0, (2, 2));
    }
    if !engine.bin(37) {
        return (if engine.bin(39) { 2 } else { 1 }, (2, 2));
    }
    if engine.bin(38) {
        if engine.bin(39) {
            return (if engine.bin(39) { 3 } else { 2 }, (1, 1));
        }
        return match (engine.bin(39), engine.bin(39)) {
            (false, false) => (2, (1, 2)),
            (false, true) => (3, (2, 1)),
            (true, false) => (3, (1, 2)),
            (true, true) => (1, (1, 1)),
        };
    }
    match (engine.bin(39), engine.bin(39)) {
        (false, false) => (3, (2, 2)),
        (false, true) => (1, (2, 1)),
        (true, false) => (1, (1, 2)),
        (true, true) => (2, (2, 1)),
    }
}

/// Reads the reference indices and motion vector differences of all parts.
pub(super) fn read(
    engine: &mut Engine<'_>,
    place: &mut Place<'_>,
    slice: &Lists,
    parts: &Parts,
) -> Option<()> {
    let of =
        |list: usize| parts.parts.iter().flatten().filter(move |part| part.lists >> list & 1 == 1);
    for (list, &count) in slice.references.iter().enumerate() {
        for part in of(list).filter(|_| count > 1) {
            let index = reference(engine, place, list, part.corner)?;
            if index >= count {
                return None;
            }
            if index > 0 {
                let quarters: u8 = match (part.width, part.height) {
                    (4, 4) => 0b1111,
                    (4, _) => 0b0011,
                    (_, 4) => 0b0101,
                    _ => 0b0001,
                };
                let far = place.now.far.get_mut(list)?;
                *far |= quarters << quarter_of(part.corner);
            }
        }
    }
    for list in 0..2 {
        for part in of(list) {
            differences(engine, place, list, part)?;
        }
    }
    Some(())
}

/// The quarter that a block is in.
fn quarter_of(block: usize) -> usize {
    block / 8 * 2 + block % 4 / 2
}

/// ref_idx_l0 or ref_idx_l1 (9.3.3.1.1.6).
fn reference(
    engine: &mut Engine<'_>,
    place: &Place<'_>,
    list: usize,
    corner: usize,
) -> Option<u32> {
    let around = place.around(quarter_of(corner), 2);
    let [left, above] = around.map(|(at, quarter)| usize::from(at.is_far(list, quarter)));
    let mut context = 54 + left + 2 * above;
    let mut index = 0;
    while engine.bin(context) {
        context = if index == 0 { 58 } else { 59 };
        index += 1;
        if index > 31 {
            return None;
        }
    }
    Some(index)
}

/// The motion vector differences of a part.
fn differences(
    engine: &mut Engine<'_>,
    place: &mut Place<'_>,
    list: usize,
    part: &Part,
) -> Option<()> {
    for y in (0..part.height).step_by(part.step.1) {
        for x in (0..part.width).step_by(part.step.0) {
            let corner = part.corner + 4 * y + x;
            let mut sizes = [0; 2];
            for (component, size) in sizes.iter_mut().enumerate() {
                let around = place.around(corner, 4);
                let sum = around.map(|(at, block)| at.difference(list, block, component));
                *size = difference(engine, 40 + 7 * component, sum.iter().sum())?;
            }
            for row in 0..part.step.1 {
                let first = corner + 4 * row;
                let blocks = place.now.differences.get_mut(list)?;
                blocks.get_mut(first..first + part.step.0)?.fill(sizes);
            }
        }
    }
    Some(())
}

/// The size of a component of a motion vector difference, up to [`DIFFERENCE_MAX`] (9.3.3.1.1.7). `sum`: the sizes on the
/// left and above.
fn difference(engine: &mut Engine<'_>, contexts: usize, sum: u32) -> Option<u8> {
    let first = match sum {
        0..3 => 0,
        3..=32 => 1,
        _ => 2,
    };
    if !engine.bin(contexts + first) {
        return Some(0);
    }
    let mut size = 1;
    let mut context = contexts + 3;
    while size < 9 && engine.bin(context) {
        context = (contexts + 6).min(context + 1);
        size += 1;
    }
    if size == 9 {
        size += engine.golomb(3)?;
    }
    engine.bypass(); // the sign
    u8::try_from(size.min(DIFFERENCE_MAX)).ok()
}
