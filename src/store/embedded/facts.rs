//! The database of facts: what grants leave behind. It lies beside the numbered databases, under the same lock, so that no
//! rotation has to copy it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::store::embedded::place::{FACTS, Place};
use crate::store::embedded::row::Sharing;
use crate::store::embedded::store::SledStore;
use crate::store::error::Error;
use crate::store::owner;

/// Makes the database if it is missing, completely or not at all.
///
/// # Errors
/// [`Error`].
pub(super) fn make(place: &Arc<Place>) -> Result<(), Error> {
    if folder(place).exists() {
        return Ok(());
    }
    let aside = place.folder().join("facts.new");
    match fs::remove_dir_all(&aside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    owner::make_folder(&aside)?;
    let new = SledStore::start(&aside, Arc::clone(place), FACTS, Sharing::NONE)?;
    // Closing tells of no failed write, so it has nothing left to write.
    new.engine.write(|db| db.flush().map(drop))?;
    drop(new);
    match is_there(&aside)? {
        true => Ok(place.put(&aside, &folder(place))?),
        false => Err(io::Error::other("the disk failed").into()),
    }
}

/// Opens the database, in which keys share rows. `may_make`: it is made if it is missing, because the store is older than facts.
///
/// # Errors
/// [`Error::Damaged`] if it is missing and should not be.
pub(in crate::store) fn open(
    store: &SledStore,
    sharing: Sharing,
    may_make: bool,
) -> Result<SledStore, Error> {
    let place = &store.place;
    if may_make {
        make(place)?;
    }
    let files = folder(place);
    match is_there(&files)? {
        true => SledStore::start(&files, Arc::clone(place), FACTS, sharing),
        false => Err(Error::Damaged("its folder `facts` is missing or empty".into())),
    }
}

/// Whether the folder has a database. sled would take an empty file for a new one.
fn is_there(folder: &Path) -> io::Result<bool> {
    match fs::metadata(folder.join("db")) {
        Ok(db) => Ok(db.len() > 0),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn folder(place: &Place) -> PathBuf {
    place.folder().join("facts")
}
