//! Licenses that were granted under policies that need a memory.

use reelkey_client::strict::jwk::Thumbprint;
use reelkey_client::time::UnixTime;

use crate::authority::commit::Attempts;
use crate::authority::registry::held::Held;
use crate::authority::vault::fault::Fault;
use crate::domain::changes::Changes;
use crate::domain::content::ContentId;
use crate::domain::past::{License, LicenseId, Slot, Usage};
use crate::domain::registry::{restore, revoke};
use crate::store::engine::Store;
use crate::store::pages::Pages;
use crate::store::record::fact::account::{ACCOUNTS, AccountId, Kind};
use crate::store::record::fact::license::LicenseRecord;
use crate::store::record::stored::Stored;

/// Which licenses are listed. Every member that is there must fit.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Of this account.
    pub account: Option<AccountId>,
    /// Of this device.
    pub device: Option<Thumbprint>,
    /// For this content.
    pub content: Option<ContentId>,
    /// Granted by this policy.
    pub policy_id: Option<String>,
    /// Only those that are still valid.
    pub live_at: Option<UnixTime>,
}

impl Filter {
    fn fits(&self, license: &License) -> bool {
        self.device.is_none_or(|device| device == license.device)
            && self.content.as_ref().is_none_or(|content| *content == license.content)
            && self.policy_id.as_ref().is_none_or(|policy| *policy == license.policy_id)
            && self.live_at.is_none_or(|now| license.is_live(now))
    }
}

/// A license, and whose it is.
#[derive(Clone, Debug)]
pub struct Owned {
    /// The account.
    pub account: AccountId,
    /// The license.
    pub license: License,
}

/// At most `limit` licenses that fit, in the order of accounts and devices. Without an account everything that is remembered is read.
///
/// # Errors
/// [`Fault`].
pub async fn list(facts: &dyn Store, filter: &Filter, limit: usize) -> Result<Vec<Owned>, Fault> {
    let prefix = match (&filter.account, &filter.device) {
        (Some(account), Some(device)) => LicenseRecord::prefix(account, device),
        (Some(account), None) => account.prefix_of::<LicenseRecord>(),
        (None, _) => ACCOUNTS.into(),
    };
    let (mut found, mut pages) = (Vec::new(), Pages::of(facts, &prefix));
    loop {
        let page = pages.next().await?;
        if page.is_empty() {
            return Ok(found);
        }
        for (key, value) in page {
            if Kind::of(&key) != Some(Kind::License) {
                continue;
            }
            let record: Stored<LicenseRecord> = Stored::parse(&key, value)?;
            let license = record.license();
            if filter.fits(&license) {
                found.push(Owned { account: record.account, license });
            }
            if found.len() >= limit {
                return Ok(found);
            }
        }
        tokio::task::yield_now().await;
    }
}

/// The license with this ID.
///
/// # Errors
/// [`Fault`].
pub async fn find(facts: &dyn Store, id: LicenseId) -> Result<Option<Owned>, Fault> {
    let held = Held::find(facts, id).await?;
    Ok(held.map(|held| Owned { account: held.account(), license: held.license() }))
}

/// Withdraws a license, and bars others for the same account, content and entitlement. Returns it as it is then, and whether
/// that changed anything; `None` if there is no such license.
///
/// # Errors
/// [`Fault`].
pub async fn withdraw(
    facts: &dyn Store,
    id: LicenseId,
    now: UnixTime,
) -> Result<Option<(License, bool)>, Fault> {
    change(facts, id, |license, usage, slot| revoke(license, usage, slot, now)).await
}

/// Undoes [`withdraw`].
///
/// # Errors
/// [`Fault`].
pub async fn give_back(
    facts: &dyn Store,
    id: LicenseId,
    now: UnixTime,
) -> Result<Option<(License, bool)>, Fault> {
    change(facts, id, |license, usage, _| restore(license, usage, now)).await
}

/// Changes a license and what belongs to it until nobody was faster.
pub(super) async fn change(
    facts: &dyn Store,
    id: LicenseId,
    rule: impl Fn(&License, Option<&Usage>, Option<&Slot>) -> Changes,
) -> Result<Option<(License, bool)>, Fault> {
    let mut attempts = Attempts::default();
    loop {
        let Some(held) = Held::find(facts, id).await? else { return Ok(None) };
        let (license, usage, slot) = (held.license(), held.usage(), held.slot());
        let changes = rule(&license, usage.as_ref(), slot.as_ref());
        let batch = held.batch(&changes)?;
        let is_changed = !batch.is_empty();
        if attempts.commit(facts, batch).await? {
            let after = changes.licenses.into_iter().next().unwrap_or(license);
            return Ok(Some((after, is_changed)));
        }
    }
}
