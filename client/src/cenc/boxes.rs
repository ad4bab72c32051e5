//! Boxes (ISO/IEC 14496-12:2022, 4.2): a size, a type, a body.
//!
//! Nothing is copied, and nothing is allocated on the word of a size: a box is a slice of what is
//! there, or an error.

use core::fmt;

/// Four characters that name a box.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct FourCc(pub [u8; 4]);

impl fmt::Display for FourCc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.escape_ascii())
    }
}

impl fmt::Debug for FourCc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "'{self}'")
    }
}

/// A box is not one. Offsets count from the start of what was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Fewer bytes than a header takes (4.2.2).
    #[error("at byte {at}: {rest} bytes are too few for a box header (ISO/IEC 14496-12, 4.2.2)")]
    Header {
        /// Where the box begins.
        at: usize,
        /// How many bytes are left there.
        rest: usize,
    },
    /// The size is smaller than the header, or larger than what is left (4.2.2).
    #[error(
        "box {kind} at byte {at} has a size of {size}, {rest} bytes are there (ISO/IEC 14496-12, 4.2.2)"
    )]
    Size {
        /// Its type.
        kind: FourCc,
        /// Where it begins.
        at: usize,
        /// What it says.
        size: u64,
        /// How many bytes are left there.
        rest: usize,
    },
    /// A field lies behind the box's end.
    #[error("box {kind} at byte {at} ends before its fields do (ISO/IEC 14496-12, 4.2.2)")]
    Field {
        /// Its type.
        kind: FourCc,
        /// Where it begins.
        at: usize,
    },
}

/// A box in a slice.
#[derive(Clone, Copy, Debug)]
pub struct BoxRef<'a> {
    /// Its type.
    pub kind: FourCc,
    /// Where it begins, in bytes from the start of what was read.
    pub at: usize,
    /// Where its body begins.
    pub body_at: usize,
    /// What is in it, the header left out.
    pub body: &'a [u8],
}

impl<'a> BoxRef<'a> {
    /// The boxes in it, from byte `skip` of the body on.
    ///
    /// # Errors
    /// [`Error::Field`] where the body is shorter.
    pub fn children(&self, skip: usize) -> Result<Boxes<'a>, Error> {
        let rest = self.body.get(skip..).ok_or_else(|| self.too_short())?;
        Ok(Boxes { rest, at: self.body_at.saturating_add(skip) })
    }

    /// A reader of its fields.
    #[must_use]
    pub fn fields(&self) -> Fields<'a> {
        Fields { kind: self.kind, at: self.at, rest: self.body }
    }

    /// Where the body ends.
    #[must_use]
    pub fn end(&self) -> usize {
        self.body_at.saturating_add(self.body.len())
    }

    fn too_short(&self) -> Error {
        Error::Field { kind: self.kind, at: self.at }
    }
}

/// The header of a box whose body may still be to come.
pub(super) struct Next {
    pub(super) kind: FourCc,
    /// All of it, header included; `None`: to the end of the stream.
    pub(super) size: Option<u64>,
    /// How long the header is.
    pub(super) header: u64,
}

impl Next {
    /// Reads it, if all of it is there.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let (size, rest) = bytes.split_first_chunk::<4>()?;
        let (kind, rest) = rest.split_first_chunk::<4>()?;
        let (size, header) = match u32::from_be_bytes(*size) {
            0 => (None, 8),
            1 => (Some(u64::from_be_bytes(*rest.first_chunk()?)), 16),
            size => (Some(size.into()), 8),
        };
        Some(Self { kind: FourCc(*kind), size, header })
    }
}

/// The boxes of a slice, one after the other.
#[derive(Clone, Debug)]
pub struct Boxes<'a> {
    rest: &'a [u8],
    at: usize,
}

impl<'a> Boxes<'a> {
    /// The boxes that `bytes` consists of.
    #[must_use]
    pub fn of(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, at: 0 }
    }

    /// The first box of a type.
    ///
    /// # Errors
    /// [`Error`], for a damaged box before it.
    pub fn find(self, kind: &[u8; 4]) -> Result<Option<BoxRef<'a>>, Error> {
        for this in self {
            let this = this?;
            if this.kind.0 == *kind {
                return Ok(Some(this));
            }
        }
        Ok(None)
    }
}

impl<'a> Iterator for Boxes<'a> {
    type Item = Result<BoxRef<'a>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let read = read_box(self.rest, self.at);
        match &read {
            Ok((this, following)) => {
                self.at = this.end();
                self.rest = following;
            }
            Err(_) => self.rest = &[],
        }
        Some(read.map(|(this, _)| this))
    }
}

fn read_box(bytes: &[u8], at: usize) -> Result<(BoxRef<'_>, &[u8]), Error> {
    let header = || Error::Header { at, rest: bytes.len() };
    let (size, rest) = bytes.split_first_chunk::<4>().ok_or_else(header)?;
    let (kind, rest) = rest.split_first_chunk::<4>().ok_or_else(header)?;
    let kind = FourCc(*kind);
    let (size, header_len) = match u32::from_be_bytes(*size) {
        // To the end of what is there.
        0 => (u64::try_from(bytes.len()).unwrap_or(u64::MAX), 8),
        1 => (u64::from_be_bytes(*rest.first_chunk().ok_or_else(header)?), 16),
        size => (u64::from(size), 8),
    };
    let wrong = || Error::Size { kind, at, size, rest: bytes.len() };
    let length = usize::try_from(size).map_err(|_| wrong())?;
    let (this, following) = bytes.split_at_checked(length).ok_or_else(wrong)?;
    let body = this.get(header_len..).ok_or_else(wrong)?;
    Ok((BoxRef { kind, at, body_at: at.saturating_add(header_len), body }, following))
}

/// Reads fields from the front of a box, big-endian.
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    kind: FourCc,
    at: usize,
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    /// The next `N` bytes.
    ///
    /// # Errors
    /// [`Error::Field`] where there are fewer, as with every reader here.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let (array, rest) = self.rest.split_first_chunk().ok_or_else(|| self.too_short())?;
        self.rest = rest;
        Ok(*array)
    }

    /// The next `length` bytes.
    ///
    /// # Errors
    /// [`Error::Field`].
    pub fn bytes(&mut self, length: usize) -> Result<&'a [u8], Error> {
        let (bytes, rest) = self.rest.split_at_checked(length).ok_or_else(|| self.too_short())?;
        self.rest = rest;
        Ok(bytes)
    }

    /// One byte.
    ///
    /// # Errors
    /// [`Error::Field`].
    pub fn u8(&mut self) -> Result<u8, Error> {
        self.array::<1>().map(|[byte]| byte)
    }

    /// Two bytes.
    ///
    /// # Errors
    /// [`Error::Field`].
    pub fn u16(&mut self) -> Result<u16, Error> {
        self.array().map(u16::from_be_bytes)
    }

    /// Four bytes.
    ///
    /// # Errors
    /// [`Error::Field`].
    pub fn u32(&mut self) -> Result<u32, Error> {
        self.array().map(u32::from_be_bytes)
    }

    /// Eight bytes.
    ///
    /// # Errors
    /// [`Error::Field`].
    pub fn u64(&mut self) -> Result<u64, Error> {
        self.array().map(u64::from_be_bytes)
    }

    /// The version and flags of a full box (4.2.2).
    ///
    /// # Errors
    /// [`Error::Field`].
    pub fn version_and_flags(&mut self) -> Result<(u8, u32), Error> {
        let [version, a, b, c] = self.array()?;
        Ok((version, u32::from_be_bytes([0, a, b, c])))
    }

    /// How many bytes are left.
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.rest.len()
    }

    fn too_short(&self) -> Error {
        Error::Field { kind: self.kind, at: self.at }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    fn kinds(bytes: &[u8]) -> Result<Vec<([u8; 4], usize, usize)>, Error> {
        Boxes::of(bytes).map(|b| b.map(|b| (b.kind.0, b.at, b.body.len()))).collect()
    }

    #[test]
    fn sizes_of_four_eight_and_no_bytes_are_read() {
        let bytes = b"\0\0\0\x09free.\0\0\0\x01mdat\0\0\0\0\0\0\0\x11x\0\0\0\0skip....";
        let expected = [(*b"free", 0, 1), (*b"mdat", 9, 1), (*b"skip", 26, 4)];
        assert_eq!(kinds(bytes).unwrap(), expected);
    }

    #[test]
    fn a_size_that_lies_is_an_error_and_ends_the_reading() {
        for (bytes, rest) in [
            (&b"\0\0\0\x07free"[..], 8),
            (b"\0\0\0\x09free", 8),
            (b"\xff\xff\xff\xfffree", 8),
            (b"\0\0\0\x01free\0\0\0\0\0\0\0\x0f", 16),
            (b"\0\0\0\x01free\xff\xff\xff\xff\xff\xff\xff\xff", 16),
        ] {
            assert!(matches!(kinds(bytes), Err(Error::Size { rest: r, .. }) if r == rest));
        }
        for short in [&b"\0"[..], b"\0\0\0\x08fre", b"\0\0\0\x01free\0\0"] {
            assert!(matches!(kinds(short), Err(Error::Header { .. })), "{short:?}");
        }
        assert_eq!(Boxes::of(b"\0\0\0\x02free\0\0\0\x08free").count(), 1);
    }
}
