//! Judges who may write the files that the service trusts without a signature: configuration, policies, keys and the
//! store. A person who may write one of these decides who gets licenses. So each file, and each folder from it up to the
//! data folder, must belong to the data folder's owner or to root, and nobody else may write it. sshd judges
//! `authorized_keys` in the same way, up to the home folder.
//!
//! The folders above the data folder are only refused if everybody may write them and the sticky bit is not set, because
//! then everybody could replace the data folder. Their owners and groups are not judged: a user's own folders often
//! belong to a group of that user (umask 002), and a container's root often works in a user's checkout.
//!
//! Every symbolic link on the way is judged by its owner, and followed.
//!
//! Deliberately absent: who may read what. That is judged where a secret is read (`secret_file.rs`).

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf, absolute};

use rustix::process::geteuid;

use crate::cli::folder::paths::Folder;
use crate::cli::terminal::output::Failure;

/// The most symbolic links on the way to one file (path_resolution(7)).
const LINKS_MAX: usize = 40;

/// Refuses a folder that others may write to, with the command that mends the first fault.
pub(crate) fn check(folder: &Folder) -> Result<(), Failure> {
    faults(folder).into_iter().next().map_or(Ok(()), Err)
}

/// Refuses files, named by the configuration, that others may write.
pub(crate) fn check_files<'a>(
    folder: &Folder,
    files: impl IntoIterator<Item = &'a Path>,
) -> Result<(), Failure> {
    let mut judge = Judge::of(folder);
    for file in files {
        judge.follow(&folder.root().join(file));
    }
    judge.faults.into_iter().next().map_or(Ok(()), Err)
}

/// Refuses a data folder in which others could put a socket of their own.
pub(crate) fn check_root(folder: &Folder) -> Result<(), Failure> {
    check_files(folder, [Path::new("")])
}

/// Everything that others may write. What is missing is no fault here.
pub(crate) fn faults(folder: &Folder) -> Vec<Failure> {
    let mut judge = Judge::of(folder);
    judge.follow(folder.config());
    for path in [folder.policies(), folder.keys(), folder.store_files()] {
        judge.follow_all(&path, 2);
    }
    judge.faults
}

/// Whether this user may answer at the admin socket: the data folder's owner, root, and the user of this process may.
pub(crate) fn trusts(folder: &Folder, uid: u32) -> bool {
    Judge::of(folder).trusts(uid)
}

struct Judge {
    /// The data folder's.
    uid: u32,
    gid: u32,
    /// The data folder: as it was named, and without symbolic links.
    roots: Vec<PathBuf>,
    /// The paths that were judged already.
    seen: BTreeSet<PathBuf>,
    faults: Vec<Failure>,
}

impl Judge {
    fn of(folder: &Folder) -> Self {
        let found = fs::metadata(folder.root());
        let own = geteuid().as_raw();
        let (uid, gid) = found.map_or((own, own), |found| (found.uid(), found.gid()));
        // Root acts on everybody's folder; another user on none but their own and root's.
        let uid = if own == 0 || uid == own { uid } else { 0 };
        let named = [absolute(folder.root()), fs::canonicalize(folder.root())];
        let roots = named.into_iter().flatten().collect();
        Self { uid, gid, roots, seen: BTreeSet::new(), faults: Vec::new() }
    }

    fn trusts(&self, uid: u32) -> bool {
        uid == 0 || uid == self.uid || uid == geteuid().as_raw()
    }

    /// Judges a path and, so many levels deep, what is in it.
    fn follow_all(&mut self, path: &Path, levels: usize) {
        self.follow(path);
        let entries = if levels > 0 { fs::read_dir(path).ok() } else { None };
        for entry in entries.into_iter().flatten().flatten() {
            self.follow_all(&entry.path(), levels - 1);
        }
    }

    /// Judges a path and every folder and link that lead to it.
    fn follow(&mut self, path: &Path) {
        let followed = absolute(path).and_then(|path| self.walk(path));
        if let Err(error) = followed {
            self.faults.push(Failure::from(error).during(path.display()));
        }
    }

    fn walk(&mut self, path: PathBuf) -> io::Result<()> {
        let (mut at, mut links) = (PathBuf::from("/"), 0);
        let mut rest = parts(&path);
        while let Some(part) = rest.pop() {
            if part == ".." {
                at.pop();
                continue;
            }
            let here = at.join(part);
            let found = match fs::symlink_metadata(&here) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
                found => found?,
            };
            if self.seen.insert(here.clone()) {
                self.judge(&here, &found);
            }
            if !found.is_symlink() {
                at = here;
                continue;
            }
            links += 1;
            if links > LINKS_MAX {
                return Err(io::Error::other("too many symbolic links"));
            }
            let target = fs::read_link(&here)?;
            if target.is_absolute() {
                at = PathBuf::from("/");
            }
            rest.extend(parts(&target));
        }
        Ok(())
    }

    fn judge(&mut self, path: &Path, found: &Metadata) {
        let (mode, uid) = (found.mode() & 0o7777, found.uid());
        let shown = quoted(path);
        let is_sticky = found.is_dir() && mode & 0o1000 != 0;
        let is_above = self.roots.iter().any(|root| root != path && root.starts_with(path));
        let written_by_others = if is_above { 0o002 } else { 0o022 };
        if !is_above && !self.trusts(uid) {
            self.faults.push(Failure::new(format_args!(
                "{shown} (mode {mode:04o}) belongs to uid {uid}, who could change what the service trusts; run \
                 `chown -h {}:{} {shown}`",
                self.uid, self.gid
            )));
        } else if !found.is_symlink() && mode & written_by_others != 0 && !is_sticky {
            self.faults.push(Failure::new(format_args!(
                "{shown} (uid {uid}) has mode {mode:04o}, so others could change what the service trusts; run \
                 `chmod go-w {shown}`"
            )));
        }
    }
}

/// The parts of a path, the last one first.
fn parts(path: &Path) -> Vec<OsString> {
    let parts = path.components().rev().filter_map(|part| match part {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        _ => None,
    });
    parts.collect()
}

/// A path as a shell takes it.
fn quoted(path: &Path) -> String {
    let text = path.to_string_lossy();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+=:@%,".contains(c);
    if text.chars().all(plain) {
        text.into_owned()
    } else {
        format!("'{}'", text.escape_debug().to_string().replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::Mode;
    use rustix::process::umask;
    use std::fs::Permissions;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn folder() -> (tempfile::TempDir, Folder) {
        // As `main` does.
        umask(Mode::WGRP | Mode::WOTH);
        let held = tempfile::tempdir().unwrap();
        let root = held.path().join("data");
        for path in ["policies", "keys/issuers", "keys/dev", "store"] {
            fs::create_dir_all(root.join(path)).unwrap();
        }
        for path in
            ["reelkey.toml", "policies/a.toml", "keys/root.key", "keys/issuers/a", "keys/dev/a"]
        {
            fs::write(root.join(path), "").unwrap();
        }
        let folder = Folder::new(&root, None);
        (held, folder)
    }

    #[test]
    fn every_anchor_that_others_may_write_is_a_fault_with_its_remedy() {
        let (_held, folder) = folder();
        assert!(faults(&folder).is_empty());
        for path in [
            "",
            "reelkey.toml",
            "policies",
            "policies/a.toml",
            "keys",
            "keys/root.key",
            "keys/issuers",
            "keys/issuers/a",
            "keys/dev",
            "keys/dev/a",
            "store",
        ] {
            let path = folder.root().join(path);
            let before = fs::metadata(&path).unwrap().permissions();
            for more in [0o020, 0o002] {
                let mode = before.mode() | more;
                fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
                let found = faults(&folder);
                assert_eq!(found.len(), 1, "{} {mode:o}", path.display());
                let said = found[0].to_string();
                assert!(said.contains(&format!("{:04o}", mode & 0o7777)), "{said}");
                assert!(check(&folder).is_err());
            }
            fs::set_permissions(&path, before).unwrap();
        }
        let above = folder.root().parent().unwrap();
        fs::set_permissions(above, Permissions::from_mode(0o777)).unwrap();
        assert!(check_root(&folder).is_err());
        fs::set_permissions(above, Permissions::from_mode(0o1777)).unwrap();
        assert!(check_root(&folder).is_ok(), "the sticky bit is enough above");
        fs::set_permissions(above, Permissions::from_mode(0o775)).unwrap();
        assert!(check_root(&folder).is_ok(), "a user's own group may write above");
    }

    #[test]
    fn a_link_is_followed_to_where_it_leads() {
        let (held, folder) = folder();
        let elsewhere = held.path().join("elsewhere");
        fs::create_dir(&elsewhere).unwrap();
        fs::write(elsewhere.join("b.toml"), "").unwrap();
        symlink("../../elsewhere/b.toml", folder.root().join("policies/b.toml")).unwrap();
        assert!(check(&folder).is_ok());
        fs::set_permissions(&elsewhere, Permissions::from_mode(0o777)).unwrap();
        assert!(check(&folder).is_err());
        symlink("loop", folder.root().join("policies/loop")).unwrap();
        assert_eq!(faults(&folder).len(), 2, "a loop ends");
    }
}
