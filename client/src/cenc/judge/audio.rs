//! Audio whose samples begin with a sync word: AC-3, Enhanced AC-3, FLAC and MP3.
//!
//! One sync word is strong evidence, of 11 bits or more. The lengths behind it would hardly add to that, and real files
//! have samples with bytes behind a frame: so they are not looked at.

use crate::cenc::judge::decrypted::Decrypted;
use crate::cenc::judge::verdict::Verdict;

/// AC-3 and Enhanced AC-3 (ETSI TS 102 366 V1.4.1, 4.4.1.1 and E.1.3.1.1): 0x0b77. Some files have it with its bytes swapped.
pub(super) fn judge_ac3(sample: &Decrypted<'_>) -> Verdict {
    judge(sample, |bytes: [u8; 2]| matches!(bytes, [0x0b, 0x77] | [0x77, 0x0b]))
}

/// FLAC (RFC 9639, 9.1): 15 bits. The last of them says whether the size of blocks varies.
pub(super) fn judge_flac(sample: &Decrypted<'_>) -> Verdict {
    judge(sample, |bytes: [u8; 2]| matches!(bytes, [0xff, 0xf8 | 0xf9]))
}

/// MP3 (ISO/IEC 11172-3:1993, 2.4.2.3, and MPEG-2.5): 11 bits, then a version, a layer, a bit rate and a sampling
/// frequency, each of which has a value that is reserved.
pub(super) fn judge_mp3(sample: &Decrypted<'_>) -> Verdict {
    judge(sample, |[sync, version, rates]: [u8; 3]| {
        let synchronous = sync == 0xff && version & 0xe0 == 0xe0;
        let known_version = version & 0x18 != 0x08 && version & 0x06 != 0;
        synchronous && known_version && rates & 0xf0 != 0xf0 && rates & 0x0c != 0x0c
    })
}

fn judge<const N: usize>(sample: &Decrypted<'_>, holds: impl FnOnce([u8; N]) -> bool) -> Verdict {
    let Some(start) = sample.bytes.first_chunk() else { return Verdict::Silent };
    Verdict::of(holds(*start), sample.was_encrypted(0..N))
}
