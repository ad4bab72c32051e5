//! The `moov` of an inspected film: its tracks, their durations and languages, and how many samples need which key.
//!
//! Deliberately absent: where samples are.

use alloc::string::String;
use alloc::vec::Vec;

use crate::cenc::boxes::{BoxRef, Error};
use crate::cenc::group;
use crate::cenc::init::{self, Init};
use crate::cenc::inspect::entry::read_entry;
use crate::cenc::inspect::moof::{Counted, pssh_body, read_groups};
use crate::cenc::inspect::tally::{Place, REMEMBERED_MAX, Tally, four_cc, language_of, millis};
use crate::cenc::moov::{is_pssh, stbl_of, track_id_of};

/// The longest language tag that is remembered, in bytes. The longest registered one has far fewer.
const LANGUAGE_BYTES_MAX: usize = 64;

/// Reads the `moov` that `bytes` are.
pub(super) fn read_moov(tally: &mut Tally, bytes: &[u8], moov: &BoxRef<'_>) -> Result<(), Error> {
    tally.refusal = Init::parse(bytes).err().or(tally.refusal);
    for this in moov.children(0)? {
        let this = this?;
        match &this.kind.0 {
            b"mvhd" => {
                let header = MediaHeader::read(&this)?;
                (tally.timescale, tally.duration) = (Some(header.timescale), header.duration);
            }
            b"trak" => read_trak(tally, &this)?,
            _ if is_pssh(&this) => tally.add_pssh(pssh_body(&this), Place::Moov),
            _ => {}
        }
    }
    match moov.children(0)?.find(b"mvex")? {
        Some(mvex) => read_mvex(tally, &mvex),
        None => Ok(()),
    }
}

/// What `mvhd` (8.2.2) and `mdhd` (8.4.2) begin with.
struct MediaHeader {
    timescale: u32,
    /// `None` if it is not known.
    duration: Option<u64>,
    /// Of `mdhd`: the language.
    language: u16,
}

impl MediaHeader {
    fn read(this: &BoxRef<'_>) -> Result<Self, Error> {
        let mut fields = this.fields();
        let is_long = fields.version_and_flags()?.version == 1;
        fields.bytes(if is_long { 16 } else { 8 })?;
        let timescale = fields.u32()?;
        let duration = match is_long {
            true => Some(fields.u64()?).filter(|duration| *duration != u64::MAX),
            false => Some(fields.u32()?).filter(|duration| *duration != u32::MAX).map(u64::from),
        };
        Ok(Self { timescale, duration, language: fields.u16()? })
    }
}

/// A damaged box is an error. A missing one is not: what is there is shown.
fn lenient<T>(read: Result<T, init::Error>) -> Result<Option<T>, Error> {
    match read {
        Ok(found) => Ok(Some(found)),
        Err(init::Error::Box(damage)) => Err(damage),
        Err(_) => Ok(None),
    }
}

fn read_trak(tally: &mut Tally, trak: &BoxRef<'_>) -> Result<(), Error> {
    let Some(id) = lenient(track_id_of(trak))? else { return Ok(()) };
    let Some(track) = tally.track(id) else { return Ok(()) };
    track.entries.clear();
    if let Some(mdia) = trak.children(0)?.find(b"mdia")? {
        for this in mdia.children(0)? {
            let this = this?;
            match &this.kind.0 {
                b"mdhd" => {
                    let header = MediaHeader::read(&this)?;
                    track.facts.timescale = Some(header.timescale);
                    track.duration = header.duration;
                    let language = language_of(header.language);
                    track.facts.language = track.facts.language.take().or(language);
                }
                b"hdlr" => track.facts.handler = this.body.get(8..).and_then(four_cc),
                b"elng" => track.facts.language = Some(extended_language(this.body)),
                _ => {}
            }
        }
    }
    match lenient(stbl_of(trak))? {
        Some(stbl) => read_stbl(tally, id, &stbl),
        None => Ok(()),
    }
}

/// The language tag of `elng` (8.4.6).
fn extended_language(body: &[u8]) -> String {
    let text = body.get(4..).unwrap_or_default();
    let text = text.split(|byte| *byte == 0).next().unwrap_or_default();
    let text = text.get(..LANGUAGE_BYTES_MAX).unwrap_or(text);
    String::from_utf8_lossy(text).into_owned()
}

fn read_stbl(tally: &mut Tally, id: u32, stbl: &BoxRef<'_>) -> Result<(), Error> {
    let (mut counted, mut chunks, mut chunk_count) = (Counted::default(), None, 0);
    let mut samples = 0;
    let handler = tally.tracks.get(&id).and_then(|track| track.facts.handler);
    let mut groups = None;
    for this in stbl.children(0)? {
        let this = this?;
        match &this.kind.0 {
            b"stsd" => {
                let version = this.body.first().copied().unwrap_or(0);
                for entry in this.children(8)?.take(REMEMBERED_MAX) {
                    tally.add_entry(id, read_entry(&entry?, handler, version));
                }
            }
            b"stsz" | b"stz2" => samples = third_number(&this)?,
            b"stsc" => chunks = Some(this),
            b"stco" | b"co64" => {
                let mut fields = this.fields();
                fields.version_and_flags()?;
                chunk_count = fields.u32()?;
            }
            b"senc" | b"saiz" => {
                if let Some(track) = tally.tracks.get_mut(&id) {
                    track.facts.has_auxiliary_information = true;
                }
            }
            b"sgpd" if group::is_seig(&this).unwrap_or(false) => groups = read_groups(&this),
            b"sbgp" | b"csgp" if group::is_seig(&this).unwrap_or(false) => {
                counted.to_group = Some(this);
            }
            _ => {}
        }
    }
    let groups = groups.unwrap_or_default();
    for described in &groups.all {
        tally.add_group(id, described, Place::Moov);
        for kid in described.needed() {
            tally.need(kid, id, 0);
        }
    }
    if let Some(track) = tally.track(id) {
        track.groups = groups;
    }
    counted.samples = samples.into();
    counted.entries = match chunks {
        Some(stsc) => entry_runs(&stsc, chunk_count, counted.samples)?,
        None => Vec::new(),
    };
    counted.add_to(tally, id);
    Ok(())
}

/// The number of samples of `stsz` and `stz2` (8.7.3): both have it behind another number.
fn third_number(this: &BoxRef<'_>) -> Result<u32, Error> {
    let mut fields = this.fields();
    fields.version_and_flags()?;
    fields.u32()?;
    fields.u32()
}

/// How many samples in a row have which sample entry (`stsc`, 8.7.4), at most `samples` in all.
fn entry_runs(stsc: &BoxRef<'_>, chunk_count: u32, samples: u64) -> Result<Vec<(u64, u32)>, Error> {
    let mut fields = stsc.fields();
    fields.version_and_flags()?;
    let (mut runs, mut left): (Vec<(u64, u32)>, u64) = (Vec::new(), samples);
    let mut add = |chunks: u32, (per_chunk, entry): (u32, u32)| {
        let count = u64::from(chunks).saturating_mul(per_chunk.into()).min(left);
        left -= count;
        match runs.last_mut() {
            Some(last) if last.1 == entry => last.0 = last.0.saturating_add(count),
            _ => runs.push((count, entry)),
        }
    };
    let mut current: Option<(u32, (u32, u32))> = None;
    for _ in 0..fields.u32()? {
        let first = fields.u32()?;
        let run = (fields.u32()?, fields.u32()?);
        if let Some((from, before)) = current.replace((first, run)) {
            add(first.saturating_sub(from), before);
        }
    }
    if let Some((from, last)) = current {
        add(chunk_count.saturating_add(1).saturating_sub(from), last);
    }
    Ok(runs)
}

/// The duration of the film with its fragments (`mehd`, 8.8.2), and their defaults (`trex`, 8.8.3).
fn read_mvex(tally: &mut Tally, mvex: &BoxRef<'_>) -> Result<(), Error> {
    for this in mvex.children(0)? {
        let this = this?;
        let mut fields = this.fields();
        match &this.kind.0 {
            b"mehd" => {
                let is_long = fields.version_and_flags()?.version == 1;
                let duration = if is_long { fields.u64()? } else { fields.u32()?.into() };
                let duration = millis(duration, tally.timescale);
                for track in tally.tracks.values_mut() {
                    track.film_duration_ms = duration;
                }
            }
            b"trex" => {
                fields.version_and_flags()?;
                let id = fields.u32()?;
                let (entry, duration) = (fields.u32()?, fields.u32()?);
                if let Some(track) = tally.tracks.get_mut(&id) {
                    (track.default_entry, track.default_duration) = (entry, duration);
                }
            }
            _ => {}
        }
    }
    Ok(())
}
