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

use alloc::collections::BTreeMap;
use alloc::collections::btree_map::Entry;
use core::fmt;

use crate::cenc::aux_info::Subsample;
use crate::cenc::block::{BLOCK_BYTES, Forward, Inverse};
use crate::cenc::protection::{Pattern, Protection, Scheme};
use crate::cenc::{Error, Keys};
use crate::key::{ContentKey, KeyId};

/// A key, scheduled for a scheme. Zeroed on drop.
pub(super) enum SampleCipher {
    Cenc(Forward),
    Cens(Forward, Pattern),
    Cbc1(Inverse),
    Cbcs(Inverse, Pattern),
}

impl fmt::Debug for SampleCipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SampleCipher(..)")
    }
}

/// One cipher for each key and way of using it, so that no key is scheduled twice.
#[derive(Debug, Default)]
pub(super) struct Ciphers(BTreeMap<(KeyId, Use), SampleCipher>);

/// The way of using a key: the scheme without its vectors, which may be as many as there are samples.
type Use = (u8, u8, u8);

fn used(scheme: Scheme) -> Use {
    match scheme {
        Scheme::Cenc(_) => (0, 0, 0),
        Scheme::Cbc1(_) => (1, 0, 0),
        Scheme::Cens(_, Pattern { crypt, skip }) => (2, crypt, skip),
        Scheme::Cbcs(_, Pattern { crypt, skip }) => (3, crypt, skip),
    }
}

/// So many are worth keeping: a file may name a pattern for every key and sample.
const KEPT_MAX: usize = 64;

impl Ciphers {
    /// Forgets them if they are many.
    pub(super) fn keep_few(&mut self) {
        if self.0.len() > KEPT_MAX {
            self.0.clear();
        }
    }

    /// Sees to it that there is one.
    ///
    /// # Errors
    /// [`Error::MissingKey`].
    pub(super) fn prepare(&mut self, by: Protection, keys: &Keys) -> Result<(), Error> {
        if let Entry::Vacant(place) = self.0.entry((by.kid, used(by.scheme))) {
            let key = keys.find(by.kid).ok_or(Error::MissingKey(by.kid))?;
            place.insert(SampleCipher::new(by.scheme, key));
        }
        Ok(())
    }

    /// The one that was prepared.
    pub(super) fn find(&self, by: Option<Protection>) -> Option<&SampleCipher> {
        by.and_then(|by| self.0.get(&(by.kid, used(by.scheme))))
    }
}

impl SampleCipher {
    pub(super) fn new(scheme: Scheme, key: &ContentKey) -> Self {
        let key = key.expose();
        match scheme {
            Scheme::Cenc(_) => Self::Cenc(Forward::new(key)),
            Scheme::Cens(_, pattern) => Self::Cens(Forward::new(key), pattern),
            Scheme::Cbc1(_) => Self::Cbc1(Inverse::new(key)),
            Scheme::Cbcs(_, pattern) => Self::Cbcs(Inverse::new(key), pattern),
        }
    }

    /// Decrypts one sample. Without subsamples all of it is protected; with them, they are as long as
    /// it.
    pub(super) fn decrypt(&self, sample: &mut [u8], iv: &[u8; 16], subsamples: &[Subsample]) {
        match self {
            Self::Cenc(aes) => {
                // Goes on in the middle of a block where a subsample ended there.
                let mut stream = aes.key_stream(iv);
                for_each_protected(sample, subsamples, |range| stream.apply(range));
            }
            Self::Cens(aes, pattern) => {
                let mut stream = aes.key_stream(iv);
                for_each_protected(sample, subsamples, |range| {
                    for_each_run(*pattern, range, |run| {
                        stream.apply(run.as_flattened_mut());
                    });
                });
            }
            Self::Cbc1(aes) => {
                let (whole, mut chain) = (Pattern { crypt: 1, skip: 0 }, *iv);
                for_each_protected(sample, subsamples, |range| aes.cbc(whole, &mut chain, range));
            }
            Self::Cbcs(aes, pattern) => {
                for_each_protected(sample, subsamples, |range| {
                    aes.cbc(*pattern, &mut { *iv }, range);
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
