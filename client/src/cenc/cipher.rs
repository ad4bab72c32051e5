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
use crate::cenc::error::Error;
use crate::cenc::keys::Keys;
use crate::cenc::protection::{Pattern, Protection, Scheme};
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

    /// Decrypts the next bytes of a sample of so many bytes, as far as they are there. Answers how many of them are
    /// final: all up to the sample's end, and before it all but part of a block or pattern.
    ///
    /// Without subsamples all of the sample is protected; with them, they are as long as it.
    pub(super) fn decrypt(
        &self,
        progress: &mut Progress,
        bytes: &mut [u8],
        length: usize,
        subsamples: &[Subsample],
    ) -> usize {
        let Progress { place, state } = progress;
        if subsamples.is_empty() {
            let now = self.decrypt_range(state, bytes, length.saturating_sub(place.bytes));
            place.bytes += now;
            return now;
        }
        let mut done = 0;
        while let Some(subsample) = subsamples.get(place.subsample) {
            let clear = usize::from(subsample.clear);
            let protected = usize::try_from(subsample.protected).unwrap_or(usize::MAX);
            let passing = clear.saturating_sub(place.bytes).min(bytes.len() - done);
            (place.bytes, done) = (place.bytes + passing, done + passing);
            let missing = clear.saturating_add(protected).saturating_sub(place.bytes);
            let rest = bytes.get_mut(done..).unwrap_or_default();
            let now = self.decrypt_range(state, rest, missing);
            done += now;
            if now < missing {
                place.bytes += now;
                break;
            }
            *place = Place { subsample: place.subsample + 1, bytes: 0 };
        }
        done
    }

    /// Decrypts a protected range of which so many bytes are `missing`: up to its end, or a multiple of
    /// [`unit_bytes`](Self::unit_bytes). Answers how many bytes of it are final now.
    // Apart from the loop over subsamples, which would have no registers left.
    #[inline(never)]
    fn decrypt_range(&self, state: &mut State, bytes: &mut [u8], missing: usize) -> usize {
        let is_end = missing <= bytes.len();
        let now = if is_end { missing } else { bytes.len() - bytes.len() % self.unit_bytes() };
        let Some(range) = bytes.get_mut(..now) else { return 0 };
        let State { iv, used, chain } = state;
        match self {
            Self::Cenc(aes) => {
                // Goes on in the middle of a block where a subsample ended there.
                aes.xor_key_stream(iv, *used, range);
                *used = used.saturating_add(range.len());
            }
            Self::Cens(aes, pattern) => for_each_run(*pattern, range, |run| {
                aes.xor_key_stream(iv, *used, run);
                *used = used.saturating_add(run.len());
            }),
            Self::Cbc1(aes) => aes.cbc(Pattern { crypt: 1, skip: 0 }, chain, range),
            Self::Cbcs(aes, pattern) => {
                aes.cbc(*pattern, chain, range);
                if is_end {
                    *chain = *iv;
                }
            }
        }
        now
    }

    /// A protected range may be cut after any multiple of as many bytes.
    fn unit_bytes(&self) -> usize {
        match self {
            Self::Cenc(_) => 1,
            Self::Cbc1(_) => BLOCK_BYTES,
            Self::Cens(_, pattern) | Self::Cbcs(_, pattern) => {
                match (pattern.crypt, pattern.skip) {
                    (_, 0) => BLOCK_BYTES,
                    (crypt, skip) => (usize::from(crypt) + usize::from(skip)) * BLOCK_BYTES,
                }
            }
        }
    }
}

/// How far a sample has come.
#[derive(Debug)]
pub(super) struct Progress {
    place: Place,
    state: State,
}

/// In which subsample, and how many bytes of that are done.
#[derive(Debug, Default)]
struct Place {
    subsample: usize,
    bytes: usize,
}

/// What the cipher goes on with.
#[derive(Debug)]
struct State {
    iv: [u8; BLOCK_BYTES],
    /// So many bytes of the key stream are used: of CTR.
    used: usize,
    /// The encrypted block before: of CBC.
    chain: [u8; BLOCK_BYTES],
}

impl Progress {
    /// At the start of a sample with this vector.
    pub(super) fn new(iv: [u8; BLOCK_BYTES]) -> Self {
        Self { place: Place::default(), state: State { iv, used: 0, chain: iv } }
    }
}

/// The encrypted blocks of a protected range, run by run. A last run of fewer blocks than the pattern has is
/// encrypted as far as it goes.
fn for_each_run<'a>(pattern: Pattern, range: &'a mut [u8], mut run: impl FnMut(&'a mut [u8])) {
    let (blocks, _clear_tail) = range.as_chunks_mut::<BLOCK_BYTES>();
    let crypt = usize::from(pattern.crypt);
    if pattern.skip == 0 {
        return run(blocks.as_flattened_mut());
    }
    for period in blocks.chunks_mut(crypt + usize::from(pattern.skip)) {
        let encrypted = period.len().min(crypt);
        if let Some(encrypted) = period.get_mut(..encrypted) {
            run(encrypted.as_flattened_mut());
        }
    }
}
