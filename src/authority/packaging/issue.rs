//! Gives a packager the keys of a content to encrypt it: found, derived, or made and on disk.

use std::collections::BTreeSet;

use reelkey_client::key::{ContentKey, KeyId};
use reelkey_client::time::UnixTime;

use crate::authority::commit::Attempts;
use crate::authority::counters::OperationResult;
use crate::authority::packager::Packager;
use crate::authority::packaging::ask::{
    Asked, KEYS_MAX, Order, PackagedKey, Refused, Wanted, turn,
};
use crate::authority::packaging::plan::{self, Found, Plan};
use crate::authority::provision::keys::{self, NewKey};
use crate::authority::provision::refusal::Refusal as Provision;
use crate::authority::provision::{contents, periods};
use crate::authority::service::Authority;
use crate::authority::stop::Stop;
use crate::authority::vault::fault::Fault;
use crate::crypto::clean_stack::on_clean_stack;
use crate::crypto::random;
use crate::domain::content::ContentId;
use crate::domain::packager::{PackagerName, Permission};
use crate::store::batch::Batch;
use crate::store::record::content::{ContentRecord, CryptoPeriods};
use crate::store::record::key::KeyState;
use crate::store::record::title::{self, Title};

impl Authority {
    /// Keys for everything that is wanted, in its order. The same order gets the same keys for ever. Keys that do not exist
    /// are made, and are on disk when this returns; so is a content that the packager may add. One line of the log says who
    /// asked for what.
    ///
    /// # Errors
    /// [`Refused`], or a failure.
    pub async fn issue_keys(
        &self,
        packager: &Packager,
        order: &Order,
        asked: Asked<'_>,
    ) -> Result<Vec<PackagedKey>, Stop<Refused>> {
        let done = self.find_or_make(packager, order, asked.circumstances.now).await;
        let (id, protocol) = (asked.circumstances.request_id, asked.protocol);
        let periods = order.wanted.iter().filter_map(|wanted| wanted.period);
        let (first, last) = (periods.clone().min(), periods.max());
        let (packager, content) = (&packager.name, &order.content);
        let wanted = order.wanted.len();
        match &done {
            Ok((_, made)) => {
                tracing::info!(request.id = %id, %packager, protocol, content.id = %content, keys = wanted,
                    keys.made = made, period.first = first, period.last = last, "keys issued");
            }
            Err(Stop::Refused(rule)) => {
                tracing::info!(request.id = %id, %packager, protocol, content.id = %content, keys = wanted,
                    period.first = first, period.last = last, %rule, "keys refused");
            }
            // The caller logs the fault.
            Err(Stop::Failed(_)) => {}
        }
        self.counters.packager(packager.as_str(), Permission::Issue.as_str(), result(&done));
        done.map(|(keys, _)| keys)
    }

    /// A proof that this packager was given this KID, which counts until a time in seconds since 1970.
    ///
    /// # Errors
    /// [`Fault::NotDerived`].
    pub fn ticket(
        &self,
        packager: &PackagerName,
        kid: KeyId,
        until: u64,
    ) -> Result<[u8; 32], Fault> {
        Ok(self.vault.period_seed().ticket(packager.as_str(), kid, until)?)
    }

    /// How long a crypto period of this content lasts, if its periods are counted by the clock.
    ///
    /// # Errors
    /// [`Refused::NotAllowed`] if the packager may not ask for its keys; or a failure.
    pub async fn crypto_period_seconds(
        &self,
        packager: &Packager,
        content: &ContentId,
    ) -> Result<Option<u32>, Stop<Refused>> {
        if !packager.may(Permission::Issue, content) {
            return Err(Refused::NotAllowed.into());
        }
        let content = title::content(&*self.vault.store(), content).await?;
        Ok(content.and_then(|content| content.crypto_periods.as_ref()?.seconds))
    }

    /// The keys, and how many of them were made.
    async fn find_or_make(
        &self,
        packager: &Packager,
        order: &Order,
        now: UnixTime,
    ) -> Result<(Vec<PackagedKey>, usize), Stop<Refused>> {
        if !packager.may(Permission::Issue, &order.content) {
            return Err(Refused::NotAllowed.into());
        }
        if order.wanted.len() > KEYS_MAX {
            return Err(Refused::TooMany.into());
        }
        let _turn = turn(&packager.turns).await?;
        let (mut attempts, mut made) = (Attempts::default(), 0);
        loop {
            let store = self.vault.store();
            let title = title::title(&*store, &order.content).await?;
            let content = match &title {
                Some(title) => ContentRecord::clone(&title.content),
                None => self.new_content(packager, order, now)?,
            };
            let keys = title.as_ref().map(|title| &title.keys[..]).unwrap_or_default();
            let plan = plan::plan(order, &content, keys, self.vault.period_seed())?;
            if plan.missing.is_empty() && plan.new_tracks.is_empty() {
                return Ok((self.given(&content, &plan)?, made));
            }
            self.judge_chosen(order, &plan.missing).await?;
            let (missing, title) = (plan.missing.len(), title.as_ref());
            // The store and its primary KEK stay as they are while keys are added.
            let _shared = self.vault.shared().await;
            let batch = self.additions(order, &plan, title, content, now).await?;
            if attempts.commit(&*self.vault.store(), batch).await? {
                made += missing;
            }
        }
    }

    /// The content that the order is about, where there is none yet.
    fn new_content(
        &self,
        packager: &Packager,
        order: &Order,
        now: UnixTime,
    ) -> Result<ContentRecord, Stop<Refused>> {
        let policies = &packager.rights.policies;
        if policies.is_empty() {
            return Err(Refused::NoContent(order.content.clone()).into());
        }
        contents::judge_policies(&self.in_force.load().policies, policies)
            .map_err(|refusal: Provision| Refused::Provision(refusal))?;
        Ok(ContentRecord::new(order.content.clone(), policies, now.as_secs()))
    }

    /// A batch that makes what is missing: all of it or nothing. It changes the content's record, so of two that ask at once
    /// for the same new key one conflicts.
    async fn additions(
        &self,
        order: &Order,
        plan: &Plan<'_>,
        title: Option<&Title>,
        content: ContentRecord,
        now: UnixTime,
    ) -> Result<Batch, Stop<Refused>> {
        let mut changed = ContentRecord { asks: content.asks.saturating_add(1), ..content };
        if !plan.new_tracks.is_empty() {
            let periods = match changed.crypto_periods.take() {
                Some(periods) => periods,
                None => periods::new(None)?,
            };
            changed.crypto_periods = Some(CryptoPeriods {
                asked_seconds: periods
                    .asked_seconds
                    .or_else(|| order.crypto_period_seconds.filter(|seconds| *seconds > 0)),
                tracks: periods.tracks.union(&plan.new_tracks).copied().collect(),
                ..periods
            });
        }
        let batch = Batch::default().put_content(title.map(|title| &title.content), &changed)?;
        let new = plan.missing.iter().map(|wanted| new_key(order, *wanted));
        let new = new.collect::<Result<Vec<_>, Fault>>()?;
        Ok(keys::add_to(batch, &self.vault, &new, KeyState::Active, now).await?)
    }

    /// Whether a KID that the encoder chose belongs to another content, also as the derived key of a crypto period: KIDs are in
    /// manifests, and who could take one would take its license requests with it.
    async fn judge_chosen(
        &self,
        order: &Order,
        missing: &BTreeSet<Wanted>,
    ) -> Result<(), Stop<Refused>> {
        let kids: BTreeSet<_> = missing.iter().filter_map(|wanted| wanted.kid).collect();
        if kids.is_empty() {
            return Ok(());
        }
        let (store, seed) = (self.vault.store(), self.vault.period_seed());
        let there = periods::contents_of(&*store, seed, &kids).await?;
        match there.into_iter().find(|(_, content)| *content != order.content) {
            Some((kid, _)) => Err(Refused::OtherContent(kid).into()),
            None => Ok(()),
        }
    }

    /// The keys of a complete plan, in the clear.
    fn given(&self, content: &ContentRecord, plan: &Plan<'_>) -> Result<Vec<PackagedKey>, Fault> {
        let (keyring, seed) = (self.vault.keyring(), self.vault.period_seed());
        let content = &content.content_id;
        let given = plan.found.iter().map(|found| match found {
            Found::Stored(record) => Ok(PackagedKey {
                kid: record.kid,
                key: keyring.content_key(record)?,
                content: content.clone(),
                track: record.track_type,
                period: record.crypto_period_index,
            }),
            Found::Derived(derived) => Ok(PackagedKey {
                kid: derived.kid,
                key: derived.content_key(seed, content)?,
                content: content.clone(),
                track: derived.track,
                period: Some(derived.period),
            }),
        });
        on_clean_stack(|| given.collect())
    }
}

/// A random key, with the encoder's KID if it chose one.
fn new_key(order: &Order, wanted: Wanted) -> Result<NewKey<'_>, Fault> {
    let Wanted { track, period, kid } = wanted;
    let Some(kid) = kid else { return NewKey::generate(&order.content, track, period) };
    let key = on_clean_stack(|| ContentKey::try_init(|key| random::fill(key)))?;
    Ok(NewKey { kid, content: &order.content, track, period, key })
}

/// The result, for the counters.
pub(super) const fn result<T>(done: &Result<T, Stop<Refused>>) -> OperationResult {
    match done {
        Ok(_) => OperationResult::Done,
        Err(Stop::Refused(_)) => OperationResult::Refused,
        Err(Stop::Failed(_)) => OperationResult::Failed,
    }
}
