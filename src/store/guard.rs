//! A guard around sled: what it panics or fails with becomes an error of the store.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::store::Error;

/// Runs what sled does, so that a panic of sled's on a damaged file is damage and nothing worse.
pub(super) fn guard<T>(work: impl FnOnce() -> sled::Result<T>) -> Result<T, Error> {
    catch_unwind(AssertUnwindSafe(work))
        .map_err(|_| Error::Damaged("its files contradict each other".into()))?
        .map_err(from_sled)
}

fn from_sled(error: sled::Error) -> Error {
    match error {
        sled::Error::Io(error) => Error::Io(error),
        sled::Error::Corruption { at, .. } => Error::Damaged(format!("corruption at {at:?}")),
        sled::Error::CollectionNotFound(_)
        | sled::Error::Unsupported(_)
        | sled::Error::ReportableBug(_) => Error::Damaged(error.to_string()),
    }
}
