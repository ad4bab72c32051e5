//! AES-128 by the instructions that work on two blocks at once (VAES), sixteen blocks in flight.
//!
//! The rounds are those of FIPS 197, 5.1 and 5.3.5, one instruction each; what is ours is their order and the
//! counter. Only where the CPU has them: [`Forward::new`] and [`Inverse::new`] ask it. Everywhere else, and for the
//! keys of licenses, the `aes` crate does the work; it leaves VAES alone on CPUs without AVX-512.

use alloc::boxed::Box;
use core::arch::x86_64::__m256i;

use archmage::{SimdToken, X64V3CryptoToken, arcane, rite};
use zeroize::Zeroizing;

const BLOCK_BYTES: usize = 16;
const PAIR_BYTES: usize = 2 * BLOCK_BYTES;
const ROUND_KEYS: usize = 11;

/// So many blocks hide how long each of them takes.
pub(super) const LANES: usize = 16;

/// As many bytes as [`LANES`] blocks have.
const GROUP_BYTES: usize = LANES * BLOCK_BYTES;

/// Every round key twice, as two blocks take it. Zeroed on drop.
type RoundKeys = Box<Zeroizing<[[u8; PAIR_BYTES]; ROUND_KEYS]>>;

/// A key that encrypts blocks: of counters, here.
pub(super) struct Forward {
    cpu: X64V3CryptoToken,
    keys: RoundKeys,
}

impl Forward {
    /// Schedules a key, if the CPU has what it takes.
    pub(super) fn new(key: &[u8; BLOCK_BYTES]) -> Option<Self> {
        let cpu = X64V3CryptoToken::summon()?;
        let mut keys = RoundKeys::default();
        schedule(cpu, key, &mut keys);
        Some(Self { cpu, keys })
    }

    /// The key stream from the counter block `iv` on.
    pub(super) fn key_stream(&self, iv: &[u8; BLOCK_BYTES]) -> KeyStream<'_> {
        let iv = u128::from_be_bytes(*iv);
        KeyStream { aes: self, iv, pool: [0; GROUP_BYTES], used: GROUP_BYTES }
    }
}

/// AES in counter mode, of whose counter block the last 64 bits count (ISO/IEC 23001-7:2023, 9.3).
pub(super) struct KeyStream<'a> {
    aes: &'a Forward,
    /// The next counter block.
    iv: u128,
    /// Key stream that was made and not wanted yet: a range may end in the middle of a group. It is not zeroed, for it
    /// opens nothing but the media that it was made for, which lies clear beside it.
    pool: [u8; GROUP_BYTES],
    used: usize,
}

impl KeyStream<'_> {
    /// Encrypts or decrypts the next bytes.
    pub(super) fn apply(&mut self, bytes: &mut [u8]) {
        let pool = self.pool.get(self.used..).unwrap_or_default();
        let left = pool.len().min(bytes.len());
        for (byte, key) in bytes.iter_mut().zip(pool) {
            *byte ^= key;
        }
        self.used += left;
        let rest = bytes.get_mut(left..).unwrap_or_default();
        if !rest.is_empty() {
            let blocks = rest.len().div_ceil(GROUP_BYTES).saturating_mul(LANES);
            xor_key_stream(self.aes.cpu, &self.aes.keys, self.iv, rest, &mut self.pool);
            self.iv = advance(self.iv, blocks);
            self.used = match rest.len() % GROUP_BYTES {
                0 => GROUP_BYTES,
                used => used,
            };
        }
    }
}

/// A key that decrypts blocks.
pub(super) struct Inverse {
    cpu: X64V3CryptoToken,
    keys: RoundKeys,
}

impl Inverse {
    /// Schedules a key, if the CPU has what it takes.
    pub(super) fn new(key: &[u8; BLOCK_BYTES]) -> Option<Self> {
        let cpu = X64V3CryptoToken::summon()?;
        let mut keys = RoundKeys::default();
        schedule(cpu, key, &mut keys);
        invert(cpu, &mut keys);
        Some(Self { cpu, keys })
    }

    /// Decrypts groups of blocks, each block by itself.
    pub(super) fn decrypt(&self, groups: &mut [[[u8; BLOCK_BYTES]; LANES]]) {
        decrypt(self.cpu, &self.keys, groups);
    }

    /// AES-CBC (NIST SP 800-38A, 6.2) over the first of every `period` blocks. `chain` is the encrypted block before, and
    /// the last one afterwards.
    pub(super) fn cbc(
        &self,
        period: usize,
        blocks: &mut [[u8; BLOCK_BYTES]],
        chain: &mut [u8; BLOCK_BYTES],
    ) {
        cbc(self.cpu, &self.keys, period, blocks, chain);
    }
}

/// The round keys (FIPS 197, 5.2).
#[arcane(import_intrinsics)]
fn schedule(_: X64V3CryptoToken, key: &[u8; BLOCK_BYTES], keys: &mut RoundKeys) {
    let mut round = _mm_loadu_si128(key);
    let mut to = keys.iter_mut();
    macro_rules! store {
        () => {
            if let Some(to) = to.next() {
                _mm256_storeu_si256(to, _mm256_broadcastsi128_si256(round));
            }
        };
    }
    store!();
    macro_rules! next {
        ($($constant:literal)*) => {$(
            let word = _mm_shuffle_epi32::<0xff>(_mm_aeskeygenassist_si128::<$constant>(round));
            round = _mm_xor_si128(round, _mm_slli_si128::<4>(round));
            round = _mm_xor_si128(round, _mm_slli_si128::<8>(round));
            round = _mm_xor_si128(round, word);
            store!();
        )*};
    }
    next!(0x01 0x02 0x04 0x08 0x10 0x20 0x40 0x80 0x1b 0x36);
}

/// The round keys of the equivalent inverse cipher (FIPS 197, 5.3.5).
#[arcane(import_intrinsics)]
fn invert(_: X64V3CryptoToken, keys: &mut RoundKeys) {
    keys.reverse();
    for both in keys.iter_mut().skip(1).take(ROUND_KEYS - 2) {
        let (halves, _) = both.as_chunks_mut::<BLOCK_BYTES>();
        for half in halves {
            let key = _mm_aesimc_si128(_mm_loadu_si128(&*half));
            _mm_storeu_si128(half, key);
        }
    }
}

/// Xors the key stream from the counter block `iv` on. Of the last group, if it is not whole, all key stream stays in
/// `pool`.
#[arcane(import_intrinsics)]
fn xor_key_stream(
    cpu: X64V3CryptoToken,
    keys: &RoundKeys,
    iv: u128,
    bytes: &mut [u8],
    pool: &mut [u8; GROUP_BYTES],
) {
    // The CPU counts with the last byte first, in the lower half of a block.
    let [nonce, count] = halves(iv);
    let mut counters = _mm256_set_epi64x(nonce, count.wrapping_add(1), nonce, count);
    let (groups, rest) = bytes.as_chunks_mut::<GROUP_BYTES>();
    for group in groups {
        let lanes = encrypt_counters(cpu, keys, &mut counters);
        let (pairs, _) = group.as_chunks_mut::<PAIR_BYTES>();
        for (lane, pair) in lanes.iter().zip(pairs) {
            _mm256_storeu_si256(pair, _mm256_xor_si256(_mm256_loadu_si256(&*pair), *lane));
        }
    }
    if rest.is_empty() {
        return;
    }
    let lanes = encrypt_counters(cpu, keys, &mut counters);
    let (made, _) = pool.as_chunks_mut::<PAIR_BYTES>();
    for (lane, pair) in lanes.iter().zip(made) {
        _mm256_storeu_si256(pair, *lane);
    }
    let made = pool.get(..rest.len()).unwrap_or_default();
    let (Some(end), Some(end_key)) = (rest.last_chunk(), made.last_chunk()) else {
        for (byte, key) in rest.iter_mut().zip(made) {
            *byte ^= key;
        }
        return;
    };
    // The last 32 bytes overlap the pairs before them, so they are made of what was there before those.
    let end = _mm256_xor_si256(_mm256_loadu_si256(end), _mm256_loadu_si256(end_key));
    let (pairs, _) = rest.as_chunks_mut::<PAIR_BYTES>();
    for (lane, pair) in lanes.iter().zip(pairs) {
        _mm256_storeu_si256(pair, _mm256_xor_si256(_mm256_loadu_si256(&*pair), *lane));
    }
    if let Some(to) = rest.last_chunk_mut() {
        _mm256_storeu_si256(to, end);
    }
}

/// The key stream of the next [`LANES`] counters, which count in the lower half of each block.
#[rite(import_intrinsics)]
fn encrypt_counters(
    _: X64V3CryptoToken,
    keys: &RoundKeys,
    counters: &mut __m256i,
) -> [__m256i; LANES / 2] {
    let [first, middle @ .., last] = &***keys;
    let (first, last) = (_mm256_loadu_si256(first), _mm256_loadu_si256(last));
    let reversed = _mm256_broadcastsi128_si256(_mm_set_epi8(
        0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15,
    ));
    let mut lanes = [_mm256_setzero_si256(); LANES / 2];
    for lane in &mut lanes {
        *lane = _mm256_xor_si256(_mm256_shuffle_epi8(*counters, reversed), first);
        *counters = _mm256_add_epi64(*counters, _mm256_set_epi64x(0, 2, 0, 2));
    }
    for key in middle {
        let key = _mm256_loadu_si256(key);
        for lane in &mut lanes {
            *lane = _mm256_aesenc_epi128(*lane, key);
        }
    }
    for lane in &mut lanes {
        *lane = _mm256_aesenclast_epi128(*lane, last);
    }
    lanes
}

#[arcane(import_intrinsics)]
fn decrypt(cpu: X64V3CryptoToken, keys: &RoundKeys, groups: &mut [[[u8; BLOCK_BYTES]; LANES]]) {
    for group in groups {
        let mut lanes = [_mm256_setzero_si256(); LANES / 2];
        let (pairs, _) = group.as_flattened_mut().as_chunks_mut::<PAIR_BYTES>();
        for (lane, pair) in lanes.iter_mut().zip(&*pairs) {
            *lane = _mm256_loadu_si256(pair);
        }
        let lanes = decrypt_lanes(cpu, keys, lanes);
        for (lane, pair) in lanes.iter().zip(pairs) {
            _mm256_storeu_si256(pair, *lane);
        }
    }
}

#[arcane(import_intrinsics)]
fn cbc(
    cpu: X64V3CryptoToken,
    keys: &RoundKeys,
    period: usize,
    blocks: &mut [[u8; BLOCK_BYTES]],
    chain: &mut [u8; BLOCK_BYTES],
) {
    let mut before = _mm_loadu_si128(&*chain);
    for group in blocks.chunks_mut(period.saturating_mul(LANES)) {
        let mut encrypted = [_mm256_setzero_si256(); LANES / 2];
        for (lane, pair) in encrypted.iter_mut().zip(group.chunks(2 * period)) {
            if let Some(low) = pair.first() {
                let high = pair.get(period).unwrap_or(low);
                *lane = _mm256_set_m128i(_mm_loadu_si128(high), _mm_loadu_si128(low));
            }
        }
        let lanes = decrypt_lanes(cpu, keys, encrypted);
        let pairs = group.chunks_mut(2 * period);
        for ((lane, encrypted), pair) in lanes.iter().zip(&encrypted).zip(pairs) {
            let low = _mm256_castsi256_si128(*encrypted);
            let clear = _mm256_xor_si256(*lane, _mm256_set_m128i(low, before));
            if let Some(to) = pair.first_mut() {
                _mm_storeu_si128(to, _mm256_castsi256_si128(clear));
                before = low;
            }
            if let Some(to) = pair.get_mut(period) {
                _mm_storeu_si128(to, _mm256_extracti128_si256::<1>(clear));
                before = _mm256_extracti128_si256::<1>(*encrypted);
            }
        }
    }
    _mm_storeu_si128(chain, before);
}

#[rite(import_intrinsics)]
fn decrypt_lanes(
    _: X64V3CryptoToken,
    keys: &RoundKeys,
    mut lanes: [__m256i; LANES / 2],
) -> [__m256i; LANES / 2] {
    let [first, middle @ .., last] = &***keys;
    let (first, last) = (_mm256_loadu_si256(first), _mm256_loadu_si256(last));
    for lane in &mut lanes {
        *lane = _mm256_xor_si256(*lane, first);
    }
    for key in middle {
        let key = _mm256_loadu_si256(key);
        for lane in &mut lanes {
            *lane = _mm256_aesdec_epi128(*lane, key);
        }
    }
    for lane in &mut lanes {
        *lane = _mm256_aesdeclast_epi128(*lane, last);
    }
    lanes
}

/// The halves of a counter block, as the CPU's signed words.
fn halves(block: u128) -> [i64; 2] {
    let [a, b, c, d, e, f, g, h, rest @ ..] = block.to_be_bytes();
    [i64::from_be_bytes([a, b, c, d, e, f, g, h]), i64::from_be_bytes(rest)]
}

/// The counter block so many blocks on: the upper half never changes.
fn advance(block: u128, blocks: usize) -> u128 {
    let count = u128::from(u64::MAX);
    let on = u128::try_from(blocks).unwrap_or(0);
    (block & !count) | (block.wrapping_add(on) & count)
}
