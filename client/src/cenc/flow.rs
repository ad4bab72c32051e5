//! Carrying a plan out while the media is still coming in, in the order of the file.

use alloc::collections::BinaryHeap;
use alloc::vec::Vec;
use core::cmp::Reverse;
use core::ops::Range;

use crate::cenc::aux_info::{SampleInfo, Subsample};
use crate::cenc::cipher::{Ciphers, Progress, SampleCipher};
use crate::cenc::error::Error;
use crate::cenc::keys::Keys;
use crate::cenc::plan::{Fragment, Plan};

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
    /// Goes on by so many samples, at most to the next span.
    fn advance(&mut self, fragment: &Fragment, count: usize) {
        self.sample += count;
        self.in_span += count;
        let spans = fragment.protected.as_ref().map_or(&[][..], |info| &info.spans);
        while spans.get(self.span).is_some_and(|span| self.in_span >= span.count) {
            self.span += 1;
            self.in_span = 0;
        }
    }

    /// The samples that are left of the span, and its cipher.
    fn rest_of_span<'a>(
        &self,
        fragment: &'a Fragment,
        ciphers: &'a Ciphers,
    ) -> (&'a [Range<usize>], Option<&'a SampleCipher>) {
        let rest = fragment.samples.get(self.sample..).unwrap_or_default();
        match fragment.protected.as_ref().and_then(|info| info.spans.get(self.span)) {
            None => (rest, None),
            Some(span) => {
                let left = span.count.saturating_sub(self.in_span).min(rest.len());
                (rest.get(..left).unwrap_or_default(), ciphers.find(span.by))
            }
        }
    }

    /// Goes on to a sample that has bytes, from the current one on. Answers where it begins.
    fn settle(&mut self, fragment: &Fragment) -> Option<usize> {
        loop {
            let range = fragment.samples.get(self.sample)?;
            if !range.is_empty() {
                return Some(range.start);
            }
            self.advance(fragment, 1);
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
        while let Some(Reverse((_, number))) = self.next.pop() {
            let limit = self.next.peek().map_or(usize::MAX, |Reverse((start, _))| *start);
            let fragment = self.plan.fragments.get(number).zip(self.cursors.get_mut(number));
            let Some((fragment, cursor)) = fragment else { break };
            let (rest, cipher) = cursor.rest_of_span(fragment, ciphers);
            let Some(range) = rest.first() else { break };
            let is_next = |range: &&Range<usize>| range.start < limit && range.end <= end;
            let whole = match self.progress {
                None => rest.iter().take_while(is_next).count(),
                Some(_) => 0,
            };
            let mut cut = None;
            if whole > 0 {
                if let Some(cipher) = cipher {
                    fragment.decrypt(cipher, cursor.sample, whole, bytes, from);
                }
                cursor.advance(fragment, whole);
            } else {
                let by = cipher.zip(fragment.sample(cursor.sample));
                let done = decrypt_part(&mut self.progress, range, by, bytes, from);
                if done < range.end {
                    cut = Some(done.min(end) - from);
                } else {
                    self.progress = None;
                    cursor.advance(fragment, 1);
                }
            }
            self.next.extend(cursor.settle(fragment).map(|start| Reverse((start, number))));
            if let Some(done) = cut {
                return done;
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

/// Decrypts what is there of the sample in `range`, and was not final before. Answers up to where it is final.
fn decrypt_part(
    progress: &mut Option<Progress>,
    range: &Range<usize>,
    by: Option<(&SampleCipher, (&SampleInfo, &[Subsample]))>,
    bytes: &mut [u8],
    from: usize,
) -> usize {
    let here = range.start.max(from);
    let there = bytes.get_mut(here - from..).unwrap_or_default();
    let ours = there.len().min(range.end.saturating_sub(here));
    let done = match by {
        None => ours,
        Some((cipher, (sample, subsamples))) => {
            let progress = progress.get_or_insert_with(|| Progress::new(sample.iv));
            let there = there.get_mut(..ours).unwrap_or_default();
            cipher.decrypt(progress, there, range.len(), subsamples)
        }
    };
    here + done
}
