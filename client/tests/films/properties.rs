//! Laws of decryption, over random films of our own making.

use proptest::collection::vec;
use proptest::prelude::*;
use reelkey_client::cenc::stream::append_to;
use reelkey_client::cenc::{Error, Keys, Stream, decrypt_file};

use crate::film::{Film, Group, Info, KIDS, Sample, keys, nowhere};

fn film() -> impl Strategy<Value = Film> {
    let layout = prop_oneof![
        1 => Just(Vec::new()),
        2 => vec((0_u16..40, 0_u32..400), 1..5),
    ];
    let group =
        prop_oneof![4 => Just(Group::None), 1 => Just(Group::Clear), 1 => Just(Group::Other)];
    let sample = (layout, 0_usize..600, any::<[u8; 16]>(), group);
    let sample =
        sample.prop_map(|(layout, length, iv, group)| Sample { layout, length, iv, group });
    let of_sample = || prop::sample::select(&[8_u8, 16]);
    let scheme =
        prop_oneof![
            of_sample().prop_map(|iv| (b"cenc", iv, (0, 0))),
            of_sample().prop_map(|iv| (b"cbc1", iv, (0, 0))),
            (of_sample(), 1_u8..11, 0_u8..11).prop_map(|(iv, crypt, skip)| (
                b"cens",
                iv,
                (crypt, skip)
            )),
            (prop::sample::select(&[0_u8, 8, 16]), 1_u8..11, 0_u8..11)
                .prop_map(|(iv, crypt, skip)| (b"cbcs", iv, (crypt, skip))),
            Just((b"cbcs", 0, (0, 0))),
        ];
    let info = prop_oneof![Just(Info::Senc), Just(Info::Hidden)];
    let compact = prop::option::of(0_u8..4);
    let film = (scheme, vec(sample, 1..6), info, any::<bool>(), compact);
    film.prop_map(|((scheme, iv_size, pattern), samples, info, is_fragmented, compact)| {
        // A saiz whose entries are all empty says nothing of each; then there is a senc.
        let info = if iv_size == 0 { Info::Senc } else { info };
        Film { scheme, iv_size, pattern, samples, info, is_fragmented, compact }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1200))]

    #[test]
    fn what_was_encrypted_decrypts(film in film()) {
        let mut file = film.file();
        decrypt_file(&keys(), &mut file).unwrap();
        let clear = film.clear();
        prop_assert!(file.ends_with(&clear));
        let is_protected = film.samples.iter().any(|sample| sample.group != Group::Clear);
        for gone in [&b"encv"[..], b"sinf", b"senc", b"saiz", b"saio", b"sgpd", b"sbgp", b"csgp"] {
            let boxes = &file[..file.len() - clear.len()];
            let is_there = boxes.windows(4).any(|window| window == gone);
            prop_assert!(!is_there || !is_protected, "{:?}", gone);
        }
    }

    #[test]
    fn a_stream_comes_out_the_same_wherever_it_is_split(
        film in film(),
        cuts in vec(any::<prop::sample::Index>(), 0..20),
        every in prop_oneof![Just(1_usize), Just(17), Just(100_000)],
    ) {
        let file = film.file();
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(file.len())).collect();
        cuts.extend((0..file.len()).step_by(every));
        cuts.push(file.len());
        cuts.sort_unstable();
        let keys = keys();
        let (mut stream, mut clear, mut from) = (Stream::new(&keys), Vec::new(), 0);
        let mut pushed = Ok(());
        for to in cuts {
            pushed = pushed.and_then(|()| {
                stream.push(&file[from..to], append_to(&mut clear)).map_err(Error::from)
            });
            from = to;
        }
        let mut whole = file.clone();
        decrypt_file(&keys, &mut whole).unwrap();
        let is_said_elsewhere = !film.is_fragmented
            && film.info == Info::Hidden
            && film.samples.iter().any(|sample| sample.group != Group::Clear);
        if is_said_elsewhere {
            prop_assert!(matches!(pushed, Err(Error::NotInOrder)), "{:?}", pushed);
        } else {
            pushed.unwrap();
            stream.finish(append_to(&mut clear)).unwrap();
            prop_assert_eq!(&clear, &whole);
        }
        if film.is_fragmented || film.clear().is_empty() {
            return Ok(());
        }
        // With the table at hand it is one.
        let media_at = file.len() - film.clear().len();
        let moov = &file[..media_at - 8];
        let media = media_at..file.len();
        let stream = Stream::with_table(&keys, moov, &[media]).unwrap();
        prop_assert_eq!(stream.is_none(), is_said_elsewhere);
        let Some(mut stream) = stream else { return Ok(()) };
        clear.clear();
        for piece in file.chunks(every) {
            stream.push(piece, append_to(&mut clear)).unwrap();
        }
        let samples = stream.finish(append_to(&mut clear)).unwrap();
        prop_assert_eq!(samples, film.samples.len());
        prop_assert_eq!(clear, whole);
    }

    #[test]
    fn without_the_key_nothing_is_changed(film in film()) {
        prop_assume!(film.samples.iter().any(|sample| sample.group != Group::Clear));
        let file = film.file();
        let mut copy = file.clone();
        let error = decrypt_file(&Keys::default(), &mut copy).unwrap_err();
        prop_assert!(matches!(error, Error::MissingKey(missing) if KIDS.contains(missing.kid.as_bytes())));
        prop_assert_eq!(copy, file);
    }

    #[test]
    fn a_damaged_file_is_an_error_or_keeps_its_length(
        film in film(),
        cut in any::<prop::sample::Index>(),
        flips in vec((any::<prop::sample::Index>(), any::<u8>()), 0..12),
    ) {
        let mut file = film.file();
        let boxes = file.len() - film.clear().len();
        for (at, value) in flips {
            let at = at.index(boxes);
            file[at] = value;
        }
        file.truncate(file.len() - cut.index(file.len()) / 2);
        let before = file.clone();
        // A stream of it ends, well or not, and nothing comes out that did not go in.
        let keys = keys();
        let (mut stream, mut clear) = (Stream::new(&keys), Vec::new());
        let pushed =
            file.chunks(50).try_for_each(|piece| stream.push(piece, append_to(&mut clear)));
        let streamed = pushed.and_then(|()| stream.finish(append_to(&mut clear)));
        let length = clear.len();
        if streamed.is_ok() {
            prop_assert_eq!(length, file.len());
        }
        // A check that leaves the media out comes to the same end.
        let (mut check, mut from, mut checked) = (Stream::new(&keys), 0, Ok(()));
        while from < file.len() && checked.is_ok() {
            let to = file.len().min(from + 20);
            checked = check.push(&file[from..to], nowhere);
            from = to + check.skip((file.len() - to) as u64) as usize;
        }
        let checked = checked.and_then(|()| check.finish(nowhere));
        prop_assert_eq!(checked.is_ok(), streamed.is_ok(), "{:?}, {:?}", checked, streamed);
        prop_assert!(length <= file.len());
        if decrypt_file(&keys, &mut file).is_err() {
            prop_assert_eq!(&file, &before, "an error changes nothing");
        }
        prop_assert_eq!(file.len(), before.len());
    }
}

/// However long a sample is, no more of it is held than a period of its pattern.
#[test]
fn a_sample_goes_out_while_it_comes_in() {
    for (scheme, pattern, held_max) in [
        (b"cenc", (0, 0), 0),
        (b"cbc1", (0, 0), 15),
        (b"cens", (1, 9), 159),
        (b"cbcs", (1, 9), 159),
        (b"cbcs", (10, 10), 319),
    ] {
        for layout in [vec![], vec![(5, 50_000), (0, 50_001)]] {
            let length = if layout.is_empty() { 100_006 } else { 0 };
            let sample = Sample { layout, length, iv: *b"vector of a film", group: Group::None };
            let film = Film {
                scheme,
                iv_size: 16,
                pattern,
                samples: vec![sample],
                info: Info::Senc,
                is_fragmented: true,
                compact: None,
            };
            let file = film.file();
            let media = file.len() - film.clear().len();
            let (keys, mut clear) = (keys(), Vec::new());
            let (mut stream, mut pushed) = (Stream::new(&keys), media);
            stream.push(&file[..media], append_to(&mut clear)).unwrap();
            for piece in file[media..].chunks(100) {
                stream.push(piece, append_to(&mut clear)).unwrap();
                pushed += piece.len();
                assert!(pushed - clear.len() <= held_max, "{scheme:?}, {pattern:?}");
            }
            stream.finish(nowhere).unwrap();
            assert!(clear.ends_with(&film.clear()));
        }
    }
}
