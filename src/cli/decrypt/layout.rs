//! How a file is laid out: where its boxes are, found by their headers alone.

use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;

use reelkey_client::cenc::boxes::Header;

use crate::cli::decrypt::part::Part;

/// A part has as many fragments as have this many bytes together, so that starting one costs little.
const PART_BYTES: u64 = 8 * 1024 * 1024;

/// How a file is laid out, as far as it was looked at. Positions count from the start of the file, in bytes.
pub(super) struct Layout {
    /// Whether the file can be decrypted from its start to its end: a `moov` and a `moof` come before its first `mdat`.
    pub(super) is_in_order: bool,
    /// Whether a `moov` comes before its first `mdat`.
    pub(super) has_moov_first: bool,
    /// Where each `moof` begins, if one `moov` is for all of them.
    moofs: Vec<u64>,
    /// The only `moov`, if it lists all samples: there are no fragments.
    pub(super) table: Option<Range<u64>>,
    /// The bodies of the `mdat`s.
    pub(super) mdat_bodies: Vec<Range<u64>>,
}

/// A file in parts that can be decrypted at the same time.
pub(super) struct Parts {
    /// Everything before the first `moof`. It comes first: its `moov` is for all parts.
    pub(super) head: Range<u64>,
    /// Parts that begin with a `moof`.
    pub(super) fragments: Vec<Range<u64>>,
}

impl Layout {
    /// Looks at the headers of the file's boxes: of all, or of those up to the first `mdat`.
    ///
    /// # Errors
    /// What reading the file returns. What is wrong with a header, decryption finds again.
    pub(super) fn read(file: &File, wants_all: bool) -> io::Result<Self> {
        let length = file.metadata()?.len();
        let (mut at, mut moovs, mut mdat_in_order) = (0_u64, Vec::new(), None);
        let mut has_moov_first = true;
        let (mut moofs, mut is_one_film, mut mdat_bodies) = (Vec::new(), true, Vec::new());
        while at < length && (wants_all || mdat_in_order.is_none()) {
            let mut bytes = [0; 16];
            let read = Part::new(file, None, at..length).read(&mut bytes)?;
            let header = Header::parse(bytes.get(..read).unwrap_or_default());
            let Some(Header { kind, size, length: header_length, .. }) = header else { break };
            let size = size.unwrap_or(length - at);
            let end = at.saturating_add(size).min(length);
            match &kind.0 {
                b"moov" => {
                    is_one_film &= moofs.is_empty();
                    moovs.push(at..end);
                }
                b"moof" => moofs.push(at),
                b"mdat" => {
                    has_moov_first &= !moovs.is_empty() || mdat_in_order.is_some();
                    mdat_in_order.get_or_insert(!moovs.is_empty() && !moofs.is_empty());
                    mdat_bodies.push(at.saturating_add(header_length.into())..end);
                }
                _ => {}
            }
            at = at.saturating_add(size.max(8));
        }
        let table = moovs.pop().filter(|_| moovs.is_empty() && moofs.is_empty());
        moofs.retain(|_| is_one_film);
        let is_in_order = mdat_in_order.unwrap_or(true);
        Ok(Self { is_in_order, has_moov_first, moofs, table, mdat_bodies })
    }

    /// The parts of the file, which has `length` bytes.
    pub(super) fn parts(&self, length: u64) -> Parts {
        let mut cuts: Vec<u64> = Vec::new();
        for moof in &self.moofs {
            if cuts.last().is_none_or(|cut| moof - cut >= PART_BYTES) {
                cuts.push(*moof);
            }
        }
        let ends = cuts.iter().skip(1).copied().chain([length]);
        let fragments = cuts.iter().copied().zip(ends).map(|(from, to)| from..to).collect();
        Parts { head: 0..cuts.first().copied().unwrap_or(length), fragments }
    }
}
