//! The end of a stream, and its notes.
//!
//! Deliberately absent: the way there, which [`machine`](crate::cenc::machine) is.

use crate::cenc::boxes::Boxes;
use crate::cenc::error::Error;
use crate::cenc::foreign::{Foreign, is_known_box};
use crate::cenc::init::{self, Init};
use crate::cenc::keys::Keys;
use crate::cenc::machine::{Machine, outside_media};
use crate::cenc::notes::{Note, Notes};
use crate::cenc::state::{State, StreamBox};
use crate::cenc::tail::may_be_tail;

impl Machine {
    /// Ends the stream: all held bytes are final then.
    ///
    /// # Errors
    /// [`Error`], also where the stream ends in the middle of a box.
    pub(super) fn end(&mut self, keys: &Keys) -> Result<(), Error> {
        if let State::Failed = self.state {
            return Err(Error::Failed);
        }
        // Bytes may be held that did not tell what the file is.
        self.is_end = true;
        self.advance(keys)?;
        if let State::FragmentMedia(_, media) | State::TableMedia(media) = &self.state {
            let held = self.held.len();
            if media.mdat.size.is_some() || held > 0 {
                let missing = u64::try_from(media.missing(held)).unwrap_or(u64::MAX);
                return Err(media.mdat.cut_short(missing));
            }
            // An mdat up to the end of the file.
            self.end_media();
        }
        match &self.table {
            Some(table) if table.is_done() => self.samples = table.samples(),
            Some(_) if self.has_whole_table => return Err(Error::OtherBytes),
            Some(_) => return Err(outside_media(usize::try_from(self.at).unwrap_or(usize::MAX))),
            None => {}
        }
        match &self.state {
            State::Passing { this: StreamBox { size: None, kind, at }, .. } => {
                let junk = !is_known_box(&kind.0);
                return self.finish(junk.then_some(*at));
            }
            // No box at all: nobody knows the type, and its size is wrong.
            State::Passing { this, watch: Some(watch), .. } if !watch.has_seen() => {
                return self.finish(Some(this.at));
            }
            State::Passing { this, left, .. } => return Err(this.cut_short(*left)),
            State::AtBox => return self.end_at_box(keys),
            _ => {}
        }
        self.flush(self.held.len(), keys).map_err(|error| self.here(error))
    }

    /// Takes no more bytes after the end.
    pub(super) fn close(&mut self) {
        self.whole = self.whole();
        self.state = State::Failed;
    }

    /// Ends the stream where a box may begin: what is held is part of one, or one up to the end of the stream, or none.
    fn end_at_box(&mut self, keys: &Keys) -> Result<(), Error> {
        let length = self.held.len();
        if length == 0 {
            return self.finish(None);
        }
        self.refuse_foreign()?;
        if self.header(0).is_none() && self.at > 0 && may_be_tail(self.held.bytes()) {
            let at = self.at;
            self.emit(length);
            return self.finish(Some(at));
        }
        let mut boxes = Boxes::of(self.held.bytes());
        boxes.try_for_each(|this| this.map(|_| ())).map_err(|e| self.here(e.into()))?;
        let ended = match self.header(0).map(|header| header.kind.0) {
            Some(kind) if kind == *b"moov" => self.read_moov(length, keys),
            _ => self.flush(length, keys),
        };
        ended.map_err(|error| self.here(error))?;
        self.finish(None)
    }

    /// The stream is at its end. From `junk_at` on, its bytes were no box.
    fn finish(&mut self, junk_at: Option<u64>) -> Result<(), Error> {
        if let Some(at) = junk_at {
            self.notes.add(Note::Junk { at });
        }
        if self.init.as_ref().is_some_and(Init::is_clear) && self.ciphers.is_empty() {
            self.notes.add(Note::NothingEncrypted);
        }
        match (self.at, &self.init, &self.table) {
            (0, None, None) => Err(Foreign::Nothing.into()),
            (_, None, None) => Err(init::Error::NoMoov.into()),
            _ => Ok(()),
        }
    }

    /// Leaves out the next bytes of the stream, at most `rest`, if nothing that follows depends on them. Returns how many
    /// that are.
    pub(super) fn skip(&mut self, rest: u64) -> u64 {
        if self.table.is_some() {
            // The samples that a moov lists were checked before the stream began.
            return 0;
        }
        if let State::Passing { watch: Some(_), .. } = self.state {
            return 0;
        }
        let held = self.held.len();
        let missing = match &self.state {
            State::FragmentMedia(_, media) => media.missing(held),
            State::Passing { left, .. } => {
                usize::try_from(*left).unwrap_or(usize::MAX).saturating_sub(held)
            }
            _ => 0,
        };
        let skipped = rest.min(u64::try_from(missing).unwrap_or(u64::MAX));
        if skipped == 0 {
            return 0;
        }
        self.emit(held);
        self.at = self.at.saturating_add(skipped);
        self.held.consume(self.held.ready().len(), self.at);
        let passed = held.saturating_add(usize::try_from(skipped).unwrap_or(usize::MAX));
        match &mut self.state {
            State::FragmentMedia(_, media) => {
                media.gone = media.gone.saturating_add(passed);
                if media.gone == media.end {
                    self.end_media();
                }
            }
            State::Passing { left, .. } => {
                *left = left.saturating_sub(u64::try_from(passed).unwrap_or(u64::MAX));
                if *left == 0 {
                    self.state = State::AtBox;
                }
            }
            _ => {}
        }
        skipped
    }

    /// All notes so far: about the bytes and about the keys.
    pub(super) fn notes(&self) -> Notes {
        let mut notes = self.notes.clone();
        notes.add_all(&self.ciphers.notes, 0);
        self.suspicions.add_to(&mut notes);
        notes
    }

    /// The position up to which whole boxes, and whole fragments, are final.
    pub(super) fn whole(&self) -> u64 {
        match self.state {
            State::AtBox => self.at,
            // The boxes about these samples came first: each is right for itself.
            State::TableMedia(_) => self.at,
            _ => self.whole,
        }
    }
}
