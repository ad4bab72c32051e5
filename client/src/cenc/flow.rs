//! Carrying a plan out while the media is still coming in: sample by sample, in the order of the file.

use alloc::collections::BinaryHeap;
use alloc::collections::binary_heap::PeekMut;
use alloc::vec::Vec;
use core::cmp::Reverse;

use crate::cenc::cipher::Ciphers;
use crate::cenc::plan::{Fragment, Plan};
use crate::cenc::{Error, Keys};

/// A plan on its way. Positions count from where those of the plan do.
#[derive(Debug)]
pub(super) struct Flow {
    plan: Plan,
    ciphers: Ciphers,
    /// How far each fragment of the plan has come.
    cursors: Vec<Cursor>,
    /// Where the next sample of each fragment begins, and which fragment that is: tracks take turns in a file.
    next: BinaryHeap<Reverse<(usize, usize)>>,
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
    /// Begins `plan`, unless a fragment's samples are not in the order of the file.
    ///
    /// # Errors
    /// [`Error::MissingKey`].
    pub(super) fn begin(plan: Plan, keys: &Keys) -> Result<Option<Self>, Error> {
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
        let mut ciphers = Ciphers::default();
        plan.prepare(&mut ciphers, keys)?;
        Ok(Some(Self { plan, ciphers, cursors, next: next.into() }))
    }

    /// Makes the boxes those of a clear file. `boxes` is what was planned, from its start on, as far as it is there.
    pub(super) fn clear(&self, boxes: &mut [u8]) {
        for clearing in &self.plan.clearings {
            clearing.apply(boxes);
        }
    }

    /// Decrypts every sample that is whole in `bytes`, which begin at `from` and hold all that was not final before.
    /// Answers how many of them are final now.
    pub(super) fn advance(&mut self, bytes: &mut [u8], from: usize) -> usize {
        let end = from.saturating_add(bytes.len());
        while let Some(mut next) = self.next.peek_mut() {
            let Reverse((start, number)) = *next;
            let fragment = self.plan.fragments.get(number).zip(self.cursors.get_mut(number));
            let Some((fragment, cursor)) = fragment else { break };
            let range = fragment.samples.get(cursor.sample).cloned().unwrap_or_default();
            if range.end > end {
                return start.clamp(from, end) - from;
            }
            if let Some(info) = &fragment.protected {
                let by = info.spans.get(cursor.span).and_then(|span| span.by);
                let sample = info.samples.get(cursor.sample);
                if let (Some(cipher), Some(sample)) = (self.ciphers.find(by), sample) {
                    let here = range.start.saturating_sub(from)..range.end.saturating_sub(from);
                    let bytes = bytes.get_mut(here).unwrap_or_default();
                    let subsamples = info.subsamples.get(sample.subsamples.clone());
                    cipher.decrypt(bytes, &sample.iv, subsamples.unwrap_or_default());
                }
            }
            cursor.advance(fragment);
            match cursor.settle(fragment) {
                Some(start) => *next = Reverse((start, number)),
                None => drop(PeekMut::pop(next)),
            }
        }
        bytes.len()
    }

    /// Where the last sample ends that ends by `most`, while one fragment is under way that does not end there.
    pub(super) fn last_end_until(&self, most: usize) -> Option<usize> {
        let Reverse((_, number)) = *self.next.peek().filter(|_| self.next.len() == 1)?;
        let from = self.cursors.get(number)?.sample;
        let rest = self.plan.fragments.get(number)?.samples.get(from..)?;
        let after = rest.partition_point(|range| range.end <= most);
        rest.get(after)?;
        rest.get(after.checked_sub(1)?).map(|range| range.end)
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
