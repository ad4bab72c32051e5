//! Carrying a plan out while the media is still coming in, in the order of the file.
//!
//! It is told which bytes came and says which of them are final. Deliberately absent: holding bytes, which
//! [`machine`](crate::cenc::machine) does.

use alloc::collections::BinaryHeap;
use alloc::vec::Vec;
use core::cmp::Reverse;
use core::ops::Range;

use crate::cenc::cipher::{Ciphers, Progress, SampleCipher};
use crate::cenc::error::Error;
use crate::cenc::keys::Keys;
use crate::cenc::notes::Notes;
use crate::cenc::plan::Plan;
use crate::cenc::planned::{Encryption, Fragment};
use crate::cenc::protection::Protection;
use crate::cenc::suspicion::Suspicions;

/// A plan that is carried out. Positions count from where those of the plan do.
#[derive(Debug)]
pub(super) struct Flow {
    plan: Plan,
    /// How far each fragment of the plan has come.
    cursors: Vec<Cursor>,
    /// The next sample of each fragment, the first one of the file on top: tracks take turns in a file.
    next: BinaryHeap<Reverse<NextSample>>,
    /// How far the first of them has come, if part of it was there before.
    progress: Option<Progress>,
}

/// The next sample of a fragment. The order is that of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct NextSample {
    /// The position where it begins.
    start: usize,
    /// The index of the fragment in the plan.
    fragment: usize,
}

/// Where the next sample of a fragment is among its samples and spans.
#[derive(Clone, Debug, Default)]
struct Cursor {
    /// The index of the sample.
    sample: usize,
    /// The index of its span.
    span: usize,
    /// How many samples of the span came before it.
    in_span: usize,
}

impl Cursor {
    /// Goes on by `count` samples, at most to the next span.
    fn advance(&mut self, fragment: &Fragment, count: usize) {
        self.sample += count;
        self.in_span += count;
        let spans = fragment.protected.as_ref().map_or(&[][..], |info| &info.spans);
        while spans.get(self.span).is_some_and(|span| self.in_span >= span.count) {
            self.span += 1;
            self.in_span = 0;
        }
    }

    /// The samples that are left of the span, and the cipher of the span if it is protected.
    fn rest_of_span<'a>(
        &self,
        fragment: &'a Fragment,
        ciphers: &'a Ciphers,
    ) -> (&'a [Range<usize>], Option<&'a SampleCipher>, Option<Protection>) {
        let rest = fragment.samples.get(self.sample..).unwrap_or_default();
        match fragment.protected.as_ref().and_then(|info| info.spans.get(self.span)) {
            None => (rest, None, None),
            Some(span) => {
                let left = span.count.saturating_sub(self.in_span).min(rest.len());
                {
                    let cipher = ciphers.find(fragment.track_id, span.by);
                    (rest.get(..left).unwrap_or_default(), cipher, span.by)
                }
            }
        }
    }

    /// Goes on to the first sample that has bytes, from the current one on. Returns where it begins.
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
    /// Begins `plan`, and makes the ciphers that it needs. Returns `None` if a fragment's samples are not in the order of
    /// the file.
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
        for (index, fragment) in plan.fragments.iter().enumerate() {
            let mut last = 0;
            for range in fragment.samples.iter().filter(|range| !range.is_empty()) {
                if range.start < last {
                    return Ok(None);
                }
                last = range.end;
            }
            // A span without samples is passed over.
            let mut cursor = Cursor::default();
            let spans = fragment.protected.as_ref().map_or(&[][..], |info| &info.spans);
            cursor.span = spans.iter().take_while(|span| span.count == 0).count();
            let start = cursor.settle(fragment);
            next.extend(start.map(|start| Reverse(NextSample { start, fragment: index })));
            cursors.push(cursor);
        }
        ciphers.keep_few();
        plan.prepare(ciphers, keys)?;
        Ok(Some(Self { plan, cursors, next: next.into(), progress: None }))
    }

    /// Makes the boxes those of a clear file. `boxes` are the planned bytes from their start on, as far as they are there.
    pub(super) fn clear(&self, boxes: &mut [u8]) {
        for clearing in &self.plan.clearings {
            clearing.apply(boxes);
        }
    }

    /// Decrypts `bytes`, which begin at position `from` and have all that was not final before. Returns how many of them are
    /// final now.
    pub(super) fn advance(
        &mut self,
        ciphers: &Ciphers,
        suspicions: &mut Suspicions,
        bytes: &mut [u8],
        from: usize,
    ) -> usize {
        let end = from.saturating_add(bytes.len());
        while let Some(Reverse(NextSample { fragment: index, .. })) = self.next.pop() {
            let limit = self.next.peek().map_or(usize::MAX, |Reverse(next)| next.start);
            let fragment = self.plan.fragments.get(index).zip(self.cursors.get_mut(index));
            let Some((fragment, cursor)) = fragment else { break };
            let (rest, cipher, by) = cursor.rest_of_span(fragment, ciphers);
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
                    let samples = cursor.sample..cursor.sample.saturating_add(whole);
                    suspicions.look(fragment, by, samples, bytes, from);
                }
                cursor.advance(fragment, whole);
            } else {
                let done = match cipher.zip(fragment.encryption(cursor.sample)) {
                    Some((cipher, encryption)) => {
                        let progress = &mut self.progress;
                        let done = decrypt_part(progress, range, cipher, encryption, bytes, from);
                        let part =
                            range.start.max(from).saturating_sub(from)..done.saturating_sub(from);
                        suspicions.take_part(fragment, by, bytes.get(part).unwrap_or_default());
                        done
                    }
                    None => range.end.min(end),
                };
                if done < range.end {
                    cut = Some(done.min(end) - from);
                } else {
                    self.progress = None;
                    suspicions.end_parts(fragment, by, cursor.sample);
                    cursor.advance(fragment, 1);
                }
            }
            let start = cursor.settle(fragment);
            self.next.extend(start.map(|start| Reverse(NextSample { start, fragment: index })));
            if let Some(done) = cut {
                return done;
            }
        }
        bytes.len()
    }

    /// Where the first sample begins that is not final, if one is left.
    pub(super) fn next_sample(&self) -> Option<usize> {
        self.next.peek().map(|Reverse(next)| next.start)
    }

    /// Whether no sample is left.
    pub(super) fn is_done(&self) -> bool {
        self.next.is_empty()
    }

    /// The notes of the plan. Positions count from its start.
    pub(super) fn notes(&self) -> &Notes {
        &self.plan.notes
    }

    /// How many samples the plan has.
    pub(super) fn samples(&self) -> usize {
        self.plan.count()
    }
}

/// Decrypts the bytes of the sample at the positions `range` that are there and were not final before. `bytes` begin at
/// position `from`. Returns the position up to which the sample is final.
fn decrypt_part(
    progress: &mut Option<Progress>,
    range: &Range<usize>,
    cipher: &SampleCipher,
    encryption: Encryption<'_>,
    bytes: &mut [u8],
    from: usize,
) -> usize {
    let here = range.start.max(from);
    let there = bytes.get_mut(here - from..).unwrap_or_default();
    let ours = there.len().min(range.end.saturating_sub(here));
    let there = there.get_mut(..ours).unwrap_or_default();
    let progress = progress.get_or_insert_with(|| Progress::new(encryption.iv));
    here + cipher.decrypt(progress, there, range.len(), encryption.subsamples)
}
