//! A plan: every sample of a segment, where it is and how it is protected.
//!
//! Deliberately absent: media that is still to come, whose plan `flow` carries out in parts.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::ops::Range;

use crate::cenc::aux_info;
use crate::cenc::boxes::{BoxRef, Boxes};
use crate::cenc::cipher::Ciphers;
use crate::cenc::clearing::Clearing;
use crate::cenc::error::Error;
use crate::cenc::fragment;
use crate::cenc::init::Init;
use crate::cenc::judge::Form;
use crate::cenc::keys::Keys;
use crate::cenc::moov;
use crate::cenc::notes::{Note, Notes};
use crate::cenc::overlap::refuse_overlaps;
use crate::cenc::planned::Fragment;
use crate::cenc::protection::Protection;
use crate::cenc::samples::{Media, Samples};
use crate::cenc::suspicion::Suspicions;
use crate::cenc::table;
use crate::cenc::tail;
use crate::cenc::track::TrackFacts;
use crate::key::KeyId;

/// What is to be done to one segment, or to a whole file. [`Init::plan`] makes it.
///
/// ```
/// use reelkey_client::cenc::{Init, Keys};
/// use reelkey_client::key::ContentKey;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../src/cli/demo/clip/cbcs/video.mp4");
/// # let film = std::fs::read(path)?;
/// # let moof = film.windows(4).position(|kind| kind == b"moof").unwrap() - 4;
/// # let (init_segment, segment) = (&film[..moof], &mut film[moof..].to_vec());
/// # let kid = "5ee1ce7a-0d3b-4c5d-8e6f-708192a3b4c5".parse()?;
/// # let keys = Keys::from_iter([(kid, ContentKey::parse_hex("0f1e2d3c4b5a69788796a5b4c3d2e1f0")?)]);
/// let init = Init::parse(init_segment)?;
///
/// let plan = init.plan(segment)?; // everything that is wrong with the segment is found here
/// assert_eq!(plan.kids(), [kid]);
/// plan.decrypt(&keys, segment)?; // in place
/// for sample in plan.samples() {
///     let clear = &segment[sample.bytes];
/// #   assert!(!clear.is_empty());
/// }
/// # assert_eq!(plan.samples().count(), 75);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Plan {
    length: usize,
    pub(super) fragments: Vec<Fragment>,
    pub(super) clearings: Vec<Clearing>,
    pub(super) notes: Notes,
}

/// A sample of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sample {
    /// The ID of its track.
    pub track_id: u32,
    /// The positions of its bytes in the segment.
    pub bytes: Range<usize>,
}

impl Init {
    /// Reads every fragment of `segment`: one or more media segments, or the whole file. Of a file also the samples
    /// that its `moov` lists.
    ///
    /// ```
    /// # use reelkey_client::cenc::{Error, Init, Keys};
    /// /// Decrypts a file of which all segments are in memory.
    /// fn decrypt(keys: &Keys, init_segment: &[u8], segments: &mut [Vec<u8>]) -> Result<(), Error> {
    ///     let init = Init::parse(init_segment)?;
    ///     for segment in segments {
    ///         init.plan(segment)?.decrypt(keys, segment)?;
    ///     }
    ///     Ok(())
    /// }
    /// # let film = include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/../src/cli/demo/clip/cbcs/video.mp4"));
    /// # let moof = film.windows(4).position(|kind| kind == b"moof").unwrap() - 4;
    /// # let refused = decrypt(&Keys::default(), &film[..moof], &mut [film[moof..].to_vec()]);
    /// # assert!(matches!(refused, Err(Error::MissingKey(_))));
    /// ```
    ///
    /// # Errors
    /// [`Error`]: everything that is wrong with the segment is found here, apart from missing keys.
    pub fn plan(&self, segment: &[u8]) -> Result<Plan, Error> {
        self.plan_at(segment, 0)
    }

    /// As [`plan`](Self::plan), for a segment that begins at position `origin` of its file, in bytes: some offsets count
    /// from the start of the file (ISO/IEC 14496-12:2022, 8.8.7).
    ///
    /// ```
    /// # use reelkey_client::cenc::{Error, Init, Keys};
    /// /// Decrypts the segment that begins at byte `at` of `file`, and nothing else of the file.
    /// fn decrypt_segment(init: &Init, keys: &Keys, file: &mut [u8], at: usize) -> Result<(), Error> {
    ///     let segment = &mut file[at..];
    ///     init.plan_at(segment, at as u64)?.decrypt(keys, segment)?;
    ///     Ok(())
    /// }
    /// # let mut film = include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/../src/cli/demo/clip/cbcs/video.mp4")).to_vec();
    /// # let moof = film.windows(4).position(|kind| kind == b"moof").unwrap() - 4;
    /// # let init = Init::parse(&film).unwrap();
    /// # let kid = "5ee1ce7a-0d3b-4c5d-8e6f-708192a3b4c5".parse().unwrap();
    /// # let key = reelkey_client::key::ContentKey::parse_hex("0f1e2d3c4b5a69788796a5b4c3d2e1f0").unwrap();
    /// # decrypt_segment(&init, &Keys::from_iter([(kid, key)]), &mut film, moof).unwrap();
    /// ```
    ///
    /// # Errors
    /// As [`plan`](Self::plan).
    pub fn plan_at(&self, segment: &[u8], origin: u64) -> Result<Plan, Error> {
        self.plan_ahead(segment, origin, None)
    }

    /// Reads the samples that a `moov` lists, without the rest of its file. `mdat_bodies` are the positions of the bodies
    /// of its `mdat`s. In the plan, positions of boxes count from the start of `moov`, those of samples from the start of
    /// the file.
    pub(super) fn plan_table(
        &self,
        moov: &[u8],
        mdat_bodies: &[Range<usize>],
    ) -> Result<Plan, Error> {
        let mut plan = Plan::of(moov);
        let mut bodies = Media::default();
        bodies.extend(mdat_bodies.iter().cloned());
        for this in Boxes::of(moov) {
            let this = this?;
            if this.kind.0 == *b"moov" {
                // An offset of auxiliary information would lead into bytes that are not here.
                self.plan_moov(&mut plan, &this, &bodies, &[])?;
            }
        }
        refuse_overlaps(&plan.fragments)?;
        Ok(plan)
    }

    /// As [`plan_at`](Self::plan_at), for a segment whose last `mdat` is still to come: its body will be at the positions
    /// `ahead`.
    pub(super) fn plan_ahead(
        &self,
        segment: &[u8],
        origin: u64,
        ahead: Option<Range<usize>>,
    ) -> Result<Plan, Error> {
        let mut plan = Plan::of(segment);
        let (mut moov, mut moofs, mut media) = (None, Vec::new(), Media::default());
        let boxes = tail::boxes_of(segment)?;
        for this in boxes.iter() {
            match &this.kind.0 {
                b"moov" if moov.is_some() => return Err(moov::Error::Repeated(this.at).into()),
                b"moov" => moov = Some(this),
                b"moof" => moofs.push(this),
                b"mdat" => media.push(&this),
                _ => {}
            }
        }
        media.extend(ahead);
        plan.notes.add_tail(boxes.tail_at);
        if let Some(moov) = moov {
            self.plan_moov(&mut plan, &moov, &media, segment)?;
        }
        for moof in &moofs {
            if !self.leaves_track() {
                plan.clear_pssh(moof)?;
            }
            fragment::read_moof(self, moof, origin, &media, |samples| {
                let track = self.tracks.get(&samples.track_id);
                plan.add(track.and_then(TrackFacts::form), samples, segment)
            })?;
        }
        refuse_overlaps(&plan.fragments)?;
        if self.is_clear() && plan.protections().next().is_none() {
            plan.notes.add(Note::NothingEncrypted);
        }
        Ok(plan)
    }

    fn plan_moov(
        &self,
        plan: &mut Plan,
        moov: &BoxRef<'_>,
        media: &Media,
        segment: &[u8],
    ) -> Result<(), Error> {
        for trak in moov.children(0)? {
            let trak = trak?;
            if trak.kind.0 != *b"trak" {
                continue;
            }
            let track_id = moov::track_id_of(&trak)?;
            let Some(track) = self.tracks.get(&track_id).filter(|track| !track.is_left) else {
                continue;
            };
            if let Some(samples) = table::read(track, track_id, &trak, media)? {
                plan.add(track.form(), samples, segment)?;
            }
        }
        Ok(())
    }
}

impl Plan {
    fn of(segment: &[u8]) -> Self {
        Self {
            length: segment.len(),
            fragments: Vec::new(),
            clearings: Vec::new(),
            notes: Notes::default(),
        }
    }

    /// What is worth saying of the segment: positions count from its start.
    #[must_use]
    pub fn notes(&self) -> &[Note] {
        self.notes.all()
    }

    /// Every sample, in the order in which the boxes list them.
    pub fn samples(&self) -> impl Iterator<Item = Sample> {
        self.fragments.iter().flat_map(|fragment| {
            let samples = fragment.samples.iter();
            samples.map(|bytes| Sample { track_id: fragment.track_id, bytes: bytes.clone() })
        })
    }

    /// The KIDs of all keys that the samples need, in order and each of them once. Groups of a fragment may name KIDs that
    /// the `moov` does not.
    #[must_use]
    pub fn kids(&self) -> Vec<KeyId> {
        let kids = self.protections().map(|(_, by)| by.kid);
        kids.collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// How many samples there are.
    pub(super) fn count(&self) -> usize {
        self.fragments.iter().map(|fragment| fragment.samples.len()).sum()
    }

    /// Decrypts `segment`, the bytes that were planned for, in place. Returns what is worth saying of the keys.
    ///
    /// ```
    /// # use reelkey_client::cenc::{Error, Init, Keys};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../src/cli/demo/clip/cenc/video.mp4");
    /// # let mut film = std::fs::read(path)?;
    /// # let encrypted = film.clone();
    /// let plan = Init::parse(&film)?.plan(&film)?;
    /// // A missing key is found before a byte is changed.
    /// let refused = plan.decrypt(&Keys::default(), &mut film);
    /// assert!(matches!(refused, Err(Error::MissingKey(missing)) if plan.kids() == [missing.kid]));
    /// # assert!(film == encrypted);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::MissingKey`], or [`Error::OtherBytes`] if `segment` has another length. No byte is changed then.
    pub fn decrypt(&self, keys: &Keys, segment: &mut [u8]) -> Result<Vec<Note>, Error> {
        let mut ciphers = Ciphers::default();
        self.decrypt_with(&mut ciphers, keys, segment)?;
        Ok(ciphers.notes.into_all())
    }

    /// Judges the first samples of a segment that was decrypted by the rules of their format. Returns the keys that do not seem
    /// to fit ([`Note::WrongKey`]); what cannot be judged is passed over.
    ///
    /// ```
    /// # use reelkey_client::cenc::Init;
    /// # use reelkey_client::cenc::Keys;
    /// # use reelkey_client::key::ContentKey;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../src/cli/demo/clip/cbcs/audio.mp4");
    /// # let mut film = std::fs::read(path)?;
    /// # let mut keys = Keys::default();
    /// # keys.insert_only(ContentKey::parse_hex("00000000000000000000000000000000")?);
    /// let plan = Init::parse(&film)?.plan(&film)?;
    /// plan.decrypt(&keys, &mut film)?;
    /// for note in plan.judge(&film) {
    ///     eprintln!("{note}");
    /// }
    /// # assert_eq!(plan.judge(&film).len(), 1);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn judge(&self, segment: &[u8]) -> Vec<Note> {
        let mut suspicions = Suspicions::default();
        self.look(&mut suspicions, segment);
        let mut notes = Notes::default();
        suspicions.add_to(&mut notes);
        notes.into_all()
    }

    /// Judges the samples of a decrypted segment, as far as their keys need it.
    pub(super) fn look(&self, suspicions: &mut Suspicions, segment: &[u8]) {
        for fragment in &self.fragments {
            let spans = fragment.protected.as_ref().map_or(&[][..], |info| &info.spans);
            let mut first = 0_usize;
            for span in spans {
                let samples = first..first.saturating_add(span.count);
                first = samples.end;
                suspicions.look(fragment, span.by, samples, segment, 0);
            }
        }
    }

    /// As [`decrypt`](Self::decrypt), with the ciphers of the segments before, which had the same keys.
    pub(super) fn decrypt_with(
        &self,
        ciphers: &mut Ciphers,
        keys: &Keys,
        segment: &mut [u8],
    ) -> Result<(), Error> {
        if segment.len() != self.length {
            return Err(Error::OtherBytes);
        }
        self.prepare(ciphers, keys)?;
        for fragment in &self.fragments {
            let spans = fragment.protected.as_ref().map_or(&[][..], |info| &info.spans);
            let mut first = 0;
            for span in spans {
                if let Some(cipher) = ciphers.find(fragment.track_id, span.by) {
                    fragment.decrypt(cipher, first, span.count, segment, 0);
                }
                first += span.count;
            }
        }
        for clearing in &self.clearings {
            clearing.apply(segment);
        }
        Ok(())
    }

    /// Makes all ciphers that the samples need.
    ///
    /// # Errors
    /// [`Error::MissingKey`].
    pub(super) fn prepare(&self, ciphers: &mut Ciphers, keys: &Keys) -> Result<(), Error> {
        self.protections().try_for_each(|(track, by)| ciphers.prepare(track, by, keys))
    }

    /// How the samples are protected, each with its track ID.
    fn protections(&self) -> impl Iterator<Item = (u32, Protection)> {
        self.fragments.iter().flat_map(|fragment| {
            let spans = fragment.protected.iter().flat_map(|info| &info.spans);
            spans.filter_map(|span| Some((fragment.track_id, span.by?)))
        })
    }

    fn add(
        &mut self,
        form: Option<&Form>,
        mut samples: Samples<'_>,
        segment: &[u8],
    ) -> Result<(), Error> {
        let signals = samples.signals()?;
        let mut protected = None;
        if !samples.has_protected_entry {
            fragment::refuse_contradiction(&samples, &signals)?;
        } else if samples.are_inserted(&signals) {
            let first_at = u64::try_from(samples.container.at).unwrap_or(u64::MAX);
            self.notes.add(Note::ClearFragments { count: 1, first_at });
        } else if samples.is_protected() {
            protected = Some(aux_info::read(&mut samples, &signals, segment)?);
        }
        // Whatever is about protection speaks of samples that are clear afterwards.
        self.clearings.extend(signals.all().iter().map(Clearing::free));
        let Samples { track_id, ranges, .. } = samples;
        let form = protected.as_ref().and(form).cloned();
        self.fragments.push(Fragment { track_id, samples: ranges, protected, form });
        Ok(())
    }

    fn clear_pssh(&mut self, moof: &BoxRef<'_>) -> Result<(), Error> {
        for this in moof.children(0)? {
            let this = this?;
            if moov::is_pssh(&this) {
                self.clearings.push(Clearing::free(&this));
            }
        }
        Ok(())
    }
}
