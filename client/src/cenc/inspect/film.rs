//! What an inspection has seen of a film, as plain values.
//!
//! Deliberately absent: how it is printed.

use alloc::string::String;
use alloc::vec::Vec;

use crate::cenc::boxes::FourCc;
use crate::cenc::init;
use crate::cenc::inspect::described::Described;
use crate::key::KeyId;
use crate::pssh::decoded::Pssh;

/// A film, or a part of one.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Film {
    /// What kind of file it is.
    pub kind: FilmKind,
    /// The major brand (`ftyp` or `styp`).
    pub major_brand: Option<FourCc>,
    /// The compatible brands, at most 64.
    pub compatible_brands: Vec<FourCc>,
    /// The longest duration of a track or, if no track has one, that of the `mvhd`, in milliseconds.
    pub duration_ms: Option<u64>,
    /// How many fragments (`moof`) there are.
    pub fragments: u64,
    /// The tracks, ordered by their IDs.
    pub tracks: Vec<FilmTrack>,
    /// The keys that decryption needs, ordered by KID.
    pub keys: Vec<NeededKey>,
    /// The `pssh` boxes, each of them once, ordered by their systems.
    pub pssh: Vec<FoundPssh>,
    /// How many `pssh` boxes have fields that cannot be read.
    pub pssh_unreadable: u64,
    /// What was seen and not remembered.
    pub left_out: LeftOut,
    /// The rule that the `moov` breaks, if decryption refuses it.
    pub refusal: Option<init::Error>,
    /// Bytes behind the last box that are no box.
    pub trailing_bytes: u64,
}

/// What kind of file it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FilmKind {
    /// A `moov` without samples: media segments follow in other files.
    InitializationSegment,
    /// Fragments without a `moov`.
    MediaSegment,
    /// A `moov` and fragments.
    Fragmented,
    /// A `moov` that lists its samples.
    Progressive,
}

/// A track of the `moov`, or one that only fragments name.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct FilmTrack {
    /// The track ID.
    pub id: u32,
    /// The kind of media (`hdlr`): `vide`, `soun` and others.
    pub handler: Option<FourCc>,
    /// The sample entries (`stsd`); none if there was no `moov`.
    pub entries: Vec<SampleEntry>,
    /// The language: a BCP 47 tag (`elng`), or else three letters of ISO 639-2 (`mdhd`).
    pub language: Option<String>,
    /// Units of time per second.
    pub timescale: Option<u32>,
    /// The duration in milliseconds: that of `mdhd`, or of `mehd`, or else what the fragments add up to.
    pub duration_ms: Option<u64>,
    /// How many samples were counted, in the sample table and in fragments.
    pub samples: u64,
    /// The groups of samples with a protection of their own (`seig`), also those of fragments.
    pub groups: Vec<SampleGroup>,
    /// Whether fragments or the sample table have auxiliary information about encryption (`senc`, or `saiz`).
    pub has_auxiliary_information: bool,
}

/// A sample entry: a format, and how it is protected.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SampleEntry {
    /// Its type, for example `encv`.
    pub kind: FourCc,
    /// The format, which is the original one (`frma`) of a protected entry.
    pub format: FourCc,
    /// The codec as RFC 6381 writes it, for example `avc1.64000b`, where the entry says enough; the format otherwise.
    pub codec: String,
    /// Width and height in pixels.
    pub dimensions: Option<(u16, u16)>,
    /// The number of channels.
    pub channels: Option<u32>,
    /// Samples of sound per second.
    pub sample_rate: Option<u32>,
    /// The protections (`sinf`), at most 16. None: the entry is clear.
    pub protections: Vec<SampleProtection>,
}

/// A protection of a sample entry (`sinf`).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SampleProtection {
    /// The scheme (`schm`): `cenc`, `cbc1`, `cens`, `cbcs`, `piff` or one that is not known here.
    pub scheme: Option<FourCc>,
    /// PIFF's AlgorithmID: 0 for none, 1 for AES-CTR, 2 for AES-CBC.
    pub piff_algorithm: Option<u32>,
    /// The defaults for samples in no group (`tenc`). `None` if they are missing or unreadable.
    pub default: Option<Described>,
}

/// Samples with a protection of their own.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SampleGroup {
    /// How they are protected.
    pub described: Described,
    /// Whether the `moov` describes the group.
    pub in_moov: bool,
    /// In how many fragments the group is described.
    pub fragments: u64,
    /// How many samples are in it.
    pub samples: u64,
}

/// A key that decryption needs.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NeededKey {
    /// Its identifier.
    pub kid: KeyId,
    /// The IDs of the tracks that need it.
    pub tracks: Vec<u32>,
    /// How many samples need it; 0 where none was counted, as in an initialization segment.
    pub samples: u64,
}

/// A `pssh` box and where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FoundPssh {
    /// The box.
    pub pssh: Pssh,
    /// Whether a `moov` has it.
    pub in_moov: bool,
    /// How many fragments have it.
    pub fragments: u64,
}

/// How many of each kind were seen beyond the 4096 that are remembered. One that comes again counts again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LeftOut {
    /// Tracks.
    pub tracks: u64,
    /// Sample entries.
    pub entries: u64,
    /// Keys of tracks.
    pub keys: u64,
    /// Groups of samples.
    pub groups: u64,
    /// `pssh` boxes.
    pub pssh: u64,
}
