//! Carrying a plan out while the media is still coming in, in the order of the file.

use alloc::collections::BinaryHeap;
use alloc::collections::binary_heap::PeekMut;
use alloc::vec::Vec;
use core::cmp::Reverse;

use crate::cenc::cipher::{Ciphers, Progress};
use crate::cenc::plan::{Fragment, Plan};
use crate::cenc::{Error, Keys};

/// A plan on its way. Positions count from where those of the plan do.
#[derive(Debug)]
pub(super) struct Flow {
    plan: Plan,
    /// How far each fragment of the plan has come.
    cursors: Vec<Cursor>,
    /// Where the next sample of each fragment begins, and which fragment that is: tracks take turns in a file.
    next: BinaryHeap<Reverse<(usize, usize)>>,
    /// How far the first of them has come, if part of it was there before.
    progress: Option<Progress>,
}

/// The next sample of a fragment: which, in which span, and how many of that span came before it.
#[derive(Clone, Debug, Default)]
struct Cursor {
    sample: usize,
    span: usize,
    in_span: usize,
}

impl Cursor {
    /// Goes on to the next sample.
    fn advance(&mut self, fragment: &Fragment) {
        self.sample += 1;
        self.in_span += 1;
        let spans = fragment.protected.as_ref().map_or(&[][..], |info| &info.spans);
        while spans.get(self.span).is_some_and(|span| self.in_span >= span.count) {
            self.span += 1;
            self.in_span = 0;
        }
    }

    /// Goes on to a sample that has bytes, from the current one on. Answers where it begins.
    fn settle(&mut self, fragment: &Fragment) -> Option<usize> {
        loop {
            let range = fragment.samples.get(self.sample)?;
            if !range.is_empty() {
                return Some(range.start);
            }
            self.advance(fragment);
        }
    }
}

impl Flow {
    /// Begins `plan`, unless a fragment's samples are not in the order of the file. `ciphers` are then those that it takes.
    ///
    /// # Errors
    /// [`Error::MissingKey`].
    pub(super) fn begin(
        plan: Plan,
        ciphers: &mut Ciphers,
        keys: &Keys,
    ) -> Result<Option<Self>, Error> {
        let mut cursors = Vec::new();
        let mut next = Vec::new();
        for (number, fragment) in plan.fragments.iter().enumerate() {
            let mut last = 0;
            for range in fragment.samples.iter().filter(|range| !range.is_empty()) {
                if range.start < last {
                    return Ok(None);
                }
                last = range.end;
            }
            // A span of no samples is none.
            let mut cursor = Cursor::default();
            let spans = fragment.protected.as_ref().map_or(&[][..], |info| &info.spans);
            cursor.span = spans.iter().take_while(|span| span.count == 0).count();
            next.extend(cursor.settle(fragment).map(|start| Reverse((start, number))));
            cursors.push(cursor);
        }
        ciphers.keep_few();
        plan.prepare(ciphers, keys)?;
        Ok(Some(Self { plan, cursors, next: next.into(), progress: None }))
    }

    /// Makes the boxes those of a clear file. `boxes` is what was planned, from its start on, as far as it is there.
    pub(super) fn clear(&self, boxes: &mut [u8]) {
        for clearing in &self.plan.clearings {
            clearing.apply(boxes);
        }
    }

    /// Decrypts `bytes`, which begin at `from` and hold all that was not final before. Answers how many of them are final
    /// now.
    pub(super) fn advance(&mut self, ciphers: &Ciphers, bytes: &mut [u8], from: usize) -> usize {
        let end = from.saturating_add(bytes.len());
        while let Some(mut next) = self.next.peek_mut() {
            let Reverse((start, number)) = *next;
            let fragment = self.plan.fragments.get(number).zip(self.cursors.get_mut(number));
            let Some((fragment, cursor)) = fragment else { break };
            let range = fragment.samples.get(cursor.sample).cloned().unwrap_or_default();
            // What came of it before is final.
            let (here, there) = (start.max(from), range.end.min(end));
            if here >= end {
                break;
            }
            let mut done = there.saturating_sub(here);
            if let Some(info) = &fragment.protected {
                let by = info.spans.get(cursor.span).and_then(|span| span.by);
                let sample = info.samples.get(cursor.sample);
                if let (Some(cipher), Some(sample)) = (ciphers.find(by), sample) {
                    let bytes = bytes.get_mut(here - from..there.saturating_sub(from));
                    let subsamples = info.subsamples.get(sample.subsamples.clone());
                    let progress = self.progress.get_or_insert_with(|| Progress::new(sample.iv));
                    done = cipher.decrypt(
                        progress,
                        bytes.unwrap_or_default(),
                        range.len(),
                        subsamples.unwrap_or_default(),
                    );
                }
            }
            if here + done < range.end {
                return here + done - from;
            }
            self.progress = None;
            cursor.advance(fragment);
            match cursor.settle(fragment) {
                Some(start) => *next = Reverse((start, number)),
                None => drop(PeekMut::pop(next)),
            }
        }
        bytes.len()
    }

    /// Whether no sample is left.
    pub(super) fn is_done(&self) -> bool {
        self.next.is_empty()
    }

    /// How many samples it is about.
    pub(super) fn samples(&self) -> usize {
        self.plan.count()
    }
}
