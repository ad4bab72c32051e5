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
use reelkey_client::cenc::{Error, Keys, decrypt_file};
use reelkey_client::key::{ContentKey, KeyId};

const KEY: [u8; 16] = *b"sixteen byte key";
const KID: [u8; 16] = *b"sixteen byte kid";

/// What a sample is made of: pairs of clear and protected lengths; none: all is protected.
type Layout = Vec<(u16, u32)>;

#[derive(Clone, Debug)]
struct Film {
    scheme: &'static [u8; 4],
    /// 8, 16, or 0 for a constant vector.
    iv_size: u8,
    pattern: (u8, u8),
    samples: Vec<(Layout, usize, [u8; 16])>,
    with_senc: bool,
}

impl Film {
    fn length(sample: &(Layout, usize, [u8; 16])) -> usize {
        match sample.0.as_slice() {
            [] => sample.1,
            pairs => {
                pairs.iter().map(|(clear, protected)| *clear as usize + *protected as usize).sum()
            }
        }
    }

    fn iv(&self, own: [u8; 16]) -> [u8; 16] {
        let mut iv = [0; 16];
        let source = if self.iv_size == 0 { *b"constant vector!" } else { own };
        let length = if self.iv_size == 8 { 8 } else { 16 };
        iv[..length].copy_from_slice(&source[..length]);
        iv
    }

    /// The clear samples: a pattern that is nowhere the same.
    fn clear(&self) -> Vec<u8> {
        let total: usize = self.samples.iter().map(Self::length).sum();
        (0..total).map(|n| (n * 7 + n / 256) as u8).collect()
    }

    fn encrypted(&self) -> Vec<u8> {
        let mut media = self.clear();
        let mut rest = media.as_mut_slice();
        for sample in &self.samples {
            let (bytes, following) = rest.split_at_mut(Self::length(sample));
            self.encrypt(bytes, &sample.0, self.iv(sample.2));
            rest = following;
        }
        media
    }

    fn encrypt(&self, sample: &mut [u8], layout: &Layout, iv: [u8; 16]) {
        let whole = vec![(0, sample.len() as u32)];
        let aes = Aes128::new(&KEY.into());
        let block = |input: [u8; 16]| {
            let mut block = Block::from(input);
            aes.encrypt_block(&mut block);
            <[u8; 16]>::from(block)
        };
        let (mut at, mut stream) = (0, 0_u64);
        for (clear, protected) in if layout.is_empty() { &whole } else { layout } {
            at += *clear as usize;
            let range = &mut sample[at..at + *protected as usize];
            at += *protected as usize;
            if self.scheme == b"cenc" {
                for byte in range {
                    let mut counter = iv;
                    let low = u64::from_be_bytes(iv[8..].try_into().unwrap());
                    counter[8..].copy_from_slice(&low.wrapping_add(stream / 16).to_be_bytes());
                    *byte ^= block(counter)[stream as usize % 16];
                    stream += 1;
                }
                continue;
            }
            let (crypt, skip) = self.pattern;
            let period = (crypt + skip).max(1) as usize;
            let mut chain = iv;
            for (number, chunk) in range.chunks_exact_mut(16).enumerate() {
                if skip > 0 && number % period >= crypt as usize {
                    continue;
                }
                let mut input = [0; 16];
                for (to, (a, b)) in input.iter_mut().zip(chunk.iter().zip(chain)) {
                    *to = a ^ b;
                }
                chain = block(input);
                chunk.copy_from_slice(&chain);
            }
        }
    }

    fn file(&self) -> Vec<u8> {
        let mut tenc = vec![1, 0, 0, 0, 0, self.pattern.0 << 4 | self.pattern.1, 1, self.iv_size];
        tenc.extend(KID);
        if self.iv_size == 0 {
            tenc.push(16);
            tenc.extend(self.iv([0; 16]));
        }
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
        let stsz = boxed(b"stsz", &[vec![0; 12]]);
        let stbl = boxed(b"stbl", &[stsd, stsz]);
        let tkhd = boxed(b"tkhd", &[vec![0; 12], vec![0, 0, 0, 1], vec![0; 68]]);
        let trak = boxed(b"trak", &[tkhd, boxed(b"mdia", &[boxed(b"minf", &[stbl])])]);
        let trex = boxed(b"trex", &[vec![0; 4], vec![0, 0, 0, 1], vec![0, 0, 0, 1], vec![0; 12]]);
        let moov = boxed(b"moov", &[trak, boxed(b"mvex", &[trex])]);
        let media = self.encrypted();
        let offset = (self.moof(0).len() + 8) as u32;
        [moov, self.moof(offset), boxed(b"mdat", &[media])].concat()
    }

    fn moof(&self, offset: u32) -> Vec<u8> {
        let count = (self.samples.len() as u32).to_be_bytes();
        let mut trun = [&[0, 0, 2, 1][..], &count, &offset.to_be_bytes()].concat();
        let (mut senc, mut sizes, mut aux) = (Vec::new(), Vec::new(), Vec::new());
        let subsamples = self.samples.iter().any(|sample| !sample.0.is_empty());
        for sample in &self.samples {
            trun.extend((Self::length(sample) as u32).to_be_bytes());
            let before = aux.len();
            aux.extend(&sample.2[..self.iv_size.into()]);
            if subsamples {
                aux.extend((sample.0.len() as u16).to_be_bytes());
                for (clear, protected) in &sample.0 {
                    aux.extend(clear.to_be_bytes());
                    aux.extend(protected.to_be_bytes());
                }
            }
            sizes.push((aux.len() - before) as u8);
        }
        senc.extend([0, 0, 0, if subsamples { 2 } else { 0 }]);
        senc.extend(count);
        senc.extend(&aux);
        let tfhd = boxed(b"tfhd", &[vec![0, 2, 0, 0, 0, 0, 0, 1]]);
        let mut boxes = vec![tfhd, boxed(b"trun", &[trun])];
        if self.with_senc {
            boxes.push(boxed(b"senc", &[senc]));
        } else {
            // The information hides in a free box, and only saiz and saio know.
            let saiz = boxed(b"saiz", &[vec![0; 5], count.to_vec(), sizes]);
            let before: usize = 8 + 8 + boxes.iter().map(Vec::len).sum::<usize>();
            let at = (before + saiz.len() + 20 + 8) as u32;
            boxes.push(saiz);
            boxes.push(boxed(b"saio", &[vec![0, 0, 0, 0, 0, 0, 0, 1], at.to_be_bytes().to_vec()]));
            boxes.push(boxed(b"free", &[aux]));
        }
        boxed(b"moof", &[boxed(b"traf", &boxes)])
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
    let sample = (layout, 0_usize..600, any::<[u8; 16]>());
    let scheme =
        prop_oneof![
            (prop::sample::select(&[8_u8, 16])).prop_map(|iv| (b"cenc", iv, (0, 0))),
            (prop::sample::select(&[0_u8, 8, 16]), 1_u8..11, 0_u8..11)
                .prop_map(|(iv, crypt, skip)| (b"cbcs", iv, (crypt, skip))),
            Just((b"cbcs", 0, (0, 0))),
        ];
    (scheme, vec(sample, 1..6), any::<bool>()).prop_map(
        |((scheme, iv_size, pattern), samples, with_senc)| {
            // A box without any entry says nothing; then there is none.
            let film = Film { scheme, iv_size, pattern, samples, with_senc };
            Film { with_senc: film.with_senc || film.iv_size == 0, ..film }
        },
    )
}

fn keys() -> Keys {
    let hex: String = KEY.iter().map(|byte| format!("{byte:02x}")).collect();
    [(KeyId::from_bytes(KID), ContentKey::parse_hex(&hex).unwrap())].into_iter().collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn what_was_encrypted_decrypts(film in film()) {
        let mut file = film.file();
        decrypt_file(&keys(), &mut file).unwrap();
        let clear = film.clear();
        prop_assert!(file.ends_with(&clear));
        for gone in [&b"encv"[..], b"sinf", b"senc", b"saiz", b"saio"] {
            let boxes = &file[..file.len() - clear.len()];
            prop_assert!(!boxes.windows(4).any(|window| window == gone), "{:?}", gone);
        }
    }

    #[test]
    fn without_the_key_nothing_is_changed(film in film()) {
        let file = film.file();
        let mut copy = file.clone();
        let error = decrypt_file(&Keys::default(), &mut copy).unwrap_err();
        prop_assert!(matches!(error, Error::MissingKey(kid) if *kid.as_bytes() == KID));
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
        if decrypt_file(&keys(), &mut file).is_err() {
            prop_assert_eq!(&file, &before, "an error changes nothing");
        }
        prop_assert_eq!(file.len(), before.len());
    }
}
