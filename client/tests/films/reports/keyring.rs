//! Keys by other names than the KID in the film: KIDs in PlayReady's byte order, and tracks that share a KID.

use reelkey_client::cenc::Keys;
use reelkey_client::key::{ContentKey, KeyId};

use super::check::Case;
use super::entries::with_text;
use super::entry::{Entry, common, video};
use super::films::{SCHEMES, film, text_track, title};
use crate::film::{KEYS, KIDS};

fn content_key(index: usize) -> ContentKey {
    let hex: String = KEYS[index].iter().map(|byte| format!("{byte:02x}")).collect();
    ContentKey::parse_hex(&hex).unwrap()
}

/// The KID with the byte order of a PlayReady header: that of a GUID in memory.
fn playready(kid: [u8; 16]) -> [u8; 16] {
    let order = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];
    order.map(|from: usize| kid[from])
}

/// The key is given under the KID as PlayReady writes it.
pub(crate) fn other_byte_order() -> Vec<Case> {
    let mut cases = Vec::new();
    for scheme in SCHEMES {
        for is_fragmented in [true, false] {
            let name = format!("KID of PlayReady, {}", title(scheme, is_fragmented));
            let mut keys = Keys::default();
            keys.insert(KeyId::from_bytes(playready(KIDS[0])), content_key(0));
            let made = film(scheme, is_fragmented).make();
            cases.push(Case { name, made, keys });
        }
    }
    cases
}

/// Video and text, both with KID 0, each with a key of its own.
pub(crate) fn by_track() -> Vec<Case> {
    let mut cases = Vec::new();
    for scheme in SCHEMES {
        for is_fragmented in [true, false] {
            let text = Entry::clear(b"wvtt", common()).protected(b"enct", scheme, [0; 16]);
            let mut movie = with_text(scheme, text_track(b"text", text), is_fragmented);
            movie.tracks[0].entry = video().protected(b"encv", scheme, [0; 16]);
            let mut keys = Keys::default();
            keys.insert_for_track(1, content_key(0));
            keys.insert_for_track(2, content_key(1));
            let name = format!("KID 0 on two tracks, {}", title(scheme, is_fragmented));
            cases.push(Case { name, made: movie.make(), keys });
        }
    }
    cases
}

/// One key and nothing else.
pub(crate) fn only_key() -> Vec<Case> {
    let mut cases = Vec::new();
    for scheme in SCHEMES {
        for is_fragmented in [true, false] {
            let mut keys = Keys::default();
            keys.insert_only(content_key(0));
            let name = format!("the only key, {}", title(scheme, is_fragmented));
            let made = film(scheme, is_fragmented).make();
            cases.push(Case { name, made, keys });
        }
    }
    cases
}

/// One key, and a film with two KIDs.
pub(crate) fn only_key_of_two() -> Vec<(Case, &'static str)> {
    let mut cases = Vec::new();
    for scheme in SCHEMES {
        let text = Entry::clear(b"wvtt", common()).protected(b"enct", scheme, KIDS[1]);
        let movie = with_text(scheme, text_track(b"text", text), true);
        let mut keys = Keys::default();
        keys.insert_only(content_key(0));
        let name = format!("the only key of two, {}", title(scheme, true));
        cases.push((Case { name, made: movie.make(), keys }, ""));
    }
    cases
}

/// Video and text, and the key of the video alone.
pub(crate) fn one_key_of_two() -> Vec<Case> {
    let mut cases = Vec::new();
    for mut case in by_track() {
        let mut keys = Keys::default();
        keys.insert_for_track(1, content_key(0));
        case.keys = keys;
        cases.push(case);
    }
    cases
}

/// The key of the text alone.
pub(crate) fn text_key() -> Keys {
    let mut keys = Keys::default();
    keys.insert_for_track(2, content_key(1));
    keys
}
