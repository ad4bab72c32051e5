//! `[device_ca]` of `reelkey.toml` and the files of device CAs, in `keys/device-ca/`: `NAME.pem` (certificates), and where
//! there are some, `NAME.crl` (revocation lists) and `NAME.status.json` (a status list for Android's attestation).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::authority::makers::Makers;
use crate::authority::vault::secret_file;
use crate::cli::folder::anchors;
use crate::cli::folder::paths::Folder;
use crate::cli::terminal::output::Failure;
use crate::crypto::device_ca::{DeviceCa, DeviceCas, Kind};
use crate::crypto::digest::sha256;
use crate::domain::security_level::SecurityLevel;

/// Where the files are, from the folder.
const FILES: &str = "keys/device-ca";

/// The most bytes of one of the files. Google's status list has some hundred thousand.
pub(crate) const FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// The most bytes of revocation lists. Each is hashed for every chain that it may be about.
const LISTS_BYTES_MAX: usize = 4 * 1024 * 1024;

/// What the names of device CAs begin with in a list of fingerprints.
pub(crate) const DEVICE_CA: &str = "device CA ";

/// `[device_ca]`: what each CA vouches for, by its name.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(transparent)]
pub(crate) struct DeviceCaTable(BTreeMap<CaName, Word>);

/// The name of a CA, which is that of its files: 1 to 64 of `A-Za-z0-9_-`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct CaName(String);

impl CaName {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for CaName {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, &'static str> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        match (1..=64).contains(&text.len()) && text.bytes().all(fits) {
            true => Ok(Self(text)),
            false => Err("the name of a device CA is 1 to 64 of A-Z, a-z, 0-9, - and _"),
        }
    }
}

impl std::str::FromStr for CaName {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        Self::try_from(text.to_owned())
    }
}

/// What a CA vouches for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum VouchesFor {
    /// A level, by issuing a device's certificate.
    Level(SecurityLevel),
    /// Secure hardware of Android, which attests the device key.
    AndroidKeyAttestation,
}

/// The value of [`VouchesFor::AndroidKeyAttestation`].
const ANDROID: &str = "ANDROID_KEY_ATTESTATION";

impl fmt::Display for VouchesFor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Level(level) => level.as_str(),
            Self::AndroidKeyAttestation => ANDROID,
        })
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "String")]
struct Word(VouchesFor);

impl TryFrom<String> for Word {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text == ANDROID {
            return Ok(Self(VouchesFor::AndroidKeyAttestation));
        }
        let level = SecurityLevel::parse(&text);
        level.map(|level| Self(VouchesFor::Level(level))).ok_or_else(|| {
            let levels = SecurityLevel::ALL.map(SecurityLevel::as_str).join(", ");
            format!("a device CA vouches for one of {levels}, {ANDROID}")
        })
    }
}

/// The SHA-256 of a `subjectPublicKeyInfo`: 64 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct KeyHash(pub(crate) [u8; 32]);

impl std::str::FromStr for KeyHash {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let malformed =
            "a key hash is the SHA-256 of a subjectPublicKeyInfo: 64 hexadecimal digits";
        let digits: String = text.chars().filter(|c| *c != ':').collect();
        let mut hash = [0; 32];
        if digits.len() != 64 || !digits.is_ascii() {
            return Err(malformed);
        }
        for (byte, at) in hash.iter_mut().zip((0..64).step_by(2)) {
            let pair = digits.get(at..at + 2).filter(|pair| !pair.starts_with('+'));
            *byte = pair.and_then(|pair| u8::from_str_radix(pair, 16).ok()).ok_or(malformed)?;
        }
        Ok(Self(hash))
    }
}

impl TryFrom<String> for KeyHash {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, &'static str> {
        text.parse()
    }
}

impl fmt::Display for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The files of one CA, as bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct CaFiles {
    pub(crate) certificates: Vec<u8>,
    pub(crate) revocation_lists: Option<Vec<u8>>,
    pub(crate) status_list: Option<Vec<u8>>,
}

/// The endings of the three files.
const CERTIFICATES: &str = "pem";
const REVOCATION_LISTS: &str = "crl";
const STATUS_LIST: &str = "status.json";

/// The file of a CA, from the folder.
fn file(name: &CaName, ending: &str) -> PathBuf {
    Path::new(FILES).join(format!("{}.{ending}", name.0))
}

impl CaFiles {
    /// Reads the files of a CA, which only the folder's owner and root may write.
    pub(crate) fn read(folder: &Folder, name: &CaName) -> Result<Self, Failure> {
        let read = |ending: &str| -> Result<Option<Vec<u8>>, Failure> {
            let named = file(name, ending);
            let path = folder.inside(&named)?;
            anchors::check_files(folder, [&*named])?;
            let during = |failure: Failure| failure.during(path.display());
            match fs::metadata(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                Ok(found) if found.len() > FILE_BYTES_MAX => {
                    Err(during(Failure::new("longer than 16 MiB")))
                }
                _ => fs::read(&path).map(Some).map_err(|error| during(error.into())),
            }
        };
        let missing = || {
            let what =
                format!("there is no {}", folder.root().join(file(name, CERTIFICATES)).display());
            Failure::new(what).remedy(format_args!(
                "put the CA's certificate there, or remove {} from [device_ca] in {}",
                name.0,
                folder.config().display()
            ))
        };
        Ok(Self {
            certificates: read(CERTIFICATES)?.ok_or_else(missing)?,
            revocation_lists: read(REVOCATION_LISTS)?,
            status_list: read(STATUS_LIST)?,
        })
    }

    /// Writes the files into the folder. What is `None` is deleted.
    pub(crate) fn write(&self, folder: &Folder, name: &CaName) -> Result<(), Failure> {
        let files = [
            (CERTIFICATES, Some(&self.certificates)),
            (REVOCATION_LISTS, self.revocation_lists.as_ref()),
            (STATUS_LIST, self.status_list.as_ref()),
        ];
        for (ending, bytes) in files {
            let path = folder.inside(&file(name, ending))?;
            match bytes {
                Some(bytes) => secret_file::write(&path, bytes)
                    .map_err(|error| Failure::from(error).during(path.display()))?,
                None => remove_file(&path)?,
            }
        }
        Ok(())
    }

    /// Deletes the files of a CA.
    pub(crate) fn remove(folder: &Folder, name: &CaName) -> Result<(), Failure> {
        let endings = [CERTIFICATES, REVOCATION_LISTS, STATUS_LIST];
        endings.iter().try_for_each(|ending| remove_file(&folder.inside(&file(name, ending))?))
    }

    /// Judges them.
    pub(crate) fn parse(
        &self,
        name: &CaName,
        vouches_for: VouchesFor,
    ) -> Result<DeviceCa, Failure> {
        let kind = match vouches_for {
            VouchesFor::Level(_) => Kind::Certificates,
            VouchesFor::AndroidKeyAttestation => Kind::AndroidKeyAttestation,
        };
        let mut ca = DeviceCa::from_pem(&name.0, kind, &self.certificates)?;
        if let Some(lists) = &self.revocation_lists {
            if lists.len() > LISTS_BYTES_MAX {
                return Err(Failure::new("the revocation lists are longer than 4 MiB")
                    .remedy("name lists without certificates that have expired"));
            }
            ca.revoke_by_lists(lists)?;
        }
        if let Some(list) = &self.status_list {
            ca.revoke_by_status(list)?;
        }
        Ok(ca)
    }
}

fn remove_file(path: &Path) -> Result<(), Failure> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(Failure::from(error).during(path.display()))
        }
        _ => Ok(()),
    }
}

impl DeviceCaTable {
    /// The CAs and what they vouch for.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&CaName, VouchesFor)> {
        self.0.iter().map(|(name, word)| (name, word.0))
    }

    /// What a CA vouches for.
    pub(crate) fn get(&self, name: &CaName) -> Option<VouchesFor> {
        self.0.get(name).map(|word| word.0)
    }

    /// Reads the files of every CA. Their fingerprints are added to `made_of`.
    pub(crate) fn read(
        &self,
        folder: &Folder,
        revoked: &BTreeSet<KeyHash>,
        made_of: &mut BTreeMap<String, String>,
    ) -> Result<Makers, Failure> {
        let (mut cas, mut levels) = (Vec::new(), BTreeMap::new());
        for (name, vouches_for) in self.all() {
            let during = |failure: Failure| failure.during(format_args!("device CA {}", name.0));
            let files = CaFiles::read(folder, name).map_err(during)?;
            cas.push(files.parse(name, vouches_for).map_err(during)?);
            if let VouchesFor::Level(level) = vouches_for {
                levels.insert(name.0.clone(), level);
            }
            let CaFiles { certificates, revocation_lists, status_list } = &files;
            let parts = [Some(certificates), revocation_lists.as_ref(), status_list.as_ref()];
            let hashes = parts.map(|part| part.map(|bytes| KeyHash(sha256(bytes)).to_string()));
            made_of.insert(format!("{DEVICE_CA}{}", name.0), format!("{vouches_for} {hashes:?}"));
        }
        made_of.insert("revoked_device_keys".into(), format!("{revoked:?}"));
        let revoked = revoked.iter().map(|hash| hash.0).collect();
        Ok(Makers::new(DeviceCas::new(cas, revoked)?, levels))
    }
}
