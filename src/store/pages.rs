//! Reading many entries, some at a time.

use crate::store::batch::Entry;
use crate::store::engine::Store;
use crate::store::error::Error;

/// How many entries one page holds. A content with all the keys that a license can hold fits into one.
pub const PAGE: usize = 1024;

/// The entries under a prefix, page by page. What is written meanwhile may or may not be among them.
pub struct Pages<'a> {
    store: &'a dyn Store,
    prefix: &'a [u8],
    after: Option<Vec<u8>>,
    is_last: bool,
}

impl<'a> Pages<'a> {
    /// From the first entry under `prefix` on; the empty prefix is that of all.
    #[must_use]
    pub fn of(store: &'a dyn Store, prefix: &'a [u8]) -> Self {
        Self::after(store, prefix, None)
    }

    /// The entries under `prefix` whose keys come after `after`.
    #[must_use]
    pub fn after(store: &'a dyn Store, prefix: &'a [u8], after: Option<Vec<u8>>) -> Self {
        Self { store, prefix, after, is_last: false }
    }

    /// The next entries, in the order of their keys; none at the end.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn next(&mut self) -> Result<Vec<Entry>, Error> {
        if self.is_last {
            return Ok(Vec::new());
        }
        let page = self.store.scan(self.prefix, self.after.as_deref(), PAGE).await?;
        // A page that is not full is the last one: no second read to learn that.
        self.is_last = page.len() < PAGE;
        self.after = page.last().map(|(key, _)| key.clone());
        Ok(page)
    }

    /// All of the entries.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn all(mut self) -> Result<Vec<Entry>, Error> {
        let mut all = self.next().await?;
        loop {
            let page = self.next().await?;
            if page.is_empty() {
                return Ok(all);
            }
            all.extend(page);
        }
    }
}
