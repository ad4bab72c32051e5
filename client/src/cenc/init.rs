//! The `moov`: which tracks there are, and how each is protected.
//!
//! Deliberately absent: where samples are. [`table`](crate::cenc::table) reads that of a `moov`, and
//! [`fragment`](crate::cenc::fragment) that of a `moof`.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use crate::cenc::boxes::BoxRef;
use crate::cenc::clearing::Clearing;
use crate::cenc::entry;
use crate::cenc::group::Descriptions;
use crate::cenc::keys::Keys;
use crate::cenc::moov::{handler_of, is_pssh, need, stbl_of, track_id_of};
use crate::cenc::notes::{Note, Notes};
use crate::cenc::signals::{Contradiction, Signals};
use crate::cenc::tail;
use crate::cenc::track::{Defaults, Track, TrackFacts};
use crate::key::KeyId;

pub use crate::cenc::moov::Error;

/// What decryption needs of a `moov`. Nothing of it is secret.
#[derive(Clone, Debug)]
pub struct Init {
    /// The tracks by their IDs.
    pub(super) tracks: BTreeMap<u32, TrackFacts>,
    /// What makes the boxes for DRM systems those of a clear file.
    pssh: Vec<Clearing>,
}

impl Init {
    /// Reads the `moov` of an initialization segment, or of a whole file.
    ///
    /// ```
    /// use reelkey_client::cenc::Init;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../src/cli/demo/clip/cenc/video.mp4");
    /// let film = std::fs::read(path)?;
    /// let init = Init::parse(&film)?;
    /// assert_eq!(init.tracks().count(), 1);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error`] if there is no `moov`, or it is damaged, or it breaks a rule of protection.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let moov = tail::boxes_of(bytes)?.find(|this| this.kind.0 == *b"moov");
        let moov = moov.ok_or(Error::NoMoov)?;
        let mut init = Self { tracks: BTreeMap::new(), pssh: Vec::new() };
        for this in moov.children(0)? {
            let this = this?;
            match &this.kind.0 {
                b"trak" => init.read_trak(&this)?,
                _ if is_pssh(&this) => init.pssh.push(Clearing::free(&this)),
                _ => {}
            }
        }
        if init.tracks.is_empty() {
            return Err(Error::NoTrack);
        }
        if let Some(mvex) = moov.children(0)?.find(b"mvex")? {
            for trex in mvex.children(0)? {
                let trex = trex?;
                if trex.kind.0 == *b"trex" {
                    init.read_trex(&trex)?;
                }
            }
        }
        Ok(init)
    }

    /// The tracks, in the order of their IDs.
    ///
    /// ```
    /// use reelkey_client::cenc::Init;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../src/cli/demo/clip/cbcs/video.mp4");
    /// # let init = Init::parse(&std::fs::read(path)?)?;
    /// for track in init.tracks() {
    ///     println!("track {}: {:?}, {:?}", track.id(), track.handler(), track.scheme());
    /// }
    /// let video = init.tracks().find(|track| track.handler().is_some_and(|kind| kind.0 == *b"vide"));
    /// let video = video.ok_or("no video")?;
    /// assert_eq!(video.scheme().map(|scheme| scheme.0), Some(*b"cbcs"));
    /// assert_eq!(video.default_kid(), Some("5ee1ce7a-0d3b-4c5d-8e6f-708192a3b4c5".parse()?));
    /// # Ok(())
    /// # }
    /// ```
    pub fn tracks(&self) -> impl Iterator<Item = Track<'_>> {
        self.tracks.iter().map(|(id, facts)| Track { id: *id, facts })
    }

    /// All KIDs that the `moov` names, in order and each of them once: those of its sample entries and of the sample groups
    /// (`seig`) that it describes. A player asks for a license with them
    /// ([`Ask::kids`](crate::exchange::ask::Ask::kids)). `pssh` boxes are not read.
    ///
    /// Fragments may bring further groups of their own: [`Plan::kids`](crate::cenc::Plan::kids) has the KIDs of a segment.
    ///
    /// ```
    /// use reelkey_client::cenc::Init;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../src/cli/demo/clip/cenc/video.mp4");
    /// # let init_segment = std::fs::read(path)?;
    /// let init = Init::parse(&init_segment)?;
    /// assert_eq!(init.kids(), ["5ee1ce7a-0d3b-4c5d-8e6f-708192a3b4c5".parse()?]);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn kids(&self) -> Vec<KeyId> {
        let kids = self.tracks.values().flat_map(TrackFacts::kids);
        kids.collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// Whether no sample entry and no group needs a key.
    pub(super) fn is_clear(&self) -> bool {
        self.tracks.values().all(|facts| facts.kids().next().is_none())
    }

    /// Makes `bytes`, which were parsed, those of a clear file: `encv` and `enca` get back their original types, and the
    /// boxes about protection become `free` boxes. No byte moves.
    ///
    /// ```
    /// # use reelkey_client::cenc::Init;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../src/cli/demo/clip/cenc/video.mp4");
    /// # let mut init_segment = std::fs::read(path)?;
    /// let init = Init::parse(&init_segment)?;
    /// init.clear(&mut init_segment);
    /// assert!(Init::parse(&init_segment)?.kids().is_empty());
    /// # Ok(())
    /// # }
    /// ```
    pub fn clear(&self, bytes: &mut [u8]) {
        let tracks = self.tracks.values().filter(|track| !track.is_left);
        let pssh = if self.leaves_track() { &[][..] } else { &self.pssh };
        for clearing in tracks.flat_map(|track| &track.clearings).chain(pssh) {
            clearing.apply(bytes);
        }
    }

    /// Leaves the tracks encrypted for which there is no key, if `keys` say so
    /// ([`Keys::leave_tracks_without_keys`]): plans leave out their samples then, and [`clear`](Self::clear) their boxes.
    /// Returns which tracks those are.
    pub fn leave_tracks_without_keys(&mut self, keys: &Keys) -> Vec<Note> {
        let mut notes = Notes::default();
        self.leave_tracks(keys, &mut notes);
        notes.into_all()
    }

    /// Leaves the tracks as they are for which `keys` have no key, if those say so. What was left is added to `notes`.
    pub(super) fn leave_tracks(&mut self, keys: &Keys, notes: &mut Notes) {
        if !keys.leaves_tracks() {
            return;
        }
        for (id, track) in &mut self.tracks {
            let missing = track.kids().find(|kid| keys.find(*id, *kid).is_none());
            if let Some(kid) = missing {
                track.is_left = true;
                notes.add(Note::LeftTrack { track: *id, kid });
            }
        }
    }

    /// Whether a track is left encrypted: then the boxes for DRM systems are needed.
    pub(super) fn leaves_track(&self) -> bool {
        self.tracks.values().any(|track| track.is_left)
    }

    fn read_trak(&mut self, trak: &BoxRef<'_>) -> Result<(), Error> {
        let track_id = track_id_of(trak)?;
        let stbl = stbl_of(trak)?;
        let stsd = need(&stbl, b"stsd")?;
        let mut track = TrackFacts { handler: handler_of(trak), ..TrackFacts::default() };
        for entry in stsd.children(8)? {
            let is_version_0 = stsd.body.first() == Some(&0);
            let found = entry::read(&entry?, is_version_0, &mut track.clearings)?;
            let (found, form) = found.unzip();
            track.entries.push(found);
            track.forms.extend(form);
        }
        let is_protected = track.entries.iter().any(Option::is_some);
        let signals = Signals::of([stbl, *trak], is_protected)?;
        if let (false, Some(this)) = (is_protected, signals.encrypted()?) {
            let (kind, at) = (this.kind, this.at);
            return Err(Contradiction { kind, at, track: track_id }.into());
        }
        track.clearings.extend(signals.all().iter().map(Clearing::free));
        for this in signals.all().iter().filter(|this| this.kind.0 == *b"sgpd") {
            track.groups = Descriptions::read(this)?;
        }
        match self.tracks.insert(track_id, track) {
            None => Ok(()),
            Some(_) => Err(Error::RepeatedTrack(track_id)),
        }
    }

    /// The defaults of fragments (8.8.3).
    fn read_trex(&mut self, trex: &BoxRef<'_>) -> Result<(), Error> {
        let mut fields = trex.fields();
        fields.version_and_flags()?;
        let track_id = fields.u32()?;
        let (description_index, _duration, sample_size) =
            (fields.u32()?, fields.u32()?, fields.u32()?);
        if let Some(track) = self.tracks.get_mut(&track_id) {
            track.defaults = Some(Defaults { description_index, sample_size });
        }
        Ok(())
    }
}
