//! Writing to a descriptor that may be a file, a pipe or a terminal, also a non-blocking one.
//!
//! Deliberately absent: the locks of `std::io::Stderr` and `Stdout`. A thread that is stuck in a write holds no lock that
//! anybody else waits for.

use std::io;
use std::os::fd::AsFd;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::{Errno, write};

/// Writes all of `rest`, waiting where that is needed. After an error, `rest` is what was not written.
pub(super) fn write_all(out: &impl AsFd, rest: &mut &[u8]) -> io::Result<()> {
    while !rest.is_empty() {
        match write(out, rest) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => *rest = rest.get(written..).unwrap_or_default(),
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => wait(out)?,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Until something can be written, or nothing ever will.
fn wait(out: &impl AsFd) -> io::Result<()> {
    match poll(&mut [PollFd::new(out, PollFlags::OUT)], None) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::io::Read;
    use std::thread;

    #[test]
    fn a_pipe_that_does_not_block_gets_every_byte_in_order() {
        let (mut reader, writer) = io::pipe().unwrap();
        rustix::io::ioctl_fionbio(&writer, true).unwrap();
        let text: Vec<u8> = (0..=u8::MAX).cycle().take(1_000_000).collect();
        let read = thread::spawn(move || {
            let mut read = Vec::new();
            reader.read_to_end(&mut read).unwrap();
            read
        });
        write_all(&writer, &mut &text[..]).unwrap();
        drop(writer);
        assert_eq!(read.join().unwrap(), text);
    }

    #[test]
    fn an_error_leaves_what_was_not_written() {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let mut rest = &b"a line\n"[..];
        let error = write_all(&full, &mut rest).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        assert_eq!(rest, b"a line\n");
    }
}
