//! A file that lies in memory anyway (tmpfs), seen through a window: its bytes go from there to the CPU and back, and not
//! through the kernel, when it is decrypted where it lies.
//!
//! Only files on tmpfs are mapped. If a disk fails or is full, `read` and `write` return an error; a mapped file on that
//! disk would end the process with a signal. The remaining risk: another process truncates the file while it is mapped.
//! Other processes may change the bytes in the window, so they are copied and never borrowed.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::sync::Arc;

use vm_memory::{FileOffset, MmapRegion, VolatileMemory};

/// The size of a window, which counts as memory of the process. A multiple of every page size.
const WINDOW_BYTES: u64 = 1024 * 1024;

/// `TMPFS_MAGIC` of statfs(2).
const TMPFS: u64 = 0x0102_1994;

/// The unit of `st_blocks` of stat(2).
const BLOCK_BYTES: u64 = 512;

/// A window onto a file.
pub(super) struct Window {
    file: Arc<File>,
    seen: Option<Seen>,
}

/// The part of the file that is mapped.
struct Seen {
    /// The position in the file where it begins.
    start: u64,
    region: MmapRegion,
}

impl Window {
    /// A window onto the file; `None` unless all of the file lies in memory.
    pub(super) fn onto(file: &Arc<File>) -> Option<Self> {
        // The type of `f_type` has another width and sign on other machines.
        let kind = rustix::fs::fstatfs(file).ok()?.f_type;
        // Reading a hole through a mapping allocates memory, of which there may be none.
        let meta = file.metadata().ok()?;
        let has_holes = meta.blocks().saturating_mul(BLOCK_BYTES) < meta.len();
        let is_memory = u64::try_from(kind) == Ok(TMPFS) && !has_holes;
        is_memory.then(|| Self { file: Arc::clone(file), seen: None })
    }

    /// As the file's own `read_at`. The window moves there.
    pub(super) fn read_at(&mut self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        if self.offset(at).is_none() {
            self.seen = None;
            let length = self.file.metadata()?.len();
            if at >= length {
                return Ok(0);
            }
            let start = at - at % WINDOW_BYTES;
            let size = usize::try_from(WINDOW_BYTES.min(length - start)).unwrap_or(usize::MAX);
            let place = FileOffset::from_arc(Arc::clone(&self.file), start);
            self.seen =
                MmapRegion::from_file(place, size).ok().map(|region| Seen { start, region });
        }
        let seen = self.offset(at).and_then(|(region, offset)| {
            region.get_slice(offset, buffer.len().min(region.size() - offset)).ok()
        });
        match seen {
            Some(seen) => Ok(seen.copy_to(buffer)),
            // If nothing could be mapped, the file can still be read.
            None => self.file.read_at(buffer, at),
        }
    }

    /// As the file's own `write_all_at`: through the window where it is, and into the file elsewhere.
    pub(super) fn write_all_at(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        let start = self.seen.as_ref().map_or(at, |seen| seen.start);
        let before = usize::try_from(start.saturating_sub(at)).unwrap_or(usize::MAX);
        let (before, bytes) = bytes.split_at(before.min(bytes.len()));
        self.file.write_all_at(before, at)?;
        let at = at.max(start);
        let seen = self.offset(at);
        match seen.and_then(|(region, offset)| region.get_slice(offset, bytes.len()).ok()) {
            Some(seen) => seen.copy_from(bytes),
            None => self.file.write_all_at(bytes, at)?,
        }
        Ok(())
    }

    /// The mapped part of the file, and where in it position `at` of the file is.
    fn offset(&self, at: u64) -> Option<(&MmapRegion, usize)> {
        let Seen { start, region } = self.seen.as_ref()?;
        let offset = usize::try_from(at.checked_sub(*start)?).ok()?;
        (offset < region.size()).then_some((region, offset))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file on tmpfs: every test machine has one at this path.
    fn file_in_memory(bytes: &[u8]) -> Arc<File> {
        let file = tempfile::tempfile_in("/dev/shm").unwrap();
        file.write_all_at(bytes, 0).unwrap();
        Arc::new(file)
    }

    #[test]
    fn a_window_shows_the_file() {
        let window_bytes = usize::try_from(WINDOW_BYTES).unwrap();
        let mut bytes: Vec<u8> = (0..=250).cycle().take(3 * window_bytes + 1234).collect();
        let file = file_in_memory(&bytes);
        let mut window = Window::onto(&file).unwrap();
        // Every piece is changed and written back a little later than it was read, as a stream does.
        let (mut at, mut written) = (0, 0);
        let mut pending = Vec::new();
        loop {
            let mut piece = [0; 100_000];
            let read = window.read_at(&mut piece, u64::try_from(at).unwrap()).unwrap();
            assert_eq!(piece[..read], bytes[at..at + read]);
            assert!(read > 0 || at == bytes.len());
            at += read;
            pending.extend(piece[..read].iter().map(|byte| byte ^ 0xff));
            let late = if read > 0 { pending.len().min(150) } else { 0 };
            let now: Vec<u8> = pending.drain(..pending.len() - late).collect();
            window.write_all_at(&now, u64::try_from(written).unwrap()).unwrap();
            written += now.len();
            if read == 0 {
                break;
            }
        }
        bytes.iter_mut().for_each(|byte| *byte ^= 0xff);
        let mut found = vec![0; bytes.len()];
        file.read_exact_at(&mut found, 0).unwrap();
        assert!(found == bytes);
    }

    #[test]
    fn a_file_that_was_truncated_ends_there() {
        let file = file_in_memory(&vec![7; 3 << 20]);
        let mut window = Window::onto(&file).unwrap();
        let mut piece = [0; 10];
        assert_eq!(window.read_at(&mut piece, 0).unwrap(), 10);
        file.set_len(1 << 20).unwrap();
        assert_eq!(window.read_at(&mut piece, (2 << 20) + 5).unwrap(), 0);
        assert_eq!(window.read_at(&mut piece, (1 << 20) - 3).unwrap(), 3);
        assert_eq!(piece, [7; 10]);
    }

    #[test]
    fn a_file_with_holes_has_no_window() {
        let file = file_in_memory(&[7; 100_000]);
        assert!(Window::onto(&file).is_some());
        file.set_len(200_000).unwrap();
        assert!(Window::onto(&file).is_none());
    }

    #[test]
    fn a_file_on_another_file_system_has_no_window() {
        assert!(Window::onto(&Arc::new(File::open("/proc/self/stat").unwrap())).is_none());
    }
}
