//! Gives the files that root makes in another user's folder to that user, because the service runs as that user and has
//! to read them.
//!
//! Symbolic links are not followed, and files with a second hard link keep their owner: the folder's owner could have
//! linked a file of root into the folder.
//!
//! Deliberately absent: which owners are allowed. `cli/folder/anchors.rs` judges that.

use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::Path;

use rustix::fs::{
    AtFlags, CWD, Dir, FileType, Gid, Mode, OFlags, Uid, chownat, fchown, fstat, openat,
};
use rustix::process::geteuid;

/// A user and a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Owner {
    uid: u32,
    gid: u32,
}

impl Owner {
    fn ids(self) -> (Option<Uid>, Option<Gid>) {
        (Some(Uid::from_raw(self.uid)), Some(Gid::from_raw(self.gid)))
    }
}

/// The folder's owner, if this process is root's and the folder is not.
fn other_owner(folder: &Path) -> io::Result<Option<Owner>> {
    if !geteuid().is_root() {
        return Ok(None);
    }
    let found = fs::metadata(folder)?;
    let owner = Owner { uid: found.uid(), gid: found.gid() };
    Ok((owner.uid != 0).then_some(owner))
}

/// Gives a file that was just made to the owner of `folder`.
///
/// # Errors
/// What the operating system says.
pub fn give_file(made: &File, folder: &Path) -> io::Result<()> {
    match other_owner(folder)? {
        Some(owner) => {
            let (uid, gid) = owner.ids();
            Ok(fchown(made, uid, gid)?)
        }
        None => Ok(()),
    }
}

/// Gives a folder or socket that was just made to the owner of `folder`.
///
/// # Errors
/// What the operating system says.
pub fn give_path(made: &Path, folder: &Path) -> io::Result<()> {
    match other_owner(folder)? {
        Some(owner) => {
            let (uid, gid) = owner.ids();
            Ok(chownat(CWD, made, uid, gid, AtFlags::SYMLINK_NOFOLLOW)?)
        }
        None => Ok(()),
    }
}

/// Gives everything in `folder` that is root's to the owner of `folder`.
///
/// # Errors
/// What the operating system says.
pub fn give_all(folder: &Path) -> io::Result<()> {
    match other_owner(folder)? {
        Some(owner) => {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let opened = openat(CWD, folder, flags, Mode::empty())?;
            give_below(opened, owner)
        }
        None => Ok(()),
    }
}

fn give_below(folder: OwnedFd, owner: Owner) -> io::Result<()> {
    for entry in Dir::read_from(&folder)? {
        let entry = entry?;
        let name = OsStr::from_bytes(entry.file_name().to_bytes());
        if name == "." || name == ".." {
            continue;
        }
        // A pipe without a writer does not hold us up.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        // A link, a socket, or gone by now.
        let Ok(opened) = openat(&folder, name, flags, Mode::empty()) else { continue };
        let found = fstat(&opened)?;
        let is_folder = FileType::from_raw_mode(found.st_mode) == FileType::Directory;
        if found.st_uid == 0 && (is_folder || found.st_nlink == 1) {
            let (uid, gid) = owner.ids();
            fchown(&opened, uid, gid)?;
        }
        if is_folder {
            give_below(opened, owner)?;
        }
    }
    Ok(())
}

/// Makes a folder of mode 0700, and those above it that are missing. Each belongs to whom the one above it belongs to.
///
/// # Errors
/// What the operating system says.
pub fn make_folder(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let above = above(path);
    make_folder(above)?;
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        made => made.and_then(|()| give_path(path, above)),
    }
}

/// The folder that a path is in.
#[must_use]
pub fn above(path: &Path) -> &Path {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    folder.unwrap_or_else(|| Path::new("."))
}
