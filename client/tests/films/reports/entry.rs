//! Sample entries: those of video, audio, text, subtitles and metadata, protected and clear.

use super::movie::Scheme;
use crate::film::{KIDS, boxed};

/// A sample entry (ISO/IEC 14496-12:2022, 8.5.2 and 8.12).
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// Its type in the file.
    pub(crate) kind: [u8; 4],
    /// Its type in a clear file.
    pub(crate) format: [u8; 4],
    /// The fields before the first box in it.
    pub(crate) fields: Vec<u8>,
    /// The boxes before `sinf`.
    pub(crate) before: Vec<Vec<u8>>,
    pub(crate) sinfs: Vec<Vec<u8>>,
    /// The boxes behind `sinf`.
    pub(crate) behind: Vec<Vec<u8>>,
}

impl Entry {
    pub(crate) fn file(&self) -> Vec<u8> {
        let boxes = [self.before.concat(), self.sinfs.concat(), self.behind.concat()].concat();
        boxed(&self.kind, &[self.fields.clone(), boxes])
    }

    /// A clear entry.
    pub(crate) fn clear(format: &[u8; 4], fields: Vec<u8>) -> Self {
        let (before, sinfs, behind) = (Vec::new(), Vec::new(), Vec::new());
        Self { kind: *format, format: *format, fields, before, sinfs, behind }
    }

    /// The same entry, protected.
    pub(crate) fn protected(self, kind: &[u8; 4], scheme: Scheme, kid: [u8; 16]) -> Self {
        let sinfs = vec![sinf(&self.format, scheme, kid)];
        Self { kind: *kind, sinfs, ..self }
    }
}

/// The fields of every sample entry: reserved, and the index of the data reference.
pub(crate) fn common() -> Vec<u8> {
    vec![0, 0, 0, 0, 0, 0, 0, 1]
}

/// Clear video.
pub(crate) fn video() -> Entry {
    let fields = [common(), vec![0; 70]].concat();
    Entry {
        before: vec![boxed(b"avcC", &[vec![1, 100, 0, 11, 0xff, 0xe0, 0]])],
        ..Entry::clear(b"avc1", fields)
    }
}

/// Clear audio with a sound description of version 0.
pub(crate) fn audio() -> Entry {
    let fields = [common(), vec![0; 8], vec![0, 2, 0, 16, 0, 0, 0, 0, 0xbb, 0x80, 0, 0]].concat();
    Entry { before: vec![boxed(b"esds", &[vec![0; 20]])], ..Entry::clear(b"mp4a", fields) }
}

/// `sinf` of a scheme that is known.
pub(crate) fn sinf(format: &[u8; 4], scheme: Scheme, kid: [u8; 16]) -> Vec<u8> {
    let tenc = boxed(b"tenc", &[vec![1, 0, 0, 0], scheme.fields(kid)]);
    sinf_of(format, scheme.name, Some(&tenc))
}

/// `sinf` of any scheme. `schi` is what the `schi` holds; `None`: there is none.
pub(crate) fn sinf_of(format: &[u8; 4], scheme: &[u8; 4], schi: Option<&[u8]>) -> Vec<u8> {
    let frma = boxed(b"frma", &[format.to_vec()]);
    let schm = boxed(b"schm", &[vec![0; 4], scheme.to_vec(), vec![0, 1, 0, 0]]);
    let schi = schi.map(|held| boxed(b"schi", &[held.to_vec()])).unwrap_or_default();
    boxed(b"sinf", &[frma, schm, schi])
}

/// The entry of video under the first key.
pub(crate) fn encv(scheme: Scheme) -> Entry {
    video().protected(b"encv", scheme, KIDS[0])
}

/// The entry of audio under the first key.
pub(crate) fn enca(scheme: Scheme) -> Entry {
    audio().protected(b"enca", scheme, KIDS[0])
}
