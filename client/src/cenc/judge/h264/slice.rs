//! Slice data of CABAC (ISO/IEC 14496-10, 7.3.4): macroblock after macroblock, to the flag that ends the slice.

use alloc::vec;

use crate::cenc::judge::h264::engine::Engine;
use crate::cenc::judge::h264::header::{Header, Kind as SliceKind};
use crate::cenc::judge::h264::inter::Lists;
use crate::cenc::judge::h264::macroblock::{self, Settings};
use crate::cenc::judge::h264::params::{Picture, Sequence};
use crate::cenc::judge::h264::state::{Kind, Macroblock, Place};

/// Parses the bytes of slice data to their end. `None` where a value may not be, or where the slice ends elsewhere.
pub(super) fn parse(
    bytes: &[u8],
    header: &Header,
    sequence: &Sequence,
    picture: &Picture,
) -> Option<()> {
    let settings = Settings {
        lists: Lists {
            kind: header.kind,
            references: header.references,
            direct_8x8: sequence.direct_8x8,
        },
        has_chroma: sequence.has_chroma,
        transform_8x8: picture.transform_8x8,
    };
    let width = usize::try_from(sequence.width).ok()?;
    let mut engine = Engine::new(bytes, header.init, header.qp);
    let mut row = vec![Macroblock::ABSENT; width];
    let mut left = Macroblock::ABSENT;
    let mut had_delta = false;
    for address in header.first..sequence.width * sequence.height {
        let x = usize::try_from(address % sequence.width).ok()?;
        if x == 0 {
            left = Macroblock::ABSENT;
        }
        let above = row.get_mut(x)?;
        let mut place = Place { left: &left, above, now: Macroblock::new(Kind::Skip) };
        if is_skipped(&mut engine, &place, header.kind) {
            had_delta = false;
        } else {
            macroblock::read(&mut engine, &mut place, &settings, &mut had_delta)?;
        }
        left = place.now;
        *above = left;
        if engine.is_past_end() {
            return None;
        }
        if engine.terminate() {
            return engine.is_at_last_byte().then_some(());
        }
    }
    None
}

/// mb_skip_flag, where the slice has it.
fn is_skipped(engine: &mut Engine<'_>, place: &Place<'_>, kind: SliceKind) -> bool {
    let first = match kind {
        SliceKind::I => return false,
        SliceKind::P => 11,
        SliceKind::B => 24,
    };
    engine.bin(first + place.beside(1, |at| !matches!(at.kind, Kind::Absent | Kind::Skip)))
}
