//! The boxes of a stream that go by as they are, and what is no box.
//!
//! Deliberately absent: the boxes that are read or decrypted, which [`machine`](crate::cenc::machine) has.

use crate::cenc::error::Error;
use crate::cenc::foreign;
use crate::cenc::machine::Machine;
use crate::cenc::state::{State, StreamBox};
use crate::cenc::tail::MediaWatch;

impl Machine {
    /// Refuses a stream that is no MP4 from its first bytes on. Returns whether there are enough of them to tell.
    pub(super) fn refuse_foreign(&self) -> Result<bool, Error> {
        if self.at > 0 || self.init.is_some() || self.table.is_some() {
            return Ok(true);
        }
        let bytes = self.held.bytes();
        if !self.is_end && foreign::is_untold(bytes) {
            return Ok(false);
        }
        foreign::recognize(bytes).map_or(Ok(true), |foreign| Err(foreign.into()))
    }

    /// More of a box came that goes by.
    pub(super) fn pass(
        &mut self,
        this: StreamBox,
        left: u64,
        mut watch: Option<MediaWatch>,
    ) -> Result<bool, Error> {
        let there = u64::try_from(self.held.len()).unwrap_or(u64::MAX);
        let now = left.min(there);
        let length = usize::try_from(now).unwrap_or(usize::MAX);
        if let Some(watch) = &mut watch {
            let passing = self.held.bytes().get(..length).unwrap_or_default();
            let may_be_box = this.size.is_some() && this.kind.0.iter().all(u8::is_ascii_graphic);
            if watch.sees(passing) && !may_be_box {
                // Not a tail: a damaged box in the middle of the film.
                return Err(this.cut_short(left));
            }
        }
        self.emit(length);
        match left - now {
            0 => self.state = State::AtBox,
            left => self.state = State::Passing { this, left, watch },
        }
        Ok(left == now)
    }
}
