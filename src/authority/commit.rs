//! Changing what may change under one's hands: read, decide, commit, and again where somebody else was quicker.

use crate::authority::vault::fault::Fault;
use crate::store::batch::{Batch, Committed};
use crate::store::engine::Store;

/// How often a change is tried. Each time somebody else has committed, so many conflicts in a row mean that something
/// else is wrong.
const ATTEMPTS: usize = 16;

/// The attempts at one change. Each of them reads what is there, prepares a batch on it, and commits:
///
/// ```text
/// let mut attempts = Attempts::default();
/// loop {
///     let (batch, done) = prepare(store).await?;
///     if attempts.commit(store, batch).await? {
///         return Ok(done);
///     }
/// }
/// ```
#[derive(Debug, Default)]
pub struct Attempts {
    made: usize,
}

impl Attempts {
    /// Commits `batch`, unless it is empty: then there is nothing to do. Returns `false` after a conflict: what was read
    /// has changed, and the batch has to be prepared anew.
    ///
    /// # Errors
    /// A failure of the store, or [`Fault::Contended`] at the last conflict.
    pub async fn commit(&mut self, store: &dyn Store, batch: Batch) -> Result<bool, Fault> {
        if batch.is_empty() || store.commit(batch).await? == Committed::Done {
            return Ok(true);
        }
        self.made += 1;
        if self.made < ATTEMPTS { Ok(false) } else { Err(Fault::Contended { attempts: ATTEMPTS }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::embedded::successor::NewStore;

    /// How many attempts are made where the one with this number succeeds.
    async fn attempts(succeeds_at: usize) -> Result<usize, Fault> {
        let folder = tempfile::tempdir().unwrap();
        let store = NewStore::begin(&folder.path().join("store")).unwrap().finish().unwrap();
        let mut attempts = Attempts::default();
        for made in 1.. {
            let batch = Batch::default().put("a", "1");
            let batch = if made < succeeds_at { batch.expect("a", "other") } else { batch };
            if attempts.commit(&store, batch).await? {
                return Ok(made);
            }
        }
        Ok(0)
    }

    #[tokio::test]
    async fn a_change_that_is_overtaken_is_tried_again_but_not_for_ever() {
        assert_eq!(attempts(1).await.unwrap(), 1);
        assert_eq!(attempts(5).await.unwrap(), 5);
        let contended = attempts(usize::MAX).await;
        assert!(matches!(contended, Err(Fault::Contended { attempts: ATTEMPTS })));
    }
}
