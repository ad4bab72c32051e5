//! Decrypting what comes in pieces, one fragment at a time.
//!
//! A fragmented file or a live stream is pushed in pieces of any size. Where a `moof` says all of its samples, they come
//! out as they come in; otherwise as soon as the fragment is whole, so that at most one fragment is held. A file whose `moov`
//! lists the samples is a stream for who has that box at hand ([`Stream::with_table`]). Where samples come before the
//! `moof` that describes them the whole file has to be there: that is [`decrypt_file`](crate::cenc::decrypt_file)'s.

use core::borrow::Borrow;
use core::ops::Range;

use crate::cenc::aux_info;
use crate::cenc::boxes::{self, Boxes, FourCc, Next};
use crate::cenc::buffer::Buffer;
use crate::cenc::cipher::Ciphers;
use crate::cenc::flow::Flow;
use crate::cenc::fragment;
use crate::cenc::{Error, Init, Keys};

/// The most that is held of a stream, unless somebody says otherwise.
const HELD_BYTES_MAX: usize = 256 * 1024 * 1024;

/// The most that is asked for at once. With less, more is spent on asking; with more, bytes have left the CPU's second
/// cache when it is their turn.
const PIECE_BYTES_MAX: usize = 128 * 1024;

/// A stream under decryption.
#[derive(Debug)]
pub struct Stream<K = Keys> {
    keys: K,
    /// Those of the fragments before: a fragment may be short, and have the same keys.
    ciphers: Ciphers,
    init: Option<Init>,
    /// The fragment that is coming in, and what came behind it.
    held: Buffer,
    held_max: usize,
    /// Up to here the boxes in `held` are whole and of this fragment.
    parsed: usize,
    /// How far `held` is from the start of the stream.
    at: u64,
    /// How many bytes are still to be handed on as they are.
    passing: u64,
    /// The box that is passing or flowing: its type, where it begins in the stream, its size if it has one.
    begun: (FourCc, u64, Option<u64>),
    has_moof: bool,
    /// What came to nothing with the fragment that is held: it is not tried at every byte again.
    tried: Tried,
    /// The `mdat` that is coming in, if its samples can be decrypted one after the other.
    flow: Option<Flowing>,
    /// Whether the `moov` was read before, and all samples are those that it lists.
    is_table: bool,
    /// They, between two `mdat`s. Positions count from the start of the file.
    table: Option<Flow>,
    samples: usize,
}

/// A fragment that goes out while it comes in. Positions count from its start.
#[derive(Debug)]
struct Flowing {
    flow: Flow,
    /// Up to here it went out.
    gone: usize,
    end: usize,
}

/// Attempts at a fragment that is not whole.
#[derive(Debug, Default)]
struct Tried {
    /// Where the `mdat` begins that could not go out while it comes in.
    flow: Option<usize>,
    /// How often what was there was taken for whole, and how much that was.
    whole: u32,
    length: usize,
}

/// So many `mdat`s of one `moof` may each be the last; of more, those that double what there is. So the time stays
/// linear.
const MDATS_TRIED_MAX: u32 = 16;

impl<K: Borrow<Keys>> Stream<K> {
    /// A stream that begins with its initialization segment. It takes the keys, or borrows them.
    #[must_use]
    pub fn new(keys: K) -> Self {
        Self {
            keys,
            ciphers: Ciphers::default(),
            init: None,
            held: Buffer::default(),
            held_max: HELD_BYTES_MAX,
            parsed: 0,
            at: 0,
            passing: 0,
            begun: (FourCc([0; 4]), 0, None),
            has_moof: false,
            tried: Tried::default(),
            flow: None,
            is_table: false,
            table: None,
            samples: 0,
        }
    }

    /// A file whose `moov` lists its samples: `moov` is that box, wherever it is in the file, and `media` is where the
    /// bodies of its `mdat`s are, in order. The whole file is then pushed from its start on. `None` where it cannot be
    /// read in one go, because a track's samples are in another order than the file's, or where the `moov` does not say
    /// all of them.
    ///
    /// # Errors
    /// [`Error`]: whatever is wrong with the `moov`, or a missing key.
    pub fn with_table(keys: K, moov: &[u8], media: &[Range<usize>]) -> Result<Option<Self>, Error> {
        let plan = match Init::parse(moov)?.plan_table(moov, media) {
            Err(Error::AuxInfo(aux_info::Error::Offset(_))) => return Ok(None),
            planned => planned?,
        };
        let mut ciphers = Ciphers::default();
        let flow = Flow::begin(plan, &mut ciphers, keys.borrow())?;
        Ok(flow.map(|flow| Self { ciphers, is_table: true, table: Some(flow), ..Self::new(keys) }))
    }

    /// A stream of media segments, whose initialization segment came before.
    #[must_use]
    pub fn with_init(keys: K, init: Init) -> Self {
        Self { init: Some(init), ..Self::new(keys) }
    }

    /// For a stream that begins so many bytes into its file: some offsets count from the file's start.
    #[must_use]
    pub fn starting_at(self, at: u64) -> Self {
        Self { at, ..self }
    }

    /// Holds at most so many bytes of a fragment, or of a `moov`, that cannot be handed on before they are whole.
    /// Without a word that is 256 MiB.
    #[must_use]
    pub fn holding_at_most(self, bytes: usize) -> Self {
        Self { held_max: bytes, ..self }
    }

    /// What the `moov` says, once it came.
    #[must_use]
    pub fn init(&self) -> Option<&Init> {
        self.init.as_ref()
    }

    /// Leaves out what the rest of the stream does not depend on, at most `rest` bytes: media whose `moof` was read
    /// and whose keys are there. Answers how many bytes are not to be pushed. For who reads a file to check it.
    pub fn skip(&mut self, rest: u64) -> u64 {
        if self.is_table {
            // What a moov lists was looked at before it all began.
            return 0;
        }
        let held = self.held.len();
        let missing = match &self.flow {
            Some(Flowing { gone, end, .. }) => end.saturating_sub(*gone).saturating_sub(held),
            None => usize::try_from(self.passing).unwrap_or(usize::MAX).saturating_sub(held),
        };
        let skipped = rest.min(u64::try_from(missing).unwrap_or(u64::MAX));
        if skipped == 0 {
            return 0;
        }
        let passed = held.saturating_add(usize::try_from(skipped).unwrap_or(usize::MAX));
        self.emit(held);
        self.at = self.at.saturating_add(skipped);
        self.held.hand_on(self.at, &mut |_| {});
        self.passing = self.passing.saturating_sub(skipped);
        if let Some(Flowing { gone, end, .. }) = &mut self.flow {
            *gone = gone.saturating_add(passed);
            if *gone == *end {
                self.end_flow();
            }
        }
        skipped
    }

    /// How many samples have come out.
    #[must_use]
    pub fn samples(&self) -> usize {
        self.samples
    }

    /// Takes the next bytes of the stream. What is clear by then goes to `out`, in order.
    ///
    /// # Errors
    /// [`Error`]; the stream cannot be continued, and what went out before is right.
    pub fn push(&mut self, mut bytes: &[u8], out: &mut dyn FnMut(&[u8])) -> Result<(), Error> {
        while !bytes.is_empty() {
            let (now, rest) = bytes.split_at(PIECE_BYTES_MAX.min(bytes.len()));
            self.held.room(now.len(), self.at).copy_from_slice(now);
            self.held.fill(now.len());
            bytes = rest;
            self.work(out)?;
        }
        Ok(())
    }

    /// Takes the next bytes from where they are read, without a copy in between. Answers whether there were any.
    ///
    /// # Errors
    /// As [`push`](Self::push), or what the reader says.
    #[cfg(feature = "std")]
    pub fn read_from(
        &mut self,
        reader: &mut dyn std::io::Read,
        out: &mut dyn FnMut(&[u8]),
    ) -> Result<bool, ReadError> {
        // Up to a place where pages end.
        let there = u64::try_from(self.held.len()).map_or(0, |held| self.at.wrapping_add(held));
        let wanted = PIECE_BYTES_MAX - usize::try_from(there).unwrap_or(0) % PIECE_BYTES_MAX;
        let read = loop {
            match reader.read(self.held.room(wanted, self.at)) {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                read => break read?,
            }
        };
        // A reader may claim more than there was room for.
        self.held.fill(read.min(wanted));
        self.work(out)?;
        Ok(read > 0)
    }

    /// The stream is at its end.
    ///
    /// # Errors
    /// [`Error`], also where it ends in the middle of a box.
    pub fn finish(mut self, out: &mut dyn FnMut(&[u8])) -> Result<usize, Error> {
        if let Some(Flowing { gone, end, .. }) = &self.flow {
            if self.begun.2.is_some() || self.held.len() > 0 {
                let missing = end.saturating_sub(*gone).saturating_sub(self.held.len());
                return Err(self.cut_short(u64::try_from(missing).unwrap_or(u64::MAX)));
            }
            // An mdat to the end of the file.
            self.end_flow();
        }
        if self.is_table {
            let table = self.table.as_ref().filter(|table| table.is_done());
            self.samples = table.ok_or(Error::OtherBytes)?.samples();
        }
        if self.passing > 0 {
            return match self.begun.2 {
                Some(_) => Err(self.cut_short(self.passing)),
                // A box to the end of the stream.
                None => Ok(self.samples),
            };
        }
        let ended = self.end();
        self.held.hand_on(self.at, out);
        ended.map_err(|error| error.within(self.at))?;
        Ok(self.samples)
    }

    /// Takes what is held for whole.
    fn end(&mut self) -> Result<(), Error> {
        let kind = self.next().map(|next| next.kind.0);
        if !self.has_moof {
            // Part of a box, or one to the end of the stream.
            Boxes::of(self.held.bytes()).try_for_each(|this| this.map(|_| ()))?;
        }
        match kind {
            _ if self.held.len() == 0 => Ok(()),
            Some(kind) if kind == *b"moov" && !self.has_moof => {
                self.parsed = self.held.len();
                self.begin()
            }
            _ => self.flush(self.held.len()),
        }
    }

    /// The stream ends in a box of which so many bytes were still to come.
    fn cut_short(&self, missing: u64) -> Error {
        let (kind, at, size) = self.begun;
        let (at, size) = (usize::try_from(at).unwrap_or(usize::MAX), size.unwrap_or(0));
        let rest = usize::try_from(size.saturating_sub(missing)).unwrap_or(usize::MAX);
        boxes::Error::Size { kind, at, size, rest }.into()
    }

    /// The header of the box behind what is parsed, if all of it is there.
    fn next(&self) -> Option<Next> {
        Next::read(self.held.bytes().get(self.parsed..)?)
    }

    /// Goes on as far as what is held allows, and hands on what is final by then.
    fn work(&mut self, out: &mut dyn FnMut(&[u8])) -> Result<(), Error> {
        let worked = self.advance();
        self.held.hand_on(self.at, out);
        worked.map_err(|error| error.within(self.at))
    }

    fn advance(&mut self) -> Result<(), Error> {
        loop {
            if self.flow.is_some() && !self.go_on() {
                return Ok(());
            }
            if self.passing > 0 {
                let there = u64::try_from(self.held.len()).unwrap_or(u64::MAX);
                let now = usize::try_from(self.passing.min(there)).unwrap_or(usize::MAX);
                self.emit(now);
                if self.passing > 0 {
                    return Ok(());
                }
            }
            let Some(next) = self.next() else { return Ok(()) };
            if self.table.is_some() && self.begin_media(&next)? {
                continue;
            }
            let begins = matches!(&next.kind.0, b"moov" | b"moof");
            if begins && self.has_moof {
                // The fragment before has all that it will ever have.
                self.flush(self.parsed)?;
                continue;
            }
            if !begins && !self.has_moof {
                self.hold_to_header(&next)?;
                self.passing = next.size.unwrap_or(u64::MAX);
                self.begun = (next.kind, self.at, next.size);
                continue;
            }
            let end = self.end_of(&next)?;
            if end.is_none() && self.begin_flow(&next)? {
                continue;
            }
            if end.unwrap_or(self.held.len()) > self.held_max {
                return Err(Error::TooLong { kind: next.kind, max: self.held_max });
            }
            let Some(end) = end else { return Ok(()) };
            self.parsed = end;
            match &next.kind.0 {
                b"moov" => self.begin()?,
                b"moof" => self.has_moof = true,
                b"mdat" => self.flush_if_whole()?,
                _ => {}
            }
        }
    }

    /// Where the next box ends, once it is whole.
    fn end_of(&self, next: &Next) -> Result<Option<usize>, Error> {
        self.hold_to_header(next)?;
        let Some(size) = next.size else { return Ok(None) };
        let size = usize::try_from(size).map_err(|_| self.wrong_size(next))?;
        let end = self.parsed.checked_add(size).ok_or_else(|| self.wrong_size(next))?;
        Ok((end <= self.held.len()).then_some(end))
    }

    fn hold_to_header(&self, next: &Next) -> Result<(), Error> {
        match next.size {
            Some(size) if size < next.header => Err(self.wrong_size(next)),
            _ => Ok(()),
        }
    }

    fn wrong_size(&self, next: &Next) -> Error {
        let (size, rest) = (next.size.unwrap_or(0), self.held.len().saturating_sub(self.parsed));
        boxes::Error::Size { kind: next.kind, at: self.parsed, size, rest }.into()
    }

    /// So many bytes are final.
    fn emit(&mut self, length: usize) {
        self.held.finish(length);
        let length = u64::try_from(length).unwrap_or(u64::MAX);
        self.at = self.at.saturating_add(length);
        self.passing = self.passing.saturating_sub(length);
        self.parsed = 0;
        self.has_moof = false;
        self.tried = Tried::default();
    }

    /// A `moov` is whole.
    fn begin(&mut self) -> Result<(), Error> {
        let moov = self.held.bytes_mut().get_mut(..self.parsed).unwrap_or_default();
        let init = Init::parse(moov)?;
        match &self.table {
            Some(table) => table.clear(moov),
            // Samples that it lists itself would lie outside every mdat, so they are an error here, unless they are
            // empty.
            None => init.plan(moov)?.decrypt(self.keys.borrow(), moov)?,
        }
        init.clear(moov);
        self.init = Some(init);
        self.emit(self.parsed);
        Ok(())
    }

    /// Lets an `mdat` go out whose samples the `moov` lists. Answers whether the next box is one, and begun.
    fn begin_media(&mut self, next: &Next) -> Result<bool, Error> {
        match &next.kind.0 {
            b"mdat" => {}
            b"moof" => return Err(Error::TableAndFragments),
            _ => return Ok(false),
        }
        self.hold_to_header(next)?;
        let Some(flow) = self.table.take() else { return Ok(false) };
        let gone = usize::try_from(self.at).map_err(|_| self.wrong_size(next))?;
        let size = next.size.map_or(Ok(usize::MAX), usize::try_from);
        let end = gone.saturating_add(size.map_err(|_| self.wrong_size(next))?);
        self.begun = (next.kind, self.at, next.size);
        self.flow = Some(Flowing { flow, gone, end });
        Ok(true)
    }

    /// Lets an `mdat` whose header is there go out while it comes in, if the `moof` before it has all that it takes.
    /// Otherwise it is held until it is whole, and what is wrong is said then.
    fn begin_flow(&mut self, next: &Next) -> Result<bool, Error> {
        let (Some(init), Some(size), b"mdat") = (&self.init, next.size, &next.kind.0) else {
            return Ok(false);
        };
        let header = usize::try_from(next.header).unwrap_or(usize::MAX);
        let size = usize::try_from(size).map_err(|_| self.wrong_size(next))?;
        let end = self.parsed.saturating_add(size);
        let body = self.parsed.saturating_add(header)..end;
        let boxes = self.held.bytes().get(..self.parsed).unwrap_or_default();
        if body.is_empty() || body.start > self.held.len() || self.tried.flow == Some(self.parsed) {
            return Ok(false);
        }
        self.tried.flow = Some(self.parsed);
        let Ok(plan) = init.plan_ahead(boxes, self.at, Some(body)) else { return Ok(false) };
        let flow = Flow::begin(plan, &mut self.ciphers, self.keys.borrow())?;
        let Some(flow) = flow else { return Ok(false) };
        flow.clear(self.held.bytes_mut());
        let parsed = u64::try_from(self.parsed).unwrap_or(u64::MAX);
        self.begun = (next.kind, self.at.saturating_add(parsed), next.size);
        self.flow = Some(Flowing { flow, gone: 0, end });
        Ok(true)
    }

    /// Decrypts the samples that are whole. Answers whether those were all of the fragment.
    fn go_on(&mut self) -> bool {
        let Some(Flowing { flow, gone, end }) = &mut self.flow else { return true };
        let ours = self.held.len().min(end.saturating_sub(*gone));
        let bytes = self.held.bytes_mut().get_mut(..ours).unwrap_or_default();
        let done = flow.advance(&self.ciphers, bytes, *gone);
        *gone = gone.saturating_add(done);
        let is_all = *gone == *end;
        if is_all {
            self.end_flow();
        }
        self.emit(done);
        is_all
    }

    /// An `mdat` went out. What a `moov` lists may go on in another.
    fn end_flow(&mut self) {
        match self.flow.take() {
            Some(Flowing { flow, .. }) if self.is_table => self.table = Some(flow),
            Some(Flowing { flow, .. }) => {
                self.samples = self.samples.saturating_add(flow.samples());
            }
            None => {}
        }
    }

    /// An `mdat` is whole. There may be another for the same `moof`.
    fn flush_if_whole(&mut self) -> Result<(), Error> {
        let tried = &mut self.tried;
        if tried.whole >= MDATS_TRIED_MAX && self.parsed / 2 < tried.length {
            return Ok(());
        }
        (tried.whole, tried.length) = (tried.whole + 1, self.parsed);
        match self.flush(self.parsed) {
            Err(Error::Fragment(fragment::Error::OutsideMedia { .. })) => Ok(()),
            flushed => flushed,
        }
    }

    /// Decrypts the fragment that ends there.
    fn flush(&mut self, end: usize) -> Result<(), Error> {
        let init = self.init.as_ref().ok_or(crate::cenc::init::Error::NoMoov)?;
        let fragment = self.held.bytes_mut().get_mut(..end).unwrap_or_default();
        let plan = init.plan_at(fragment, self.at)?;
        self.ciphers.keep_few();
        plan.decrypt_with(&mut self.ciphers, self.keys.borrow(), fragment)?;
        self.samples = self.samples.saturating_add(plan.count());
        self.emit(end);
        Ok(())
    }
}

/// A stream cannot be read on.
#[cfg(feature = "std")]
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It cannot be decrypted.
    #[error(transparent)]
    Stream(#[from] Error),
    /// The reader failed.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}
