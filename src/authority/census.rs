//! Counting what a store holds, and opening every secret of it on the way.

use crate::authority::keyring::{self, Keyring};
use crate::store::record::{AnyRecord, PAGE};
use crate::store::{Entry, Store};

/// What a store holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Census {
    /// Records besides the header and the KEKs.
    pub records: usize,
    /// Those that hold a secret, each of which opens.
    pub secrets: usize,
    /// Content keys among them.
    pub keys: usize,
}

/// Opens every secret of `store`.
///
/// # Errors
/// The first that does not open, by name.
pub async fn census(store: &dyn Store, keyring: &Keyring) -> Result<Census, keyring::Error> {
    let mut census = Census::default();
    let mut page: Vec<Entry> = store.scan(b"", None, PAGE).await?;
    while let Some((last, _)) = page.last() {
        let last = last.clone();
        for (key, value) in page {
            match AnyRecord::read(&key, &value)? {
                AnyRecord::Header | AnyRecord::Kek => continue,
                AnyRecord::Plain => {}
                AnyRecord::Key(record) => {
                    keyring.content_key(&record)?;
                    census.keys += 1;
                    census.secrets += 1;
                }
                AnyRecord::Signer(record) => {
                    keyring.signer(&record)?;
                    census.secrets += 1;
                }
                AnyRecord::NamingKey(record) => {
                    keyring.naming_key(&record)?;
                    census.secrets += 1;
                }
            }
            census.records += 1;
        }
        page = store.scan(b"", Some(&last), PAGE).await?;
    }
    Ok(census)
}
