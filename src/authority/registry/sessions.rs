//! Sessions: the streams that count now.

use reelkey_client::time::UnixTime;

use crate::authority::registry::licenses::change;
use crate::authority::vault::fault::Fault;
use crate::domain::past::{License, LicenseId, Slot};
use crate::domain::registry;
use crate::store::engine::Store;
use crate::store::pages::Pages;
use crate::store::record::fact::account::{ACCOUNTS, AccountId, Kind};
use crate::store::record::fact::slot::SlotRecord;
use crate::store::record::stored::Stored;

/// A session, and whose it is.
#[derive(Clone, Debug)]
pub struct Session {
    /// The account.
    pub account: AccountId,
    /// Its slot.
    pub slot: Slot,
}

/// At most `limit` sessions that have a slot at `now`, of one account or of all. For all, everything that is remembered is read.
///
/// # Errors
/// [`Fault`].
pub async fn list(
    facts: &dyn Store,
    account: Option<AccountId>,
    limit: usize,
    now: UnixTime,
) -> Result<Vec<Session>, Fault> {
    let prefix = match account {
        Some(account) => account.prefix_of::<SlotRecord>(),
        None => ACCOUNTS.into(),
    };
    let (mut found, mut pages) = (Vec::new(), Pages::of(facts, &prefix));
    loop {
        let page = pages.next().await?;
        if page.is_empty() {
            return Ok(found);
        }
        for (key, value) in page {
            if Kind::of(&key) != Some(Kind::Slot) {
                continue;
            }
            let record: Stored<SlotRecord> = Stored::parse(&key, value)?;
            let slot = record.slot();
            if slot.is_taken(now) && found.len() < limit {
                found.push(Session { account: record.account, slot });
            }
        }
        tokio::task::yield_now().await;
    }
}

/// Ends the session that was last granted this license. Returns the license, and whether that changed anything; `None` if
/// there is no such license.
///
/// # Errors
/// [`Fault`].
pub async fn end(
    facts: &dyn Store,
    id: LicenseId,
    now: UnixTime,
) -> Result<Option<(License, bool)>, Fault> {
    change(facts, id, |license, _, slot| registry::end(license, slot, now)).await
}
