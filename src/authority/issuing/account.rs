//! What the store remembers of one account, for one decision.
//!
//! Everything of an account lies together, so one read finds the first [`AT_ONCE`] facts: for most accounts all of them. What
//! lies behind these is read by its key or the beginning of its key. Kinds that can become many, licenses and first uses, come
//! last.

use crate::authority::vault::fault::Fault;
use crate::store::batch::Entry;
use crate::store::engine::Store;
use crate::store::record::fact::account::AccountId;
use crate::store::record::stored::{Record, Stored, with_prefix};

/// How many facts are read at once.
const AT_ONCE: usize = 64;

/// The facts of an account: those that were read at once, and the others where they are.
pub(super) struct Account<'a> {
    facts: &'a dyn Store,
    /// The first ones, in the order of their keys.
    first: Vec<Entry>,
    /// Whether there are no others.
    is_all: bool,
}

impl<'a> Account<'a> {
    /// Reads the first facts.
    pub(super) async fn read(facts: &'a dyn Store, account: &AccountId) -> Result<Self, Fault> {
        let first = facts.scan(&account.prefix(), None, AT_ONCE).await?;
        let is_all = first.len() < AT_ONCE;
        Ok(Self { facts, first, is_all })
    }

    /// Reads nothing yet: for a decision that needs little.
    pub(super) const fn unread(facts: &'a dyn Store) -> Self {
        Self { facts, first: Vec::new(), is_all: false }
    }

    /// The values of `keys`, in the order of `keys`.
    pub(super) async fn values(&self, keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>, Fault> {
        let last = self.first.last().map(|(last, _)| last);
        let is_known = |key: &Vec<u8>| self.is_all || last.is_some_and(|last| key <= last);
        match keys.iter().all(is_known) {
            true => Ok(keys.iter().map(|key| self.value(key)).collect()),
            false => Ok(self.facts.get_many(keys).await?),
        }
    }

    /// The facts under these keys that exist, in the order of `keys`.
    pub(super) async fn get<R: Record>(&self, keys: &[Vec<u8>]) -> Result<Vec<Stored<R>>, Fault> {
        let mut found = Vec::new();
        for (key, value) in keys.iter().zip(self.values(keys).await?) {
            if let Some(value) = value {
                found.push(Stored::parse(key, value)?);
            }
        }
        Ok(found)
    }

    /// The facts whose keys begin with `prefix`, in the order of their keys.
    pub(super) async fn with_prefix<R: Record>(
        &self,
        prefix: &[u8],
    ) -> Result<Vec<Stored<R>>, Fault> {
        let is_behind = |(last, _): &Entry| last.as_slice() > prefix && !last.starts_with(prefix);
        if !self.is_all && !self.first.last().is_some_and(is_behind) {
            return Ok(with_prefix(self.facts, prefix).await?);
        }
        let begin = self.first.partition_point(|(key, _)| key.as_slice() < prefix);
        let from = self.first.iter().skip(begin);
        let these = from.take_while(|(key, _)| key.starts_with(prefix));
        Ok(these.map(|(key, value)| Stored::parse(key, value.clone())).collect::<Result<_, _>>()?)
    }

    fn value(&self, key: &[u8]) -> Option<Vec<u8>> {
        let at = self.first.binary_search_by(|(one, _)| one.as_slice().cmp(key)).ok()?;
        self.first.get(at).map(|(_, value)| value.clone())
    }
}
