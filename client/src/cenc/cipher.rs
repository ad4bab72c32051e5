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
//! In all but cenc, the bytes behind the last whole block of a protected range are clear.
//! ```
//!
//! Deliberately absent: AES itself, which [`block`](crate::cenc::block) has, and encryption.

use alloc::collections::{BTreeMap, BTreeSet};
use core::fmt;

use crate::cenc::aux_info::Subsample;
use crate::cenc::block::{BLOCK_BYTES, Forward, Inverse};
use crate::cenc::error::Error;
use crate::cenc::init::Init;
use crate::cenc::keys::{Found, Keys};
use crate::cenc::notes::{Note, Notes};
use crate::cenc::protection::{IvBlock, Pattern, Protection, Scheme};
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
pub(super) struct Ciphers {
    by_id: BTreeMap<CipherId, SampleCipher>,
    /// The tracks that have a key of their own.
    tracks: BTreeSet<u32>,
    /// The KID that the only key is for, once one needed it.
    only: Option<KeyId>,
    /// Notes about the keys that were used.
    pub(super) notes: Notes,
}

/// A key and the way of using it: the scheme without IVs, of which there may be as many as samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct CipherId {
    kid: KeyId,
    /// The track, if it has a key of its own.
    track: Option<u32>,
    mode: Mode,
    /// Of the modes that have one.
    pattern: Option<Pattern>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Mode {
    Cenc,
    Cbc1,
    Cens,
    Cbcs,
}

impl CipherId {
    fn of(by: Protection, track: Option<u32>) -> Self {
        let (mode, pattern) = match by.scheme {
            Scheme::Cenc(_) => (Mode::Cenc, None),
            Scheme::Cbc1(_) => (Mode::Cbc1, None),
            Scheme::Cens(_, pattern) => (Mode::Cens, Some(pattern)),
            Scheme::Cbcs(_, pattern) => (Mode::Cbcs, Some(pattern)),
        };
        Self { kid: by.kid, track, mode, pattern }
    }
}

/// The most ciphers that are kept from one fragment to the next: a file may name a pattern for every key and sample.
const KEPT_MAX: usize = 64;

impl Ciphers {
    /// Whether no sample has needed a key so far.
    pub(super) fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// Removes all ciphers if they are more than [`KEPT_MAX`].
    pub(super) fn keep_few(&mut self) {
        if self.by_id.len() > KEPT_MAX {
            self.by_id.clear();
        }
    }

    /// Creates the cipher for samples of this track that are protected so, if there is none yet.
    ///
    /// # Errors
    /// [`Error::MissingKey`], [`Error::SeveralKids`].
    pub(super) fn prepare(&mut self, track: u32, by: Protection, keys: &Keys) -> Result<(), Error> {
        let kid = by.kid;
        if self.find(track, Some(by)).is_some() {
            return Ok(());
        }
        let (key, found) = keys.find(track, kid).ok_or_else(|| keys.missing(track, kid))?;
        match found {
            Found::Track => _ = self.tracks.insert(track),
            Found::SwappedKid => self.notes.add(Note::SwappedKid { kid }),
            Found::Only => self.bind_only(kid)?,
            Found::Kid => {}
        }
        let cipher = SampleCipher::new(by.scheme, key);
        self.by_id.insert(self.id_of(track, by), cipher);
        Ok(())
    }

    /// Binds the only key to the KID of the tracks that have no other key.
    ///
    /// # Errors
    /// [`Error::SeveralKids`].
    pub(super) fn bind_only_of(&mut self, init: &Init, keys: &Keys) -> Result<(), Error> {
        for (track, facts) in &init.tracks {
            for kid in facts.kids() {
                if let Some((_, Found::Only)) = keys.find(*track, kid) {
                    self.bind_only(kid)?;
                }
            }
        }
        Ok(())
    }

    /// Binds the only key to its KID.
    ///
    /// # Errors
    /// [`Error::SeveralKids`] if it is bound to another.
    pub(super) fn bind_only(&mut self, kid: KeyId) -> Result<(), Error> {
        match *self.only.get_or_insert(kid) {
            bound if bound == kid => Ok(()),
            bound => Err(Error::SeveralKids(bound, kid)),
        }
    }

    /// The cipher that [`prepare`](Self::prepare) created.
    pub(super) fn find(&self, track: u32, by: Option<Protection>) -> Option<&SampleCipher> {
        by.and_then(|by| self.by_id.get(&self.id_of(track, by)))
    }

    fn id_of(&self, track: u32, by: Protection) -> CipherId {
        CipherId::of(by, self.tracks.contains(&track).then_some(track))
    }
}

impl SampleCipher {
    /// Schedules `content_key` for a scheme.
    fn new(scheme: Scheme, content_key: &ContentKey) -> Self {
        let key = content_key.expose();
        match scheme {
            Scheme::Cenc(_) => Self::Cenc(Forward::new(key)),
            Scheme::Cens(_, pattern) => Self::Cens(Forward::new(key), pattern),
            Scheme::Cbc1(_) => Self::Cbc1(Inverse::new(key)),
            Scheme::Cbcs(_, pattern) => Self::Cbcs(Inverse::new(key), pattern),
        }
    }

    /// Decrypts the next bytes of a sample of `length` bytes, as far as they are there. Returns how many of them are final:
    /// all at the end of the sample, and before it all but part of a block or pattern.
    ///
    /// Without subsamples all of the sample is protected; otherwise they are as long as the sample.
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

    /// Decrypts a protected range, of which `missing` bytes are not final: up to its end, or a multiple of
    /// [`unit_bytes`](Self::unit_bytes). Returns how many more bytes are final.
    // Not inlined: the loop over subsamples would have no registers left.
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

    /// A protected range may be cut behind any multiple of this many bytes.
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

/// How far the decryption of a sample has come.
#[derive(Debug)]
pub(super) struct Progress {
    place: Place,
    state: State,
}

/// Where the next byte of a sample is.
#[derive(Debug, Default)]
struct Place {
    /// The index of its subsample.
    subsample: usize,
    /// How many bytes of the subsample come before it.
    bytes: usize,
}

/// What the cipher goes on with.
#[derive(Debug)]
struct State {
    iv: IvBlock,
    /// For CTR: how many bytes of the key stream are used.
    used: usize,
    /// For CBC: the encrypted block before.
    chain: [u8; BLOCK_BYTES],
}

impl Progress {
    /// At the start of a sample with this IV.
    pub(super) fn new(iv: IvBlock) -> Self {
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
