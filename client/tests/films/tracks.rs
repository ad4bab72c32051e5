//! What an initialization segment says of its tracks: enough to ask for a license.

use reelkey_client::cenc::{Init, Keys, decrypt_file};
use reelkey_client::key::{ContentKey, KeyId};

use crate::film::{Film, Group, Info, KIDS, Sample, keys};

fn film(is_fragmented: bool) -> Film {
    let sample =
        |group| Sample { layout: vec![(5, 40)], length: 0, iv: *b"vector of a film", group };
    Film {
        scheme: b"cens",
        iv_size: 16,
        pattern: (1, 1),
        samples: vec![sample(Group::None), sample(Group::Other), sample(Group::Clear)],
        info: Info::Senc,
        is_fragmented,
        compact: None,
    }
}

/// The KIDs of the films, in order.
fn kids() -> [KeyId; 2] {
    let [of_track, of_group] = KIDS.map(KeyId::from_bytes);
    assert!(of_group < of_track);
    [of_group, of_track]
}

#[test]
fn the_groups_of_a_sample_table_bring_their_kids() {
    let file = film(false).file();
    let init = Init::parse(&file).unwrap();
    assert_eq!(init.kids(), kids());
    let [track] = init.tracks().collect::<Vec<_>>()[..] else { panic!("one track") };
    assert_eq!(track.id(), 1);
    assert_eq!(track.kids(), kids());
    assert_eq!(track.default_kid(), Some(kids()[1]));
    assert_eq!(track.scheme().map(|scheme| scheme.0), Some(*b"cens"));
    assert_eq!(init.plan(&file).unwrap().kids(), kids());
}

#[test]
fn the_groups_of_a_fragment_bring_their_kids_with_its_plan() {
    let file = film(true).file();
    let init = Init::parse(&file).unwrap();
    assert_eq!(init.kids(), kids()[1..]);
    assert_eq!(init.plan(&file).unwrap().kids(), kids());
}

#[test]
fn a_clear_file_has_no_scheme_and_no_kids() {
    let mut file = film(false).file();
    decrypt_file(&keys(), &mut file).unwrap();
    let init = Init::parse(&file).unwrap();
    assert!(init.kids().is_empty());
    assert!(init.tracks().all(|track| track.scheme().is_none() && track.default_kid().is_none()));
    assert!(init.plan(&file).unwrap().kids().is_empty());
}

#[test]
fn a_track_that_is_clear_by_default_has_the_kids_of_its_groups() {
    let mut file = film(false).file();
    let tenc = file.windows(4).position(|kind| kind == b"tenc").unwrap() + 4;
    // isProtected
    file[tenc + 6] = 0;
    let init = Init::parse(&file).unwrap();
    assert_eq!(init.kids(), kids()[..1]);
    let track = init.tracks().next().unwrap();
    assert_eq!(track.default_kid(), None);
    assert_eq!(track.scheme().map(|scheme| scheme.0), Some(*b"cens"));
}

#[test]
fn a_track_without_a_readable_handler_is_decrypted_all_the_same() {
    let clip = concat!(env!("CARGO_MANIFEST_DIR"), "/../src/cli/demo/clip/cbcs/audio.mp4");
    let mut file = std::fs::read(clip).unwrap();
    let handler = |file: &[u8]| {
        let init = Init::parse(file).unwrap();
        init.tracks().next().unwrap().handler().map(|kind| kind.0)
    };
    assert_eq!(handler(&file), Some(*b"soun"));
    while let Some(hdlr) = file.windows(4).position(|kind| kind == b"hdlr") {
        file[hdlr..hdlr + 4].copy_from_slice(b"free");
    }
    assert_eq!(handler(&file), None);
    let kid = "a0d10e7a1d3b4c5d8e6f708192a3b4c5".parse().unwrap();
    let content_key = ContentKey::parse_hex("102132435465768798a9bacbdcedfe0f").unwrap();
    decrypt_file(&Keys::from_iter([(kid, content_key)]), &mut file).unwrap();
}
