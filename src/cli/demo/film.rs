//! The files of the demo's page: the page itself, the browser module and the film.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::http::demo::PageFile;

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const MP4: &str = "video/mp4";

/// The page.
const PAGE: [(&str, &str, &str); 5] = [
    ("/", HTML, include_str!("../../../web/demo/index.html")),
    ("/page.css", CSS, include_str!("../../../web/demo/page.css")),
    ("/page.js", SCRIPT, include_str!("../../../web/demo/page.js")),
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

/// Every file, by path.
pub(super) fn files() -> BTreeMap<String, PageFile> {
    let page = PAGE.into_iter().map(|(path, kind, text)| (path, (kind, text.as_bytes())));
    let film = FILM.into_iter().flatten().map(|(path, bytes)| (path, (MP4, bytes)));
    page.chain(film).map(|(path, file)| (path.to_owned(), file)).collect()
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
