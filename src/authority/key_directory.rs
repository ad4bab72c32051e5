//! Folders into which an origin writes keys that it makes itself, 16 bytes a file, as nginx-rtmp and SRS do. Players get them
//! under the rules of a content.
//!
//! A file is read when it is asked for, so what the origin has just written is there and what it has removed is gone.

use std::fs::OpenOptions;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use reelkey_client::key::{ContentKey, KeyId};
use rustix::fs::OFlags;

use crate::crypto::clean_stack::on_clean_stack;
use crate::crypto::digest::sha256;
use crate::domain::content::ContentId;

/// The longest name of a file below the folder, in bytes.
const NAME_BYTES_MAX: usize = 200;

/// A folder of keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyDirectory {
    /// The folder.
    pub path: PathBuf,
    /// The content whose keys are in it.
    pub content: ContentId,
}

/// The name of a file of keys: segments of `A-Za-z0-9._-` joined by `/`, none of which begins with a dot, and `.key` at the
/// end. It names nothing outside of the folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyFileName(String);

impl KeyFileName {
    /// Reads the name; `None` if it is none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        let is_segment = |segment: &str| {
            !segment.is_empty() && !segment.starts_with('.') && segment.bytes().all(allowed)
        };
        let fits = text.len() <= NAME_BYTES_MAX
            && text
                .strip_suffix(".key")
                .is_some_and(|stem| !stem.is_empty() && !stem.ends_with('/'))
            && text.split('/').all(is_segment);
        fits.then(|| Self(text.to_owned()))
    }
}

impl KeyDirectory {
    /// Splits what follows `/v1/hls/` into this folder's content and the name of a file; `None` if it is about another
    /// content.
    #[must_use]
    pub fn file(&self, path: &str) -> Option<KeyFileName> {
        KeyFileName::parse(path.strip_prefix(self.content.as_str())?.strip_prefix('/')?)
    }

    /// A KID for the key of a file: the origin has none. The same file has the same one.
    #[must_use]
    pub fn kid(&self, file: &KeyFileName) -> KeyId {
        let hash = sha256(&[self.content.as_str().as_bytes(), &[0], file.0.as_bytes()].concat());
        KeyId::from_bytes(hash.first_chunk().copied().unwrap_or_default())
    }

    /// Reads the key; `None` if there is no such file, or it does not have exactly 16 bytes. A link at the end of the path is
    /// not followed. It may wait for the disk.
    #[must_use]
    pub fn read(&self, file: &KeyFileName) -> Option<ContentKey> {
        let path = self.path.join(&file.0);
        let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().try_into().ok()?;
        let mut input = OpenOptions::new().read(true).custom_flags(flags).open(path).ok()?;
        if !input.metadata().ok()?.is_file() {
            return None;
        }
        on_clean_stack(|| {
            let key = ContentKey::try_init(|key| input.read_exact(key)).ok()?;
            let is_end = matches!(input.read(&mut [0]), Ok(0));
            is_end.then_some(key)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    #[test]
    fn a_name_stays_in_the_folder() {
        for fine in ["cam1-0.key", "live/stream-12.key", "a.b.key", "_-.key"] {
            assert!(KeyFileName::parse(fine).is_some(), "{fine}");
        }
        for wrong in [
            "",
            ".key",
            "a",
            "../a.key",
            "a/../b.key",
            "/a.key",
            "a//b.key",
            "a/.key",
            ".a.key",
            "a b.key",
            "a.key/",
            "a%2e.key",
            "a\0.key",
            &format!("{}.key", "x".repeat(200)),
        ] {
            assert!(KeyFileName::parse(wrong).is_none(), "{wrong:?}");
        }
    }

    #[test]
    fn a_key_is_a_file_of_16_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let content: ContentId = "live/cam".parse().unwrap();
        let keys = KeyDirectory { path: folder.path().to_owned(), content };
        fs::write(folder.path().join("cam1-0.key"), [7; 16]).unwrap();
        fs::write(folder.path().join("short.key"), [7; 15]).unwrap();
        fs::write(folder.path().join("long.key"), [7; 17]).unwrap();
        symlink(folder.path().join("cam1-0.key"), folder.path().join("link.key")).unwrap();
        fs::create_dir(folder.path().join("folder.key")).unwrap();
        let read = |path: &str| keys.read(&keys.file(path)?);
        assert_eq!(*read("live/cam/cam1-0.key").unwrap().to_hex(), "07".repeat(16));
        for none in ["short", "long", "link", "folder", "other"] {
            assert!(read(&format!("live/cam/{none}.key")).is_none(), "{none}");
        }
        assert!(keys.file("live/camera/cam1-0.key").is_none());
        assert!(keys.file("live/cam").is_none());
        let [one, other] =
            ["live/cam/a.key", "live/cam/b.key"].map(|path| keys.file(path).unwrap());
        assert_ne!(keys.kid(&one), keys.kid(&other));
    }
}
