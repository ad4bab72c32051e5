//! AES-128 in counter mode and in CBC: with [`wide`] on CPUs that have VAES, with the `aes` crate on
//! others.
//!
//! Deliberately absent: schemes and samples, which [`cipher`](crate::cenc::cipher) knows.

use alloc::boxed::Box;

use aes::cipher::{Array, BlockCipherDecrypt, InnerIvInit, KeyInit, StreamCipher};
use aes::{Aes128, Aes128Dec};
use ctr::Ctr64BE;

use crate::cenc::protection::Pattern;
#[cfg(all(feature = "std", target_arch = "x86_64"))]
use crate::cenc::wide;

/// The size of a block.
pub(super) const BLOCK_BYTES: usize = 16;

/// The number of blocks that the widest AES unit works on side by side. Narrower units take them in several steps.
const LANES: usize = 64;

/// Up to this many blocks take no longer one by one.
const FEW: usize = 4;

/// A scheduled key that encrypts counters. Zeroed on drop.
pub(super) enum Forward {
    #[cfg(all(feature = "std", target_arch = "x86_64"))]
    Wide(wide::Forward),
    Portable(Box<Aes128>),
}

impl Forward {
    pub(super) fn new(key: &[u8; BLOCK_BYTES]) -> Self {
        #[cfg(all(feature = "std", target_arch = "x86_64"))]
        if let Some(wide) = wide::Forward::new(key) {
            return Self::Wide(wide);
        }
        Self::portable(key)
    }

    fn portable(key: &[u8; BLOCK_BYTES]) -> Self {
        Self::Portable(Box::new(Aes128::new(key.into())))
    }

    /// AES in counter mode from the counter block `iv` on, of which the last 64 bits count and wrap
    /// (ISO/IEC 23001-7:2023, 9.3). `used` bytes of its key stream are passed over.
    pub(super) fn xor_key_stream(&self, iv: &[u8; BLOCK_BYTES], used: usize, bytes: &mut [u8]) {
        let end = (BLOCK_BYTES - used % BLOCK_BYTES) % BLOCK_BYTES;
        let Some((end, rest)) = bytes.split_at_mut_checked(end.min(bytes.len())) else { return };
        if !end.is_empty() {
            self.xor_end_of_block(iv, used, end);
        }
        self.xor_blocks(counter(iv, used.div_ceil(BLOCK_BYTES)), rest);
    }

    /// The rest of a block that was begun.
    // Not inlined, like the lanes below: both are rare and would slow down the frequent case.
    #[inline(never)]
    fn xor_end_of_block(&self, iv: &[u8; BLOCK_BYTES], used: usize, end: &mut [u8]) {
        let mut keys = [0; BLOCK_BYTES];
        self.xor_blocks(counter(iv, used / BLOCK_BYTES), &mut keys);
        let keys = keys.iter().skip(used % BLOCK_BYTES);
        end.iter_mut().zip(keys).for_each(|(byte, key)| *byte ^= key);
    }

    /// Xors the key stream from the start of a block on.
    fn xor_blocks(&self, counter: u128, bytes: &mut [u8]) {
        match self {
            #[cfg(all(feature = "std", target_arch = "x86_64"))]
            Self::Wide(aes) => aes.xor_key_stream(counter, bytes),
            Self::Portable(aes) => {
                let core = ctr::CtrCore::inner_iv_init(&**aes, &counter.to_be_bytes().into());
                Ctr64BE::from_core(core).apply_keystream(bytes);
            }
        }
    }
}

/// The counter block that is `blocks` behind `iv`. Its upper half never changes.
fn counter(iv: &[u8; BLOCK_BYTES], blocks: usize) -> u128 {
    let (iv, count) = (u128::from_be_bytes(*iv), u128::from(u64::MAX));
    let on = iv.wrapping_add(u128::try_from(blocks).unwrap_or(0));
    (iv & !count) | (on & count)
}

/// A scheduled key that decrypts blocks. Zeroed on drop.
pub(super) enum Inverse {
    #[cfg(all(feature = "std", target_arch = "x86_64"))]
    Wide(wide::Inverse),
    Portable(Box<Aes128Dec>),
}

impl Inverse {
    pub(super) fn new(key: &[u8; BLOCK_BYTES]) -> Self {
        #[cfg(all(feature = "std", target_arch = "x86_64"))]
        if let Some(wide) = wide::Inverse::new(key) {
            return Self::Wide(wide);
        }
        Self::portable(key)
    }

    fn portable(key: &[u8; BLOCK_BYTES]) -> Self {
        Self::Portable(Box::new(Aes128Dec::new(key.into())))
    }

    /// AES-CBC over the encrypted blocks of a protected range. `chain` is the encrypted block before them, and becomes the
    /// last of them.
    pub(super) fn cbc(&self, pattern: Pattern, chain: &mut [u8; BLOCK_BYTES], range: &mut [u8]) {
        let (blocks, _clear_tail) = range.as_chunks_mut::<BLOCK_BYTES>();
        match (self, pattern.crypt, pattern.skip) {
            // The patterns of audio and video.
            #[cfg(all(feature = "std", target_arch = "x86_64"))]
            (Self::Wide(aes), _, 0) => aes.cbc::<1>(blocks, chain),
            #[cfg(all(feature = "std", target_arch = "x86_64"))]
            (Self::Wide(aes), 1, 9) => aes.cbc::<10>(blocks, chain),
            (_, _, 0) => self.cbc_by_lanes(Pattern { crypt: 1, skip: 0 }, chain, blocks),
            _ => self.cbc_by_lanes(pattern, chain, blocks),
        }
    }

    #[inline(never)]
    fn cbc_by_lanes(
        &self,
        pattern: Pattern,
        chain: &mut [u8; BLOCK_BYTES],
        blocks: &mut [[u8; BLOCK_BYTES]],
    ) {
        let (crypt, skip) = (usize::from(pattern.crypt), usize::from(pattern.skip));
        let mut lanes = Lanes::default();
        for run in (0..blocks.len()).step_by(crypt + skip) {
            for at in run..blocks.len().min(run + crypt) {
                lanes.push(at);
                if lanes.count == LANES {
                    lanes.decrypt(self, blocks, chain);
                }
            }
        }
        lanes.decrypt(self, blocks, chain);
    }

    /// Decrypts the first `used` blocks, each by itself. The others have no meaning afterwards.
    fn decrypt(&self, lanes: &mut [[u8; BLOCK_BYTES]; LANES], used: usize) {
        match self {
            #[cfg(all(feature = "std", target_arch = "x86_64"))]
            Self::Wide(aes) => {
                let (groups, _) = lanes.as_chunks_mut::<{ wide::LANES }>();
                let used = used.div_ceil(wide::LANES).min(groups.len());
                aes.decrypt(groups.get_mut(..used).unwrap_or_default());
            }
            Self::Portable(aes) => {
                // All lanes at once take less time than several one by one, though some are empty.
                let used = if used > FEW { LANES } else { used };
                let lanes = lanes.get_mut(..used).unwrap_or_default();
                aes.decrypt_blocks(Array::cast_slice_from_core_mut(lanes));
            }
        }
    }
}

/// Blocks that wait to be decrypted side by side. They may lie far apart.
struct Lanes {
    /// The index of each of these blocks in the protected range.
    at: [usize; LANES],
    count: usize,
}

impl Default for Lanes {
    fn default() -> Self {
        Self { at: [0; LANES], count: 0 }
    }
}

impl Lanes {
    /// Adds a block, while there are fewer than [`LANES`].
    fn push(&mut self, at: usize) {
        if let Some(lane) = self.at.get_mut(self.count) {
            *lane = at;
            self.count += 1;
        }
    }

    /// AES-CBC decryption (NIST SP 800-38A, 6.2): each block is xored with the ciphertext before it. Leaves the lanes
    /// empty.
    fn decrypt(
        &mut self,
        aes: &Inverse,
        blocks: &mut [[u8; BLOCK_BYTES]],
        chain: &mut [u8; BLOCK_BYTES],
    ) {
        let lanes = self.at.get(..self.count).unwrap_or_default();
        let mut decrypted = [[0; BLOCK_BYTES]; LANES];
        for (to, at) in decrypted.iter_mut().zip(lanes) {
            if let Some(from) = blocks.get(*at) {
                *to = *from;
            }
        }
        aes.decrypt(&mut decrypted, self.count);
        for (clear, at) in decrypted.iter().zip(lanes) {
            let Some(block) = blocks.get_mut(*at) else { continue };
            let clear = u128::from_ne_bytes(*clear) ^ u128::from_ne_bytes(*chain);
            *chain = core::mem::replace(block, clear.to_ne_bytes());
        }
        self.count = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    const KEY: [u8; 16] = *b"sixteen secrets.";

    /// On a CPU without wide instructions both are the portable one.
    #[test]
    fn wide_and_portable_aes_make_the_same_key_stream() {
        let (wide, portable) = (Forward::new(&KEY), Forward::portable(&KEY));
        for iv in [[0; 16], [0xff; 16], *b"12345678\xff\xff\xff\xff\xff\xff\xff\xfe"] {
            // Every number of pairs and every rest of one, and ranges that go on in the middle of a block.
            for (first, second) in (0..=600).zip((0..=70).cycle()).chain([(4099, 4099)]) {
                let mut bytes: Vec<u8> = (0..=u8::MAX).cycle().take(2 * first + second).collect();
                let mut same = bytes.clone();
                portable.xor_key_stream(&iv, 0, &mut same);
                for range in [0..first, first..first + second, first + second..bytes.len()] {
                    wide.xor_key_stream(&iv, range.start, &mut bytes[range]);
                }
                assert_eq!(bytes, same, "{first} and {second} bytes");
            }
        }
    }

    #[test]
    fn wide_and_portable_aes_decrypt_the_same_blocks() {
        let (wide, portable) = (Inverse::new(&KEY), Inverse::portable(&KEY));
        for used in [1, 4, 5, 16, 17, 63, 64] {
            let mut lanes: [[u8; 16]; LANES] = core::array::from_fn(|at| [at.to_le_bytes()[0]; 16]);
            let mut same = lanes;
            wide.decrypt(&mut lanes, used);
            portable.decrypt(&mut same, used);
            assert_eq!(lanes[..used], same[..used]);
        }
    }

    #[test]
    fn wide_and_portable_aes_chain_the_same_blocks() {
        let (wide, portable) = (Inverse::new(&KEY), Inverse::portable(&KEY));
        for (crypt, skip) in [(0, 0), (1, 0), (1, 1), (1, 9), (5, 5), (10, 0)] {
            // Every number of periods up to two groups, and every rest of one.
            for length in (0..=32 * 160).step_by(16).chain([1, 15, 17, 338, 10_001]) {
                let mut bytes: Vec<u8> = (0..=u8::MAX).cycle().take(length).collect();
                let (mut same, mut chain) = (bytes.clone(), [7; 16]);
                let mut same_chain = chain;
                let pattern = Pattern { crypt, skip };
                wide.cbc(pattern, &mut chain, &mut bytes);
                portable.cbc(pattern, &mut same_chain, &mut same);
                assert_eq!((bytes, chain), (same, same_chain), "{pattern:?}, {length}");
            }
        }
    }

    /// FIPS 197, C.1: the key stream of a counter that is the plaintext is the ciphertext.
    #[test]
    fn the_example_of_fips_197_agrees() {
        let key = 0x0001_0203_0405_0607_0809_0a0b_0c0d_0e0f_u128.to_be_bytes();
        let clear = 0x0011_2233_4455_6677_8899_aabb_ccdd_eeff_u128.to_be_bytes();
        let encrypted = 0x69c4_e0d8_6a7b_0430_d8cd_b780_70b4_c55a_u128.to_be_bytes();
        for aes in [Forward::new(&key), Forward::portable(&key)] {
            let mut block = [0; 16];
            aes.xor_key_stream(&clear, 0, &mut block);
            assert_eq!(block, encrypted);
        }
        for aes in [Inverse::new(&key), Inverse::portable(&key)] {
            let mut lanes = [encrypted; LANES];
            aes.decrypt(&mut lanes, LANES);
            assert_eq!(lanes, [clear; LANES]);
        }
    }
}
