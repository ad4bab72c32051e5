//! The tracks of a `moov`, as a player asks for them and as fragments need them.
//!
//! Deliberately absent: reading the boxes, which [`init`](crate::cenc::init) does, and what a decoder needs.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use crate::cenc::boxes::FourCc;
use crate::cenc::clearing::Clearing;
use crate::cenc::group::Descriptions;
use crate::cenc::judge::Form;
use crate::cenc::protection::Entry;
use crate::key::KeyId;

/// A track of the `moov`. [`Init::tracks`](crate::cenc::Init::tracks) has an example.
#[derive(Clone, Copy, Debug)]
pub struct Track<'a> {
    pub(super) id: u32,
    pub(super) facts: &'a TrackFacts,
}

impl Track<'_> {
    /// The track ID (ISO/IEC 14496-12:2022, 8.3.2).
    #[must_use]
    pub fn id(&self) -> u32 {
        self.id
    }

    /// The kind of media: `vide` for video, `soun` for audio (8.4.3). `None` if the track does not say it.
    #[must_use]
    pub fn handler(&self) -> Option<FourCc> {
        self.facts.handler
    }

    /// The protection scheme: `cenc`, `cbc1`, `cens` or `cbcs`. `None` if the track is not protected. Of several sample
    /// entries it is that of the first one that is protected.
    #[must_use]
    pub fn scheme(&self) -> Option<FourCc> {
        self.facts.protected_entries().next().map(|entry| entry.scheme)
    }

    /// The KID of the samples that are in no group (`default_KID`, ISO/IEC 23001-7:2023, 8.2). `None` if such samples are
    /// not protected. Of several sample entries it is that of the first one that has a KID.
    #[must_use]
    pub fn default_kid(&self) -> Option<KeyId> {
        self.facts.protected_entries().find_map(|entry| entry.default.kid())
    }

    /// All KIDs that the `moov` names for this track, those of its sample groups (`seig`) included: in order, each of them
    /// once.
    #[must_use]
    pub fn kids(&self) -> Vec<KeyId> {
        self.facts.kids().collect::<BTreeSet<_>>().into_iter().collect()
    }
}

/// What decryption needs of a track, apart from its ID.
#[derive(Clone, Debug, Default)]
pub(super) struct TrackFacts {
    pub(super) handler: Option<FourCc>,
    /// For each sample entry its protection, if it has one. The indices of sample entries count from 1.
    pub(super) entries: Vec<Option<Entry>>,
    /// What the samples of each protected entry look like once they are decrypted.
    pub(super) forms: Vec<Option<Form>>,
    /// The groups of protection that are described for the whole track.
    pub(super) groups: Descriptions,
    /// What makes its boxes those of a clear file.
    pub(super) clearings: Vec<Clearing>,
    /// Whether the track stays as it is: there is no key for it.
    pub(super) is_left: bool,
    /// What fragments leave out (`trex`); `None`: they have to leave out nothing.
    pub(super) defaults: Option<Defaults>,
}

/// What a track's `trex` says for fragments that do not (8.8.3).
#[derive(Clone, Copy, Debug)]
pub(super) struct Defaults {
    /// The index of the sample entry.
    pub(super) description_index: u32,
    /// The size of samples, in bytes.
    pub(super) sample_size: u32,
}

impl TrackFacts {
    /// The sample entry of this index, if there is one: its protection, if it has one.
    pub(super) fn entry(&self, index: u32) -> Option<Option<Entry>> {
        let at = usize::try_from(index.checked_sub(1)?).ok()?;
        self.entries.get(at).copied()
    }

    /// What decrypted samples look like, if all of them look alike.
    pub(super) fn form(&self) -> Option<&Form> {
        let (first, others) = self.forms.split_first()?;
        first.as_ref().filter(|_| others.iter().all(|other| other == first))
    }

    /// The KIDs of sample entries and groups. Some may be there twice.
    pub(super) fn kids(&self) -> impl Iterator<Item = KeyId> {
        let defaults = self.protected_entries().filter_map(|entry| entry.default.kid());
        defaults.chain(self.groups.kids())
    }

    fn protected_entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().flatten()
    }
}
