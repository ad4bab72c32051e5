//! Carrying a plan out while the media is still coming in: sample by sample, in order.

use crate::cenc::cipher::SampleCipher;
use crate::cenc::plan::Plan;
use crate::cenc::protection::Protection;
use crate::cenc::{Error, Keys};

/// A plan on its way. Positions count from the start of the segment that was planned.
#[derive(Debug)]
pub(super) struct Flow {
    plan: Plan,
    ciphers: alloc::vec::Vec<(Protection, SampleCipher)>,
    /// The next sample: of which fragment, which, in which span, and how many of that span came before it.
    fragment: usize,
    sample: usize,
    span: usize,
    in_span: usize,
}

impl Flow {
    /// Begins `plan`, unless its samples are not in the order of the file.
    ///
    /// # Errors
    /// [`Error::MissingKey`].
    pub(super) fn begin(plan: Plan, keys: &Keys) -> Result<Option<Self>, Error> {
        let mut last = 0;
        for (_, range) in plan.samples().filter(|(_, range)| !range.is_empty()) {
            if range.start < last {
                return Ok(None);
            }
            last = range.end;
        }
        let ciphers = plan.ciphers(keys)?;
        Ok(Some(Self { plan, ciphers, fragment: 0, sample: 0, span: 0, in_span: 0 }))
    }

    /// Makes the boxes those of a clear file. `boxes` is the segment from its start on, as far as it is there.
    pub(super) fn clear(&self, boxes: &mut [u8]) {
        for clearing in &self.plan.clearings {
            clearing.apply(boxes);
        }
    }

    /// Decrypts every sample that is whole in `bytes`, which begin `from` bytes into the segment and hold all that was
    /// not final before. Answers how many of them are final now.
    pub(super) fn advance(&mut self, bytes: &mut [u8], from: usize) -> usize {
        let end = from.saturating_add(bytes.len());
        while let Some(fragment) = self.plan.fragments.get(self.fragment) {
            let Some(range) = fragment.samples.get(self.sample) else {
                self.fragment += 1;
                (self.sample, self.span, self.in_span) = (0, 0, 0);
                continue;
            };
            if !range.is_empty() && range.end > end {
                return range.start.clamp(from, end) - from;
            }
            if let Some(info) = &fragment.protected {
                while info.spans.get(self.span).is_some_and(|span| self.in_span >= span.count) {
                    self.span += 1;
                    self.in_span = 0;
                }
                let by = info.spans.get(self.span).and_then(|span| span.by);
                let cipher = self.ciphers.iter().find(|(other, _)| Some(*other) == by);
                if let (Some((_, cipher)), Some(sample)) = (cipher, info.samples.get(self.sample)) {
                    let here = range.start.saturating_sub(from)..range.end.saturating_sub(from);
                    let bytes = bytes.get_mut(here).unwrap_or_default();
                    let subsamples = info.subsamples.get(sample.subsamples.clone());
                    cipher.decrypt(bytes, &sample.iv, subsamples.unwrap_or_default());
                }
                self.in_span += 1;
            }
            self.sample += 1;
        }
        bytes.len()
    }

    /// How many samples it is about.
    pub(super) fn samples(&self) -> usize {
        self.plan.samples().count()
    }
}
