//! The ciphers of Common Encryption (ISO/IEC 23001-7:2023, 9 and 10), in place.
//!
//! ```text
//! cenc[key, iv](P) = P xor AES-CTR(key, iv), one key stream through all protected bytes of a sample;
//!                    of the counter block the last 64 bits count and wrap (9.6.1)
//! cens[key, iv](P) = the same key stream through the encrypted blocks of the pattern alone (9.6, 10.3)
//! cbc1[key, iv](P) = AES-CBC(key, iv) through all whole protected blocks of a sample (10.2)
//! cbcs[key, iv](P) = AES-CBC(key, iv) over the encrypted blocks of the pattern, in each subsample
//!                    from iv on (9.6, 10.4)
//!
//! In all but cenc, what is left behind the last whole block of a protected range is clear.
//! ```

use aes::cipher::{Block, BlockCipherDecrypt, InnerIvInit, KeyInit, StreamCipher};
use aes::{Aes128, Aes128Dec};
use ctr::Ctr64BE;

use crate::cenc::aux_info::Subsample;
use crate::cenc::protection::{Pattern, Scheme};
use crate::key::ContentKey;

const BLOCK_BYTES: usize = 16;

/// As many blocks as the widest AES unit works on side by side; narrower ones take them in several steps.
const LANES: usize = 64;

/// So many blocks are as quick one by one.
const FEW: usize = 4;

/// A key, scheduled for a scheme. Zeroed on drop.
#[derive(Debug)]
pub(super) enum SampleCipher {
    Cenc(Aes128),
    Cens(Aes128, Pattern),
    Cbc1(Aes128Dec),
    Cbcs(Aes128Dec, Pattern),
}

impl SampleCipher {
    pub(super) fn new(scheme: Scheme, key: &ContentKey) -> Self {
        let key = key.expose().into();
        match scheme {
            Scheme::Cenc(_) => Self::Cenc(Aes128::new(key)),
            Scheme::Cens(_, pattern) => Self::Cens(Aes128::new(key), pattern),
            Scheme::Cbc1(_) => Self::Cbc1(Aes128Dec::new(key)),
            Scheme::Cbcs(_, pattern) => Self::Cbcs(Aes128Dec::new(key), pattern),
        }
    }

    /// Decrypts one sample. Without subsamples all of it is protected; with them, they are as long as
    /// it.
    pub(super) fn decrypt(&self, sample: &mut [u8], iv: &[u8; 16], subsamples: &[Subsample]) {
        match self {
            Self::Cenc(aes) => {
                // Goes on in the middle of a block where a subsample ended there.
                let mut stream = key_stream(aes, iv);
                for_each_protected(sample, subsamples, |range| stream.apply_keystream(range));
            }
            Self::Cens(aes, pattern) => {
                let mut stream = key_stream(aes, iv);
                for_each_protected(sample, subsamples, |range| {
                    for_each_run(*pattern, range, |run| {
                        stream.apply_keystream(run.as_flattened_mut());
                    });
                });
            }
            Self::Cbc1(aes) => {
                let (whole, mut chain) = (Pattern { crypt: 1, skip: 0 }, *iv);
                for_each_protected(sample, subsamples, |range| cbc(aes, whole, &mut chain, range));
            }
            Self::Cbcs(aes, pattern) => {
                for_each_protected(sample, subsamples, |range| {
                    cbc(aes, *pattern, &mut { *iv }, range)
                });
            }
        }
    }
}

fn for_each_protected(
    sample: &mut [u8],
    subsamples: &[Subsample],
    mut decrypt: impl FnMut(&mut [u8]),
) {
    if subsamples.is_empty() {
        return decrypt(sample);
    }
    let mut rest = sample;
    for subsample in subsamples {
        let clear = usize::from(subsample.clear);
        let protected = usize::try_from(subsample.protected).unwrap_or(usize::MAX);
        // The plan has held the subsamples to the sample's length.
        let Some((_, after)) = rest.split_at_mut_checked(clear) else { return };
        let Some((range, after)) = after.split_at_mut_checked(protected) else { return };
        decrypt(range);
        rest = after;
    }
}

fn key_stream<'a>(aes: &'a Aes128, iv: &[u8; 16]) -> Ctr64BE<&'a Aes128> {
    Ctr64BE::from_core(ctr::CtrCore::inner_iv_init(aes, iv.into()))
}

/// The encrypted blocks of a protected range, run by run. A last run of fewer blocks than the pattern has is
/// encrypted as far as it goes.
fn for_each_run<'a>(
    pattern: Pattern,
    range: &'a mut [u8],
    mut run: impl FnMut(&'a mut [[u8; BLOCK_BYTES]]),
) {
    let (blocks, _clear_tail) = range.as_chunks_mut::<BLOCK_BYTES>();
    let crypt = usize::from(pattern.crypt);
    if pattern.skip == 0 {
        return run(blocks);
    }
    for period in blocks.chunks_mut(crypt + usize::from(pattern.skip)) {
        let encrypted = period.len().min(crypt);
        if let Some(encrypted) = period.get_mut(..encrypted) {
            run(encrypted);
        }
    }
}

/// AES-CBC over the encrypted blocks of a protected range; `chain` is the block before, and the last one afterwards.
fn cbc(aes: &Aes128Dec, pattern: Pattern, chain: &mut [u8; BLOCK_BYTES], range: &mut [u8]) {
    let (blocks, _clear_tail) = range.as_chunks_mut::<BLOCK_BYTES>();
    let (crypt, skip) = (usize::from(pattern.crypt), usize::from(pattern.skip));
    if skip == 0 {
        for group in blocks.chunks_mut(LANES) {
            let mut lanes = Lanes::default();
            (0..group.len()).for_each(|at| lanes.push(at));
            lanes.decrypt(aes, group, chain);
        }
        return;
    }
    let mut lanes = Lanes::default();
    for run in (0..blocks.len()).step_by(crypt + skip) {
        for at in run..blocks.len().min(run + crypt) {
            lanes.push(at);
            if lanes.count == LANES {
                lanes.decrypt(aes, blocks, chain);
            }
        }
    }
    lanes.decrypt(aes, blocks, chain);
}

/// Blocks that wait to be decrypted side by side, though they may lie far apart: where each of them is.
struct Lanes {
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
        aes: &Aes128Dec,
        blocks: &mut [[u8; BLOCK_BYTES]],
        chain: &mut [u8; BLOCK_BYTES],
    ) {
        let lanes = self.at.get(..self.count).unwrap_or_default();
        let mut decrypted = [Block::<Aes128Dec>::default(); LANES];
        for (to, at) in decrypted.iter_mut().zip(lanes) {
            if let Some(from) = blocks.get(*at) {
                *to = (*from).into();
            }
        }
        // All lanes at once cost less than a few one by one, though some are empty.
        let length = if self.count > FEW { LANES } else { self.count };
        aes.decrypt_blocks(decrypted.get_mut(..length).unwrap_or_default());
        for (clear, at) in decrypted.iter().zip(lanes) {
            let Some(block) = blocks.get_mut(*at) else { continue };
            let clear = u128::from_ne_bytes((*clear).into()) ^ u128::from_ne_bytes(*chain);
            *chain = core::mem::replace(block, clear.to_ne_bytes());
        }
        self.count = 0;
    }
}
