//! The `moov`: which tracks there are, and how each is protected.
//!
//! Deliberately absent: where samples are. [`table`](crate::cenc::table) reads that of a `moov`, and
//! [`fragment`](crate::cenc::fragment) that of a `moof`.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use crate::cenc::boxes::{self, BoxRef, Boxes, FourCc};
use crate::cenc::group::{self, Descriptions};
use crate::cenc::protection::{self, Description, Entry, PIFF_TENC};
use crate::cenc::track::{Track, TrackFacts};
use crate::key::KeyId;

/// `free`: a box that readers pass over (ISO/IEC 14496-12:2022, 8.1.2).
const FREE: [u8; 4] = *b"free";

/// The types of protected sample entries (8.12.1), and those of Apple's.
const PROTECTED: [&[u8; 4]; 9] =
    [b"encv", b"enca", b"enct", b"encs", b"encm", b"encf", b"enc3", b"drmi", b"drms"];

/// What decryption needs of a `moov`. Nothing of it is secret.
#[derive(Clone, Debug)]
pub struct Init {
    /// The tracks by their IDs.
    pub(super) tracks: BTreeMap<u32, TrackFacts>,
    pub(super) clearings: Vec<Clearing>,
}

/// A box type to be replaced, so that a player of clear files understands the file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clearing {
    /// The position of the type.
    pub(super) at: usize,
    pub(super) old: [u8; 4],
    pub(super) new: [u8; 4],
}

impl Clearing {
    /// Makes a box one that readers pass over: `free`.
    pub(super) fn free(this: &BoxRef<'_>) -> Self {
        Self { at: this.at.saturating_add(4), old: this.kind.0, new: FREE }
    }

    /// Replaces the type, if it still is the one that was read.
    pub(super) fn apply(self, bytes: &mut [u8]) {
        let kind = bytes.get_mut(self.at..).and_then(|rest| rest.first_chunk_mut());
        if let Some(kind) = kind.filter(|kind| **kind == self.old) {
            *kind = self.new;
        }
    }
}

/// The `moov` cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A box is damaged.
    #[error(transparent)]
    Box(#[from] boxes::Error),
    /// There is no `moov` (ISO/IEC 14496-12:2022, 8.2.1).
    #[error("there is no moov box (ISO/IEC 14496-12, 8.2.1)")]
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
    /// A protected sample entry of a kind that is not decrypted here.
    #[error("sample entry {kind} at byte {at} is neither encv nor enca (ISO/IEC 14496-12, 8.12.1)")]
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
        let moov = Boxes::of(bytes).find(b"moov")?.ok_or(Error::NoMoov)?;
        let mut init = Self { tracks: BTreeMap::new(), clearings: Vec::new() };
        for this in moov.children(0)? {
            let this = this?;
            match &this.kind.0 {
                b"trak" => init.read_trak(&this)?,
                _ if is_pssh(&this) => init.clearings.push(Clearing::free(&this)),
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
        for clearing in &self.clearings {
            clearing.apply(bytes);
        }
    }

    fn read_trak(&mut self, trak: &BoxRef<'_>) -> Result<(), Error> {
        let track_id = track_id_of(trak)?;
        let stbl = stbl_of(trak)?;
        let stsd = need(&stbl, b"stsd")?;
        let mut track = TrackFacts { handler: handler_of(trak), ..TrackFacts::default() };
        for entry in stsd.children(8)? {
            track.entries.push(self.read_entry(&entry?, stsd.body.first() == Some(&0))?);
        }
        if track.entries.iter().any(Option::is_some) {
            for this in stbl.children(0)? {
                let this = this?;
                if !group::is_seig(&this)? {
                    continue;
                }
                self.clearings.push(Clearing::free(&this));
                if this.kind.0 == *b"sgpd" {
                    track.groups = Descriptions::read(&this)?;
                }
            }
        }
        match self.tracks.insert(track_id, track) {
            None => Ok(()),
            Some(_) => Err(Error::RepeatedTrack(track_id)),
        }
    }

    /// A sample entry (8.5.2), protected where it is `encv` or `enca` (8.12.1).
    fn read_entry(
        &mut self,
        entry: &BoxRef<'_>,
        stsd_version_0: bool,
    ) -> Result<Option<Entry>, Error> {
        let fields_len = match &entry.kind.0 {
            b"encv" => 78,
            b"enca" => audio_fields_len(entry, stsd_version_0)?,
            kind if PROTECTED.contains(&kind) => {
                return Err(Error::SampleEntry { kind: entry.kind, at: entry.at });
            }
            _ => return Ok(None),
        };
        let missing =
            |missing: &[u8; 4]| Error::Missing { at: entry.at, missing: FourCc(*missing) };
        let sinf = entry.children(fields_len)?.find(b"sinf")?.ok_or_else(|| missing(b"sinf"))?;
        let format = need(&sinf, b"frma")?.fields().array()?;
        if PROTECTED.contains(&&format) {
            // Protected twice: the clear file would not play.
            return Err(Error::SampleEntry { kind: FourCc(format), at: entry.at });
        }
        let mut schm = need(&sinf, b"schm")?.fields();
        schm.version_and_flags()?;
        let wrong = |source| Error::Protection { at: entry.at, source };
        let found = read_schi(&need(&sinf, b"schi")?, FourCc(schm.array()?))?;
        let found = found.map_err(wrong)?;
        // Impossible combinations are found here, with the position of the box, though no sample may have them.
        found.default.under(found.scheme).map_err(wrong)?;
        let kind_at = entry.at.saturating_add(4);
        self.clearings.push(Clearing { at: kind_at, old: entry.kind.0, new: format });
        self.clearings.push(Clearing::free(&sinf));
        Ok(Some(found))
    }

    /// The defaults of fragments (8.8.3).
    fn read_trex(&mut self, trex: &BoxRef<'_>) -> Result<(), Error> {
        let mut fields = trex.fields();
        fields.version_and_flags()?;
        let track_id = fields.u32()?;
        let (description_index, _duration, sample_size) =
            (fields.u32()?, fields.u32()?, fields.u32()?);
        if let Some(track) = self.tracks.get_mut(&track_id) {
            track.description_index = description_index;
            track.sample_size = sample_size;
        }
        Ok(())
    }
}

/// How many bytes of fields an audio sample entry has before its boxes (12.2.3). QuickTime's version 1,
/// in an `stsd` of version 0, has 16 more.
fn audio_fields_len(entry: &BoxRef<'_>, stsd_version_0: bool) -> Result<usize, Error> {
    let mut fields = entry.fields();
    fields.bytes(8)?;
    match (fields.u16()?, stsd_version_0) {
        (0, _) | (1, false) => Ok(28),
        (1, true) => Ok(44),
        _ => Err(Error::SampleEntry { kind: entry.kind, at: entry.at }),
    }
}

/// The parameters of a scheme: `tenc`, or PIFF's box, whose algorithm is the scheme (PIFF 1.1, 5.3.3).
fn read_schi(schi: &BoxRef<'_>, scheme: FourCc) -> Result<Result<Entry, protection::Error>, Error> {
    for this in schi.children(0)? {
        let this = this?;
        if this.kind.0 == *b"tenc" {
            return Ok(Description::of_tenc(&this).map(|default| Entry { scheme, default }));
        }
        if this.kind.0 == *b"uuid" && this.body.starts_with(&PIFF_TENC) {
            let mut fields = this.fields();
            fields.bytes(PIFF_TENC.len())?;
            fields.version_and_flags()?;
            return Ok(Description::of_piff(&mut fields));
        }
    }
    Err(Error::Missing { at: schi.at, missing: FourCc(*b"tenc") })
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
fn need<'a>(parent: &BoxRef<'a>, kind: &[u8; 4]) -> Result<BoxRef<'a>, Error> {
    let missing = || Error::Missing { at: parent.at, missing: FourCc(*kind) };
    parent.children(0)?.find(kind)?.ok_or_else(missing)
}
