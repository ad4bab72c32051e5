//! The arithmetic decoder of CABAC (ISO/IEC 14496-10, 9.3.1.2 and 9.3.3.2).
//!
//! It reads zeros behind the last byte; [`Engine::is_past_end`] tells. Deliberately absent: which context a bin takes.

use crate::cenc::judge::h264::tables::{AFTER_LPS, BEGIN_I, BEGIN_P_AND_B, CONTEXTS, RANGE_LPS};

/// Bits of the offset that are compared with the range.
const WINDOW: u32 = 9;

/// Below so many spare bits the next bytes are loaded: more than one bin can shift away.
const SPARE_MIN: u32 = 16;

/// The decoder and its contexts.
#[derive(Debug)]
pub(super) struct Engine<'a> {
    bytes: &'a [u8],
    /// How many bytes were loaded, those behind the end included.
    loaded: usize,
    /// codIOffset, followed by the bits that are loaded already.
    value: u64,
    /// How many bits follow codIOffset in `value`.
    spare: u32,
    /// codIRange.
    range: u64,
    /// Of each context pStateIdx, and valMPS as the lowest bit.
    contexts: [u8; CONTEXTS],
}

impl<'a> Engine<'a> {
    /// Begins with slice data. `init`: cabac_init_idc, `None` in I slices; `qp`: SliceQPY.
    pub(super) fn new(bytes: &'a [u8], init: Option<usize>, qp: i32) -> Self {
        let table = init.and_then(|init| BEGIN_P_AND_B.get(init)).unwrap_or(&BEGIN_I);
        let mut contexts = [0; CONTEXTS];
        for (context, begin) in contexts.iter_mut().zip(table.as_chunks::<2>().0) {
            *context = first_state(*begin, qp);
        }
        let mut engine = Self { bytes, loaded: 0, value: 0, spare: 0, range: 0, contexts };
        engine.restart(0);
        engine
    }

    /// Begins anew at a byte, with the contexts as they are.
    pub(super) fn restart(&mut self, byte: usize) {
        let first = |at| u64::from(self.bytes.get(at).copied().unwrap_or(0));
        self.value = first(byte) << 8 | first(byte.saturating_add(1));
        self.loaded = byte.saturating_add(2);
        self.spare = 16 - WINDOW;
        self.range = 510;
        self.load();
    }

    /// How many bits of the bytes were read.
    pub(super) fn position(&self) -> usize {
        let spare = usize::try_from(self.spare).unwrap_or(0);
        self.loaded.saturating_mul(8).saturating_sub(spare)
    }

    /// Whether bits were read that are not there.
    pub(super) fn is_past_end(&self) -> bool {
        self.position() > self.bytes.len().saturating_mul(8)
    }

    /// After the bin that ends a slice: whether the last bit that was read is rbsp_stop_one_bit, and no byte follows
    /// (9.3.1.2). Bits of the same byte may follow: x264 writes one there, though they should be zero (7.3.2.11).
    pub(super) fn is_at_last_byte(&self) -> bool {
        let Some(last) = self.position().checked_sub(1) else { return false };
        let byte = self.bytes.get(last / 8).copied().unwrap_or(0);
        byte >> (7 - last % 8) & 1 == 1 && last / 8 + 1 == self.bytes.len()
    }

    fn load(&mut self) {
        if self.spare >= SPARE_MIN {
            return;
        }
        while self.spare <= 64 - WINDOW - 8 {
            let byte = self.bytes.get(self.loaded).copied().unwrap_or(0);
            self.value = self.value << 8 | u64::from(byte);
            self.loaded = self.loaded.saturating_add(1);
            self.spare += 8;
        }
    }

    /// Makes the range nine bits long again (RenormD).
    fn renormalize(&mut self) {
        let shift = self.range.leading_zeros().saturating_sub(64 - WINDOW);
        self.range <<= shift;
        self.spare = self.spare.saturating_sub(shift);
        self.load();
    }

    /// A bin with a context (DecodeDecision).
    pub(super) fn bin(&mut self, context: usize) -> bool {
        let Some(state) = self.contexts.get_mut(context) else { return false };
        let (index, mps) = (usize::from(*state >> 1), *state & 1);
        let quarter = usize::try_from(self.range >> 6 & 3).unwrap_or(0);
        let lps = RANGE_LPS.get(index).and_then(|row| row.get(quarter)).copied().unwrap_or(2);
        self.range -= u64::from(lps);
        let edge = self.range << self.spare;
        let bin = if self.value < edge {
            if index < 62 {
                *state += 2;
            }
            mps
        } else {
            self.value -= edge;
            self.range = u64::from(lps);
            let next = AFTER_LPS.get(index).copied().unwrap_or(63);
            *state = next << 1 | if index == 0 { 1 - mps } else { mps };
            1 - mps
        };
        self.renormalize();
        bin == 1
    }

    /// A bin whose values are as probable (DecodeBypass).
    pub(super) fn bypass(&mut self) -> bool {
        self.spare = self.spare.saturating_sub(1);
        let edge = self.range << self.spare;
        let bin = self.value >= edge;
        if bin {
            self.value -= edge;
        }
        self.load();
        bin
    }

    /// A bin that ends the slice, or announces samples without a code (DecodeTerminate). After `true` nothing may be read
    /// before a [`restart`](Self::restart).
    pub(super) fn terminate(&mut self) -> bool {
        self.range -= 2;
        if self.value >= self.range << self.spare {
            return true;
        }
        self.renormalize();
        false
    }

    /// The suffix of a binarization with Exp-Golomb codes of order `k` (9.3.2.3). `None` where it is longer than any
    /// value that a slice may have.
    pub(super) fn golomb(&mut self, mut k: u32) -> Option<u32> {
        let mut value = 0;
        while self.bypass() {
            if k >= 16 {
                return None;
            }
            value += 1 << k;
            k += 1;
        }
        for bit in (0..k).rev() {
            value += u32::from(self.bypass()) << bit;
        }
        Some(value)
    }
}

/// The state that a context begins in (9.3.1.1).
fn first_state([m, n]: [i8; 2], qp: i32) -> u8 {
    let state = (((i32::from(m) * qp.clamp(0, 51)) >> 4) + i32::from(n)).clamp(1, 126);
    let state = if state <= 63 { (63 - state) << 1 } else { (state - 64) << 1 | 1 };
    u8::try_from(state).unwrap_or(0)
}
