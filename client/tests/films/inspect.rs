//! What an inspection finds in films of our own making: whatever their form, and however their bytes come in.

use reelkey_client::cenc::Init;
use reelkey_client::cenc::boxes::FourCc;
use reelkey_client::cenc::foreign::Foreign;
use reelkey_client::cenc::inspect::{
    DescribedKey, Error, Film as Seen, FilmKind, Inspector, IvLength,
};
use reelkey_client::key::KeyId;
use reelkey_client::pssh::SystemId;

use crate::film::{Film, Group, Info, KIDS, Sample, boxed};

/// Eight samples, of which the groups take turns.
fn film(scheme: &'static [u8; 4], groups: [Group; 4], is_fragmented: bool) -> Film {
    let sample = |n: usize| Sample {
        layout: Vec::new(),
        length: 40 + n,
        iv: [n as u8; 16],
        group: groups[n % 4],
    };
    let (iv_size, pattern) = match scheme {
        b"cbcs" => (0, (1, 9)),
        b"cens" => (16, (1, 9)),
        _ => (8, (0, 0)),
    };
    let samples = (0..8).map(sample).collect();
    Film { scheme, iv_size, pattern, samples, info: Info::Senc, is_fragmented, compact: None }
}

/// The film as an inspection sees it that gets pieces of this size and leaves out what it can.
fn inspect(bytes: &[u8], piece: usize) -> (Result<(), Error>, Seen) {
    let mut inspector = Inspector::new();
    let mut rest = bytes;
    let mut pushed = Ok(());
    while !rest.is_empty() && pushed.is_ok() {
        let (piece, following) = rest.split_at(piece.min(rest.len()));
        pushed = inspector.push(piece);
        rest = &following[inspector.skip(following.len() as u64) as usize..];
    }
    let ended = pushed.and_then(|()| inspector.finish());
    (ended, inspector.film())
}

fn seen(bytes: &[u8]) -> Seen {
    let (ended, film) = inspect(bytes, usize::MAX);
    ended.unwrap();
    film
}

fn kid(at: usize) -> KeyId {
    KeyId::from_bytes(KIDS[at])
}

#[test]
fn every_scheme_is_shown_with_its_vectors_and_its_pattern() {
    for (scheme, iv, pattern) in [
        (b"cenc", IvLength::PerSample(8), (0, 0)),
        (b"cbc1", IvLength::PerSample(8), (0, 0)),
        (b"cens", IvLength::PerSample(16), (1, 9)),
        (b"cbcs", IvLength::Constant(16), (1, 9)),
    ] {
        for (is_fragmented, kind) in [(true, FilmKind::Fragmented), (false, FilmKind::Progressive)]
        {
            let film = seen(&film(scheme, [Group::None; 4], is_fragmented).file());
            assert_eq!(film.kind, kind);
            let [track] = &film.tracks[..] else { panic!("one track") };
            assert_eq!((track.id, track.samples), (1, 8));
            let entry = &track.entries[0];
            assert_eq!((entry.kind, entry.format), (FourCc(*b"encv"), FourCc(*b"avc1")));
            let by = &entry.protections[0];
            let default = by.default.as_ref().unwrap();
            assert_eq!((by.scheme, default.is_protected), (Some(FourCc(*scheme)), 1));
            assert_eq!((default.crypt, default.skip), pattern);
            let [DescribedKey { kid: found, iv: found_iv, .. }] = default.keys[..] else {
                panic!()
            };
            assert_eq!((found, found_iv), (kid(0), iv));
            let [key] = &film.keys[..] else { panic!("one key") };
            assert_eq!((key.kid, &key.tracks[..], key.samples), (kid(0), &[1][..], 8));
            assert!(film.refusal.is_none() && track.has_auxiliary_information);
        }
    }
}

#[test]
fn the_keys_of_groups_are_needed_and_an_unused_default_is_not() {
    use Group::{Clear, None, Other};
    for is_fragmented in [true, false] {
        for compact in [Option::None, Some(2)] {
            let both =
                Film { compact, ..film(b"cenc", [None, Other, Clear, Other], is_fragmented) };
            let both = seen(&both.file());
            let keys: Vec<_> = both.keys.iter().map(|key| (key.kid, key.samples)).collect();
            assert_eq!(keys, [(kid(1), 4), (kid(0), 2)], "{is_fragmented} {compact:?}");
            let groups = &both.tracks[0].groups;
            let samples: Vec<_> =
                groups.iter().map(|group| (group.described.is_protected, group.samples)).collect();
            assert_eq!(samples, [(0, 2), (1, 4)]);
            let places = groups.iter().map(|group| (group.in_moov, group.fragments));
            let place = if is_fragmented { (false, 1) } else { (true, 0) };
            assert!(places.into_iter().all(|found| found == place));
            let other =
                Film { compact, ..film(b"cenc", [Other, Other, Clear, Other], is_fragmented) };
            let kids: Vec<_> = seen(&other.file()).keys.iter().map(|key| key.kid).collect();
            assert_eq!(kids, [kid(1)]);
        }
    }
}

#[test]
fn the_needed_keys_are_those_that_decryption_asks_for() {
    let groups = [Group::None, Group::Clear, Group::Other];
    let mut at = [0; 4];
    for number in 0..3_usize.pow(4) {
        at.iter_mut()
            .enumerate()
            .for_each(|(place, at)| *at = number / 3_usize.pow(place as u32) % 3);
        for is_fragmented in [true, false] {
            let bytes = film(b"cbcs", at.map(|at| groups[at]), is_fragmented).file();
            let plan = Init::parse(&bytes).unwrap().plan(&bytes).unwrap();
            let needed: Vec<_> = seen(&bytes).keys.iter().map(|key| key.kid).collect();
            assert_eq!(
                needed,
                plan.kids().into_iter().collect::<Vec<_>>(),
                "{at:?} {is_fragmented}"
            );
        }
    }
}

#[test]
fn parts_of_a_film_are_seen_as_what_they_are() {
    let whole = film(b"cbcs", [Group::None, Group::Other, Group::None, Group::None], true).file();
    let cut = whole.windows(4).position(|kind| kind == b"moof").unwrap() - 4;
    let (init_segment, segment) = whole.split_at(cut);
    let first = seen(init_segment);
    assert_eq!(first.kind, FilmKind::InitializationSegment);
    let keys: Vec<_> = first.keys.iter().map(|key| (key.kid, key.samples)).collect();
    assert_eq!(keys, [(kid(0), 0)], "the groups are those of fragments");
    let alone = seen(segment);
    assert_eq!((alone.kind, alone.fragments), (FilmKind::MediaSegment, 1));
    assert!(alone.tracks[0].entries.is_empty() && alone.tracks[0].has_auxiliary_information);
    assert_eq!(alone.keys.len(), 1, "the group's");
    let mut inspector = Inspector::new();
    inspector.push(init_segment).unwrap();
    inspector.next_file().unwrap();
    inspector.push(segment).unwrap();
    inspector.finish().unwrap();
    let both = inspector.film();
    assert_eq!((both.kind, both.keys.len()), (FilmKind::MediaSegment, 2));
}

#[test]
fn pieces_of_any_size_show_the_same_film() {
    for is_fragmented in [true, false] {
        let bytes =
            film(b"cenc", [Group::None, Group::Other, Group::Clear, Group::None], is_fragmented);
        let bytes = bytes.file();
        let whole = format!("{:?}", seen(&bytes));
        for piece in [1, 2, 7, 16, 17, 100] {
            let (ended, film) = inspect(&bytes, piece);
            ended.unwrap();
            assert_eq!(format!("{film:?}"), whole, "{piece}");
        }
    }
}

#[test]
fn a_film_that_is_cut_anywhere_ends_in_an_error_and_shows_what_came_before() {
    let bytes = film(b"cenc", [Group::None; 4], true).file();
    let place = |kind: &[u8]| bytes.windows(4).position(|found| found == kind).unwrap() - 4;
    let (moof, mdat) = (place(b"moof"), place(b"mdat"));
    for length in 0..bytes.len() {
        let (ended, film) = inspect(&bytes[..length], usize::MAX);
        // Fewer bytes than a header are trailing ones.
        let is_whole = [moof, mdat].iter().any(|at| (*at..at + 8).contains(&length));
        assert_eq!(ended.is_ok(), is_whole, "{length}: {ended:?}");
        assert_eq!(film.tracks.len(), usize::from(length >= moof), "{length}");
    }
}

#[test]
fn what_breaks_a_rule_of_protection_is_shown_as_it_is() {
    let bytes = film(b"cenc", [Group::None; 4], true).file();
    let replace = |from: &[u8], to: &[u8]| {
        let mut bytes = bytes.clone();
        let at = bytes.windows(from.len()).position(|window| window == from).unwrap();
        bytes[at..at + to.len()].copy_from_slice(to);
        bytes
    };
    let unknown = seen(&replace(b"cenc\0\x01", b"zzzz"));
    assert_eq!(unknown.tracks[0].entries[0].protections[0].scheme, Some(FourCc(*b"zzzz")));
    assert!(unknown.refusal.is_some() && unknown.keys.len() == 1);
    let at = [&b"tenc\x01\0\0\0\0\0\x01"[..], &[8]].concat();
    let vector = seen(&replace(&at, b"tenc\x01\0\0\0\0\0\x01\x07"));
    let default = vector.tracks[0].entries[0].protections[0].default.clone().unwrap();
    assert_eq!(default.keys[0].iv, IvLength::PerSample(7));
    assert!(vector.refusal.is_some());
    let bare = seen(&replace(b"sinf", b"free"));
    assert_eq!(bare.tracks[0].entries[0].protections[0].scheme, None);
}

#[test]
fn several_keys_of_one_group_are_all_needed() {
    // A description with the flag for several keys, two of them, behind the film's own moof.
    let key = |kid: [u8; 16]| [&[8][..], &kid].concat();
    let two = [&[0x80, 0, 1, 0, 2][..], &key([1; 16]), &key([2; 16])].concat();
    let sgpd = [&b"\x01\0\0\0seig\0\0\0\x27\0\0\0\x01"[..], &two].concat();
    let sbgp = b"\0\0\0\0seig\0\0\0\x01\0\0\0\x03\0\x01\0\x01".to_vec();
    let tfhd = boxed(b"tfhd", &[vec![0, 2, 0, 0, 0, 0, 0, 1]]);
    let trun = boxed(b"trun", &[vec![0, 0, 0, 0, 0, 0, 0, 3]]);
    let traf = boxed(b"traf", &[tfhd, trun, boxed(b"sgpd", &[sgpd]), boxed(b"sbgp", &[sbgp])]);
    let film = seen(&boxed(b"moof", &[traf]));
    let group = &film.tracks[0].groups[0];
    assert!(group.described.is_multi_key && group.samples == 3);
    let kids: Vec<_> = film.keys.iter().map(|key| (key.kid, key.samples)).collect();
    assert_eq!(kids, [1, 2].map(|n| (KeyId::from_bytes([n; 16]), 3)));
}

#[test]
fn what_is_remembered_is_bounded_and_the_rest_is_counted() {
    let fragment = |n: u16| {
        let mut kid = [7; 16];
        kid[..2].copy_from_slice(&n.to_be_bytes());
        let sgpd = [&b"\0\0\0\0seig\0\0\0\x01\0\0\x01\x08"[..], &kid].concat();
        let sbgp = b"\0\0\0\0seig\0\0\0\x01\0\0\0\x01\0\x01\0\x01".to_vec();
        let tfhd = boxed(b"tfhd", &[vec![0, 2, 0, 0, 0, 0, 0, 1]]);
        let trun = boxed(b"trun", &[vec![0, 0, 0, 0, 0, 0, 0, 1]]);
        let parts = [tfhd, trun, boxed(b"sgpd", &[sgpd]), boxed(b"sbgp", &[sbgp])];
        let pssh = [&[0; 4][..], &kid, &[0; 4]].concat();
        boxed(b"moof", &[boxed(b"traf", &parts), boxed(b"pssh", &[pssh])])
    };
    let bytes: Vec<u8> = (0..5000).flat_map(fragment).collect();
    let film = seen(&bytes);
    assert_eq!((film.keys.len(), film.tracks[0].groups.len(), film.pssh.len()), (4096, 4096, 4096));
    let left_out = film.left_out;
    assert_eq!((left_out.keys, left_out.groups, left_out.pssh), (904, 904, 904));
    assert_eq!(film.tracks[0].samples, 5000);
}

#[test]
fn pssh_boxes_are_found_in_moov_and_moof_and_once_each() {
    let common = |kids: &[[u8; 16]]| {
        let count = (kids.len() as u32).to_be_bytes();
        let fields = [&[1, 0, 0, 0][..], &SystemId::COMMON.0, &count, &kids.concat(), &[0; 4]];
        boxed(b"pssh", &[fields.concat()])
    };
    let other = boxed(b"pssh", &[[&[0; 4][..], &[9; 16], &[0, 0, 0, 2, 5, 5]].concat()]);
    let broken = boxed(b"pssh", &[vec![0; 9]]);
    let moov = boxed(b"moov", &[common(&KIDS), other.clone(), broken]);
    let moof = boxed(b"moof", &[other, common(&KIDS[..1])]);
    let film = seen(&[moov, moof.clone(), moof].concat());
    let found: Vec<_> =
        film.pssh.iter().map(|it| (it.pssh.kids.len(), it.in_moov, it.fragments)).collect();
    assert_eq!(found, [(0, true, 2), (1, false, 2), (2, true, 0)]);
    assert_eq!(film.pssh_unreadable, 1);
}

#[test]
fn bytes_behind_the_last_box_are_counted_and_no_damage() {
    let film = film(b"cenc", [Group::None; 4], true).file();
    for junk in [
        &b"\0"[..],
        b"\0\0\0\x02x",
        &[0; 100],
        &[0xff; 100],
        b"\0\0\0\x03what is this",
        b"plain words",
    ] {
        for piece in [1, 7, usize::MAX] {
            let (ended, seen) = inspect(&[&film, junk].concat(), piece);
            assert_eq!((ended, seen.trailing_bytes), (Ok(()), junk.len() as u64), "{junk:?}");
        }
    }
    for cut in [&b"\0\0\0\x40moof"[..], b"\0\0\0\x40mdat"] {
        let (ended, _) = inspect(&[&film, cut].concat(), 7);
        assert!(matches!(ended, Err(Error::CutShort { missing: 56, .. })), "{ended:?}");
    }
}

#[test]
fn what_is_no_film_is_named() {
    let is = |bytes: &[u8]| inspect(bytes, usize::MAX).0.unwrap_err();
    let packets = [0x47].repeat(188 * 7);
    for (bytes, foreign) in [
        (&b"\x1a\x45\xdf\xa3\x01\0\0\0\0\0\0\x23"[..], Foreign::Webm),
        (b"#EXTM3U\n#EXT-X-VERSION:7\n", Foreign::HlsPlaylist),
        (b"<?xml version=\"1.0\"?><MPD/>", Foreign::DashManifest),
        (&packets, Foreign::TransportStream),
        (b"\0\0\0\0\0\0\0\0\0\0", Foreign::Unknown),
        (b"plain words of somebody", Foreign::Text),
        (b"", Foreign::Nothing),
        (b"\0\0", Foreign::Unknown),
    ] {
        assert_eq!(is(bytes), Error::Foreign(foreign));
    }
    // Text at first sight, and no more than that.
    let binary = [&[b'N'; 26][..], &[0x16; 9]].concat();
    for piece in [1, 7, usize::MAX] {
        assert_eq!(inspect(&binary, piece).0, Err(Error::Foreign(Foreign::Unknown)));
    }
    assert_eq!(is(b"\0\0\0\x08free"), Error::NoFilm);
    assert!(matches!(is(b"\0\0\0\x07moov"), Error::Size { size: 7, .. }));
    assert!(matches!(is(b"\0\0\0\x0cmoov\0\0\0\0"), Error::Within { at: 0, .. }));
    let mut small = Inspector::new().holding_at_most(100);
    assert!(matches!(small.push(b"\0\0\0\x65moof"), Err(Error::TooLong { max: 100, .. })));
    assert_eq!(small.push(b"x"), Err(Error::Failed));
    let mut open = Inspector::new().holding_at_most(100);
    open.push(b"\0\0\0\0moov").unwrap();
    assert!(matches!(open.push(&[0; 200]), Err(Error::TooLong { .. })));
}
