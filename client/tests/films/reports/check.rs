//! How a film is held to what is right: as a file, as a plan, segment by segment, and as a stream in pieces of every size.
//!
//! The boxes of the output are read here anew, without the crate. `REELKEY_WRITE_REPORTS=<folder>` writes every film and
//! its right result there, for other tools to look at.

use std::fs;
use std::path::PathBuf;

use reelkey_client::cenc::stream::append_to;
use reelkey_client::cenc::{Error, Init, Keys, Plan, Stream, decrypt_file};

use super::boxes::PIFF_SENC;
use super::movie::{Made, Movie, Placed};
use crate::film::keys;

/// A film, and the keys to it.
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) made: Made,
    pub(crate) keys: Keys,
}

impl Case {
    pub(crate) fn new(name: impl Into<String>, movie: &Movie) -> Self {
        Self { name: name.into(), made: movie.make(), keys: keys() }
    }
}

/// How many bytes a stream is given at once.
const PIECES: [usize; 4] = [1, 7, 1000, usize::MAX];

/// Holds films to be right; all that are not are named at once.
pub(crate) fn hold_right(cases: Vec<Case>) {
    end(&cases, cases.iter().flat_map(wrong_of).collect());
}

/// The same, but a stream may refuse a film with the advice to read it as a file: what a sample table says of its samples
/// is then out of order or elsewhere. Nothing encrypted comes out before.
pub(crate) fn hold_right_as_file(cases: Vec<Case>) {
    let faults = cases.iter().flat_map(|case| {
        let mut faults = wrong_of(case);
        let is_advice =
            |fault: &String| fault.contains("stream") && fault.ends_with("read it as a file");
        let leaks = PIECES.iter().any(|piece| leaks(&case.made, &as_stream(case, *piece).0));
        if !leaks {
            faults.retain(|fault| !is_advice(fault));
        }
        faults
    });
    end(&cases, faults.collect());
}

/// Holds films to be refused, with an error that has `part`.
pub(crate) fn hold_refused(cases: Vec<(Case, &str)>) {
    let faults = cases.iter().flat_map(|(case, part)| accepted_of(case, part)).collect();
    let cases: Vec<_> = cases.into_iter().map(|(case, _)| case).collect();
    end(&cases, faults);
}

/// Holds films to end in an error. Where a stream has passed on what it took for a box of no interest, the error comes at
/// its end, behind these bytes.
pub(crate) fn hold_ended_in_error(cases: Vec<Case>) {
    let faults = cases.iter().flat_map(|case| {
        let mut faults = accepted_of(case, "");
        faults.retain(|fault| !fault.ends_with(LATE));
        faults
    });
    end(&cases, faults.collect());
}

/// Holds films to be refused or to be right: in no case is ciphertext copied in silence.
pub(crate) fn hold_refused_or_right(cases: Vec<Case>) {
    let faults = cases.iter().flat_map(|case| {
        let wrong = wrong_of(case);
        if wrong.is_empty() { wrong } else { accepted_of(case, "") }
    });
    end(&cases, faults.collect());
}

fn end(cases: &[Case], faults: Vec<String>) {
    if let Some(folder) = std::env::var_os("REELKEY_WRITE_REPORTS").map(PathBuf::from) {
        for Case { name, made, .. } in cases {
            let name = name.replace([' ', ',', ':'], "-");
            fs::write(folder.join(&name).with_extension("mp4"), &made.file).unwrap();
        }
    }
    let mut names: Vec<_> = cases.iter().map(|case| &case.name).collect();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), cases.len(), "two films have one name");
    assert!(!cases.is_empty(), "no films");
    assert!(faults.is_empty(), "{} faults\n{}", faults.len(), faults.join("\n"));
}

/// What is wrong with a film that should be right; empty if nothing is.
fn wrong_of(case: &Case) -> Vec<String> {
    let mut faults = Vec::new();
    let mut add = |way: &str, output: Result<Vec<u8>, String>| {
        let fault = output.and_then(|output| verify(&case.made, &output)).err();
        faults.extend(fault.map(|fault| format!("{}: {way}: {fault}", case.name)));
    };
    add("file", as_file(case).map_err(|error| error.to_string()));
    add("plan", as_plan(case));
    if !case.made.moofs.is_empty() {
        add("segments", as_segments(case).map_err(|error| error.to_string()));
    }
    for piece in PIECES {
        let (output, streamed) = as_stream(case, piece);
        add(
            &format!("stream of {piece}"),
            streamed.map(|()| output).map_err(|error| error.to_string()),
        );
    }
    faults
}

fn as_file(case: &Case) -> Result<Vec<u8>, Error> {
    let mut file = case.made.file.clone();
    decrypt_file(&case.keys, &mut file)?;
    Ok(file)
}

/// With a plan, as a caller does that looks at its samples. They have to be those of the film.
fn as_plan(case: &Case) -> Result<Vec<u8>, String> {
    let mut file = case.made.file.clone();
    let (init, plan) = planned(case, &mut file).map_err(|error| error.to_string())?;
    for track in init.tracks() {
        let of_plan = plan.samples().filter(|sample| sample.track_id == track.id());
        let of_plan: Vec<_> = of_plan.map(|sample| &file[sample.bytes]).collect();
        let of_film = case.made.samples.iter().filter(|sample| sample.track == track.id());
        let of_film: Vec<_> = of_film.map(|sample| &sample.clear[..]).collect();
        if of_plan.len() != of_film.len() {
            return Err(format!("the plan has {} samples of {}", of_plan.len(), of_film.len()));
        }
        if of_plan != of_film {
            return Err("the samples of the plan are not the clear ones".to_owned());
        }
    }
    Ok(file)
}

fn planned(case: &Case, file: &mut [u8]) -> Result<(Init, Plan), Error> {
    let init = Init::parse(file)?;
    let plan = init.plan(file)?;
    plan.decrypt(&case.keys, file)?;
    init.clear(file);
    Ok((init, plan))
}

/// The initialization segment first, then each fragment alone.
fn as_segments(case: &Case) -> Result<Vec<u8>, Error> {
    let mut file = case.made.file.clone();
    let (moofs, length) = (&case.made.moofs, file.len());
    let (head, _) = file.split_at_mut(moofs[0]);
    let init = Init::parse(head)?;
    init.plan(head)?.decrypt(&case.keys, head)?;
    init.clear(head);
    for (index, from) in moofs.iter().enumerate() {
        let to = moofs.get(index + 1).copied().unwrap_or(length);
        let segment = &mut file[*from..to];
        init.plan_at(segment, *from as u64)?.decrypt(&case.keys, segment)?;
    }
    Ok(file)
}

/// What came out, and how it ended.
fn as_stream(case: &Case, piece: usize) -> (Vec<u8>, Result<(), Error>) {
    let (mut stream, mut output) = (Stream::new(&case.keys), Vec::new());
    let file = &case.made.file;
    let mut pieces = file.chunks(piece.min(file.len().max(1)));
    let pushed = pieces.try_for_each(|piece| stream.push(piece, append_to(&mut output)));
    let ended = pushed.and_then(|()| stream.finish(append_to(&mut output)).map(|_| ()));
    (output, ended.map_err(Error::from))
}

/// The end of the fault that an error comes too late.
const LATE: &str = "an error, but ciphertext came out";

/// What is wrong if a film is not refused as it should be.
fn accepted_of(case: &Case, part: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let mut add = |way: &str, output: &[u8], ended: Result<(), Error>| {
        let fault = match ended {
            Ok(()) if leaks(&case.made, output) => "no error, and ciphertext is copied".to_owned(),
            Ok(()) => "no error".to_owned(),
            Err(_) if leaks(&case.made, output) => LATE.to_owned(),
            Err(error) if !error.to_string().to_lowercase().contains(part) => {
                format!("the error does not say {part:?}: {error}")
            }
            Err(_) => return,
        };
        faults.push(format!("{}: {way}: {fault}", case.name));
    };
    let mut file = case.made.file.clone();
    match decrypt_file(&case.keys, &mut file) {
        Ok(_) => add("file", &file, Ok(())),
        Err(error) => {
            assert!(file == case.made.file, "{}: an error changes nothing", case.name);
            add("file", &[], Err(error));
        }
    }
    for piece in PIECES {
        let (output, ended) = as_stream(case, piece);
        add(&format!("stream of {piece}"), &output, ended);
    }
    faults
}

/// Whether an encrypted sample lies in `output` as it came, or the first blocks of it that are encrypted.
fn leaks(made: &Made, output: &[u8]) -> bool {
    let encrypted = made.samples.iter().filter(|sample| sample.is_encrypted);
    let there = encrypted.filter_map(|Placed { at, clear, .. }| {
        let end = at.end.min(output.len());
        Some((made.file.get(at.start..end)?, output.get(at.start..end)?, clear))
    });
    let changed = |ciphertext: &[u8], clear: &[u8]| {
        ciphertext.iter().zip(clear).filter(|(one, other)| one != other).count() > 7
    };
    let mut there = there.filter(|(ciphertext, _, clear)| changed(ciphertext, clear));
    there.any(|(ciphertext, output, _)| ciphertext == output)
}

/// Holds `output` to the film: clear samples, no box about protection, and no other byte changed.
fn verify(made: &Made, output: &[u8]) -> Result<(), String> {
    if output.len() != made.file.len() {
        return Err(format!("{} bytes of {}", output.len(), made.file.len()));
    }
    let mut is_media = vec![false; output.len()];
    for Placed { track, at, clear, .. } in &made.samples {
        if output[at.clone()] != **clear {
            let is_copy = output[at.clone()] == made.file[at.clone()];
            let what = if is_copy { "a copy of the ciphertext" } else { "garbage" };
            return Err(format!("the sample of track {track} at byte {} is {what}", at.start));
        }
        is_media[at.clone()].fill(true);
    }
    let mut may_change = is_media;
    hold_boxes(made, output, 0..output.len(), &mut may_change)?;
    let pairs = output.iter().zip(&made.file).zip(&may_change).enumerate();
    match pairs.into_iter().find(|(_, ((new, old), may))| new != old && !**may) {
        Some((at, _)) => Err(format!("byte {at}, which is not about protection, was changed")),
        None => Ok(()),
    }
}

/// Holds the boxes of `range` to what became of them. The bytes that may change are marked.
fn hold_boxes(
    made: &Made,
    output: &[u8],
    range: std::ops::Range<usize>,
    may_change: &mut [bool],
) -> Result<(), String> {
    let file = &made.file;
    let mut at = range.start;
    while let Some(head) = file[at..range.end].first_chunk::<8>() {
        let size = u32::from_be_bytes([head[0], head[1], head[2], head[3]]) as usize;
        if size < 8 || size > range.end - at {
            break;
        }
        let (kind, body) = (at + 4..at + 8, at + 8..at + size);
        let shown = String::from_utf8_lossy(&file[kind.clone()]).into_owned();
        match &file[kind.clone()] {
            b"moov" | b"trak" | b"mdia" | b"minf" | b"stbl" | b"moof" | b"traf" => {
                hold_boxes(made, output, body, may_change)?;
            }
            b"stsd" => hold_entries(made, output, body, may_change)?,
            was if is_about_protection(was, &file[body]) => {
                if output[kind.clone()] == *was {
                    return Err(format!("the {shown} at byte {at} is left"));
                }
                may_change[kind].fill(true);
            }
            _ => {}
        }
        at += size;
    }
    Ok(())
}

/// Holds the one sample entry of an `stsd` to its original format.
fn hold_entries(
    made: &Made,
    output: &[u8],
    body: std::ops::Range<usize>,
    may_change: &mut [bool],
) -> Result<(), String> {
    let kind = body.start + 12..body.start + 16;
    let was = &made.file[kind.clone()];
    let entry = made.entries.iter().find(|(_, kind)| kind == was);
    let (format, _) = entry.ok_or_else(|| format!("sample entry {was:?}"))?;
    if output[kind.clone()] != *format {
        let now = String::from_utf8_lossy(&output[kind]).into_owned();
        return Err(format!("the sample entry at byte {} is {now}", body.start + 8));
    }
    may_change[kind].fill(true);
    for at in body.start..body.end - 8 {
        // A sinf begins with its frma. Other bytes that spell its name are none.
        if made.file[at..at + 4] == *b"sinf" && made.file[at + 8..at + 12] == *b"frma" {
            if output[at..at + 4] == *b"sinf" {
                return Err(format!("the sinf at byte {} is left", at - 4));
            }
            may_change[at..at + 4].fill(true);
        }
    }
    Ok(())
}

fn is_about_protection(kind: &[u8], body: &[u8]) -> bool {
    match kind {
        b"senc" | b"pssh" => true,
        b"uuid" => body.starts_with(&PIFF_SENC),
        b"sgpd" | b"sbgp" | b"csgp" => body[4..8] == *b"seig",
        b"saiz" | b"saio" => {
            let kinds = [&b"cenc"[..], b"cens", b"cbc1", b"cbcs", b"piff"];
            body[3] & 1 == 0 || kinds.contains(&&body[4..8])
        }
        _ => false,
    }
}
