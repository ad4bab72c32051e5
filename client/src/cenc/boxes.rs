//! Boxes (ISO/IEC 14496-12:2022, 4.2): a size, a type, a body.
//!
//! [`Header`] is the only reader of sizes. Nothing is copied, and nothing is allocated on the word of a size: a box is a
//! slice of the bytes that are there, or an error.
//!
//! ```
//! use reelkey_client::cenc::boxes::Boxes;
//!
//! # fn main() -> Result<(), reelkey_client::cenc::boxes::Error> {
//! let bytes = b"\0\0\0\x0cfree....\0\0\0\x08skip";
//! for this in Boxes::of(bytes) {
//!     let this = this?;
//!     println!("{} at byte {}: {} bytes", this.kind, this.at, this.body.len());
//! }
//! # assert_eq!(Boxes::of(bytes).count(), 2);
//! # Ok(())
//! # }
//! ```

use core::fmt;

/// Four characters: the type of a box, a protection scheme, or the kind of a track's handler.
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

/// A box is damaged. Offsets count from the start of the bytes that were read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Fewer bytes than a header takes (4.2.2).
    #[error("at byte {at}: {rest} bytes are too few for a box header (ISO/IEC 14496-12, 4.2.2)")]
    Header {
        /// Where the box begins.
        at: usize,
        /// How many bytes are left there.
        rest: usize,
    },
    /// The size is smaller than the header, or larger than the bytes that are left (4.2.2).
    #[error(
        "box {kind} at byte {at} has a size of {size}, {rest} bytes are there (ISO/IEC 14496-12, 4.2.2)"
    )]
    Size {
        /// Its type.
        kind: FourCc,
        /// Where it begins.
        at: usize,
        /// Its size as its header states it, in bytes.
        size: u64,
        /// How many bytes are left there.
        rest: usize,
    },
    /// A field lies behind the end of the box.
    #[error("box {kind} at byte {at} ends before its fields do (ISO/IEC 14496-12, 4.2.2)")]
    Field {
        /// Its type.
        kind: FourCc,
        /// Where it begins.
        at: usize,
    },
}

/// A box in a slice. Positions count from the start of the bytes that were read.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct BoxRef<'a> {
    /// Its type.
    pub kind: FourCc,
    /// Where its header begins.
    pub at: usize,
    /// Where its body begins.
    pub body_at: usize,
    /// The body: everything behind the header.
    pub body: &'a [u8],
}

impl<'a> BoxRef<'a> {
    /// The boxes in the body, from its byte `skip` on.
    ///
    /// # Errors
    /// [`Error::Field`] if the body is shorter than `skip` bytes.
    pub fn children(&self, skip: usize) -> Result<Boxes<'a>, Error> {
        let rest = self.body.get(skip..).ok_or_else(|| self.too_short())?;
        Ok(Boxes { rest, at: self.body_at.saturating_add(skip) })
    }

    /// A reader of the fields at the front of the body.
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

/// The header of a box (4.2.2). The body may still be to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Header {
    /// The type of the box.
    pub kind: FourCc,
    /// The size of the whole box in bytes, header included; `None` if the box goes on to the end of the file. No rule is
    /// checked yet: the size may be less than that of the header.
    pub size: Option<u64>,
    /// The size of the header in bytes: 8, or 16 where the size takes 64 bits.
    pub length: u8,
}

impl Header {
    /// Reads the header that `bytes` begin with; `None` if they end before it does. 16 bytes are always enough.
    ///
    /// ```
    /// use reelkey_client::cenc::boxes::Header;
    ///
    /// let header = Header::parse(b"\0\0\x10\0moof").unwrap();
    /// assert_eq!((&header.kind.0, header.size, header.length), (b"moof", Some(4096), 8));
    ///
    /// // A size of 1 announces 64 bits of it behind the type; a size of 0, a box up to the end of the file.
    /// assert_eq!(Header::parse(b"\0\0\0\x01mdat\0\0\0"), None);
    /// assert_eq!(Header::parse(b"\0\0\0\0mdat").unwrap().size, None);
    /// ```
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let (size, rest) = bytes.split_first_chunk::<4>()?;
        let (kind, rest) = rest.split_first_chunk::<4>()?;
        let (size, length) = match u32::from_be_bytes(*size) {
            0 => (None, 8),
            1 => (Some(u64::from_be_bytes(*rest.first_chunk()?)), 16),
            size => (Some(size.into()), 8),
        };
        Some(Self { kind: FourCc(*kind), size, length })
    }
}

/// The boxes of a slice, one after the other.
#[derive(Clone, Debug)]
pub struct Boxes<'a> {
    rest: &'a [u8],
    at: usize,
}

impl<'a> Boxes<'a> {
    /// The boxes that `bytes` consist of.
    #[must_use]
    pub fn of(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, at: 0 }
    }

    /// The first box of a type.
    ///
    /// # Errors
    /// [`Error`] if a box before it is damaged.
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

/// The box at the front of `bytes`, which begin at position `at`, and the bytes behind the box.
fn read_box(bytes: &[u8], at: usize) -> Result<(BoxRef<'_>, &[u8]), Error> {
    let header = Header::parse(bytes).ok_or(Error::Header { at, rest: bytes.len() })?;
    let Header { kind, size, length: header_length } = header;
    let header_length = usize::from(header_length);
    let size = size.unwrap_or_else(|| u64::try_from(bytes.len()).unwrap_or(u64::MAX));
    let wrong = || Error::Size { kind, at, size, rest: bytes.len() };
    let length = usize::try_from(size).map_err(|_| wrong())?;
    let (this, following) = bytes.split_at_checked(length).ok_or_else(wrong)?;
    let body = this.get(header_length..).ok_or_else(wrong)?;
    Ok((BoxRef { kind, at, body_at: at.saturating_add(header_length), body }, following))
}

/// The first four bytes of the body of a full box (4.2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct VersionAndFlags {
    /// The version of the box's layout.
    pub version: u8,
    /// 24 flags.
    pub flags: u32,
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
    /// [`Error::Field`] if fewer are left, as with every reader here.
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
    pub fn version_and_flags(&mut self) -> Result<VersionAndFlags, Error> {
        let [version, a, b, c] = self.array()?;
        Ok(VersionAndFlags { version, flags: u32::from_be_bytes([0, a, b, c]) })
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
