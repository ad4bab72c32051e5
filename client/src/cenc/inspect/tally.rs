//! What was seen so far: tracks, groups, keys and `pssh` boxes, with a limit on each.
//!
//! Deliberately absent: reading boxes, which [`moov`](crate::cenc::inspect::moov) and
//! [`moof`](crate::cenc::inspect::moof) do.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use crate::cenc::boxes::FourCc;
use crate::cenc::init;
use crate::cenc::inspect::described::Described;
use crate::cenc::inspect::film::{
    FilmTrack, FoundPssh, LeftOut, NeededKey, SampleEntry, SampleGroup,
};
use crate::key::KeyId;
use crate::pssh::decoded::Pssh;

/// So many tracks, sample entries, keys of tracks, keys of groups and `pssh` boxes are remembered: far more than films
/// have, and a bound on memory.
pub(super) const REMEMBERED_MAX: usize = 4096;

/// So many bytes of `pssh` boxes are remembered.
const PSSH_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Where something was found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Place {
    Moov,
    Moof,
}

/// Everything that was seen.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) tracks: BTreeMap<u32, TrackTally>,
    groups: BTreeMap<(u32, Described), GroupCount>,
    /// How many keys the groups have together.
    group_keys: usize,
    /// The samples that need a key, by key and track.
    needs: BTreeMap<(KeyId, u32), u64>,
    pssh: BTreeMap<Pssh, PsshCount>,
    pssh_bytes: usize,
    pub(super) pssh_unreadable: u64,
    entries: usize,
    pub(super) left_out: LeftOut,
    pub(super) refusal: Option<init::Error>,
    /// The timescale and the duration of the film (`mvhd`).
    pub(super) timescale: Option<u32>,
    pub(super) duration: Option<u64>,
}

/// A track, and what reading its fragments needs.
#[derive(Debug)]
pub(super) struct TrackTally {
    /// All but its groups and its duration.
    pub(super) facts: FilmTrack,
    /// The entries of the last `moov`, in its order, as indices of those of `facts`.
    pub(super) entries: Vec<usize>,
    /// The groups that the last `moov` describes.
    pub(super) groups: Groups,
    /// The sample entry and the duration of samples whose fragments name none (`trex`).
    pub(super) default_entry: u32,
    pub(super) default_duration: u32,
    /// The duration by `mdhd`, in units of the track's timescale.
    pub(super) duration: Option<u64>,
    /// The duration by `mehd`, in milliseconds.
    pub(super) film_duration_ms: Option<u64>,
    /// What the fragments add up to, in units of the track's timescale.
    pub(super) fragments_duration: u64,
    /// Which keys the samples need is not known of all: the boxes that say it are damaged.
    pub(super) is_uncertain: bool,
}

/// The descriptions of one `sgpd` box. Indices count from 1.
#[derive(Debug, Default)]
pub(super) struct Groups {
    pub(super) all: Vec<Described>,
    /// The index of the description for samples in no group; 0: their sample entry's.
    pub(super) default: u32,
}

impl Groups {
    pub(super) fn find(&self, index: u32) -> Option<&Described> {
        self.all.get(usize::try_from(index.checked_sub(1)?).ok()?)
    }
}

#[derive(Debug, Default)]
struct GroupCount {
    in_moov: bool,
    fragments: u64,
    samples: u64,
}

#[derive(Debug, Default)]
struct PsshCount {
    in_moov: bool,
    fragments: u64,
}

impl TrackTally {
    pub(super) fn new(id: u32) -> Self {
        let facts = FilmTrack {
            id,
            handler: None,
            entries: Vec::new(),
            language: None,
            timescale: None,
            duration_ms: None,
            samples: 0,
            groups: Vec::new(),
            has_auxiliary_information: false,
        };
        Self {
            facts,
            entries: Vec::new(),
            groups: Groups::default(),
            default_entry: 1,
            default_duration: 0,
            duration: None,
            film_duration_ms: None,
            fragments_duration: 0,
            is_uncertain: false,
        }
    }

    /// The entry of this index, which counts from 1.
    pub(super) fn entry(&self, index: u32) -> Option<&SampleEntry> {
        let at = usize::try_from(index.checked_sub(1)?).ok()?;
        self.facts.entries.get(*self.entries.get(at)?)
    }

    fn duration_ms(&self) -> Option<u64> {
        let scaled = |duration| millis(duration, self.facts.timescale);
        let known = |ms: &u64| *ms > 0;
        let declared = self.duration.and_then(scaled).filter(known);
        let counted = || scaled(self.fragments_duration).filter(known);
        declared.or_else(|| self.film_duration_ms.filter(known)).or_else(counted)
    }
}

/// A duration in milliseconds. All bits set say that it is not known (ISO/IEC 14496-12:2022, 8.2.2).
pub(super) fn millis(duration: u64, timescale: Option<u32>) -> Option<u64> {
    let timescale = u128::from(timescale.filter(|timescale| *timescale > 0)?);
    u64::try_from(u128::from(duration) * 1000 / timescale).ok()
}

impl Tally {
    /// The track of this ID, which is new if it was not seen before. `None` if too many were.
    pub(super) fn track(&mut self, id: u32) -> Option<&mut TrackTally> {
        if self.tracks.len() >= REMEMBERED_MAX && !self.tracks.contains_key(&id) {
            self.left_out.tracks += 1;
            return None;
        }
        Some(self.tracks.entry(id).or_insert_with(|| TrackTally::new(id)))
    }

    /// Adds a sample entry to a track, and names the keys of its defaults.
    pub(super) fn add_entry(&mut self, id: u32, entry: SampleEntry) {
        let kids: Vec<_> = kids_of(&entry).collect();
        for kid in kids {
            self.need(kid, id, 0);
        }
        let Some(track) = self.tracks.get_mut(&id) else { return };
        let at = match track.facts.entries.iter().position(|known| *known == entry) {
            Some(at) => at,
            None if self.entries >= REMEMBERED_MAX => {
                self.left_out.entries += 1;
                return;
            }
            None => {
                self.entries += 1;
                track.facts.entries.push(entry);
                track.facts.entries.len() - 1
            }
        };
        if track.entries.len() < REMEMBERED_MAX {
            track.entries.push(at);
        }
    }

    /// Counts samples that need a key, or names a key that samples may need.
    pub(super) fn need(&mut self, kid: KeyId, track: u32, samples: u64) {
        if let Some(count) = self.needs.get_mut(&(kid, track)) {
            *count = count.saturating_add(samples);
        } else if self.needs.len() < REMEMBERED_MAX {
            self.needs.insert((kid, track), samples);
        } else {
            self.left_out.keys += 1;
        }
    }

    /// A box in `place` describes a group of a track's samples.
    pub(super) fn add_group(&mut self, track: u32, described: &Described, place: Place) {
        let key = (track, described.clone());
        if !self.groups.contains_key(&key) {
            // A group without keys is counted, too.
            let keys = self.group_keys.saturating_add(described.keys.len().max(1));
            if keys > REMEMBERED_MAX {
                self.left_out.groups += 1;
                return;
            }
            self.group_keys = keys;
        }
        let count = self.groups.entry(key).or_default();
        match place {
            Place::Moov => count.in_moov = true,
            Place::Moof => count.fragments += 1,
        }
    }

    /// Samples of a track are in a group.
    pub(super) fn count_group(&mut self, track: u32, described: &Described, samples: u64) {
        for kid in described.needed() {
            self.need(kid, track, samples);
        }
        if let Some(count) = self.groups.get_mut(&(track, described.clone())) {
            count.samples = count.samples.saturating_add(samples);
        }
    }

    /// Adds the body of a `pssh` box.
    pub(super) fn add_pssh(&mut self, body: &[u8], place: Place) {
        let Some(pssh) = Pssh::parse_body(body) else {
            self.pssh_unreadable += 1;
            return;
        };
        if !self.pssh.contains_key(&pssh) {
            let bytes = self.pssh_bytes.saturating_add(body.len());
            if self.pssh.len() >= REMEMBERED_MAX || bytes > PSSH_BYTES_MAX {
                self.left_out.pssh += 1;
                return;
            }
            self.pssh_bytes = bytes;
        }
        let count = self.pssh.entry(pssh).or_default();
        match place {
            Place::Moov => count.in_moov = true,
            Place::Moof => count.fragments += 1,
        }
    }

    /// The tracks, with their groups and durations.
    pub(super) fn film_tracks(&self) -> Vec<FilmTrack> {
        let tracks = self.tracks.values().map(|track| {
            let groups = self.groups.iter().filter(|((id, _), _)| *id == track.facts.id);
            let groups = groups.map(|((_, described), count)| SampleGroup {
                described: described.clone(),
                in_moov: count.in_moov,
                fragments: count.fragments,
                samples: count.samples,
            });
            let duration_ms = track.duration_ms();
            FilmTrack { groups: groups.collect(), duration_ms, ..track.facts.clone() }
        });
        tracks.collect()
    }

    /// The keys that samples need. Where no samples were counted those are needed that the boxes name.
    pub(super) fn needed_keys(&self) -> Vec<NeededKey> {
        let mut keys: Vec<NeededKey> = Vec::new();
        for ((kid, track), samples) in &self.needs {
            let is_open = |track: &TrackTally| track.facts.samples == 0 || track.is_uncertain;
            if *samples == 0 && !self.tracks.get(track).is_some_and(is_open) {
                continue;
            }
            match keys.last_mut() {
                Some(last) if last.kid == *kid => {
                    last.tracks.push(*track);
                    last.samples = last.samples.saturating_add(*samples);
                }
                _ => {
                    keys.push(NeededKey { kid: *kid, tracks: [*track].into(), samples: *samples });
                }
            }
        }
        keys
    }

    pub(super) fn pssh(&self) -> Vec<FoundPssh> {
        let found = self.pssh.iter().map(|(pssh, count)| FoundPssh {
            pssh: pssh.clone(),
            in_moov: count.in_moov,
            fragments: count.fragments,
        });
        found.collect()
    }

    /// The longest duration of a track, or else that of the film, in milliseconds.
    pub(super) fn duration_ms(&self) -> Option<u64> {
        let longest = self.tracks.values().filter_map(TrackTally::duration_ms).max();
        let film = || self.duration.and_then(|duration| millis(duration, self.timescale));
        longest.or_else(|| film().filter(|ms| *ms > 0))
    }
}

/// The KIDs of an entry's defaults.
pub(super) fn kids_of(entry: &SampleEntry) -> impl Iterator<Item = KeyId> {
    entry.protections.iter().filter_map(|by| by.default.as_ref()).flat_map(Described::needed)
}

/// The language of `mdhd`: three letters of five bits each (8.4.2).
pub(super) fn language_of(packed: u16) -> Option<String> {
    let letters = [packed >> 10, packed >> 5, packed].map(|letter| (letter & 0x1f) + 0x60);
    let letters = letters.map(|letter| char::from_u32(letter.into()).unwrap_or('?'));
    letters.iter().all(char::is_ascii_lowercase).then(|| letters.iter().collect())
}

/// Four characters at the front of fields that may be too short.
pub(super) fn four_cc(bytes: &[u8]) -> Option<FourCc> {
    bytes.first_chunk().copied().map(FourCc)
}
