//! What store, token and request say about what is asked for, read once: **at most two reads of the store**, for another
//! engine pays a round trip for each.

use std::collections::BTreeSet;

use reelkey_client::exchange::request::{RequestType, SessionType};
use reelkey_client::key::KeyId;

use crate::authority::issuing::refused::{Refused, refuse};
use crate::authority::stop::Stop;
use crate::domain::decision::{Request, Title, TitleKey};
use crate::domain::entitlement::Entitlement;
use crate::domain::refusal::Refusal;
use crate::domain::scope::{Asked, scope};
use crate::domain::security_level::SecurityLevel;
use crate::store::engine::Store;
use crate::store::record::key::{KeyRecord, KeyState};
use crate::store::record::stored::Stored;
use crate::store::record::title::{self, lost};

/// What is asked for, by whom or what does not matter here.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// First, again or back.
    pub request_type: RequestType,
    /// To play or to keep.
    pub session_type: SessionType,
    /// The named keys.
    pub kids: &'a BTreeSet<KeyId>,
    /// The named content, which may be no content ID at all.
    pub content_id: Option<&'a str>,
    /// What the service knows the device to be.
    pub device_level: SecurityLevel,
}

/// What the decision is made on.
#[derive(Debug)]
pub struct Facts {
    /// The title.
    pub title: Title,
    /// What is asked of it.
    pub request: Request,
    /// The records of its keys.
    pub(super) records: Vec<Stored<KeyRecord>>,
}

/// Finds the one content that is asked for, and reads it.
///
/// # Errors
/// A refusal where what is permitted is not one content, or a failure of the store.
pub async fn load(
    store: &dyn Store,
    wanted: Wanted<'_>,
    token: &Entitlement,
) -> Result<Facts, Stop<Refused>> {
    let index = title::contents_of(store, wanted.kids).await?;
    let asked = Asked {
        content_id: wanted.content_id.map(Into::into),
        known_kids: index.into_iter().collect(),
        names_kids: !wanted.kids.is_empty(),
    };
    let scope = scope(&asked, token).map_err(refuse)?;
    let title = title::title(store, &scope.content).await?;
    let title = title.ok_or_else(|| refuse(Refusal::NotAuthorized))?;
    let there: BTreeSet<KeyId> = title.keys.iter().map(|key| key.kid).collect();
    if let Some(kid) = scope.kids.iter().find(|kid| !there.contains(*kid)) {
        return Err(lost(*kid).into());
    }
    let request = Request {
        request_type: wanted.request_type,
        session_type: wanted.session_type,
        kids: scope.kids,
        device_level: wanted.device_level,
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
    let KeyRecord { kid, track_type, state, .. } = record;
    TitleKey { kid: *kid, track: *track_type, active: *state == KeyState::Active }
}
