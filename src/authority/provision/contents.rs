//! Adding and removing contents.

use reelkey_client::time::UnixTime;

use crate::authority::commit::Attempts;
use crate::authority::in_force::Policies;
use crate::authority::provision::periods;
use crate::authority::provision::refusal::{Provisioned, Refusal, Stopped};
use crate::authority::vault::fault::Fault;
use crate::authority::vault::open::Vault;
use crate::domain::content::ContentId;
use crate::domain::nearest::nearest;
use crate::store::batch::Batch;
use crate::store::record::content::ContentRecord;
use crate::store::record::key::KeyState;
use crate::store::record::stored::Stored;
use crate::store::record::title::{self, Title};

/// Checks that every named policy is in force and is named only once.
///
/// # Errors
/// [`Refusal::NoPolicy`], [`Refusal::RepeatedPolicy`].
pub fn judge_policies(in_force: &Policies, named: &[String]) -> Result<(), Refusal> {
    for (at, name) in named.iter().enumerate() {
        if !in_force.contains_key(name) {
            let nearest = nearest(name, in_force.keys().map(String::as_str)).map(str::to_owned);
            return Err(Refusal::NoPolicy { policy: name.clone(), nearest });
        }
        if named.iter().take(at).any(|other| other == name) {
            return Err(Refusal::RepeatedPolicy(name.clone()));
        }
    }
    Ok(())
}

/// Adds a content with these policies. The first applies to tokens that name none. With `crypto_period_seconds` its keys
/// change with the clock.
///
/// # Errors
/// [`Refusal::OtherPolicies`], [`Refusal::OtherPeriods`], or a failure.
pub async fn add(
    vault: &Vault,
    content_id: &ContentId,
    policies: &[String],
    crypto_period_seconds: Option<u32>,
    now: UnixTime,
) -> Result<Provisioned, Stopped> {
    let store = vault.store();
    let mut attempts = Attempts::default();
    loop {
        if let Some(there) = title::content(&*store, content_id).await? {
            if there.policies != policies {
                return Err(Refusal::OtherPolicies(content_id.clone()).into());
            }
            let seconds = there.crypto_periods.as_ref().and_then(|periods| periods.seconds);
            return match crypto_period_seconds.is_none() || seconds == crypto_period_seconds {
                true => Ok(Provisioned::Already),
                false => Err(Refusal::OtherPeriods(content_id.clone()).into()),
            };
        }
        let mut record = ContentRecord::new(content_id.clone(), policies, now.as_secs());
        if crypto_period_seconds.is_some() {
            record.crypto_periods = Some(periods::new(crypto_period_seconds)?);
        }
        if attempts.commit(&*store, Batch::default().put_content(None, &record)?).await? {
            return Ok(Provisioned::Done);
        }
    }
}

/// Replaces all policies of a content at once.
///
/// # Errors
/// [`Refusal::NoContent`], [`Refusal::NoPolicies`], or a failure.
pub async fn set_policies(
    vault: &Vault,
    content_id: &ContentId,
    policies: &[String],
) -> Result<Provisioned, Stopped> {
    if policies.is_empty() {
        return Err(Refusal::NoPolicies.into());
    }
    let store = vault.store();
    let mut attempts = Attempts::default();
    loop {
        let Some(there) = title::content(&*store, content_id).await? else {
            return Err(no_content(vault, content_id).await?.into());
        };
        if there.policies == policies {
            return Ok(Provisioned::Already);
        }
        let changed = ContentRecord { policies: policies.to_vec(), ..ContentRecord::clone(&there) };
        let batch = Batch::default().replace_record(&there, &changed)?;
        if attempts.commit(&*store, batch).await? {
            return Ok(Provisioned::Done);
        }
    }
}

/// The refusal for a content that does not exist. It names the content with the most similar ID.
///
/// # Errors
/// That the store cannot be read.
pub async fn no_content(vault: &Vault, content_id: &ContentId) -> Result<Refusal, Fault> {
    let nearest = nearest_content(vault, content_id).await?;
    Ok(Refusal::NoContent { content: content_id.clone(), nearest })
}

/// The content whose ID is most similar to `content_id`, if one is similar enough.
///
/// # Errors
/// That the store cannot be read.
pub async fn nearest_content(
    vault: &Vault,
    content_id: &ContentId,
) -> Result<Option<ContentId>, Fault> {
    let titles = title::titles(&*vault.store()).await?;
    let names = titles.iter().map(|title| title.content.content_id.as_str());
    Ok(nearest(content_id.as_str(), names).and_then(|name| name.parse().ok()))
}

/// Reads a content without its keys.
///
/// # Errors
/// [`Refusal::NoContent`], or a failure.
pub async fn content(
    vault: &Vault,
    content_id: &ContentId,
) -> Result<Stored<ContentRecord>, Stopped> {
    match title::content(&*vault.store(), content_id).await? {
        Some(content) => Ok(content),
        None => Err(no_content(vault, content_id).await?.into()),
    }
}

/// Reads a content and its keys.
///
/// # Errors
/// [`Refusal::NoContent`], or a failure.
pub async fn title(vault: &Vault, content_id: &ContentId) -> Result<Title, Stopped> {
    let title = title::title(&*vault.store(), content_id).await?;
    match title {
        Some(title) => Ok(title),
        None => Err(no_content(vault, content_id).await?.into()),
    }
}

/// Removes a content whose keys are all retired, together with these keys. Returns the number of keys, or `None` if
/// the content does not exist.
///
/// # Errors
/// [`Refusal::ActiveKeys`], or a failure.
pub async fn remove(vault: &Vault, content_id: &ContentId) -> Result<Option<usize>, Stopped> {
    let store = vault.store();
    let mut attempts = Attempts::default();
    loop {
        let Some(title) = title::title(&*store, content_id).await? else { return Ok(None) };
        let active = title.keys.iter().filter(|key| key.state == KeyState::Active).count();
        if active > 0 {
            return Err(Refusal::ActiveKeys { content: content_id.clone(), active }.into());
        }
        // A key that is added at the same time expects that the content exists, so one of the two batches conflicts.
        let batch = Batch::default().remove_content(&title.content);
        let batch = title.keys.iter().fold(batch, |batch, key| batch.remove_key(key));
        if attempts.commit(&*store, batch).await? {
            return Ok(Some(title.keys.len()));
        }
    }
}
