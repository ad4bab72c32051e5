//! Reads everything that a decision needs from the store, the token and the request. **At most two reads of the
//! store**, because another engine pays a round trip for each.

use std::collections::BTreeSet;

use reelkey_client::exchange::request::{RequestType, SessionType};
use reelkey_client::key::{ContentKey, KeyId};
use reelkey_client::time::UnixTime;

use crate::authority::issuing::refused::Refused;
use crate::authority::provision::periods::{self, Derived};
use crate::authority::stop::Stop;
use crate::authority::vault::fault::Fault;
use crate::authority::vault::open::Vault;
use crate::crypto::clean_stack::on_clean_stack;
use crate::crypto::period::PeriodSeed;
use crate::domain::content::ContentId;
use crate::domain::decision::{Asker, Delivery, Request, Title, TitleKey, Vouched};
use crate::domain::denial::Denial;
use crate::domain::entitlement::Entitlement;
use crate::domain::refusal::Refusal;
use crate::domain::scope::{Asked, Scope, scope};
use crate::store::engine::Store;
use crate::store::record::content::ContentRecord;
use crate::store::record::key::{KeyRecord, KeyState};
use crate::store::record::stored::Stored;
use crate::store::record::title::{self, lost};

/// What a request asks for. Who sent the request does not matter here.
#[derive(Clone, Debug)]
pub struct Wanted<'a> {
    /// New license, renewal or release.
    pub request_type: RequestType,
    /// To play now, or to keep for offline playback.
    pub session_type: SessionType,
    /// The KIDs that the request names.
    pub kids: &'a BTreeSet<KeyId>,
    /// The content ID that the request names. It may be malformed.
    pub content_id: Option<&'a str>,
    /// What is vouched for about the device.
    pub vouched: Vouched,
    /// How the keys would be delivered.
    pub delivery: Delivery,
    /// The device that asks, unless keys are given in the clear.
    pub asker: Option<Asker>,
    /// A key that an origin made, which is the only one that is asked for.
    pub of_origin: Option<KeyId>,
}

/// The facts that the decision is based on.
#[derive(Debug)]
pub struct Facts {
    /// The content and its keys.
    pub title: Title,
    /// The request.
    pub request: Request,
    /// The content's keys, still wrapped.
    pub(super) keys: Keys,
}

/// The keys of a content, still wrapped or not yet derived.
#[derive(Debug)]
pub struct Keys {
    content: ContentId,
    stored: Vec<Stored<KeyRecord>>,
    derived: Vec<Derived>,
}

impl Keys {
    /// The keys that `is_granted` names, in the clear. They are zeroed when they are dropped.
    ///
    /// # Errors
    /// [`Fault`].
    pub(super) fn unwrap(
        &self,
        vault: &Vault,
        is_granted: impl Fn(KeyId) -> bool,
    ) -> Result<Vec<(KeyId, ContentKey)>, Fault> {
        // Taken after the records were read, so that it can open them.
        let (keyring, seed) = (vault.keyring(), vault.period_seed());
        let stored = self.stored.iter().filter(|record| is_granted(record.kid));
        let stored = stored.map(|record| Ok((record.kid, keyring.content_key(record)?)));
        let derived = self.derived.iter().filter(|key| is_granted(key.kid));
        let derived = derived.map(|key| Ok((key.kid, key.content_key(seed, &self.content)?)));
        on_clean_stack(|| stored.chain(derived).collect())
    }
}

/// Finds the one content that the request asks for, and reads it.
///
/// # Errors
/// A refusal if the permitted keys do not belong to exactly one content, or a failure of the store.
pub async fn load(
    store: &dyn Store,
    seed: &PeriodSeed,
    wanted: &Wanted<'_>,
    token: &Entitlement,
    now: UnixTime,
) -> Result<Facts, Stop<Refused>> {
    let index = periods::contents_of(store, seed, wanted.kids).await?;
    let asked = Asked {
        content_id: wanted.content_id.map(Into::into),
        known_kids: index.into_iter().collect(),
        names_kids: !wanted.kids.is_empty(),
    };
    let scope = scope(&asked, token)?;
    let title = title::title(store, &scope.content).await?;
    let title = title.ok_or_else(|| {
        let (expected, actual) = ("a content that there is", scope.content.to_string());
        Denial::new(Refusal::NotAuthorized, "content_id", expected, actual)
    })?;
    let keys = match wanted.of_origin {
        Some(_) => Keys { content: scope.content.clone(), stored: Vec::new(), derived: Vec::new() },
        None => keys_of(title.keys, &title.content, seed, &scope, now)?,
    };
    let of_origin =
        wanted.of_origin.map(|kid| TitleKey { kid, track: None, active: true, period: None });
    let request = Request {
        request_type: wanted.request_type,
        session_type: wanted.session_type,
        kids: wanted.of_origin.into_iter().chain(scope.kids).collect(),
        vouched: wanted.vouched.clone(),
        delivery: wanted.delivery,
        asker: wanted.asker.clone(),
    };
    let content = &title.content;
    let stored = keys.stored.iter().map(|record| title_key(record));
    let title = Title {
        content: content.content_id.clone(),
        policies: content.policies.clone(),
        keys: stored.chain(keys.derived.iter().map(of_period)).chain(of_origin).collect(),
        current_period: periods::current(content, now),
    };
    Ok(Facts { title, request, keys })
}

/// The keys of a title that a license may contain. A derived key that has a record was retired.
fn keys_of(
    stored: Vec<Stored<KeyRecord>>,
    content: &ContentRecord,
    seed: &PeriodSeed,
    scope: &Scope,
    now: UnixTime,
) -> Result<Keys, Stop<Refused>> {
    let of_records: BTreeSet<KeyId> = stored.iter().map(|key| key.kid).collect();
    let mut derived = periods::wanted(seed, content, &scope.kids, now);
    derived.retain(|key| !of_records.contains(&key.kid));
    let is_there =
        |kid: &&KeyId| of_records.contains(*kid) || derived.iter().any(|key| key.kid == **kid);
    if let Some(kid) = scope.kids.iter().find(|kid| !is_there(kid)) {
        return Err(lost(*kid).into());
    }
    Ok(Keys { content: scope.content.clone(), stored, derived })
}

fn of_period(key: &Derived) -> TitleKey {
    TitleKey { kid: key.kid, track: key.track, active: true, period: Some(key.period) }
}

fn title_key(record: &KeyRecord) -> TitleKey {
    let KeyRecord { kid, track_type, state, crypto_period_index, .. } = record;
    let active = *state == KeyState::Active;
    TitleKey { kid: *kid, track: *track_type, active, period: *crypto_period_index }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use async_trait::async_trait;

    use crate::authority::provision::contents;
    use crate::authority::provision::keys::{self, NewKey};
    use crate::authority::vault::install::first_records;
    use crate::authority::vault::root_key_file;
    use crate::crypto::root_key::RootKey;
    use crate::domain::entitlement::Account;
    use crate::store::batch::{Batch, Committed, Entry};
    use crate::store::error::Error;
    use crate::store::open::{StoreUrl, create, open};

    /// Counts what a round trip would be to another engine.
    struct Counted<'a> {
        store: &'a dyn Store,
        reads: AtomicUsize,
    }

    impl Counted<'_> {
        fn count(&self) -> &dyn Store {
            self.reads.fetch_add(1, Ordering::Relaxed);
            self.store
        }
    }

    #[async_trait]
    impl Store for Counted<'_> {
        async fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
            self.count().get(key).await
        }

        async fn get_many(&self, keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>, Error> {
            self.count().get_many(keys).await
        }

        async fn scan(
            &self,
            prefix: &[u8],
            after: Option<&[u8]>,
            limit: usize,
        ) -> Result<Vec<Entry>, Error> {
            self.count().scan(prefix, after, limit).await
        }

        async fn commit(&self, batch: Batch) -> Result<Committed, Error> {
            self.store.commit(batch).await
        }

        fn is_healthy(&self) -> bool {
            self.store.is_healthy()
        }
    }

    fn token() -> Entitlement {
        Entitlement {
            account: Account { iss: "https://auth.example".into(), sub: "alice".into() },
            issuer_content: vec!["*".parse().unwrap()],
            content: Some(vec!["movies/*".parse().unwrap()]),
            kids: None,
            policy_id: None,
            entitlement_id: String::new(),
            license_not_after: None,
            region: None,
            device: None,
            amr: Vec::new(),
            manages_devices: false,
        }
    }

    #[tokio::test]
    async fn a_license_needs_at_most_two_reads_however_many_keys_it_names() {
        let folder = tempfile::tempdir().unwrap();
        let (url, now) = (StoreUrl::Sled(folder.path().join("store")), UnixTime::from_secs(9));
        let (root, file) = (RootKey::generate().unwrap(), folder.path().join("root.key"));
        root_key_file::write(&file, &root).unwrap();
        create(&url, first_records(&root, now).unwrap()).await.unwrap();
        let vault = Vault::open(open(&url).await.unwrap(), file).await.unwrap();
        let content = "movies/bunny".parse().unwrap();
        contents::add(&vault, &content, &["open".into()], None, now).await.unwrap();
        let new: Vec<_> =
            (0..300).map(|_| NewKey::generate(&content, None, None).unwrap()).collect();
        let kids: BTreeSet<_> = new.iter().take(64).map(|new| new.kid).collect();
        keys::import_many(&vault, &[], new, now).await;

        let store = vault.store();
        for (kids, content_id) in [(&kids, None), (&BTreeSet::new(), Some("movies/bunny"))] {
            let counted = Counted { store: &*store, reads: AtomicUsize::new(0) };
            let wanted = Wanted {
                request_type: RequestType::New,
                session_type: SessionType::Temporary,
                kids,
                content_id,
                vouched: Vouched::Nothing,
                delivery: Delivery::Sealed,
                asker: None,
                of_origin: None,
            };
            let seed = vault.period_seed();
            let facts = load(&counted, seed, &wanted, &token(), now).await.unwrap();
            assert_eq!(facts.keys.stored.len(), 300);
            assert!(counted.reads.into_inner() <= 2);
        }
    }
}
