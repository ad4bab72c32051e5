//! Output files that get their names when they are complete. If the command ends before that, also by a signal, no file
//! is left.
//!
//! On file systems with `O_TMPFILE` (ext4, XFS, Btrfs, tmpfs), the file has no name until then, so the kernel removes it
//! when the process ends. Elsewhere it has a temporary name, which a thread removes at SIGINT, SIGTERM and SIGHUP; only
//! SIGKILL leaves it behind.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::thread;

use rustix::fs::{AtFlags, CWD, Mode, OFlags, linkat};
use rustix::io::Errno;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;
use tempfile::NamedTempFile;

use crate::cli::terminal::output::Failure;

/// An output file that has no name yet.
#[derive(Debug)]
pub(crate) struct AsideFile {
    path: PathBuf,
    overwrite: bool,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Made with `O_TMPFILE`.
    Unnamed(File),
    /// With a temporary name.
    Temporary(NamedTempFile),
    /// A device or a pipe. It is written to directly.
    Special(File),
}

impl AsideFile {
    /// Makes a file for a secret, of mode 0600, that will get the name `path`. An existing file is replaced only if
    /// `overwrite`.
    ///
    /// # Errors
    /// [`Failure`].
    pub(crate) fn create(path: &Path, overwrite: bool) -> Result<Self, Failure> {
        Self::with_mode(path, overwrite, Mode::RUSR | Mode::WUSR)
    }

    /// As [`create`](Self::create), for what is no secret: the umask says who may read it.
    ///
    /// # Errors
    /// [`Failure`].
    pub(crate) fn create_public(path: &Path, overwrite: bool) -> Result<Self, Failure> {
        let all = Mode::RUSR | Mode::WUSR | Mode::RGRP | Mode::WGRP | Mode::ROTH | Mode::WOTH;
        Self::with_mode(path, overwrite, all)
    }

    fn with_mode(path: &Path, overwrite: bool, mode: Mode) -> Result<Self, Failure> {
        let during = |error: io::Error| Failure::from(error).during(path.display());
        // A link stays, and what it leads to is written.
        let real = fs::canonicalize(path);
        let path = real.as_deref().unwrap_or(path);
        let state = match fs::metadata(path) {
            Ok(there) if !there.is_file() && !there.is_dir() => {
                State::Special(OpenOptions::new().write(true).open(path).map_err(during)?)
            }
            Ok(_) if !overwrite => return Err(exists(path)),
            _ => Self::unnamed(folder_of(path), mode).map_err(during)?,
        };
        Ok(Self { path: path.to_owned(), overwrite, state })
    }

    fn unnamed(folder: &Path, mode: Mode) -> io::Result<State> {
        let flags = OFlags::RDWR | OFlags::TMPFILE | OFlags::CLOEXEC;
        match rustix::fs::open(folder, flags, mode) {
            Ok(file) => Ok(State::Unnamed(file.into())),
            // The file system or the kernel does not support it.
            Err(Errno::OPNOTSUPP | Errno::ISDIR) => State::temporary(folder, mode),
            Err(error) => Err(error.into()),
        }
    }

    /// The file to write to.
    pub(crate) fn file(&self) -> &File {
        match &self.state {
            State::Unnamed(file) | State::Special(file) => file,
            State::Temporary(file) => file.as_file(),
        }
    }

    /// The folder where it gets its name.
    pub(crate) fn folder(&self) -> &Path {
        folder_of(&self.path)
    }

    /// Whether its bytes can be written in any order. Devices and pipes take them in sequence only.
    pub(crate) const fn takes_any_order(&self) -> bool {
        !matches!(self.state, State::Special(_))
    }

    /// Syncs the complete file if `durable`, and gives it its name.
    ///
    /// # Errors
    /// [`Failure`]. An existing file of that name is unchanged then.
    pub(crate) fn finish(self, durable: bool) -> Result<(), Failure> {
        let path = self.path.clone();
        let finished = self.name(durable);
        finished.map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => exists(&path),
            _ => Failure::from(error).during(path.display()),
        })
    }

    fn name(self, durable: bool) -> io::Result<()> {
        let Self { path, overwrite, state } = self;
        let file = match &state {
            State::Special(_) => return Ok(()),
            State::Unnamed(file) => file,
            State::Temporary(file) => file.as_file(),
        };
        if durable {
            file.sync_all()?;
        }
        match state {
            State::Unnamed(file) if overwrite => {
                // linkat(2) never replaces a file, but rename(2) does.
                let named = tempfile::Builder::new()
                    .make_in(folder_of(&path), |temporary| link(&file, temporary))?;
                named.persist(&path)?;
            }
            State::Unnamed(file) => link(&file, &path)?,
            State::Temporary(file) if overwrite => drop(file.persist(&path)?),
            State::Temporary(file) => drop(file.persist_noclobber(&path)?),
            State::Special(_) => {}
        }
        match durable {
            true => File::open(folder_of(&path))?.sync_all(),
            false => Ok(()),
        }
    }
}

impl State {
    fn temporary(folder: &Path, mode: Mode) -> io::Result<Self> {
        let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
        let permissions = fs::Permissions::from_mode(mode.bits());
        let file = tempfile::Builder::new().permissions(permissions).tempfile_in(folder)?;
        let path = file.path().to_owned();
        thread::spawn(move || {
            if let Some(signal) = signals.forever().next() {
                // If it fails, nobody is left to tell.
                fs::remove_file(path).ok();
                emulate_default_handler(signal).ok();
            }
        });
        Ok(Self::Temporary(file))
    }
}

impl Write for AsideFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Gives the name `path` to a file that was made with `O_TMPFILE`.
fn link(file: &File, path: &Path) -> io::Result<()> {
    let own = format!("/proc/self/fd/{}", file.as_raw_fd());
    Ok(linkat(CWD, own, CWD, path, AtFlags::SYMLINK_FOLLOW)?)
}

fn exists(path: &Path) -> Failure {
    Failure::new(format_args!("{} exists", path.display()))
        .remedy("choose another name, or replace it with --overwrite")
}

fn folder_of(path: &Path) -> &Path {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    folder.unwrap_or_else(|| Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::process::{Pid, Signal, kill_process};
    use std::os::unix::process::ExitStatusExt;
    use std::process::{Command, Stdio};

    #[test]
    fn a_file_has_its_name_once_it_is_whole_and_nothing_before() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys");
        let names = || fs::read_dir(folder.path()).unwrap().count();
        drop(AsideFile::create(&path, false).unwrap());
        assert_eq!(names(), 0);
        let mut first = AsideFile::create(&path, false).unwrap();
        first.write_all(b"one").unwrap();
        let second = AsideFile::create(&path, false).unwrap();
        first.finish(true).unwrap();
        assert!(second.finish(true).unwrap_err().to_string().contains("exists"));
        assert!(AsideFile::create(&path, false).is_err());
        let mut other = AsideFile::create(&path, true).unwrap();
        other.write_all(b"other").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"one");
        other.finish(true).unwrap();
        assert_eq!((fs::read(&path).unwrap(), names()), (b"other".to_vec(), 1));
    }

    /// The child process of `a_signal_removes_a_file_with_a_temporary_name`.
    const CHILD: &str = "REELKEY_TEST_ASIDE_FOLDER";

    #[test]
    fn a_signal_removes_a_file_with_a_temporary_name() {
        if let Some(folder) = std::env::var_os(CHILD) {
            let _file = State::temporary(Path::new(&folder), Mode::RUSR).unwrap();
            loop {
                thread::park();
            }
        }
        for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
            let folder = tempfile::tempdir().unwrap();
            let names = || fs::read_dir(folder.path()).unwrap().count();
            let mut child = Command::new(std::env::current_exe().unwrap());
            child.args([
                "--exact",
                "cli::aside::tests::a_signal_removes_a_file_with_a_temporary_name",
            ]);
            let mut child = child.env(CHILD, folder.path()).stdout(Stdio::null()).spawn().unwrap();
            while names() == 0 {
                assert_eq!(child.try_wait().unwrap(), None);
                thread::yield_now();
            }
            kill_process(Pid::from_child(&child), signal).unwrap();
            assert_eq!(child.wait().unwrap().signal(), Some(signal.as_raw()));
            assert_eq!(names(), 0);
        }
    }

    #[test]
    fn a_link_stays_and_what_it_leads_to_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let [target, link] = ["target", "link"].map(|name| folder.path().join(name));
        fs::write(&target, "old").unwrap();
        std::os::unix::fs::symlink(&target, &link).unwrap();
        assert!(AsideFile::create(&link, false).is_err());
        let mut file = AsideFile::create(&link, true).unwrap();
        file.write_all(b"new").unwrap();
        file.finish(true).unwrap();
        assert!(link.is_symlink());
        assert_eq!(fs::read(&target).unwrap(), b"new");
    }

    #[test]
    fn a_device_is_written_to_as_it_is() {
        let mut device = AsideFile::create(Path::new("/dev/null"), false).unwrap();
        device.write_all(b"x").unwrap();
        device.finish(false).unwrap();
    }
}
