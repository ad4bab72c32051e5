//! Bits of a NAL unit of H.264 (ISO/IEC 14496-10, 7.2 and 9.1): fixed lengths and Exp-Golomb codes.
//!
//! Every read gives `None` where the bits are at their end. Deliberately absent: arithmetic codes, which
//! [`engine`](crate::cenc::judge::h264::engine) reads.

use alloc::vec::Vec;

/// Why bytes that follow a NAL unit header are no payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unescaped;

/// The payload of a NAL unit (RBSP) without emulation prevention bytes and without the zero bytes at its end (7.4.1).
///
/// # Errors
/// [`Unescaped`] where three bytes stand that no NAL unit may have inside. Some writers never escape, and some leave
/// the next start code in.
pub(super) fn payload(bytes: &[u8]) -> Result<Vec<u8>, Unescaped> {
    let end = bytes.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
    let bytes = bytes.get(..end).unwrap_or_default();
    let mut out = Vec::with_capacity(bytes.len());
    let mut zeros = 0;
    for &byte in bytes {
        match byte {
            3 if zeros >= 2 => {
                zeros = 0;
                continue;
            }
            0..=2 if zeros >= 2 => return Err(Unescaped),
            0 => zeros += 1,
            _ => zeros = 0,
        }
        out.push(byte);
    }
    // The zero words that may fill a slice up (cabac_zero_words) were escaped.
    let end = out.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
    out.truncate(end);
    Ok(out)
}

/// Reads bits, the most significant first.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bits<'a> {
    bytes: &'a [u8],
    /// How many bits were read.
    at: usize,
}

impl<'a> Bits<'a> {
    /// Reads from the first bit of `bytes` on.
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// How many bits were read.
    pub(super) fn position(&self) -> usize {
        self.at
    }

    /// One bit: u(1).
    pub(super) fn flag(&mut self) -> Option<bool> {
        let byte = self.bytes.get(self.at / 8)?;
        let bit = byte >> (7 - self.at % 8) & 1;
        self.at += 1;
        Some(bit == 1)
    }

    /// A number of `count` bits, 32 at most: u(n).
    pub(super) fn number(&mut self, count: u32) -> Option<u32> {
        let mut number = 0;
        for _ in 0..count {
            number = number << 1 | u32::from(self.flag()?);
        }
        Some(number)
    }

    /// An unsigned Exp-Golomb code: ue(v).
    pub(super) fn unsigned(&mut self) -> Option<u32> {
        let mut zeros = 0;
        while !self.flag()? {
            zeros += 1;
        }
        if zeros > 31 {
            return None;
        }
        let tail = self.number(zeros)?;
        Some((1 << zeros) - 1 + tail)
    }

    /// A signed Exp-Golomb code: se(v).
    pub(super) fn signed(&mut self) -> Option<i32> {
        let code = i64::from(self.unsigned()?);
        let value = if code % 2 == 1 { code / 2 + 1 } else { -(code / 2) };
        i32::try_from(value).ok()
    }

    /// Reads bits of one up to the next whole byte. `None` where one is zero.
    pub(super) fn align_with_ones(&mut self) -> Option<()> {
        while !self.at.is_multiple_of(8) {
            if !self.flag()? {
                return None;
            }
        }
        Some(())
    }

    /// The bytes from the current one on. At its first bit, nothing of it was read.
    pub(super) fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at / 8..).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_have_the_values_of_the_standard() {
        // 1, 010, 011, 00100, 00111 (table 9-2), then zeros that no code ends.
        let bytes = [0b1010_0110, 0b0100_0011, 0b1000_0000];
        let mut bits = Bits::new(&bytes);
        let codes: Vec<_> = (0..6).map(|_| bits.unsigned()).collect();
        assert_eq!(codes, [Some(0), Some(1), Some(2), Some(3), Some(6), None]);
        let mut bits = Bits::new(&bytes);
        let codes: Vec<_> = (0..5).map(|_| bits.signed()).collect();
        assert_eq!(codes, [Some(0), Some(1), Some(-1), Some(2), Some(-3)]);
    }

    #[test]
    fn a_payload_has_no_escapes_and_no_zeros_at_its_end() {
        assert_eq!(payload(&[5, 0, 0, 3, 1, 0, 0, 3, 0, 0, 3, 0]), Ok(alloc::vec![5, 0, 0, 1]));
        assert_eq!(payload(&[5, 0, 0, 1, 9]), Err(Unescaped));
        assert_eq!(payload(&[0, 0, 0, 0]), Ok(Vec::new()));
    }
}
