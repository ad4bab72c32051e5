//! What the tests of several formats share: noise, which is what a wrong key makes of a sample.

use alloc::vec::Vec;
use core::ops::Range;

use crate::cenc::judge::decrypted::Decrypted;
use crate::cenc::judge::verdict::Verdict;

/// `sample` with noise at positions that were encrypted. Each seed gives other noise.
pub(super) fn with_noise(sample: &[u8], encrypted: Range<usize>, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut noisy = sample.to_vec();
    for byte in noisy.get_mut(encrypted).unwrap_or_default() {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        *byte = state.to_le_bytes()[4];
    }
    noisy
}

/// The verdict on a sample that was encrypted at these positions.
pub(super) fn judged(
    judge: impl Fn(&Decrypted<'_>) -> Verdict,
    sample: &[u8],
    encrypted: Range<usize>,
) -> Verdict {
    judge(&Decrypted::new(sample, sample.len(), &[encrypted]))
}

/// Of 1000 samples with noise in place of what was encrypted: how many break a rule, and how many fit.
pub(super) fn noise_verdicts(
    judge: impl Fn(&Decrypted<'_>) -> Verdict,
    sample: &[u8],
    encrypted: Range<usize>,
) -> (usize, usize) {
    let verdicts = (1..=1000).map(|seed| {
        let noisy = with_noise(sample, encrypted.clone(), seed);
        judged(&judge, &noisy, encrypted.clone())
    });
    let verdicts: Vec<_> = verdicts.collect();
    let count = |wanted| verdicts.iter().filter(|verdict| **verdict == wanted).count();
    (count(Verdict::Breaks), count(Verdict::Fits))
}
