//! The files of the demo's pages: the pages themselves, the browser module and the film.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::http::demo::PageFile;

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const MP4: &str = "video/mp4";

/// The page of the film.
const PAGE: [(&str, &str, &str); 2] = [
    ("/", HTML, include_str!("../../../web/demo/index.html")),
    ("/page.js", SCRIPT, include_str!("../../../web/demo/page.js")),
];

/// The page of a stream of one's own.
const STREAM_PAGE: [(&str, &str, &str); 2] = [
    ("/", HTML, include_str!("../../../web/demo/stream.html")),
    ("/stream.js", SCRIPT, include_str!("../../../web/demo/stream.js")),
];

/// What both have.
const SHARED: [(&str, &str, &str); 4] = [
    ("/page.css", CSS, include_str!("../../../web/demo/page.css")),
    ("/common.js", SCRIPT, include_str!("../../../web/demo/common.js")),
    ("/film.js", SCRIPT, include_str!("../../../web/demo/film.js")),
    ("/reelkey.js", SCRIPT, include_str!("../../../web/reelkey.js")),
];

/// The keys of the film, which are public: track type, KID, key.
pub(super) const KEYS: &str = include_str!("film/keys.txt");

/// An initialization segment and five media segments of a track.
macro_rules! track {
    ($scheme:literal, $name:literal) => {
        [
            (
                concat!("/film/", $scheme, "/", $name, "-init.mp4"),
                include_bytes!(concat!("film/", $scheme, "/", $name, "-init.mp4")).as_slice(),
            ),
            (
                concat!("/film/", $scheme, "/", $name, "-1.m4s"),
                include_bytes!(concat!("film/", $scheme, "/", $name, "-1.m4s")).as_slice(),
            ),
            (
                concat!("/film/", $scheme, "/", $name, "-2.m4s"),
                include_bytes!(concat!("film/", $scheme, "/", $name, "-2.m4s")).as_slice(),
            ),
            (
                concat!("/film/", $scheme, "/", $name, "-3.m4s"),
                include_bytes!(concat!("film/", $scheme, "/", $name, "-3.m4s")).as_slice(),
            ),
            (
                concat!("/film/", $scheme, "/", $name, "-4.m4s"),
                include_bytes!(concat!("film/", $scheme, "/", $name, "-4.m4s")).as_slice(),
            ),
            (
                concat!("/film/", $scheme, "/", $name, "-5.m4s"),
                include_bytes!(concat!("film/", $scheme, "/", $name, "-5.m4s")).as_slice(),
            ),
        ]
    };
}

const FILM: [[(&str, &[u8]); 6]; 8] = [
    track!("cenc", "audio"),
    track!("cenc", "sd"),
    track!("cenc", "hd"),
    track!("cenc", "uhd1"),
    track!("cbcs", "audio"),
    track!("cbcs", "sd"),
    track!("cbcs", "hd"),
    track!("cbcs", "uhd1"),
];

fn texts(page: [(&'static str, &'static str, &'static str); 2]) -> BTreeMap<String, PageFile> {
    let all = page.into_iter().chain(SHARED);
    all.map(|(path, kind, text)| (path.to_owned(), (kind, Cow::Borrowed(text.as_bytes()))))
        .collect()
}

/// Every file of the film's page, by path.
pub(super) fn files() -> BTreeMap<String, PageFile> {
    let film = FILM.into_iter().flatten();
    let film = film.map(|(path, bytes)| (path.to_owned(), (MP4, Cow::Borrowed(bytes))));
    texts(PAGE).into_iter().chain(film).collect()
}

/// Every file of the page of a stream, by path. `player` is the script of Shaka Player.
pub(super) fn stream_files(player: Vec<u8>) -> BTreeMap<String, PageFile> {
    let player = ("/player.js".to_owned(), (SCRIPT, player.into()));
    texts(STREAM_PAGE).into_iter().chain([player]).collect()
}

/// The tracks of the film, for the page's player: the best picture first.
pub(super) fn tracks() -> Value {
    json!([
        { "track": "UHD1", "name": "uhd1", "height": 540 },
        { "track": "HD", "name": "hd", "height": 360 },
        { "track": "SD", "name": "sd", "height": 180 },
        { "track": "AUDIO", "name": "audio", "height": 0 },
    ])
}
