//! A builder of films with tracks: each sample, each box about protection and each sample entry is chosen by the caller.
//!
//! A film is made whole, with all offsets right, and comes with what is known about it: where each sample lies, and what
//! its clear bytes are. Encryption is that of [`Film`], block by block. Deliberately absent: the boxes about protection,
//! which [`boxes`](super::boxes) makes, and films that are damaged: a caller damages them.

use std::ops::Range;

use super::boxes::{AUX, aim};
use super::entry::Entry;
use crate::film::{Film, Group, Info, KEYS, Layout, Sample, boxed};

/// A protection scheme with its parameters.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scheme {
    pub(crate) name: &'static [u8; 4],
    /// 8, 16, or 0 for a constant IV.
    pub(crate) iv_size: u8,
    pub(crate) pattern: (u8, u8),
}

pub(crate) const CENC: Scheme = Scheme { name: b"cenc", iv_size: 8, pattern: (0, 0) };
pub(crate) const CENS: Scheme = Scheme { name: b"cens", iv_size: 8, pattern: (1, 9) };
pub(crate) const CBC1: Scheme = Scheme { name: b"cbc1", iv_size: 16, pattern: (0, 0) };
/// With an IV of each sample.
pub(crate) const CBCS: Scheme = Scheme { name: b"cbcs", iv_size: 16, pattern: (1, 9) };
/// With a constant IV.
pub(crate) const CBCS_CONSTANT: Scheme = Scheme { name: b"cbcs", iv_size: 0, pattern: (1, 9) };
/// With a constant IV and without a pattern, as audio and text are protected.
pub(crate) const CBCS_WHOLE: Scheme = Scheme { name: b"cbcs", iv_size: 0, pattern: (0, 0) };

impl Scheme {
    fn film(self) -> Film {
        Film {
            scheme: self.name,
            iv_size: self.iv_size,
            pattern: self.pattern,
            samples: Vec::new(),
            info: Info::Senc,
            is_fragmented: true,
            compact: None,
        }
    }

    /// The fields that `tenc` and `seig` share.
    pub(crate) fn fields(self, kid: [u8; 16]) -> Vec<u8> {
        self.film().protection(kid)
    }

    pub(crate) fn has_constant_iv(self) -> bool {
        self.iv_size == 0
    }
}

/// A sample with its clear bytes.
#[derive(Clone, Debug)]
pub(crate) struct Piece {
    pub(crate) clear: Vec<u8>,
    /// The index of its key in [`KEYS`]; `None`: it is not encrypted.
    pub(crate) key: Option<usize>,
    /// Empty: all of the sample is protected.
    pub(crate) layout: Layout,
    pub(crate) iv: [u8; 16],
}

impl Piece {
    fn encrypted(&self, scheme: Scheme) -> Vec<u8> {
        let mut bytes = self.clear.clone();
        if let Some(key) = self.key {
            let (layout, length) = (self.layout.clone(), self.clear.len());
            let sample = Sample { layout, length, iv: self.iv, group: Group::None };
            scheme.film().encrypt(KEYS[key], &mut bytes, &sample);
        }
        bytes
    }
}

/// Where the sizes of the samples of a `trun` are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Sizes {
    /// In the `trun`.
    Listed,
    /// In the `tfhd`: all are as long as the first.
    InTfhd,
    /// In the `trex`, if there is one.
    Default,
    /// The same, and the `tfhd` names the sample entry, which the `trex` would.
    DefaultOfEntry,
}

/// Samples of one track: those of a `traf`, or all of a sample table.
#[derive(Clone, Debug)]
pub(crate) struct Batch {
    pub(crate) track: u32,
    pub(crate) scheme: Scheme,
    pub(crate) pieces: Vec<Piece>,
    pub(crate) sizes: Sizes,
    /// How many runs or rounds of chunks list the same bytes.
    pub(crate) times: usize,
    /// The boxes behind the `trun`, or in the `stbl`.
    pub(crate) boxes: Vec<Vec<u8>>,
}

#[derive(Clone, Debug)]
pub(crate) struct Track {
    pub(crate) id: u32,
    pub(crate) handler: &'static [u8; 4],
    pub(crate) entry: Entry,
    /// Boxes at the end of the `stbl` and of the `trak`.
    pub(crate) in_stbl: Vec<Vec<u8>>,
    pub(crate) in_trak: Vec<Vec<u8>>,
    pub(crate) has_trex: bool,
    /// How many samples a chunk of a sample table has.
    pub(crate) per_chunk: usize,
    /// Offsets of chunks for which there are no samples.
    pub(crate) chunks_more: Vec<u32>,
}

#[derive(Clone, Debug)]
pub(crate) struct Movie {
    pub(crate) brand: &'static [u8; 4],
    pub(crate) tracks: Vec<Track>,
    /// The batches of each fragment. Without fragments: one list, with a batch for each track.
    pub(crate) fragments: Vec<Vec<Batch>>,
    pub(crate) is_fragmented: bool,
    /// What follows the last box.
    pub(crate) tail: Vec<u8>,
}

/// Where a sample lies in its file, and its bytes.
#[derive(Clone, Debug)]
pub(crate) struct Placed {
    pub(crate) track: u32,
    pub(crate) at: Range<usize>,
    pub(crate) clear: Vec<u8>,
    pub(crate) is_encrypted: bool,
}

/// The file, and what is known about it.
#[derive(Clone, Debug)]
pub(crate) struct Made {
    pub(crate) file: Vec<u8>,
    /// Every sample, as often as it is listed.
    pub(crate) samples: Vec<Placed>,
    /// Where each `moof` begins.
    pub(crate) moofs: Vec<usize>,
    /// The original format of each track, and the type of its entry.
    pub(crate) entries: Vec<([u8; 4], [u8; 4])>,
}

fn be(value: usize) -> Vec<u8> {
    (value as u32).to_be_bytes().to_vec()
}

impl Batch {
    fn media(&self) -> Vec<u8> {
        self.pieces.iter().flat_map(|piece| piece.encrypted(self.scheme)).collect()
    }

    /// The length of each sample, as often as it is listed.
    fn listed(&self) -> Vec<usize> {
        let lengths = self.pieces.iter().map(|piece| piece.clear.len());
        lengths.collect::<Vec<_>>().repeat(self.times)
    }

    /// The track fragment, whose data is `data_at` bytes behind the start of the `moof`.
    fn traf(&self, data_at: usize) -> Vec<u8> {
        let first = self.pieces.first().map_or(0, |piece| piece.clear.len());
        let (flags, size) = match self.sizes {
            Sizes::InTfhd => (0x10, be(first)),
            Sizes::DefaultOfEntry => (0x2, be(1)),
            _ => (0, Vec::new()),
        };
        let tfhd = boxed(b"tfhd", &[vec![0, 2, 0, flags], be(self.track as usize), size]);
        let tfdt = boxed(b"tfdt", &[vec![0; 8]]);
        let is_listed = self.sizes == Sizes::Listed;
        let sizes = self.pieces.iter().filter(|_| is_listed).flat_map(|p| be(p.clear.len()));
        let trun = boxed(
            b"trun",
            &[
                vec![0, 0, if is_listed { 2 } else { 0 }, 1],
                be(self.pieces.len()),
                be(data_at),
                sizes.collect(),
            ],
        );
        boxed(b"traf", &[tfhd, tfdt, trun.repeat(self.times), self.boxes.concat()])
    }

    /// Adds where each sample lies if the data of the batch begins at `at`.
    fn place(&self, mut at: usize, placed: &mut Vec<Placed>) {
        let begin = at;
        for _ in 0..self.times {
            at = begin;
            for piece in &self.pieces {
                placed.push(Placed {
                    track: self.track,
                    at: at..at + piece.clear.len(),
                    clear: piece.clear.clone(),
                    is_encrypted: piece.key.is_some(),
                });
                at += piece.clear.len();
            }
        }
    }
}

impl Track {
    /// The `trak`, with the samples of `batch`, whose data is at `data_at`, if it has any.
    fn trak(&self, batch: Option<&Batch>, data_at: usize) -> Vec<u8> {
        let tkhd = boxed(b"tkhd", &[vec![0; 12], be(self.id as usize), vec![0; 68]]);
        let hdlr = [vec![0; 8], self.handler.to_vec(), vec![0; 13]];
        let mdia = boxed(
            b"mdia",
            &[boxed(b"mdhd", &[vec![0; 24]]), boxed(b"hdlr", &hdlr), {
                boxed(b"minf", &[boxed(b"stbl", &[self.stbl(batch, data_at)])])
            }],
        );
        boxed(b"trak", &[tkhd, mdia, self.in_trak.concat()])
    }

    fn stbl(&self, batch: Option<&Batch>, data_at: usize) -> Vec<u8> {
        let version = vec![0; 4];
        let stsd = boxed(b"stsd", &[version.clone(), be(1), self.entry.file()]);
        let stts = boxed(b"stts", &[vec![0; 8]]);
        let lengths = batch.map_or_else(Vec::new, Batch::listed);
        let sizes = lengths.iter().flat_map(|length| be(*length)).collect();
        let stsz = boxed(b"stsz", &[vec![0; 8], be(lengths.len()), sizes]);
        let mut offsets = Vec::new();
        if let Some(batch) = batch {
            let mut at = data_at;
            for chunk in batch.pieces.chunks(self.per_chunk) {
                offsets.push(at);
                at += chunk.iter().map(|piece| piece.clear.len()).sum::<usize>();
            }
            offsets = offsets.repeat(batch.times);
        }
        let (whole, left) = (lengths.len() / self.per_chunk, lengths.len() % self.per_chunk);
        let mut runs = Vec::new();
        if whole > 0 {
            runs.push([be(1), be(self.per_chunk), be(1)].concat());
        }
        if left > 0 {
            runs.push([be(whole + 1), be(left), be(1)].concat());
        }
        offsets.extend(self.chunks_more.iter().map(|at| *at as usize));
        let stsc = boxed(b"stsc", &[version.clone(), be(runs.len()), runs.concat()]);
        let list = offsets.iter().flat_map(|at| be(*at)).collect();
        let stco = boxed(b"stco", &[version, be(offsets.len()), list]);
        let info = batch.map_or_else(Vec::new, |batch| batch.boxes.concat());
        [stsd, stts, stsz, stsc, stco, info, self.in_stbl.concat()].concat()
    }
}

impl Movie {
    /// Makes the file.
    pub(crate) fn make(&self) -> Made {
        let ftyp = boxed(b"ftyp", &[self.brand.to_vec(), vec![0; 4], self.brand.to_vec()]);
        let mut file = ftyp;
        let (mut samples, mut moofs) = (Vec::new(), Vec::new());
        if self.is_fragmented {
            file.extend(self.moov(0, 0));
            for batches in &self.fragments {
                moofs.push(file.len());
                let moof = moof(batches);
                let mut at = file.len() + moof.len() + 8;
                file.extend(moof);
                file.extend(mdat(batches));
                for batch in batches {
                    batch.place(at, &mut samples);
                    at += batch.media().len();
                }
            }
        } else {
            let mut at = file.len() + self.moov(0, 0).len() + 8;
            file.extend(self.moov(file.len(), at));
            let batches: Vec<_> = self.fragments.concat();
            file.extend(mdat(&batches));
            for batch in &batches {
                batch.place(at, &mut samples);
                at += batch.media().len();
            }
        }
        file.extend(&self.tail);
        let entries = self.tracks.iter().map(|track| (track.entry.format, track.entry.kind));
        Made { file, samples, moofs, entries: entries.collect() }
    }

    /// The `moov`, which begins at `moov_at` and whose samples, if it lists any, have their data at `data_at`.
    fn moov(&self, moov_at: usize, mut data_at: usize) -> Vec<u8> {
        let mut boxes = vec![boxed(b"mvhd", &[vec![0; 100]])];
        for track in &self.tracks {
            let mut batches = self.fragments.iter().flatten().filter(|b| b.track == track.id);
            let batch = batches.next().filter(|_| !self.is_fragmented);
            boxes.push(track.trak(batch, data_at));
            data_at += batch.map_or(0, |batch| batch.media().len());
        }
        if self.is_fragmented {
            let trexes = self.tracks.iter().filter(|track| track.has_trex).flat_map(|track| {
                boxed(b"trex", &[vec![0; 4], be(track.id as usize), be(1), vec![0; 12]])
            });
            boxes.push(boxed(b"mvex", &[trexes.collect()]));
        }
        let mut moov = boxed(b"moov", &boxes);
        aim(&mut moov, moov_at);
        assert!(!moov.windows(4).any(|window| window == AUX), "a saio without information");
        moov
    }
}

fn moof(batches: &[Batch]) -> Vec<u8> {
    let build = |mut data_at: usize| {
        let mut boxes = vec![boxed(b"mfhd", &[vec![0; 4], be(1)])];
        for batch in batches {
            boxes.push(batch.traf(data_at));
            data_at += batch.media().len();
        }
        boxed(b"moof", &boxes)
    };
    let mut moof = build(build(0).len() + 8);
    aim(&mut moof, 0);
    moof
}

fn mdat(batches: &[Batch]) -> Vec<u8> {
    boxed(b"mdat", &[batches.iter().flat_map(Batch::media).collect()])
}
