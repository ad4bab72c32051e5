//! Reads everything that a decision needs from the store, the token and the request. **At most two reads of the
//! store**, because another engine pays a round trip for each.

use std::collections::BTreeSet;

use reelkey_client::exchange::request::{RequestType, SessionType};
use reelkey_client::key::KeyId;

use crate::authority::issuing::refused::Refused;
use crate::authority::stop::Stop;
use crate::domain::decision::{Asker, Delivery, Request, Title, TitleKey, Vouched};
use crate::domain::denial::Denial;
use crate::domain::entitlement::Entitlement;
use crate::domain::refusal::Refusal;
use crate::domain::scope::{Asked, scope};
use crate::store::engine::Store;
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
}

/// The facts that the decision is based on.
#[derive(Debug)]
pub struct Facts {
    /// The content and its keys.
    pub title: Title,
    /// The request.
    pub request: Request,
    /// The records of the content's keys.
    pub(super) records: Vec<Stored<KeyRecord>>,
}

/// Finds the one content that the request asks for, and reads it.
///
/// # Errors
/// A refusal if the permitted keys do not belong to exactly one content, or a failure of the store.
pub async fn load(
    store: &dyn Store,
    wanted: &Wanted<'_>,
    token: &Entitlement,
) -> Result<Facts, Stop<Refused>> {
    let index = title::contents_of(store, wanted.kids).await?;
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
    let there: BTreeSet<KeyId> = title.keys.iter().map(|key| key.kid).collect();
    if let Some(kid) = scope.kids.iter().find(|kid| !there.contains(*kid)) {
        return Err(lost(*kid).into());
    }
    let request = Request {
        request_type: wanted.request_type,
        session_type: wanted.session_type,
        kids: scope.kids,
        vouched: wanted.vouched.clone(),
        delivery: wanted.delivery,
        asker: wanted.asker.clone(),
    };
    let records = title.keys;
    let title = Title {
        content: title.content.content_id.clone(),
        policies: title.content.policies.clone(),
        keys: records.iter().map(|record| title_key(record)).collect(),
    };
    Ok(Facts { title, request, records })
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
    use reelkey_client::time::UnixTime;

    use crate::authority::provision::contents;
    use crate::authority::provision::keys::{self, NewKey};
    use crate::authority::vault::install::first_records;
    use crate::authority::vault::open::Vault;
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
        contents::add(&vault, &content, &["open".into()], now).await.unwrap();
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
            };
            let facts = load(&counted, &wanted, &token()).await.unwrap();
            assert_eq!(facts.records.len(), 300);
            assert!(counted.reads.into_inner() <= 2);
        }
    }
}
