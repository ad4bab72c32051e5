//! A stream without its keys and its sinks: it goes from one [`State`] to the next as bytes come in.
//!
//! A box passes as it is, or a `moov` is read, or a `moof` and its `mdat`s are: those go out while they come in where all
//! that they need came before, and are held until they are whole otherwise.
//!
//! Deliberately absent: where the bytes come from and where they go, which is [`stream`](crate::cenc::stream)'s, and the
//! order of samples, which is [`flow`](crate::cenc::flow)'s.

use alloc::boxed::Box;

use crate::cenc::aux_info;
use crate::cenc::boxes::{self, FourCc, Header};
use crate::cenc::buffer::Buffer;
use crate::cenc::cipher::Ciphers;
use crate::cenc::error::Error;
use crate::cenc::flow::Flow;
use crate::cenc::foreign::is_known_box;
use crate::cenc::fragment;
use crate::cenc::init::{self, Init};
use crate::cenc::keys::Keys;
use crate::cenc::notes::Notes;
use crate::cenc::state::{Gathered, Media, State, StreamBox};
use crate::cenc::suspicion::Suspicions;
use crate::cenc::table;
use crate::cenc::tail::{MediaWatch, is_no_header};

/// A stream without its keys, which every call brings.
#[derive(Debug)]
pub(super) struct Machine {
    /// The last `moov`.
    pub(super) init: Option<Init>,
    /// The samples that the `moov` lists, where it lists any: then all samples of the stream are those. Positions count
    /// from the start of the file.
    pub(super) table: Option<Flow>,
    /// Whether the keys were held against the `moov` that the stream was given.
    is_begun: bool,
    /// Whether no more bytes come.
    pub(super) is_end: bool,
    /// Whether the `moov` was read before the stream began. Then the position of each sample was checked.
    pub(super) has_whole_table: bool,
    /// The ciphers of the fragments before: a fragment may be short, and have the same keys.
    pub(super) ciphers: Ciphers,
    /// The bytes that came: some are final and wait to be handed on, the others are what the state says.
    pub(super) held: Buffer,
    /// The most bytes that may be held.
    pub(super) held_max: usize,
    /// The position in the file of the first byte that is not final.
    pub(super) at: u64,
    pub(super) state: State,
    /// How many samples came out.
    pub(super) samples: usize,
    /// What the first samples say about their keys.
    pub(super) suspicions: Suspicions,
    /// Notes about the bytes so far. Those about the keys are with the ciphers.
    pub(super) notes: Notes,
    /// The position up to which whole boxes, and whole fragments, are final.
    pub(super) whole: u64,
}

/// After each of the first `mdat`s of a `moof` the boxes are taken for a whole fragment; after more than this many only
/// if they have twice the bytes of the last attempt. This keeps the time linear.
const MDATS_TRIED_MAX: u32 = 16;

impl Machine {
    /// At the start of a stream that holds at most `held_max` bytes.
    pub(super) fn new(init: Option<Init>, held_max: usize) -> Self {
        Self {
            init,
            table: None,
            is_begun: false,
            is_end: false,
            has_whole_table: false,
            suspicions: Suspicions::default(),
            notes: Notes::default(),
            whole: 0,
            ciphers: Ciphers::default(),
            held: Buffer::default(),
            held_max,
            at: 0,
            state: State::AtBox,
            samples: 0,
        }
    }

    /// At the start of a file, whose samples `table` has all, with the ciphers for them.
    pub(super) fn with_table(table: Flow, ciphers: Ciphers, held_max: usize) -> Self {
        Self { table: Some(table), has_whole_table: true, ciphers, ..Self::new(None, held_max) }
    }

    /// Goes on as far as the held bytes allow: more of them are final then.
    ///
    /// # Errors
    /// [`Error`]; then every later call is one too.
    pub(super) fn advance(&mut self, keys: &Keys) -> Result<(), Error> {
        loop {
            let stepped = match self.state {
                _ if !self.is_begun => self.begin(keys),
                State::AtBox => self.begin_box(keys),
                State::Passing { this, left, watch } => self.pass(this, left, watch),
                State::Fragment(gathered) => self.gather(gathered, keys),
                State::FragmentMedia(..) | State::TableMedia(_) => self.decrypt_media(),
                State::Failed => Err(Error::Failed),
            };
            match stepped {
                Ok(true) => {}
                Ok(false) => return Ok(()),
                Err(error) => {
                    self.fail();
                    return Err(error.within(self.at));
                }
            }
        }
    }

    /// Holds the keys against the `moov` that the stream was given, if it was given one.
    fn begin(&mut self, keys: &Keys) -> Result<bool, Error> {
        self.is_begun = true;
        if let Some(init) = &mut self.init {
            init.leave_tracks(keys, &mut self.notes);
            self.ciphers.bind_only_of(init, keys)?;
        }
        Ok(true)
    }

    /// The output is not complete any more: nothing may follow.
    pub(super) fn fail(&mut self) {
        self.state = State::Failed;
    }

    /// An error of what is held, whose position the error itself does not have.
    pub(super) fn here(&self, error: Error) -> Error {
        error.within(self.at)
    }

    /// The header of the held box at `parsed`, if all of the header is there.
    pub(super) fn header(&self, parsed: usize) -> Option<Header> {
        Header::parse(self.held.bytes().get(parsed..)?)
    }

    /// The next `length` held bytes are final.
    pub(super) fn emit(&mut self, length: usize) {
        self.held.finish(length);
        self.at = self.at.saturating_add(u64::try_from(length).unwrap_or(u64::MAX));
    }

    /// The next box begins. As every step, returns whether another step may be possible.
    fn begin_box(&mut self, keys: &Keys) -> Result<bool, Error> {
        let Some(header) = self.header(0) else { return Ok(false) };
        let kind = &header.kind.0;
        self.whole = self.at;
        if !self.refuse_foreign()? {
            return Ok(false);
        }
        match (kind, &self.table, &self.init) {
            (b"mdat", Some(_), _) => return self.begin_table_media(&header),
            (b"moof", Some(_), _) => return Err(Error::TableAndFragments),
            (b"moof", None, None) => {
                return Err(Error::MediaFirst { kind: header.kind, at: self.at });
            }
            (b"mdat", None, None) if header.size != Some(header.length.into()) => {
                return Err(Error::MediaFirst { kind: header.kind, at: self.at });
            }
            _ => {}
        }
        if !matches!(kind, b"moov" | b"moof") {
            let this = StreamBox { kind: header.kind, at: self.at, size: header.size };
            let watch = (!is_known_box(kind)).then(MediaWatch::default);
            if is_no_header(&header) {
                let this = StreamBox { size: None, ..this };
                self.state = State::Passing { this, left: u64::MAX, watch };
                return Ok(true);
            }
            self.hold_to_length(&header, 0)?;
            let left = header.size.unwrap_or(u64::MAX);
            self.state = State::Passing { this, left, watch };
            return Ok(true);
        }
        let Some(end) = self.end_of(&header, 0)? else {
            return self.hold_to_max(&header, self.held.len()).map(|()| false);
        };
        self.hold_to_max(&header, end)?;
        match kind {
            b"moov" => self.read_moov(end, keys)?,
            _ => self.state = State::Fragment(Gathered { parsed: end, ..Gathered::default() }),
        }
        Ok(true)
    }

    /// Another box of a fragment came, or part of it.
    fn gather(&mut self, gathered: Gathered, keys: &Keys) -> Result<bool, Error> {
        let parsed = gathered.parsed;
        let Some(header) = self.header(parsed) else { return Ok(false) };
        if matches!(&header.kind.0, b"moov" | b"moof") || is_no_header(&header) {
            // The fragment before has all that it will ever have.
            self.flush(parsed, keys)?;
            return Ok(true);
        }
        let Some(end) = self.end_of(&header, parsed)? else {
            let begun = self.begin_fragment_media(&header, gathered, keys)?;
            if !begun {
                self.hold_to_max(&header, self.held.len())?;
            }
            return Ok(begun);
        };
        self.hold_to_max(&header, end)?;
        let gathered = Gathered { parsed: end, ..gathered };
        self.state = State::Fragment(gathered);
        if header.kind.0 == *b"mdat" {
            self.flush_if_whole(gathered, keys)?;
        }
        Ok(true)
    }

    /// Where the held box at `parsed` ends, once it is whole.
    fn end_of(&self, header: &Header, parsed: usize) -> Result<Option<usize>, Error> {
        self.hold_to_length(header, parsed)?;
        let Some(size) = header.size else { return Ok(None) };
        let end = usize::try_from(size).ok().and_then(|size| parsed.checked_add(size));
        let end = end.ok_or_else(|| self.wrong_size(header, parsed))?;
        Ok((end <= self.held.len()).then_some(end))
    }

    /// Refuses a box that is smaller than its header.
    fn hold_to_length(&self, header: &Header, parsed: usize) -> Result<(), Error> {
        match header.size {
            Some(size) if size < header.length.into() => Err(self.wrong_size(header, parsed)),
            _ => Ok(()),
        }
    }

    /// Refuses to hold `length` bytes if those are too many.
    fn hold_to_max(&self, header: &Header, length: usize) -> Result<(), Error> {
        match self.held_max {
            max if length > max => Err(Error::TooLong { kind: header.kind, max }),
            _ => Ok(()),
        }
    }

    fn wrong_size(&self, header: &Header, parsed: usize) -> Error {
        let (size, rest) = (header.size.unwrap_or(0), self.held.len().saturating_sub(parsed));
        boxes::Error::Size { kind: header.kind, at: parsed, size, rest }.into()
    }

    /// A `moov` of `length` bytes is whole.
    pub(super) fn read_moov(&mut self, length: usize, keys: &Keys) -> Result<(), Error> {
        let end = usize::try_from(self.at).ok().and_then(|at| at.checked_add(length));
        let moov = self.held.bytes_mut().get_mut(..length).unwrap_or_default();
        let mut init = Init::parse(moov)?;
        init.leave_tracks(keys, &mut self.notes);
        self.ciphers.bind_only_of(&init, keys)?;
        match &self.table {
            Some(table) if self.has_whole_table => table.clear(moov),
            Some(_) => return Err(init::Error::Repeated(0).into()),
            None => {
                // Where its mdats will be is not known yet.
                let media = end.map_or(0..0, |end| end..usize::MAX);
                let plan = match init.plan_table(moov, &[media]) {
                    Err(
                        Error::AuxInfo(aux_info::Error::Offset(_))
                        | Error::Table(table::Error::Unbounded(_)),
                    ) => {
                        return Err(Error::NotInOrder);
                    }
                    planned => planned?,
                };
                let has_samples = plan.count() > 0;
                let flow = Flow::begin(plan, &mut self.ciphers, keys)?;
                let flow = flow.ok_or(Error::NotInOrder)?;
                flow.clear(moov);
                self.table = Some(flow).filter(|_| has_samples);
            }
        }
        init.clear(moov);
        self.init = Some(init);
        self.emit(length);
        self.state = State::AtBox;
        Ok(())
    }

    /// The header of an `mdat` is there whose samples the `moov` lists.
    fn begin_table_media(&mut self, header: &Header) -> Result<bool, Error> {
        self.hold_to_length(header, 0)?;
        let wrong = |_| self.wrong_size(header, 0);
        let gone = usize::try_from(self.at).map_err(wrong)?;
        let size = header.size.map_or(Ok(usize::MAX), usize::try_from).map_err(wrong)?;
        let body = gone.saturating_add(header.length.into());
        if let Some(next) = self.table.as_ref().and_then(Flow::next_sample)
            && next < body
        {
            return Err(outside_media(next));
        }
        let mdat = StreamBox { kind: header.kind, at: self.at, size: header.size };
        self.state = State::TableMedia(Media { mdat, gone, end: gone.saturating_add(size) });
        Ok(true)
    }

    /// Lets an `mdat` whose header is there go out while it comes in, if the `moof` before it has all that it takes.
    /// Otherwise it is held until it is whole, and its errors are found then. Returns whether it goes out.
    fn begin_fragment_media(
        &mut self,
        header: &Header,
        gathered: Gathered,
        keys: &Keys,
    ) -> Result<bool, Error> {
        let (Some(init), Some(size), b"mdat") = (&self.init, header.size, &header.kind.0) else {
            return Ok(false);
        };
        let parsed = gathered.parsed;
        let size = usize::try_from(size).map_err(|_| self.wrong_size(header, parsed))?;
        let end = parsed.saturating_add(size);
        let body = parsed.saturating_add(header.length.into())..end;
        let boxes = self.held.bytes().get(..parsed).unwrap_or_default();
        let was_tried = gathered.not_flowing == Some(parsed);
        if body.is_empty() || body.start > self.held.len() || was_tried {
            return Ok(false);
        }
        self.state = State::Fragment(Gathered { not_flowing: Some(parsed), ..gathered });
        let Ok(plan) = init.plan_ahead(boxes, self.at, Some(body)) else { return Ok(false) };
        let Some(flow) = Flow::begin(plan, &mut self.ciphers, keys)? else { return Ok(false) };
        flow.clear(self.held.bytes_mut());
        let at = self.at.saturating_add(u64::try_from(parsed).unwrap_or(u64::MAX));
        let mdat = StreamBox { kind: header.kind, at, size: header.size };
        self.state = State::FragmentMedia(Box::new(flow), Media { mdat, gone: 0, end });
        Ok(true)
    }

    /// More of an `mdat` came: decrypts as much of it as can be.
    fn decrypt_media(&mut self) -> Result<bool, Error> {
        let (flow, media) = match &mut self.state {
            State::FragmentMedia(flow, media) => (Some(&mut **flow), media),
            State::TableMedia(media) => (self.table.as_mut(), media),
            _ => return Ok(false),
        };
        let Some(flow) = flow else { return Ok(false) };
        let ours = self.held.len().min(media.end.saturating_sub(media.gone));
        let bytes = self.held.bytes_mut().get_mut(..ours).unwrap_or_default();
        let done = flow.advance(&self.ciphers, &mut self.suspicions, bytes, media.gone);
        let is_there = ours == media.end.saturating_sub(media.gone);
        media.gone = media.gone.saturating_add(done);
        let is_all = media.gone == media.end;
        if is_there && (!is_all || flow.next_sample().is_some_and(|next| next < media.end)) {
            // A sample that begins in the mdat does not end there.
            return Err(outside_media(media.end));
        }
        if is_all {
            self.end_media();
        }
        self.emit(done);
        Ok(is_all)
    }

    /// An `mdat` is out. Samples that a `moov` lists may go on in another.
    pub(super) fn end_media(&mut self) {
        if let State::FragmentMedia(flow, _) = &self.state {
            self.samples = self.samples.saturating_add(flow.samples());
            self.notes.add_all(flow.notes(), self.whole);
        }
        self.state = State::AtBox;
    }

    /// An `mdat` is whole. There may be another for the same `moof`.
    fn flush_if_whole(&mut self, gathered: Gathered, keys: &Keys) -> Result<(), Error> {
        let Gathered { parsed, attempts, attempted, .. } = gathered;
        if attempts >= MDATS_TRIED_MAX && parsed / 2 < attempted {
            return Ok(());
        }
        match self.flush(parsed, keys) {
            Err(Error::Fragment(fragment::Error::OutsideMedia { .. })) => {
                let attempts = attempts.saturating_add(1);
                self.state = State::Fragment(Gathered { attempts, attempted: parsed, ..gathered });
                Ok(())
            }
            flushed => flushed,
        }
    }

    /// Decrypts the fragment that the first `length` held bytes are.
    pub(super) fn flush(&mut self, length: usize, keys: &Keys) -> Result<(), Error> {
        let init = self.init.as_ref().ok_or(init::Error::NoMoov)?;
        let fragment = self.held.bytes_mut().get_mut(..length).unwrap_or_default();
        let plan = init.plan_at(fragment, self.at)?;
        self.ciphers.keep_few();
        plan.decrypt_with(&mut self.ciphers, keys, fragment)?;
        self.notes.add_all(&plan.notes, self.at);
        plan.look(&mut self.suspicions, fragment);
        self.samples = self.samples.saturating_add(plan.count());
        self.emit(length);
        self.state = State::AtBox;
        Ok(())
    }
}

/// The error of a sample that is not within an `mdat`, at a position of the file.
pub(super) fn outside_media(at: usize) -> Error {
    table::Error::OutsideMedia { kind: FourCc(*b"stco"), at }.into()
}
