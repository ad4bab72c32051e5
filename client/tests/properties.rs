//! Laws of decryption, over random films of our own making.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::as_conversions,
    reason = "a test may fail where its expectation does"
)]

use aes::cipher::{BlockCipherEncrypt, KeyInit};
use aes::{Aes128, Block};
use proptest::collection::vec;
use proptest::prelude::*;
use reelkey_client::cenc::{Error, Keys, Stream, decrypt_file};
use reelkey_client::key::{ContentKey, KeyId};

/// The keys and their identifiers: the track's, and that of some of its samples.
const KEYS: [[u8; 16]; 2] = [*b"sixteen byte key", *b"another such key"];
const KIDS: [[u8; 16]; 2] = [*b"sixteen byte kid", *b"another such kid"];

/// What a sample is made of: pairs of clear and protected lengths; none: all is protected.
type Layout = Vec<(u16, u32)>;

/// In which group a sample is.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Group {
    /// In none: protected as the track is.
    None,
    /// In one that is not protected.
    Clear,
    /// In one with another key.
    Other,
}

#[derive(Clone, Debug)]
struct Sample {
    layout: Layout,
    /// Without a layout.
    length: usize,
    iv: [u8; 16],
    group: Group,
}

/// Where the auxiliary information is.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Info {
    Senc,
    /// It hides in a free box, and only `saiz` and `saio` know.
    Hidden,
}

#[derive(Clone, Debug)]
struct Film {
    scheme: &'static [u8; 4],
    /// 8, 16, or 0 for a constant vector.
    iv_size: u8,
    pattern: (u8, u8),
    samples: Vec<Sample>,
    info: Info,
    is_fragmented: bool,
}

impl Sample {
    fn length(&self) -> usize {
        match self.layout.as_slice() {
            [] => self.length,
            pairs => {
                pairs.iter().map(|(clear, protected)| *clear as usize + *protected as usize).sum()
            }
        }
    }
}

impl Film {
    fn iv(&self, own: [u8; 16]) -> [u8; 16] {
        let mut iv = [0; 16];
        let source = if self.iv_size == 0 { *b"constant vector!" } else { own };
        let length = if self.iv_size == 8 { 8 } else { 16 };
        iv[..length].copy_from_slice(&source[..length]);
        iv
    }

    /// The clear samples: a pattern that is nowhere the same.
    fn clear(&self) -> Vec<u8> {
        let total: usize = self.samples.iter().map(Sample::length).sum();
        (0..total).map(|n| (n * 7 + n / 256) as u8).collect()
    }

    fn encrypted(&self) -> Vec<u8> {
        let mut media = self.clear();
        let mut rest = media.as_mut_slice();
        for sample in &self.samples {
            let (bytes, following) = rest.split_at_mut(sample.length());
            match sample.group {
                Group::Clear => {}
                Group::None => self.encrypt(KEYS[0], bytes, sample),
                Group::Other => self.encrypt(KEYS[1], bytes, sample),
            }
            rest = following;
        }
        media
    }

    /// Block by block, as the standard says it.
    fn encrypt(&self, key: [u8; 16], bytes: &mut [u8], sample: &Sample) {
        let iv = self.iv(sample.iv);
        let whole = vec![(0, bytes.len() as u32)];
        let layout = if sample.layout.is_empty() { &whole } else { &sample.layout };
        let aes = Aes128::new(&key.into());
        let block = |input: [u8; 16]| {
            let mut block = Block::from(input);
            aes.encrypt_block(&mut block);
            <[u8; 16]>::from(block)
        };
        let key_stream = |number: u64| {
            let mut counter = iv;
            let low = u64::from_be_bytes(iv[8..].try_into().unwrap());
            counter[8..].copy_from_slice(&low.wrapping_add(number).to_be_bytes());
            block(counter)
        };
        let (mut at, mut stream, mut chain) = (0, 0_u64, iv);
        for (clear, protected) in layout {
            at += *clear as usize;
            let range = &mut bytes[at..at + *protected as usize];
            at += *protected as usize;
            if self.scheme == b"cenc" {
                for byte in range {
                    *byte ^= key_stream(stream / 16)[stream as usize % 16];
                    stream += 1;
                }
                continue;
            }
            if self.scheme == b"cbcs" {
                chain = iv;
            }
            let (crypt, skip) = self.pattern;
            let period = (crypt + skip).max(1) as usize;
            for (number, chunk) in range.chunks_exact_mut(16).enumerate() {
                if skip > 0 && number % period >= crypt as usize {
                    continue;
                }
                let mask = if self.scheme == b"cens" { key_stream(stream) } else { chain };
                for (byte, mask) in chunk.iter_mut().zip(mask) {
                    *byte ^= mask;
                }
                stream += 1;
                if self.scheme != b"cens" {
                    chain = block((&*chunk).try_into().unwrap());
                    chunk.copy_from_slice(&chain);
                }
            }
        }
    }

    /// The fields that `tenc` and `seig` share.
    fn protection(&self, kid: [u8; 16]) -> Vec<u8> {
        let mut fields = vec![0, self.pattern.0 << 4 | self.pattern.1, 1, self.iv_size];
        fields.extend(kid);
        if self.iv_size == 0 {
            fields.push(16);
            fields.extend(self.iv([0; 16]));
        }
        fields
    }

    fn file(&self) -> Vec<u8> {
        let media = self.encrypted();
        if self.is_fragmented {
            let offset = (self.moof(0).len() + 8) as u32;
            return [self.moov(Vec::new()), self.moof(offset), boxed(b"mdat", &[media])].concat();
        }
        // Offsets are as long as any other, so the lengths are known before they are.
        let table = |at: u32| {
            let moov = self.moov(self.table(at, 0));
            let hidden = moov.windows(4).position(|window| window == b"hide").unwrap_or(0) + 4;
            self.moov(self.table(at, hidden as u32))
        };
        let at = (table(0).len() + 8) as u32;
        [table(at), boxed(b"mdat", &[media])].concat()
    }

    fn moov(&self, mut table: Vec<Vec<u8>>) -> Vec<u8> {
        let tenc = [vec![1, 0, 0, 0], self.protection(KIDS[0])].concat();
        let schm = [&[0; 4][..], self.scheme, &[0, 1, 0, 0]].concat();
        let sinf = boxed(
            b"sinf",
            &[
                boxed(b"frma", &[b"avc1".to_vec()]),
                boxed(b"schm", &[schm]),
                boxed(b"schi", &[boxed(b"tenc", &[tenc])]),
            ],
        );
        let entry = boxed(b"encv", &[vec![0; 78], sinf]);
        let stsd = boxed(b"stsd", &[vec![0, 0, 0, 0, 0, 0, 0, 1], entry]);
        if table.is_empty() {
            table.push(boxed(b"stsz", &[vec![0; 12]]));
        }
        let stbl = boxed(b"stbl", &[stsd, table.concat()]);
        let tkhd = boxed(b"tkhd", &[vec![0; 12], vec![0, 0, 0, 1], vec![0; 68]]);
        let trak = boxed(b"trak", &[tkhd, boxed(b"mdia", &[boxed(b"minf", &[stbl])])]);
        let trex = boxed(b"trex", &[vec![0; 4], vec![0, 0, 0, 1], vec![0, 0, 0, 1], vec![0; 12]]);
        boxed(b"moov", &[trak, boxed(b"mvex", &[trex])])
    }

    fn count(&self) -> Vec<u8> {
        (self.samples.len() as u32).to_be_bytes().to_vec()
    }

    fn sizes(&self) -> impl Iterator<Item = [u8; 4]> {
        self.samples.iter().map(|sample| (sample.length() as u32).to_be_bytes())
    }

    /// The boxes of a sample table: two samples to a chunk, the media from `at` on.
    fn table(&self, at: u32, hidden_at: u32) -> Vec<Vec<u8>> {
        let be = |value: usize| (value as u32).to_be_bytes();
        let stsz = [vec![0; 8], self.count(), self.sizes().flatten().collect()].concat();
        let (whole, half) = (self.samples.len() / 2, self.samples.len() % 2);
        let mut runs = Vec::new();
        if whole > 0 {
            runs.push([be(1), be(2), be(1)]);
        }
        if half > 0 {
            runs.push([be(whole + 1), be(1), be(1)]);
        }
        let stsc = [vec![0; 4], be(runs.len()).to_vec(), runs.concat().concat()].concat();
        let mut stco = [vec![0; 4], be(whole + half).to_vec()].concat();
        let mut chunk_at = at;
        for chunk in self.samples.chunks(2) {
            stco.extend(chunk_at.to_be_bytes());
            chunk_at += chunk.iter().map(Sample::length).sum::<usize>() as u32;
        }
        let mut boxes = vec![boxed(b"stsz", &[stsz]), boxed(b"stsc", &[stsc])];
        boxes.push(boxed(b"stco", &[stco]));
        boxes.extend(self.groups(0));
        boxes.extend(self.info(hidden_at));
        boxes
    }

    /// `sgpd` and `sbgp`, with indices from `base` on.
    fn groups(&self, base: u32) -> Vec<Vec<u8>> {
        if self.samples.iter().all(|sample| sample.group == Group::None) {
            return Vec::new();
        }
        let mut sgpd = b"\x01\0\0\0seig\0\0\0\0\0\0\0\x02".to_vec();
        for description in [vec![0; 20], self.protection(KIDS[1])] {
            sgpd.extend((description.len() as u32).to_be_bytes());
            sgpd.extend(description);
        }
        let mut sbgp = [b"\0\0\0\0seig".to_vec(), self.count()].concat();
        for sample in &self.samples {
            let index = match sample.group {
                Group::None => 0,
                Group::Clear => base + 1,
                Group::Other => base + 2,
            };
            sbgp.extend([1_u32.to_be_bytes(), index.to_be_bytes()].concat());
        }
        vec![boxed(b"sgpd", &[sgpd]), boxed(b"sbgp", &[sbgp])]
    }

    /// The auxiliary information, which `saio` says to be at `hidden_at`.
    fn info(&self, hidden_at: u32) -> Vec<Vec<u8>> {
        let (mut sizes, mut aux) = (Vec::new(), Vec::new());
        let subsamples = self.samples.iter().any(|sample| !sample.layout.is_empty());
        for sample in &self.samples {
            let before = aux.len();
            if sample.group != Group::Clear {
                aux.extend(&sample.iv[..self.iv_size.into()]);
            }
            let is_listed = self.info == Info::Senc || sample.group != Group::Clear;
            if subsamples && is_listed {
                let layout: &[_] = if sample.group == Group::Clear { &[] } else { &sample.layout };
                aux.extend((layout.len() as u16).to_be_bytes());
                for (clear, protected) in layout {
                    aux.extend(clear.to_be_bytes());
                    aux.extend(protected.to_be_bytes());
                }
            }
            sizes.push((aux.len() - before) as u8);
        }
        if self.info == Info::Senc {
            let flags = vec![0, 0, 0, if subsamples { 2 } else { 0 }];
            return vec![boxed(b"senc", &[flags, self.count(), aux])];
        }
        let saio = [vec![0, 0, 0, 0, 0, 0, 0, 1], hidden_at.to_be_bytes().to_vec()].concat();
        vec![
            boxed(b"saiz", &[vec![0; 5], self.count(), sizes]),
            boxed(b"saio", &[saio]),
            boxed(b"free", &[b"hide".to_vec(), aux]),
        ]
    }

    fn moof(&self, offset: u32) -> Vec<u8> {
        let mut trun = vec![0, 0, 2, 1];
        trun.extend([self.count(), offset.to_be_bytes().to_vec()].concat());
        trun.extend(self.sizes().flatten());
        let tfhd = boxed(b"tfhd", &[vec![0, 2, 0, 0, 0, 0, 0, 1]]);
        let traf = |hidden_at: u32| {
            let mut boxes = vec![tfhd.clone(), boxed(b"trun", &[trun.clone()])];
            boxes.extend(self.groups(0x1_0000));
            boxes.extend(self.info(hidden_at));
            boxed(b"moof", &[boxed(b"traf", &boxes)])
        };
        let hidden = traf(0).windows(4).position(|window| window == b"hide").unwrap_or(0) + 4;
        traf(hidden as u32)
    }
}

fn boxed(kind: &[u8; 4], parts: &[Vec<u8>]) -> Vec<u8> {
    let body = parts.concat();
    [&(body.len() as u32 + 8).to_be_bytes()[..], kind, &body].concat()
}

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
    let film = (scheme, vec(sample, 1..6), info, any::<bool>());
    film.prop_map(|((scheme, iv_size, pattern), samples, info, is_fragmented)| {
        // A saiz whose entries are all empty says nothing of each; then there is a senc.
        let info = if iv_size == 0 { Info::Senc } else { info };
        Film { scheme, iv_size, pattern, samples, info, is_fragmented }
    })
}

fn keys() -> Keys {
    let pair = |(kid, key): ([u8; 16], [u8; 16])| {
        let hex: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
        (KeyId::from_bytes(kid), ContentKey::parse_hex(&hex).unwrap())
    };
    KIDS.into_iter().zip(KEYS).map(pair).collect()
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
        for gone in [&b"encv"[..], b"sinf", b"senc", b"saiz", b"saio", b"sgpd", b"sbgp"] {
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
                stream.push(&file[from..to], &mut |bytes| clear.extend_from_slice(bytes))
            });
            from = to;
        }
        if !film.is_fragmented && !film.clear().is_empty() {
            prop_assert!(pushed.is_err(), "a sample table in a stream");
            return Ok(());
        }
        pushed.unwrap();
        stream.finish(&mut |bytes| clear.extend_from_slice(bytes)).unwrap();
        let mut whole = file;
        decrypt_file(&keys, &mut whole).unwrap();
        prop_assert_eq!(clear, whole);
    }

    #[test]
    fn without_the_key_nothing_is_changed(film in film()) {
        prop_assume!(film.samples.iter().any(|sample| sample.group != Group::Clear));
        let file = film.file();
        let mut copy = file.clone();
        let error = decrypt_file(&Keys::default(), &mut copy).unwrap_err();
        prop_assert!(matches!(error, Error::MissingKey(kid) if KIDS.contains(kid.as_bytes())));
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
        let (mut stream, mut length) = (Stream::new(&keys), 0);
        let pushed = file.chunks(50).try_for_each(|piece| {
            stream.push(piece, &mut |bytes| length += bytes.len())
        });
        let streamed = pushed.and_then(|()| stream.finish(&mut |bytes| length += bytes.len()));
        if streamed.is_ok() {
            prop_assert_eq!(length, file.len());
        }
        // Who only checks it, and leaves the media out, comes to the same end.
        let (mut check, mut from, mut checked) = (Stream::new(&keys), 0, Ok(()));
        while from < file.len() && checked.is_ok() {
            let to = file.len().min(from + 20);
            checked = check.push(&file[from..to], &mut |_| {});
            from = to + check.skip((file.len() - to) as u64) as usize;
        }
        let checked = checked.and_then(|()| check.finish(&mut |_| {}));
        prop_assert_eq!(checked.is_ok(), streamed.is_ok(), "{:?}, {:?}", checked, streamed);
        prop_assert!(length <= file.len());
        if decrypt_file(&keys, &mut file).is_err() {
            prop_assert_eq!(&file, &before, "an error changes nothing");
        }
        prop_assert_eq!(file.len(), before.len());
    }
}
