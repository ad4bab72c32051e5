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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cenc::judge::testing::{judged, noise_verdicts};

    #[test]
    fn a_sync_word_fits_and_noise_breaks() {
        // The first bytes of frames by FFmpeg and LAME.
        let ac3 = [0x0b, 0x77, 0x5f, 0xe2, 0x80, 0x40, 0x2f, 0x84];
        let eac3 = [0x0b, 0x77, 0x00, 0x3f, 0x32, 0x87, 0xc0, 0x00];
        let flac = [0xff, 0xf8, 0x24, 0x08, 0x00, 0xca, 0x00, 0x00];
        let mp3 = [0xff, 0xf3, 0x18, 0xc4, 0x00, 0x04, 0xf8, 0x02];
        let judges: [fn(&Decrypted<'_>) -> Verdict; 4] =
            [judge_ac3, judge_ac3, judge_flac, judge_mp3];
        for (judge, frame) in judges.into_iter().zip([ac3, eac3, flac, mp3]) {
            assert_eq!(judged(judge, &frame, 0..8), Verdict::Fits, "{frame:?}");
            assert_eq!(judged(judge, &frame, 3..8), Verdict::Silent, "{frame:?}");
            assert_eq!(judged(judge, &[0; 8], 3..8), Verdict::Silent);
            assert_eq!(judged(judge, &frame[..1], 0..1), Verdict::Silent);
            let (breaks, fits) = noise_verdicts(judge, &frame, 0..8);
            assert!(breaks > 990 && breaks + fits == 1000, "{breaks} {fits}");
        }
    }
}
