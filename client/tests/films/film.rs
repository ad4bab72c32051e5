//! Films of our own making, encrypted block by block as the standard describes it: small, slow, and without the
//! crate's own ciphers.

use std::convert::Infallible;

use aes::cipher::{BlockCipherEncrypt, KeyInit};
use aes::{Aes128, Block};
use reelkey_client::cenc::Keys;
use reelkey_client::key::{ContentKey, KeyId};

/// The keys and their identifiers: the track's, and that of some of its samples.
pub(crate) const KEYS: [[u8; 16]; 2] = [*b"sixteen byte key", *b"another such key"];
pub(crate) const KIDS: [[u8; 16]; 2] = [*b"sixteen byte kid", *b"another such kid"];

/// What a sample is made of: pairs of clear and protected lengths; none: all is protected.
pub(crate) type Layout = Vec<(u16, u32)>;

/// In which group a sample is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Group {
    /// In none: protected as the track is.
    None,
    /// In one that is not protected.
    Clear,
    /// In one with another key.
    Other,
}

impl Group {
    /// The index of its description, where the first has `base` + 1.
    fn index(self, base: u32) -> u32 {
        match self {
            Self::None => 0,
            Self::Clear => base + 1,
            Self::Other => base + 2,
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Sample {
    pub(crate) layout: Layout,
    /// Without a layout.
    pub(crate) length: usize,
    pub(crate) iv: [u8; 16],
    pub(crate) group: Group,
}

/// Where the auxiliary information is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Info {
    Senc,
    /// It hides in a free box, and only `saiz` and `saio` know.
    Hidden,
}

#[derive(Clone, Debug)]
pub(crate) struct Film {
    pub(crate) scheme: &'static [u8; 4],
    /// 8, 16, or 0 for a constant IV.
    pub(crate) iv_size: u8,
    pub(crate) pattern: (u8, u8),
    pub(crate) samples: Vec<Sample>,
    pub(crate) info: Info,
    pub(crate) is_fragmented: bool,
    /// `csgp` instead of `sbgp`, whose fields have this code for their width.
    pub(crate) compact: Option<u8>,
}

impl Sample {
    pub(crate) fn length(&self) -> usize {
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
    pub(crate) fn clear(&self) -> Vec<u8> {
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

    /// Encrypts block by block, as the standard describes it.
    pub(crate) fn encrypt(&self, key: [u8; 16], bytes: &mut [u8], sample: &Sample) {
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
    pub(crate) fn protection(&self, kid: [u8; 16]) -> Vec<u8> {
        let mut fields = vec![0, self.pattern.0 << 4 | self.pattern.1, 1, self.iv_size];
        fields.extend(kid);
        if self.iv_size == 0 {
            fields.push(16);
            fields.extend(self.iv([0; 16]));
        }
        fields
    }

    pub(crate) fn file(&self) -> Vec<u8> {
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
        if let Some(width) = self.compact {
            return vec![boxed(b"sgpd", &[sgpd]), self.compact_groups(base, width)];
        }
        let mut sbgp = [b"\0\0\0\0seig".to_vec(), self.count()].concat();
        for index in self.samples.iter().map(|sample| sample.group.index(base)) {
            sbgp.extend([1_u32.to_be_bytes(), index.to_be_bytes()].concat());
        }
        vec![boxed(b"sgpd", &[sgpd]), boxed(b"sbgp", &[sbgp])]
    }

    /// One pattern as long as there are samples.
    fn compact_groups(&self, base: u32, width: u8) -> Vec<u8> {
        let high_bit = 1 << ((4 << width) - 1);
        let count = self.samples.len() as u32;
        let numbers = self.samples.iter().map(|sample| match sample.group.index(base) {
            local if local > 0xffff => (local - 0x1_0000) | high_bit,
            index => index,
        });
        let mut digits = String::new();
        for number in [count, count].into_iter().chain(numbers) {
            digits.push_str(&format!("{number:0width$x}", width = 1 << width));
        }
        if digits.len() % 2 == 1 {
            digits.push('0');
        }
        let byte =
            |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
        let flags = (u8::from(base > 0) << 7) | (width * 0b1_0101);
        let fields = digits.as_bytes().chunks(2).map(byte).collect();
        boxed(b"csgp", &[vec![0, 0, 0, flags], b"seig\0\0\0\x01".to_vec(), fields])
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

pub(crate) fn boxed(kind: &[u8; 4], parts: &[Vec<u8>]) -> Vec<u8> {
    let body = parts.concat();
    [&(body.len() as u32 + 8).to_be_bytes()[..], kind, &body].concat()
}

pub(crate) fn keys() -> Keys {
    let pair = |(kid, key): ([u8; 16], [u8; 16])| {
        let hex: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
        (KeyId::from_bytes(kid), ContentKey::parse_hex(&hex).unwrap())
    };
    KIDS.into_iter().zip(KEYS).map(pair).collect()
}

/// A sink that drops the clear bytes.
pub(crate) fn nowhere(_: &[u8]) -> Result<(), Infallible> {
    Ok(())
}
