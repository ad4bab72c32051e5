//! Reads many entries, one page at a time.

use crate::store::batch::Entry;
use crate::store::engine::Store;
use crate::store::error::Error;

/// How many entries one page holds. A content with as many keys as fit into a license fits into one page.
pub const PAGE: usize = 1024;

/// The entries with a prefix, page by page. Entries that are written meanwhile may or may not be included.
pub struct Pages<'a> {
    store: &'a dyn Store,
    prefix: &'a [u8],
    after: Option<Vec<u8>>,
    is_last: bool,
}

impl<'a> Pages<'a> {
    /// Starts with the first entry whose key begins with `prefix`. The empty prefix includes all entries.
    #[must_use]
    pub fn of(store: &'a dyn Store, prefix: &'a [u8]) -> Self {
        Self::after(store, prefix, None)
    }

    /// Starts with the first entry whose key begins with `prefix` and comes after `after`.
    #[must_use]
    pub fn after(store: &'a dyn Store, prefix: &'a [u8], after: Option<Vec<u8>>) -> Self {
        Self { store, prefix, after, is_last: false }
    }

    /// The next page, in key order. Empty at the end.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn next(&mut self) -> Result<Vec<Entry>, Error> {
        if self.is_last {
            return Ok(Vec::new());
        }
        let page = self.store.scan(self.prefix, self.after.as_deref(), PAGE).await?;
        // A page that is not full is the last one. This avoids another read.
        self.is_last = page.len() < PAGE;
        self.after = page.last().map(|(key, _)| key.clone());
        Ok(page)
    }

    /// All entries.
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
