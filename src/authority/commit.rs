//! Commits a change that other tasks may overtake: read, decide, commit, and start again after a conflict.

use crate::authority::vault::fault::Fault;
use crate::store::batch::{Batch, Committed};
use crate::store::engine::Store;

/// How often a change is tried. Every conflict means that another task has committed, for example one of many requests of the
/// same account. So many of them in a row mean that something else is wrong.
const ATTEMPTS: usize = 128;

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
    /// Commits `batch`. An empty batch is done without a write. Returns `false` after a conflict: what was read has
    /// changed, and the caller prepares the batch again.
    ///
    /// # Errors
    /// A failure of the store, or [`Fault::Contended`] after the last attempt.
    pub async fn commit(&mut self, store: &dyn Store, batch: Batch) -> Result<bool, Fault> {
        if batch.is_empty() || store.commit(batch).await? == Committed::Done {
            return Ok(true);
        }
        self.made += 1;
        if self.made < ATTEMPTS { Ok(false) } else { Err(Fault::Contended { attempts: ATTEMPTS }) }
    }

    /// Commits `batch`, and makes what is given out once it is committed. Returns `None` after a conflict.
    ///
    /// The first attempt makes it while the batch is on its way to the disk. Later attempts make it afterwards, so a caller who is
    /// overtaken again and again makes it at most twice.
    ///
    /// # Errors
    /// As [`Attempts::commit`], or that of `make`.
    pub async fn commit_while<T>(
        &mut self,
        store: &dyn Store,
        batch: Batch,
        make: impl Fn() -> Result<T, Fault>,
    ) -> Result<Option<T>, Fault> {
        let is_first = self.made == 0;
        let meanwhile = async { is_first.then(&make) };
        // In this order: the batch is in the queue before the making begins.
        let (is_committed, made) = tokio::join!(biased; self.commit(store, batch), meanwhile);
        Ok(if is_committed? { Some(made.unwrap_or_else(make)?) } else { None })
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::store::embedded::successor::NewStore;

    /// Returns the number of attempts if the attempt `succeeds_at` is the first that can succeed.
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

    /// How often the answer was made, and how it ended, if the attempt `succeeds_at` is the first that can succeed.
    async fn made(succeeds_at: usize, answer: fn() -> Result<u8, Fault>) -> (usize, Option<u8>) {
        let folder = tempfile::tempdir().unwrap();
        let store = NewStore::begin(&folder.path().join("store")).unwrap().finish().unwrap();
        let (mut attempts, count) = (Attempts::default(), Cell::new(0));
        let make = || {
            count.set(count.get() + 1);
            answer()
        };
        for attempt in 1.. {
            let batch = Batch::default().put("a", "1");
            let batch = if attempt < succeeds_at { batch.expect("a", "other") } else { batch };
            match attempts.commit_while(&store, batch, make).await {
                Ok(None) => {}
                ended => return (count.get(), ended.ok().flatten()),
            }
        }
        (count.get(), None)
    }

    #[tokio::test]
    async fn an_answer_is_made_at_most_twice_and_only_given_out_after_a_commit() {
        assert_eq!(made(1, || Ok(7)).await, (1, Some(7)));
        assert_eq!(made(5, || Ok(7)).await, (2, Some(7)));
        assert_eq!(made(usize::MAX, || Ok(7)).await, (1, None), "it was never committed");
        assert_eq!(made(1, || Err(Fault::Incomplete("test"))).await, (1, None));
    }

    #[tokio::test]
    async fn a_change_that_is_overtaken_is_tried_again_but_not_for_ever() {
        assert_eq!(attempts(1).await.unwrap(), 1);
        assert_eq!(attempts(5).await.unwrap(), 5);
        let contended = attempts(usize::MAX).await;
        assert!(matches!(contended, Err(Fault::Contended { attempts: ATTEMPTS })));
    }
}
