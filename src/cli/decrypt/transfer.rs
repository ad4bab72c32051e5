//! Decrypting from one file to another, or to itself, several parts at once.
//!
//! A clear film has every byte at the position where the encrypted one has it, so a part needs to know nothing of the
//! others.

use std::cell::RefCell;
use std::fs::File;
use std::io::BufRead;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use indicatif::ProgressBar;
use reelkey_client::cenc::{Init, Keys, Reader, Stream};

use crate::cli::decrypt::layout::{Layout, Parts};
use crate::cli::decrypt::part::Part;
use crate::cli::decrypt::report::Done;
use crate::cli::decrypt::window::Window;
use crate::cli::terminal::output::Failure;

/// From one file to another, or to itself.
pub(super) struct Transfer<'a> {
    pub(super) keys: &'a Keys,
    pub(super) input: &'a Arc<File>,
    /// `None`: the input itself.
    pub(super) output: Option<&'a File>,
    pub(super) bar: &'a ProgressBar,
}

/// A part that was decrypted.
struct DonePart {
    done: Done,
    /// What its last `moov` says, or the one that it was given.
    init: Option<Init>,
}

impl Transfer<'_> {
    /// Decrypts a file of this `layout` from its start on, with `stream`, and `jobs` parts of it at once.
    ///
    /// # Errors
    /// [`Failure`] if a part cannot be read, decrypted or written.
    pub(super) fn decrypt(
        &self,
        stream: Stream<&Keys>,
        layout: &Layout,
        jobs: NonZeroUsize,
    ) -> Result<Done, Failure> {
        let length = self.input.metadata()?.len();
        let Parts { head, fragments } = match jobs.get() {
            1 => Parts { head: 0..length, fragments: Vec::new() },
            _ => layout.parts(length),
        };
        let DonePart { mut done, init } = self.decrypt_part(stream, head)?;
        if let (Some(init), false) = (init, fragments.is_empty()) {
            done.add(self.decrypt_parts(&init, &fragments, jobs)?);
        }
        Ok(done)
    }

    /// Decrypts as many parts at once as there are jobs. The first failure ends all of them.
    fn decrypt_parts(
        &self,
        init: &Init,
        parts: &[Range<u64>],
        jobs: NonZeroUsize,
    ) -> Result<Done, Failure> {
        let next = AtomicUsize::new(0);
        let job = || {
            let mut all = Done::default();
            while let Some(part) = parts.get(next.fetch_add(1, Ordering::Relaxed)) {
                let stream = Stream::with_init(self.keys, init.clone())
                    .starting_at(part.start)
                    .holding_at_most(usize::MAX);
                match self.decrypt_part(stream, part.clone()) {
                    Ok(part) => all.add(part.done),
                    Err(failure) => {
                        next.store(parts.len(), Ordering::Relaxed);
                        return Err(failure);
                    }
                }
            }
            Ok(all)
        };
        let ended: Result<Vec<Done>, Failure> = thread::scope(|scope| {
            let jobs = jobs.get().min(parts.len());
            let jobs: Vec<_> = (0..jobs).map(|_| scope.spawn(job)).collect();
            let ended = jobs.into_iter().map(thread::ScopedJoinHandle::join);
            ended
                .map(|ended| ended.unwrap_or_else(|_| Err(Failure::new("a job ended early"))))
                .collect()
        });
        let mut all = Done::default();
        for done in ended? {
            all.add(done);
        }
        Ok(all)
    }

    /// Decrypts the bytes at these positions, and writes them to the same positions of the output.
    fn decrypt_part(&self, stream: Stream<&Keys>, range: Range<u64>) -> Result<DonePart, Failure> {
        let (mut at, start) = (range.start, range.start);
        let window = match self.output {
            Some(_) => None,
            None => Window::onto(self.input).map(RefCell::new),
        };
        let part = Part::new(self.input, window.as_ref(), range);
        let mut reader = Reader::from_stream(part, stream);
        loop {
            let clear = reader.fill_buf()?;
            let length = clear.len();
            if length == 0 {
                break;
            }
            let written = match &window {
                Some(window) => window.borrow().write_all_at(clear, at),
                None => self.output.unwrap_or(self.input).write_all_at(clear, at),
            };
            written.map_err(|error| Failure::from(error).during("writing"))?;
            reader.consume(length);
            let length = u64::try_from(length).unwrap_or(u64::MAX);
            at = at.saturating_add(length);
            self.bar.inc(length);
        }
        let stream = reader.stream();
        let done = Done {
            samples: stream.samples(),
            bytes: at.saturating_sub(start),
            notes: stream.notes(),
            ..Done::default()
        };
        Ok(DonePart { done, init: stream.init().cloned() })
    }
}
