//! Finding `pssh` boxes in what somebody has at hand: a film, boxes as bytes, base64 or hexadecimal digits, a manifest, a
//! playlist, or the data of a box alone.
//!
//! Deliberately absent: XML. Of a manifest, only the text of `pssh` and `pro` elements is looked for.

use std::borrow::Cow;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use base64ct::{Base64, Base64Unpadded, Encoding};
use reelkey_client::cenc::inspect::FoundPssh;
use reelkey_client::pssh::{PlayReady, Pssh, SystemId, Widevine};

use crate::cli::inspect::reading::{Seen, read_film, seen_in};
use crate::cli::source;
use crate::cli::terminal::output::Failure;

/// So much of standard input is read at most, for a film may come in there. Other files are much shorter.
const BYTES_MAX: usize = 64 * 1024 * 1024;

/// What was found.
pub(super) enum Found {
    /// Boxes in a film, with their places.
    InFilm(Vec<FoundPssh>),
    /// Boxes, or data of boxes, and the form in which they came.
    Alone(Vec<(Pssh, Form)>),
}

/// The form in which a box came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// A whole box.
    Box,
    /// A PlayReady object without a box around it.
    Object,
    /// A message of Widevine without a box around it.
    Payload,
}

impl Form {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Box => "pssh box",
            Self::Object => "PlayReady object",
            Self::Payload => "Widevine payload",
        }
    }
}

/// Finds boxes in `input`: a file, `-`, or the text itself.
///
/// # Errors
/// The file cannot be read, or there are no boxes in it.
pub(super) fn find(input: &str) -> Result<Found, Failure> {
    let path = Path::new(input);
    if !source::is_standard(path) && !path.exists() {
        return of_text(input).map(Found::Alone).ok_or_else(|| {
            Failure::new(
                "there is no such file, and it is no pssh box in base64 or hexadecimal digits",
            )
            .during(shortened(input))
            .remedy("name a file, or give the whole box in base64; - reads standard input")
        });
    }
    in_path(path)
}

fn in_path(path: &Path) -> Result<Found, Failure> {
    let named = |failure: Failure| failure.during(path.display());
    // A pipe can be read once only, and a film that is a file may be long.
    if !source::is_standard(path) && path.is_file() {
        let mut start = Vec::new();
        let read = File::open(path).and_then(|file| file.take(16).read_to_end(&mut start));
        read.map_err(|error| named(error.into()))?;
        if is_film(&start) {
            return in_film(read_film(None, path)?).map_err(named);
        }
    }
    let bytes = read_all(path).map_err(named)?;
    let found = if is_film(&bytes) { in_film(seen_in(&bytes)) } else { alone(&bytes) };
    found.map_err(named)
}

fn read_all(path: &Path) -> Result<Vec<u8>, Failure> {
    let bytes = source::read(path, BYTES_MAX)?;
    if bytes.len() > BYTES_MAX {
        return Err(Failure::new("it is longer than 64 MiB").remedy(
            "give the pssh boxes alone, the initialization segment, or the film as a file",
        ));
    }
    Ok(bytes)
}

/// What is shown of an argument that is no file. It may be long.
fn shortened(input: &str) -> String {
    match input.char_indices().nth(40) {
        Some((at, _)) => format!("{}…", input.get(..at).unwrap_or_default()),
        None => input.to_owned(),
    }
}

/// The types of boxes with which films and segments begin.
const FIRST_BOXES: [&[u8; 4]; 11] = [
    b"ftyp", b"styp", b"moov", b"moof", b"sidx", b"ssix", b"emsg", b"prft", b"free", b"skip",
    b"mdat",
];

fn is_film(bytes: &[u8]) -> bool {
    let kind = bytes.get(4..8).unwrap_or_default();
    FIRST_BOXES.iter().any(|first| kind == *first)
}

fn in_film(seen: Seen) -> Result<Found, Failure> {
    if seen.film.pssh.is_empty() {
        return Err(match seen.damage {
            Some(damage) => Failure::from(damage),
            None => Failure::new("the film has no pssh box that can be read")
                .remedy("`reelkey inspect` shows which KIDs it needs"),
        });
    }
    Ok(Found::InFilm(seen.film.pssh))
}

fn alone(bytes: &[u8]) -> Result<Found, Failure> {
    of_bytes(bytes)
        .or_else(|| of_text(std::str::from_utf8(bytes).ok()?))
        .or_else(|| of_payload(bytes))
        .map(Found::Alone)
        .ok_or_else(|| {
            Failure::new("there is no pssh box in it").remedy(
                "give boxes as bytes, base64 or hexadecimal digits, a film, an MPD or a playlist",
            )
        })
}

/// Whole boxes, or a PlayReady object.
fn of_bytes(bytes: &[u8]) -> Option<Vec<(Pssh, Form)>> {
    if let Some(boxes) = Pssh::parse_all(bytes) {
        return Some(boxes.into_iter().map(|pssh| (pssh, Form::Box)).collect());
    }
    PlayReady::parse(bytes)?;
    Some(vec![(Pssh::with_data(SystemId::PLAYREADY, bytes), Form::Object)])
}

/// A message of Widevine with a KID. Shorter ones cannot be told from other bytes.
fn of_payload(bytes: &[u8]) -> Option<Vec<(Pssh, Form)>> {
    let message = Widevine::parse(bytes).filter(|message| !message.key_ids.is_empty());
    message.map(|_| vec![(Pssh::with_data(SystemId::WIDEVINE, bytes), Form::Payload)])
}

/// What a text holds: boxes of a manifest or a playlist, or encoded bytes, over several lines or one a line.
fn of_text(text: &str) -> Option<Vec<(Pssh, Form)>> {
    if text.contains("<MPD") || text.contains("ContentProtection") || text.contains("pssh>") {
        return of_each(elements(text));
    }
    if text.contains("#EXTM3U") || text.contains("#EXT-X-") {
        return of_each(data_urls(text));
    }
    let joined: String = text.split_whitespace().collect();
    encoded(&joined).or_else(|| of_each(text.lines()))
}

/// Every piece that holds boxes, each box once.
fn of_each<'a>(pieces: impl Iterator<Item = &'a str>) -> Option<Vec<(Pssh, Form)>> {
    let mut all: Vec<(Pssh, Form)> = Vec::new();
    for found in pieces.filter_map(|piece| encoded(piece.trim())).flatten() {
        if !all.contains(&found) {
            all.push(found);
        }
    }
    // A manifest has PlayReady's object beside the box that holds it.
    let boxes: Vec<_> = all.iter().filter(|(_, form)| *form == Form::Box).cloned().collect();
    all.retain(|(alone, form)| {
        *form == Form::Box || !boxes.iter().any(|(whole, _)| whole == alone)
    });
    (!all.is_empty()).then_some(all)
}

/// The text of `pssh` and `pro` elements, whatever their prefix.
fn elements(xml: &str) -> impl Iterator<Item = &str> {
    xml.split('<').filter_map(|part| {
        let (tag, text) = part.split_once('>')?;
        let name = tag.split_whitespace().next()?;
        let local = name.rsplit_once(':').map_or(name, |(_, local)| local);
        matches!(local, "pssh" | "pro").then_some(text)
    })
}

/// What the `data:` URLs of a playlist hold.
fn data_urls(playlist: &str) -> impl Iterator<Item = &str> {
    playlist.split("URI=\"data:").skip(1).filter_map(|part| {
        let (url, _) = part.split_once('"')?;
        url.split_once(";base64,").map(|(_, data)| data)
    })
}

/// Hexadecimal digits or base64, with a `0x` or the beginning of a `data:` URL before it.
fn encoded(text: &str) -> Option<Vec<(Pssh, Form)>> {
    let text = match text.strip_prefix("data:") {
        Some(url) => url.split_once(";base64,").map(|(_, data)| data)?,
        None => text,
    };
    let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).unwrap_or(text);
    let read = |bytes: Vec<u8>| of_bytes(&bytes).or_else(|| of_payload(&bytes));
    of_hex(digits).and_then(read).or_else(|| of_base64(text).and_then(read))
}

fn of_hex(digits: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = digits.as_bytes().as_chunks::<2>();
    let digit =
        |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let bytes = pairs.iter().map(|[high, low]| Some(digit(high)? << 4 | digit(low)?));
    if rest.is_empty() { bytes.collect() } else { None }
}

/// Base64 of either alphabet, with padding or without (RFC 4648, 4 and 5).
fn of_base64(text: &str) -> Option<Vec<u8>> {
    let text = match text.contains(['-', '_']) {
        true => Cow::from(text.replace('-', "+").replace('_', "/")),
        false => text.into(),
    };
    match text.ends_with('=') {
        true => Base64::decode_vec(&text).ok(),
        false => Base64Unpadded::decode_vec(&text).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use reelkey_client::pssh::{common, fairplay, playready};

    fn kid() -> reelkey_client::key::KeyId {
        "f3c5e036-1e66-54b2-8f80-49c778b23946".parse().unwrap()
    }

    #[test]
    fn boxes_are_found_in_every_encoding() {
        let whole = common(&[kid()]).unwrap();
        let base64 = Base64::encode_string(&whole);
        let hex: String = whole.iter().map(|byte| format!("{byte:02x}")).collect();
        let url_safe = base64.replace('+', "-").replace('/', "_").replace('=', "");
        for text in [
            base64.clone(),
            hex.clone(),
            hex.to_uppercase(),
            format!("0x{hex}"),
            url_safe,
            format!("  {}\n{}\n", &base64[..20], &base64[20..]),
            format!("data:text/plain;base64,{base64}"),
        ] {
            let Ok(Found::Alone(found)) = alone(text.as_bytes()) else { panic!("{text}") };
            assert_eq!(
                found,
                Pssh::parse_all(&whole)
                    .unwrap()
                    .into_iter()
                    .map(|one| (one, Form::Box))
                    .collect::<Vec<_>>(),
                "{text}"
            );
        }
        let lines = format!("{base64}\n{}\n{base64}\n", Base64::encode_string(&fairplay()));
        assert_eq!(of_text(&lines).unwrap().len(), 2, "each box once");
    }

    #[test]
    fn data_without_a_box_is_known_by_its_form() {
        let object =
            playready::Header { keys: &[(kid(), None)], ..Default::default() }.object().unwrap();
        let payload = [&[0x12, 16][..], kid().as_bytes()].concat();
        for (bytes, form) in [(&object, Form::Object), (&payload, Form::Payload)] {
            for given in [bytes.clone(), Base64::encode_string(bytes).into_bytes()] {
                let Ok(Found::Alone(found)) = alone(&given) else { panic!("{form:?}") };
                assert_eq!((found[0].1, &found[0].0.data), (form, bytes));
            }
        }
        for nothing in ["", "words", "AAAA", "00", "\u{e9}", "0x", "data:x"] {
            assert!(alone(nothing.as_bytes()).is_err(), "{nothing}");
        }
    }

    #[test]
    fn manifests_and_playlists_are_searched() {
        let whole = Base64::encode_string(&common(&[kid()]).unwrap());
        let object =
            playready::Header { keys: &[(kid(), None)], ..Default::default() }.object().unwrap();
        let object = Base64::encode_string(&object);
        let inside = reelkey_client::pssh::boxed(
            SystemId::PLAYREADY,
            None,
            &Base64::decode_vec(&object).unwrap(),
        );
        let both = format!(
            "<cenc:pssh>{}</cenc:pssh><pro>{object}</pro>",
            Base64::encode_string(&inside.unwrap())
        );
        assert_eq!(of_text(&both).unwrap().len(), 1, "the object is in the box");
        let mpd = format!(
            "<MPD><ContentProtection><cenc:pssh>{whole}</cenc:pssh><mspr:pro a=\"b\">\n{object}\n</mspr:pro></ContentProtection>\
             <pssh xmlns=\"urn:mpeg:cenc:2013\">{whole}</pssh></MPD>"
        );
        assert_eq!(of_text(&mpd).unwrap().len(), 2);
        let playlist = format!(
            "#EXTM3U\n#EXT-X-KEY:METHOD=SAMPLE-AES,URI=\"data:text/plain;base64,{whole}\",KEYID=0x1\n\
             #EXT-X-KEY:METHOD=SAMPLE-AES,URI=\"skd://a\"\n\
             #EXT-X-KEY:METHOD=SAMPLE-AES,URI=\"data:text/plain;charset=UTF-16;base64,{object}\"\n"
        );
        assert_eq!(of_text(&playlist).unwrap().len(), 2);
        assert_eq!(of_text("<MPD></MPD>"), None);
    }
}
