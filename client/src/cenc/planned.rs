//! The samples of one track in a plan: where each is, how it is encrypted, and what it looks like once it is not.
//!
//! Deliberately absent: how a plan is made.

use alloc::vec::Vec;
use core::ops::Range;

use crate::cenc::aux_info::{AuxInfo, Subsample};
use crate::cenc::cipher::{Progress, SampleCipher};
use crate::cenc::judge::Form;
use crate::cenc::protection::IvBlock;

/// Samples of one track in a row.
#[derive(Debug)]
pub(super) struct Fragment {
    pub(super) track_id: u32,
    /// The positions of each sample's bytes.
    pub(super) samples: Vec<Range<usize>>,
    /// How the samples are protected; `None`: not at all.
    pub(super) protected: Option<AuxInfo>,
    /// What they look like once they are decrypted, if that can be judged.
    pub(super) form: Option<Form>,
}

/// What a cipher needs of one protected sample, apart from the key.
#[derive(Clone, Copy, Debug)]
pub(super) struct Encryption<'a> {
    pub(super) iv: IvBlock,
    /// None: all of the sample is protected.
    pub(super) subsamples: &'a [Subsample],
}

impl Fragment {
    /// How the sample with this index is encrypted, if any is.
    pub(super) fn encryption(&self, index: usize) -> Option<Encryption<'_>> {
        let info = self.protected.as_ref()?;
        let sample = info.samples.get(index)?;
        let subsamples = info.subsamples.get(sample.subsamples.clone())?;
        Some(Encryption { iv: sample.iv, subsamples })
    }

    /// Decrypts `count` samples from the one with index `first` on. `bytes` begin at position `from` and have all of the
    /// samples.
    pub(super) fn decrypt(
        &self,
        cipher: &SampleCipher,
        first: usize,
        count: usize,
        bytes: &mut [u8],
        from: usize,
    ) {
        let Some(info) = &self.protected else { return };
        let samples = self.samples.iter().zip(&info.samples);
        for (range, sample) in samples.skip(first).take(count) {
            let here = range.start.saturating_sub(from)..range.end.saturating_sub(from);
            let bytes = bytes.get_mut(here).unwrap_or_default();
            let subsamples = info.subsamples.get(sample.subsamples.clone()).unwrap_or_default();
            let length = bytes.len();
            cipher.decrypt(&mut Progress::new(sample.iv), bytes, length, subsamples);
        }
    }
}
