//! AES-128 by the instructions that work on two blocks at once (VAES), sixteen blocks in flight.
//!
//! The rounds are those of FIPS 197, 5.1 and 5.3.5, one instruction each; this file adds their order and the counter.
//! [`Forward::new`] and [`Inverse::new`] ask the CPU whether it has the instructions. Elsewhere, and for the keys of
//! licenses, the `aes` crate is used; it does not use VAES on CPUs without AVX-512.
//!
//! Deliberately absent: `unsafe` of ours. The crate `archmage` proves by a token that the CPU has the instructions, and its
//! macro `arcane` writes the `unsafe` that calls them, which `forbid(unsafe_code)` does not see (`docs/SUPPLY_CHAIN.md`).

use alloc::boxed::Box;
use core::arch::x86_64::{__m128i, __m256i};

use archmage::{SimdToken, X64V3CryptoToken, arcane, rite};
use zeroize::Zeroizing;

const BLOCK_BYTES: usize = 16;
const PAIR_BYTES: usize = 2 * BLOCK_BYTES;
const ROUND_KEYS: usize = 11;

/// The number of blocks in flight: with fewer, the latency of an instruction shows.
pub(super) const LANES: usize = 16;

/// The number of registers for them: each holds a pair of blocks.
const PAIRS: usize = LANES / 2;

/// The bytes of [`LANES`] blocks.
const GROUP_BYTES: usize = LANES * BLOCK_BYTES;

/// Every round key twice, for both blocks of a pair. Zeroed on drop.
type RoundKeys = Box<Zeroizing<[[u8; PAIR_BYTES]; ROUND_KEYS]>>;

/// A scheduled key that encrypts counter blocks.
pub(super) struct Forward {
    cpu: X64V3CryptoToken,
    keys: RoundKeys,
}

impl Forward {
    /// Schedules a key; `None` if the CPU has no VAES.
    pub(super) fn new(key: &[u8; BLOCK_BYTES]) -> Option<Self> {
        let cpu = X64V3CryptoToken::summon()?;
        let mut keys = RoundKeys::default();
        schedule(cpu, key, &mut keys);
        Some(Self { cpu, keys })
    }

    /// Xors the key stream of AES in counter mode from a counter block on, of which the last 64 bits count
    /// (ISO/IEC 23001-7:2023, 9.3).
    pub(super) fn xor_key_stream(&self, counter: u128, bytes: &mut [u8]) {
        xor_key_stream(self.cpu, &self.keys, counter, bytes);
    }
}

/// A scheduled key that decrypts blocks.
pub(super) struct Inverse {
    cpu: X64V3CryptoToken,
    keys: RoundKeys,
}

impl Inverse {
    /// Schedules a key; `None` if the CPU has no VAES.
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

    /// AES-CBC (NIST SP 800-38A, 6.2) over the first of every `PERIOD` blocks. `chain` is the encrypted block before them,
    /// and becomes the last of them.
    pub(super) fn cbc<const PERIOD: usize>(
        &self,
        blocks: &mut [[u8; BLOCK_BYTES]],
        chain: &mut [u8; BLOCK_BYTES],
    ) {
        cbc::<PERIOD>(self.cpu, &self.keys, blocks, chain);
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

/// Xors whole groups, then the rest with as few registers as it needs.
#[arcane(import_intrinsics)]
fn xor_key_stream(cpu: X64V3CryptoToken, keys: &RoundKeys, counter: u128, bytes: &mut [u8]) {
    // The CPU counts with the last byte first, in the lower half of a block.
    let [nonce, count] = halves(counter);
    let mut counters = _mm256_set_epi64x(nonce, count.wrapping_add(1), nonce, count);
    let (groups, rest) = bytes.as_chunks_mut::<GROUP_BYTES>();
    for group in groups {
        let lanes = encrypt_counters::<PAIRS>(cpu, keys, &mut counters);
        let (pairs, _) = group.as_chunks_mut::<PAIR_BYTES>();
        for (lane, pair) in lanes.iter().zip(pairs) {
            _mm256_storeu_si256(pair, _mm256_xor_si256(_mm256_loadu_si256(&*pair), *lane));
        }
    }
    if rest.is_empty() {
        return;
    }
    let (pairs, tail) = rest.as_chunks_mut::<PAIR_BYTES>();
    macro_rules! as_wide_as_needed {
        ($($whole:literal of $all:literal),*) => {
            match pairs.len() {
                $($whole => if let Some(pairs) = pairs.first_chunk_mut() {
                    xor_last::<$whole, $all>(cpu, keys, counters, pairs, tail);
                })*
                _ => {}
            }
        };
    }
    as_wide_as_needed!(0 of 1, 1 of 2, 2 of 3, 3 of 4, 4 of 5, 5 of 6, 6 of 7, 7 of 8);
}

/// Xors all pairs of a group and a last pair that is not whole. `WHOLE` and `ALL` are constants so that no lane leaves its
/// register.
#[rite(import_intrinsics)]
fn xor_last<const WHOLE: usize, const ALL: usize>(
    cpu: X64V3CryptoToken,
    keys: &RoundKeys,
    mut counters: __m256i,
    pairs: &mut [[u8; PAIR_BYTES]; WHOLE],
    tail: &mut [u8],
) {
    let lanes = encrypt_counters::<ALL>(cpu, keys, &mut counters);
    for (lane, pair) in lanes.iter().zip(pairs) {
        _mm256_storeu_si256(pair, _mm256_xor_si256(_mm256_loadu_si256(&*pair), *lane));
    }
    if let Some(last) = lanes.last() {
        let mut key = [0; PAIR_BYTES];
        _mm256_storeu_si256(&mut key, *last);
        xor_few(tail, &key);
    }
}

/// Xors fewer than 32 bytes: both ends at once, which may overlap, because a load that spans two stores waits for both.
fn xor_few(bytes: &mut [u8], key: &[u8; PAIR_BYTES]) {
    let key = key.get(..bytes.len()).unwrap_or_default();
    match bytes.len() {
        16.. => xor_ends::<16>(bytes, key),
        8.. => xor_ends::<8>(bytes, key),
        4.. => xor_ends::<4>(bytes, key),
        _ => bytes.iter_mut().zip(key).for_each(|(byte, key)| *byte ^= key),
    }
}

/// Xors `N` to twice `N` bytes.
fn xor_ends<const N: usize>(bytes: &mut [u8], key: &[u8]) {
    let xored = |bytes: Option<&[u8; N]>, key: Option<&[u8; N]>| {
        let (mut bytes, key) = (*bytes?, key?);
        bytes.iter_mut().zip(key).for_each(|(byte, key)| *byte ^= key);
        Some(bytes)
    };
    let first = xored(bytes.first_chunk(), key.first_chunk());
    let last = xored(bytes.last_chunk(), key.last_chunk());
    for (to, end) in bytes.first_chunk_mut().into_iter().zip(first) {
        *to = end;
    }
    for (to, end) in bytes.last_chunk_mut().into_iter().zip(last) {
        *to = end;
    }
}

/// The key stream of the next counters, two for each of `N` pairs; they count in the lower half of each block.
#[rite(import_intrinsics)]
fn encrypt_counters<const N: usize>(
    _: X64V3CryptoToken,
    keys: &RoundKeys,
    counters: &mut __m256i,
) -> [__m256i; N] {
    let [first, middle @ .., last] = &***in_memory(keys);
    let (first, last) = (_mm256_loadu_si256(first), _mm256_loadu_si256(last));
    let reversed = _mm256_broadcastsi128_si256(_mm_set_epi8(
        0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15,
    ));
    let mut lanes = [_mm256_setzero_si256(); N];
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
        let mut lanes = [_mm256_setzero_si256(); PAIRS];
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
fn cbc<const PERIOD: usize>(
    cpu: X64V3CryptoToken,
    keys: &RoundKeys,
    blocks: &mut [[u8; BLOCK_BYTES]],
    chain: &mut [u8; BLOCK_BYTES],
) {
    let mut before = _mm_loadu_si128(&*chain);
    let (periods, rest) = blocks.as_chunks_mut::<PERIOD>();
    let (pairs, odd) = periods.as_chunks_mut::<2>();
    let (groups, pairs) = pairs.as_chunks_mut::<PAIRS>();
    for group in groups {
        before = cbc_pairs(cpu, keys, group, before);
    }
    macro_rules! as_wide_as_needed {
        ($($n:literal)*) => {
            match pairs.len() {
                $($n => if let Some(pairs) = pairs.first_chunk_mut::<$n>() {
                    before = cbc_pairs(cpu, keys, pairs, before);
                })*
                _ => {}
            }
        };
    }
    as_wide_as_needed!(1 2 3 4 5 6 7);
    let last = odd.as_flattened_mut().first_mut().into_iter().chain(rest.first_mut());
    for block in last {
        let encrypted = _mm_loadu_si128(&*block);
        let [clear] = decrypt_lanes(cpu, keys, [_mm256_castsi128_si256(encrypted)]);
        _mm_storeu_si128(block, _mm_xor_si128(_mm256_castsi256_si128(clear), before));
        before = encrypted;
    }
    _mm_storeu_si128(chain, before);
}

/// Two periods, of each of which the first block is encrypted.
type Pair<const PERIOD: usize> = [[[u8; BLOCK_BYTES]; PERIOD]; 2];

/// AES-CBC over `N` pairs at once. `before` is the encrypted block before them; returns the last of them.
#[rite(import_intrinsics)]
fn cbc_pairs<const PERIOD: usize, const N: usize>(
    cpu: X64V3CryptoToken,
    keys: &RoundKeys,
    pairs: &mut [Pair<PERIOD>; N],
    before: __m128i,
) -> __m128i {
    let mut lanes = [_mm256_setzero_si256(); N];
    for (lane, [low, high]) in lanes.iter_mut().zip(&*pairs) {
        if let (Some(low), Some(high)) = (low.first(), high.first()) {
            *lane = _mm256_set_m128i(_mm_loadu_si128(high), _mm_loadu_si128(low));
        }
    }
    let lanes = decrypt_lanes(cpu, keys, lanes);
    let pairs = in_memory(pairs);
    let mut before = before;
    for (lane, [low, high]) in lanes.iter().zip(pairs) {
        let (Some(low), Some(high)) = (low.first_mut(), high.first_mut()) else { continue };
        let clear = _mm256_xor_si256(*lane, _mm256_set_m128i(_mm_loadu_si128(&*low), before));
        before = _mm_loadu_si128(&*high);
        _mm_storeu_si128(low, _mm256_castsi256_si128(clear));
        _mm_storeu_si128(high, _mm256_extracti128_si256::<1>(clear));
    }
    before
}

#[rite(import_intrinsics)]
fn decrypt_lanes<const N: usize>(
    _: X64V3CryptoToken,
    keys: &RoundKeys,
    mut lanes: [__m256i; N],
) -> [__m256i; N] {
    let [first, middle @ .., last] = &***in_memory(keys);
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

/// Makes the compiler load the memory behind `it` again. Kept in registers, the round keys would leave too few for the
/// lanes; the compiler would then finish one lane after the other, which takes twice the time.
fn in_memory<T>(it: T) -> T {
    core::hint::black_box(it)
}

/// The upper and the lower half of a counter block, as the CPU's signed words.
fn halves(block: u128) -> [i64; 2] {
    let [a, b, c, d, e, f, g, h, rest @ ..] = block.to_be_bytes();
    [i64::from_be_bytes([a, b, c, d, e, f, g, h]), i64::from_be_bytes(rest)]
}
