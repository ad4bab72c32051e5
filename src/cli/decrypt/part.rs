//! Some bytes of a file as a reader, which leaves the file's own position alone.

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::os::unix::fs::FileExt;

use crate::cli::decrypt::window::Window;

/// Some bytes of a file, to be read in order.
pub(super) struct Part<'a> {
    file: &'a File,
    /// The file is read through this, if there is one.
    window: Option<&'a RefCell<Window>>,
    /// The bytes that are not read yet, as positions in the file.
    range: Range<u64>,
}

impl<'a> Part<'a> {
    /// The bytes at these positions of the file, read through `window` if there is one.
    pub(super) fn new(
        file: &'a File,
        window: Option<&'a RefCell<Window>>,
        range: Range<u64>,
    ) -> Self {
        Self { file, window, range }
    }

    /// All bytes of the file.
    pub(super) fn whole(file: &'a File) -> io::Result<Self> {
        Ok(Self::new(file, None, 0..file.metadata()?.len()))
    }

    /// How many bytes are left.
    pub(super) fn rest(&self) -> u64 {
        self.range.end.saturating_sub(self.range.start)
    }

    /// Leaves out the next `length` bytes.
    pub(super) fn skip(&mut self, length: u64) {
        self.range.start = self.range.start.saturating_add(length);
    }
}

impl Read for Part<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = usize::try_from(self.rest()).unwrap_or(usize::MAX);
        let length = length.min(buffer.len());
        let (buffer, at) = (buffer.get_mut(..length).unwrap_or_default(), self.range.start);
        let read = match self.window {
            Some(window) => window.borrow_mut().read_at(buffer, at)?,
            None => self.file.read_at(buffer, at)?,
        };
        self.skip(u64::try_from(read).unwrap_or(u64::MAX));
        Ok(read)
    }
}
