//! A plan: every sample of a segment, where it is and how it is protected.

use alloc::vec::Vec;
use core::ops::Range;

use crate::cenc::aux_info::{self, SampleInfo, Subsample};
use crate::cenc::boxes::{BoxRef, Boxes};
use crate::cenc::cipher::SampleCipher;
use crate::cenc::fragment::{self, Media, TrackFragment};
use crate::cenc::init::{Clearing, Init};
use crate::cenc::protection::Protection;
use crate::cenc::{Error, Keys};

/// What is to be done to one segment, or to a whole file. Made by [`Init::plan`].
#[derive(Debug)]
pub struct Plan {
    length: usize,
    fragments: Vec<Fragment>,
    clearings: Vec<Clearing>,
}

#[derive(Debug)]
struct Fragment {
    track: u32,
    samples: Vec<Range<usize>>,
    protected: Option<Protected>,
}

#[derive(Debug)]
struct Protected {
    by: Protection,
    infos: Vec<SampleInfo>,
    subsamples: Vec<Subsample>,
}

impl Init {
    /// Reads every fragment of `segment`: one or more media segments, or the whole file.
    ///
    /// # Errors
    /// [`Error`]: whatever is wrong with the segment is found here.
    pub fn plan(&self, segment: &[u8]) -> Result<Plan, Error> {
        let mut plan = Plan { length: segment.len(), fragments: Vec::new(), clearings: Vec::new() };
        let (mut moofs, mut media) = (Vec::new(), Media::default());
        for this in Boxes::of(segment) {
            let this = this?;
            match &this.kind.0 {
                b"moof" => moofs.push(this),
                b"mdat" => media.push(&this),
                _ => {}
            }
        }
        for moof in &moofs {
            plan.clear_pssh(moof)?;
            for fragment in fragment::read_moof(self, moof, &media)? {
                plan.add(fragment, segment)?;
            }
        }
        plan.refuse_overlaps()?;
        Ok(plan)
    }
}

impl Plan {
    /// Every sample in the order of the file: its track and where it is.
    pub fn samples(&self) -> impl Iterator<Item = (u32, Range<usize>)> {
        self.fragments.iter().flat_map(|fragment| {
            fragment.samples.iter().map(|range| (fragment.track, range.clone()))
        })
    }

    /// Decrypts `segment`, the bytes that were planned for, in place.
    ///
    /// # Errors
    /// [`Error::MissingKey`] or [`Error::OtherBytes`], before the first byte is changed.
    pub fn decrypt(&self, keys: &Keys, segment: &mut [u8]) -> Result<(), Error> {
        if segment.len() != self.length {
            return Err(Error::OtherBytes);
        }
        let mut jobs = Vec::new();
        for fragment in &self.fragments {
            if let Some(protected) = &fragment.protected {
                let kid = protected.by.kid;
                let key = keys.find(kid).ok_or(Error::MissingKey(kid))?;
                jobs.push((fragment, protected, SampleCipher::new(protected.by.scheme, key)));
            }
        }
        for (fragment, protected, cipher) in jobs {
            for (range, info) in fragment.samples.iter().zip(&protected.infos) {
                // Both were checked when the plan was made.
                let sample = segment.get_mut(range.clone()).unwrap_or_default();
                let subsamples = protected.subsamples.get(info.subsamples.clone());
                cipher.decrypt(sample, &info.iv, subsamples.unwrap_or_default());
            }
        }
        for clearing in &self.clearings {
            clearing.apply(segment);
        }
        Ok(())
    }

    fn add(&mut self, fragment: TrackFragment<'_>, segment: &[u8]) -> Result<(), Error> {
        let protected = match fragment.protection {
            None => None,
            Some(by) => {
                let info = aux_info::read(&fragment, &by, segment)?;
                self.clearings.extend(info.clearings);
                Some(Protected { by, infos: info.samples, subsamples: info.subsamples })
            }
        };
        let TrackFragment { track, samples, .. } = fragment;
        self.fragments.push(Fragment { track, samples, protected });
        Ok(())
    }

    fn clear_pssh(&mut self, moof: &BoxRef<'_>) -> Result<(), Error> {
        for this in moof.children(0)? {
            let this = this?;
            if this.kind.0 == *b"pssh" {
                self.clearings.push(Clearing::free(&this));
            }
        }
        Ok(())
    }

    /// Bytes that were decrypted twice would be garbage.
    fn refuse_overlaps(&self) -> Result<(), fragment::Error> {
        let all = || self.fragments.iter().flat_map(|fragment| &fragment.samples);
        let is_overlap = |one: &Range<usize>, next: &Range<usize>| {
            !one.is_empty() && !next.is_empty() && next.start < one.end
        };
        if all().zip(all().skip(1)).all(|(one, next)| one.end <= next.start) {
            return Ok(());
        }
        let mut sorted: Vec<_> = all().filter(|range| !range.is_empty()).collect();
        sorted.sort_unstable_by_key(|range| range.start);
        let pairs = sorted.iter().zip(sorted.iter().skip(1));
        match pairs.into_iter().find(|(one, next)| is_overlap(one, next)) {
            Some((_, next)) => Err(fragment::Error::Overlap(next.start)),
            None => Ok(()),
        }
    }
}
