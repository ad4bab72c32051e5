//! The `moov`: which tracks there are, and how each is protected.
//!
//! Deliberately absent: where samples are. [`table`](crate::cenc::table) reads that of a `moov`, and
//! [`fragment`](crate::cenc::fragment) that of a `moof`.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use crate::cenc::boxes::{self, BoxRef, FourCc};
use crate::cenc::clearing::Clearing;
use crate::cenc::entry;
use crate::cenc::foreign::Foreign;
use crate::cenc::group::{self, Descriptions};
use crate::cenc::keys::Keys;
use crate::cenc::notes::{Note, Notes};
use crate::cenc::protection;
use crate::cenc::signals::{Contradiction, Signals};
use crate::cenc::tail;
use crate::cenc::track::{Defaults, Track, TrackFacts};
use crate::key::KeyId;

/// What decryption needs of a `moov`. Nothing of it is secret.
#[derive(Clone, Debug)]
pub struct Init {
    /// The tracks by their IDs.
    pub(super) tracks: BTreeMap<u32, TrackFacts>,
    /// What makes the boxes for DRM systems those of a clear file.
    pssh: Vec<Clearing>,
}

/// The `moov` cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A box is damaged.
    #[error(transparent)]
    Box(#[from] boxes::Error),
    /// This is no MP4 at all.
    #[error(transparent)]
    Foreign(#[from] Foreign),
    /// There is no `moov` (ISO/IEC 14496-12:2022, 8.2.1): a media segment needs its initialization segment.
    #[error(
        "there is no moov box (ISO/IEC 14496-12, 8.2.1): a media segment needs its initialization segment"
    )]
    NoMoov,
    /// There are two `moov`s, each with tracks of its own (8.2.1). A stream may have several in turn.
    #[error(
        "there is another moov at byte {0} (ISO/IEC 14496-12, 8.2.1); read the file as a stream"
    )]
    Repeated(usize),
    /// The `moov` has no tracks (8.3.1).
    #[error("the moov has no trak (ISO/IEC 14496-12, 8.3.1)")]
    NoTrack,
    /// A mandatory box is missing.
    #[error("the box at byte {at} has no {missing} (ISO/IEC 14496-12, 8)")]
    Missing {
        /// Where the box that lacks it begins.
        at: usize,
        /// What is missing.
        missing: FourCc,
    },
    /// Two tracks have the same ID (8.3.2.3).
    #[error("two tracks have the number {0} (ISO/IEC 14496-12, 8.3.2.3)")]
    RepeatedTrack(u32),
    /// A protected sample entry that is protected twice, or whose fields are not known.
    #[error(
        "sample entry {kind} at byte {at} is protected in a way that is not supported (ISO/IEC 14496-12, 8.12.1)"
    )]
    SampleEntry {
        /// Its type.
        kind: FourCc,
        /// Where it begins.
        at: usize,
    },
    /// A protection breaks a rule.
    #[error("the sample entry at byte {at}: {source}")]
    Protection {
        /// Where the sample entry begins.
        at: usize,
        /// The rule.
        source: protection::Error,
    },
    /// A group of protection.
    #[error(transparent)]
    Group(#[from] group::Error),
    /// Samples of a clear track are said to be encrypted.
    #[error(transparent)]
    Contradiction(#[from] Contradiction),
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

/// PIFF's ProtectionSystemSpecificHeaderBox (PIFF 1.1, 5.3.1).
const PIFF_PSSH: [u8; 16] = [
    0xd0, 0x8a, 0x4f, 0x18, 0x10, 0xf3, 0x4a, 0x82, 0xb6, 0xc8, 0x32, 0xd8, 0xab, 0xa1, 0x83, 0xd3,
];

/// Whether a box is for a DRM system.
pub(super) fn is_pssh(this: &BoxRef<'_>) -> bool {
    match &this.kind.0 {
        b"pssh" => true,
        b"uuid" => this.body.starts_with(&PIFF_PSSH),
        _ => false,
    }
}

/// The sample table of a track (8.5.1).
pub(super) fn stbl_of<'a>(trak: &BoxRef<'a>) -> Result<BoxRef<'a>, Error> {
    need(&need(&need(trak, b"mdia")?, b"minf")?, b"stbl")
}

/// The ID of a track (8.3.2).
pub(super) fn track_id_of(trak: &BoxRef<'_>) -> Result<u32, Error> {
    let mut tkhd = need(trak, b"tkhd")?.fields();
    let version = tkhd.version_and_flags()?.version;
    tkhd.bytes(if version == 1 { 16 } else { 8 })?;
    Ok(tkhd.u32()?)
}

/// The kind of media of a track (8.4.3). Decryption does without it, so it may be missing or damaged.
fn handler_of(trak: &BoxRef<'_>) -> Option<FourCc> {
    let mdia = trak.children(0).ok()?.find(b"mdia").ok()??;
    let mut hdlr = mdia.children(0).ok()?.find(b"hdlr").ok()??.fields();
    hdlr.version_and_flags().ok()?;
    let _pre_defined = hdlr.u32().ok()?;
    hdlr.array().ok().map(FourCc)
}

/// The first child box of this type.
pub(super) fn need<'a>(parent: &BoxRef<'a>, kind: &[u8; 4]) -> Result<BoxRef<'a>, Error> {
    let missing = || Error::Missing { at: parent.at, missing: FourCc(*kind) };
    parent.children(0)?.find(kind)?.ok_or_else(missing)
}
