//! The ciphers of Common Encryption (ISO/IEC 23001-7:2023, 9 and 10), in place.
//!
//! ```text
//! cenc[key, iv](P) = P xor AES-CTR(key, iv), one key stream through all protected bytes of a sample;
//!                    of the counter block the last 64 bits count and wrap (9.6.1)
//! cbcs[key, iv](P) = AES-CBC(key, iv) over the encrypted blocks of the pattern, in each subsample
//!                    from iv on; what is left behind the last whole block is clear (9.6, 10.4)
//! ```

use aes::cipher::{Block, BlockCipherDecrypt, InnerIvInit, KeyInit, StreamCipher};
use aes::{Aes128, Aes128Dec};
use ctr::Ctr64BE;

use crate::cenc::aux_info::Subsample;
use crate::cenc::protection::{Pattern, Scheme};
use crate::key::ContentKey;

const BLOCK_BYTES: usize = 16;

/// As many blocks as the AES unit works on side by side.
const LANES: usize = 8;

/// A key, scheduled for a scheme. Zeroed on drop.
#[derive(Debug)]
pub(super) enum SampleCipher {
    Cenc(Aes128),
    Cbcs(Aes128Dec, Pattern),
}

impl SampleCipher {
    pub(super) fn new(scheme: Scheme, key: &ContentKey) -> Self {
        let key = key.expose().into();
        match scheme {
            Scheme::Cenc(_) => Self::Cenc(Aes128::new(key)),
            Scheme::Cbcs(_, pattern) => Self::Cbcs(Aes128Dec::new(key), pattern),
        }
    }

    /// Decrypts one sample. Without subsamples all of it is protected; with them, they are as long as
    /// it.
    pub(super) fn decrypt(&self, sample: &mut [u8], iv: &[u8; 16], subsamples: &[Subsample]) {
        match self {
            Self::Cenc(aes) => {
                // Goes on in the middle of a block where a subsample ended there.
                let core = ctr::CtrCore::inner_iv_init(aes, iv.into());
                let mut stream = Ctr64BE::<&Aes128>::from_core(core);
                for_each_protected(sample, subsamples, |range| stream.apply_keystream(range));
            }
            Self::Cbcs(aes, pattern) => {
                for_each_protected(sample, subsamples, |range| cbcs(aes, *pattern, iv, range));
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

/// One subsample. A last run of fewer blocks than the pattern has is encrypted as far as it goes.
fn cbcs(aes: &Aes128Dec, pattern: Pattern, iv: &[u8; 16], range: &mut [u8]) {
    let (blocks, _clear_tail) = range.as_chunks_mut::<BLOCK_BYTES>();
    let crypt = usize::from(pattern.crypt);
    let period = crypt + usize::from(pattern.skip);
    let mut chain = *iv;
    let mut lanes = Lanes::default();
    for run in blocks.chunks_mut(period.max(1)) {
        for block in run.iter_mut().take(crypt) {
            if let Some(full) = lanes.push(block) {
                full.decrypt(aes, &mut chain);
            }
        }
    }
    lanes.decrypt(aes, &mut chain);
}

/// Blocks that wait to be decrypted side by side, though they may lie far apart.
#[derive(Default)]
struct Lanes<'a> {
    blocks: [Option<&'a mut [u8; BLOCK_BYTES]>; LANES],
    count: usize,
}

impl<'a> Lanes<'a> {
    /// Adds a block; hands back the lanes once they are full.
    fn push(&mut self, block: &'a mut [u8; BLOCK_BYTES]) -> Option<Self> {
        if let Some(lane) = self.blocks.get_mut(self.count) {
            *lane = Some(block);
            self.count += 1;
        }
        (self.count == LANES).then(|| core::mem::take(self))
    }

    /// AES-CBC decryption (NIST SP 800-38A, 6.2): each block is xored with the ciphertext before it.
    fn decrypt(self, aes: &Aes128Dec, chain: &mut [u8; BLOCK_BYTES]) {
        let mut decrypted = [Block::<Aes128Dec>::default(); LANES];
        for (to, from) in decrypted.iter_mut().zip(self.blocks.iter().flatten()) {
            *to = (**from).into();
        }
        aes.decrypt_blocks(decrypted.get_mut(..self.count).unwrap_or_default());
        for (clear, block) in decrypted.iter().zip(self.blocks.into_iter().flatten()) {
            let ciphertext = *block;
            for ((to, clear), chained) in block.iter_mut().zip(clear).zip(&*chain) {
                *to = clear ^ chained;
            }
            *chain = ciphertext;
        }
    }
}
