//! The contract that every engine must fulfil. A test of the engine calls [`run`] with an empty store.

use std::sync::Arc;

use crate::store::batch::{Batch, Committed, VALUE_BYTES_MAX};
use crate::store::engine::Store;
use crate::store::error::Error;

/// Tests `store`, which must be empty, against the contract of [`Store`].
///
/// # Errors
/// The law that the engine broke, or an error of the engine.
pub async fn run(store: Arc<dyn Store>) -> Result<(), Broken> {
    keeps_what_it_acknowledged(&*store).await?;
    gets_many_in_their_order(&*store).await?;
    scans_in_order_and_in_pages(&*store).await?;
    changes_everything_or_nothing(&*store).await?;
    refuses_what_is_too_long(&*store).await?;
    lets_one_of_many_win(Arc::clone(&store)).await?;
    loses_no_update(store).await
}

/// An engine does not fulfil the contract.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    /// The law, as a sentence.
    #[error("the engine broke a law: {0}")]
    Law(&'static str),
    /// The engine failed.
    #[error(transparent)]
    Engine(#[from] Error),
    /// A task of this test suite failed.
    #[error(transparent)]
    Task(#[from] tokio::task::JoinError),
}

fn law(holds: bool, sentence: &'static str) -> Result<(), Broken> {
    if holds { Ok(()) } else { Err(Broken::Law(sentence)) }
}

async fn keeps_what_it_acknowledged(store: &dyn Store) -> Result<(), Broken> {
    law(store.is_healthy(), "a fresh store is healthy")?;
    law(store.get(b"a").await?.is_none(), "an empty store has nothing")?;
    let done = store.commit(Batch::default().put("a", "1").put("a/empty", "")).await?;
    law(done == Committed::Done, "a batch without expectations is applied")?;
    law(store.get(b"a").await?.as_deref() == Some(b"1"), "what was put is there")?;
    law(store.get(b"a/empty").await?.as_deref() == Some(b""), "an empty value is a value")?;
    store.commit(Batch::default().put("a", "2")).await?;
    law(store.get(b"a").await?.as_deref() == Some(b"2"), "a later put replaces")?;
    store.commit(Batch::default().remove("a").remove("never")).await?;
    law(store.get(b"a").await?.is_none(), "what was removed is gone")
}

async fn gets_many_in_their_order(store: &dyn Store) -> Result<(), Broken> {
    store.commit(Batch::default().put("many/1", "one").put("many/2", "two")).await?;
    let keys: Vec<Vec<u8>> = [b"many/2", b"many/3", b"many/1", b"many/2"].map(Into::into).into();
    let values = store.get_many(&keys).await?;
    let values: Vec<_> = values.iter().map(Option::as_deref).collect();
    let right = [Some(&b"two"[..]), None, Some(b"one"), Some(b"two")];
    law(values == right, "many values come in the order of their keys, absent ones among them")?;
    law(store.get_many(&[]).await?.is_empty(), "of no keys there are no values")
}

async fn scans_in_order_and_in_pages(store: &dyn Store) -> Result<(), Broken> {
    let mut batch = Batch::default();
    for n in (0_u8..10).rev() {
        batch = batch.put([b"scan/".as_slice(), &[n]].concat(), [n]);
    }
    store.commit(batch.put("scan", "before").put("scao", "behind")).await?;
    let mut seen = Vec::new();
    let mut after: Option<Vec<u8>> = None;
    loop {
        let page = store.scan(b"scan/", after.as_deref(), 3).await?;
        law(page.len() <= 3, "a page is no longer than its limit")?;
        let Some((last, _)) = page.last() else { break };
        after = Some(last.clone());
        seen.extend(page.into_iter().flat_map(|(_, value)| value));
    }
    law(seen == (0..10).collect::<Vec<u8>>(), "a scan sees every key once, in order, by prefix")
}

async fn changes_everything_or_nothing(store: &dyn Store) -> Result<(), Broken> {
    store.commit(Batch::default().put("old", "value")).await?;
    for wrong in [
        Batch::default().expect_absent("old"),
        Batch::default().expect("old", "other"),
        Batch::default().expect("new", "value"),
        Batch::default().expect("old", "value").expect_absent("old"),
    ] {
        let batch = wrong.put("new", "1").put("old", "2");
        law(store.commit(batch).await? == Committed::Conflict, "a broken expectation conflicts")?;
        law(store.get(b"new").await?.is_none(), "a conflict changes nothing")?;
        law(store.get(b"old").await?.as_deref() == Some(b"value"), "a conflict changes nothing")?;
    }
    let right = Batch::default().expect("old", "value").expect_absent("new").put("new", "1");
    law(store.commit(right).await? == Committed::Done, "a kept expectation lets the batch through")
}

async fn refuses_what_is_too_long(store: &dyn Store) -> Result<(), Broken> {
    store.commit(Batch::default().put("long", vec![0; VALUE_BYTES_MAX])).await?;
    let batch = Batch::default().put("x", "1").put("longer", vec![0; VALUE_BYTES_MAX + 1]);
    law(matches!(store.commit(batch).await, Err(Error::TooLong)), "a value has a longest length")?;
    law(store.get(b"x").await?.is_none(), "a refused batch changes nothing")?;
    law(store.is_healthy(), "a refused batch does no harm")
}

async fn lets_one_of_many_win(store: Arc<dyn Store>) -> Result<(), Broken> {
    let tasks: Vec<_> = (0_u8..64)
        .map(|n| {
            let store = Arc::clone(&store);
            let batch = Batch::default().expect_absent("race").put("race", [n]).put("winner", [n]);
            tokio::spawn(async move { store.commit(batch).await })
        })
        .collect();
    let mut winners = 0;
    for task in tasks {
        if task.await?? == Committed::Done {
            winners += 1;
        }
    }
    law(winners == 1, "of many batches that expect absence one is applied")?;
    law(store.get(b"race").await? == store.get(b"winner").await?, "a batch is applied as a whole")
}

/// Sixteen tasks count together, each change expecting what it has read.
async fn loses_no_update(store: Arc<dyn Store>) -> Result<(), Broken> {
    store.commit(Batch::default().put("count", [0])).await?;
    let tasks: Vec<_> = (0_u8..16)
        .map(|task| {
            let store = Arc::clone(&store);
            tokio::spawn(async move { count(&*store, task).await })
        })
        .collect();
    for task in tasks {
        task.await??;
    }
    law(store.get(b"count").await?.as_deref() == Some(&[128]), "no update is lost")?;
    let mine = store.scan(b"counted/", None, 256).await?;
    law(mine.len() == 128, "every update is applied as a whole")
}

async fn count(store: &dyn Store, task: u8) -> Result<(), Error> {
    for turn in 0_u8..8 {
        loop {
            let before = store.get(b"count").await?.unwrap_or_default();
            let after: Vec<u8> = before.iter().map(|number| number.wrapping_add(1)).collect();
            let mine = [b"counted/".as_slice(), &[task, turn]].concat();
            let batch = Batch::default().expect("count", before).expect_absent(mine.clone());
            let batch = batch.put("count", after).put(mine, "");
            if store.commit(batch).await? == Committed::Done {
                break;
            }
        }
    }
    Ok(())
}
