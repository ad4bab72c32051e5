//! Reads a request: which keys it wants, and whether it agrees with itself.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use reelkey_client::key::KeyId;
use reelkey_client::pssh::{ProtectionScheme, SystemId};

use crate::authority::packaging::ask::{Order, Wanted};
use crate::domain::content::ContentId;
use crate::domain::packager::track_type;
use crate::domain::track::TrackType;
use crate::http::keys::cpix::contract;
use crate::http::keys::cpix::delivery::recipients;
use crate::http::keys::cpix::vocabulary::{CPIX, Malformed, System, listed, read};
use crate::http::keys::xml::element::Element;

/// Which protocol the document is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// SPEKE version 1: CPIX 2.0.
    Speke1,
    /// SPEKE version 2: CPIX 2.3 with the rules of AWS.
    Speke2,
    /// CPIX, of whichever version.
    Cpix,
}

/// A request that agrees with itself.
#[derive(Debug)]
pub(crate) struct Request {
    /// The document.
    pub(crate) root: Element,
    /// The protocol.
    pub(crate) dialect: Dialect,
    /// The keys that it wants, in their order.
    pub(crate) keys: Vec<RequestedKey>,
}

/// A key that a request wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RequestedKey {
    /// Its KID.
    pub(crate) kid: KeyId,
    /// The protection scheme of the media.
    pub(crate) scheme: Option<ProtectionScheme>,
    /// The track type: of several the highest. `None` for all tracks.
    pub(crate) track: Option<TrackType>,
    /// The crypto period.
    pub(crate) period: Option<Period>,
}

/// A crypto period as a document names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Period {
    /// It has this index.
    Index(u32),
    /// It begins in this second since 1970.
    Start(u64),
}

/// The KIDs of the keys that a request asks for, in its order.
///
/// # Errors
/// What is wrong with the request, in one sentence.
pub fn kids(bytes: &[u8], dialect: Dialect) -> Result<Vec<KeyId>, String> {
    let request = Request::parse(bytes, dialect).map_err(|why| why.to_string())?;
    recipients(&request.root).map_err(|why| why.to_string())?;
    Ok(request.keys.iter().map(|key| key.kid).collect())
}

impl Request {
    /// Reads a document.
    pub(crate) fn parse(bytes: &[u8], dialect: Dialect) -> Result<Self, Malformed> {
        Self::of(read(bytes)?, dialect)
    }

    /// Judges a document.
    pub(crate) fn of(root: Element, dialect: Dialect) -> Result<Self, Malformed> {
        if dialect == Dialect::Speke2 {
            contract::judge(&root)?;
        }
        let mut keys = read_keys(&root)?;
        let has_key = |key: &&Element| key.first(CPIX, "Data").is_some();
        if let Some(key) = listed(&root, "ContentKeyList", "ContentKey").find(has_key) {
            let what = "a ContentKey has a key already; `reelkey key import` takes keys";
            return Err(Malformed::at(key, what));
        }
        judge_systems(&root, &keys)?;
        apply_rules(&root, &mut keys)?;
        Ok(Self { root, dialect, keys: keys.into_iter().map(|key| key.1).collect() }.in_order())
    }

    /// The keys in the order of the document.
    fn in_order(mut self) -> Self {
        let kids =
            listed(&self.root, "ContentKeyList", "ContentKey").filter_map(|key| kid_of(key).ok());
        let places: BTreeMap<_, _> = kids.enumerate().map(|(at, kid)| (kid, at)).collect();
        self.keys.sort_by_key(|key| places.get(&key.kid).copied());
        self
    }

    /// The content that the document names: by `contentId`, or, in SPEKE version 1, by `id`.
    pub(crate) fn content(&self) -> Result<Option<ContentId>, Malformed> {
        let of_id = self.root.attribute("id").filter(|_| self.dialect == Dialect::Speke1);
        let named =
            of_id.or_else(|| self.root.attribute("contentId")).filter(|name| !name.is_empty());
        let parsed = named.map(str::parse::<ContentId>).transpose();
        parsed.map_err(|why| Malformed::at(&self.root, why.to_string()))
    }

    /// The order for these keys. Periods that have a start and no index are counted by the seconds of a period.
    pub(crate) fn order(
        &self,
        content: ContentId,
        seconds: Option<u32>,
    ) -> Result<Order, Malformed> {
        let wanted = self.keys.iter().map(|key| {
            let period = match key.period {
                None => None,
                Some(Period::Index(index)) => Some(index),
                Some(Period::Start(start)) => {
                    let index = seconds.and_then(|seconds| start.checked_div(seconds.into()));
                    let index = index.and_then(|index| u32::try_from(index).ok());
                    let what = "a ContentKeyPeriod has no index, and the title has no crypto_period_seconds to count its start by";
                    Some(index.ok_or_else(|| Malformed::at(&self.root, what))?)
                }
            };
            Ok(Wanted { track: key.track, period, kid: Some(key.kid) })
        });
        let wanted = wanted.collect::<Result<_, Malformed>>()?;
        Ok(Order { content, wanted, crypto_period_seconds: None })
    }
}

/// The KID of an element.
pub(crate) fn kid_of(element: &Element) -> Result<KeyId, Malformed> {
    let missing = || Malformed::at(element, format!("{} has no kid", element.local));
    let kid = element.attribute("kid").ok_or_else(missing)?;
    kid.parse().map_err(|why| Malformed::at(element, format!("{}: {why}", element.local)))
}

/// The DRM system of a `DRMSystem`.
pub(crate) fn system_of(element: &Element) -> Result<System, Malformed> {
    let missing = || Malformed::at(element, "DRMSystem has no systemId");
    let text = element.attribute("systemId").ok_or_else(missing)?;
    let id = text.parse().map(|id: KeyId| SystemId(*id.as_bytes()));
    let id = id.map_err(|_| Malformed::at(element, "the systemId of a DRMSystem is no UUID"))?;
    System::of(id).ok_or_else(|| {
        Malformed::at(
            element,
            format!("the DRM system {id} is not known here, so nothing can be signalled for it"),
        )
    })
}

/// The keys of a document, without what its rules say of them.
pub(crate) fn read_keys(root: &Element) -> Result<BTreeMap<KeyId, RequestedKey>, Malformed> {
    let mut keys = BTreeMap::new();
    for element in listed(root, "ContentKeyList", "ContentKey") {
        let kid = kid_of(element)?;
        let scheme = element.attribute("commonEncryptionScheme").map(str::parse).transpose();
        let scheme = scheme
            .map_err(|why| Malformed::at(element, format!("commonEncryptionScheme: {why}")))?;
        let key = RequestedKey { kid, scheme, track: None, period: None };
        if keys.insert(kid, key).is_some() {
            return Err(Malformed::at(element, format!("two ContentKey have the kid {kid}")));
        }
    }
    if keys.is_empty() {
        return Err(Malformed::at(root, "there is no ContentKeyList with a ContentKey"));
    }
    Ok(keys)
}

fn judge_systems(root: &Element, keys: &BTreeMap<KeyId, RequestedKey>) -> Result<(), Malformed> {
    for element in listed(root, "DRMSystemList", "DRMSystem") {
        let (kid, system) = (kid_of(element)?, system_of(element)?);
        let Some(key) = keys.get(&kid) else {
            return Err(Malformed::at(
                element,
                format!("DRMSystem is for {kid}, which no ContentKey has"),
            ));
        };
        if system == System::FairPlay
            && key.scheme.is_some_and(|scheme| scheme != ProtectionScheme::Cbcs)
        {
            return Err(Malformed::at(element, "FairPlay plays cbcs alone"));
        }
        let mut seen = BTreeSet::new();
        for child in &element.children {
            let playlist = child.attribute("playlist");
            if !seen.insert((&child.space, &child.local, playlist)) || seen.len() > 16 {
                return Err(Malformed::at(child, format!("DRMSystem has {} twice", child.local)));
            }
        }
    }
    Ok(())
}

fn read_periods(root: &Element) -> Result<BTreeMap<&str, Period>, Malformed> {
    let mut periods = BTreeMap::new();
    for element in listed(root, "ContentKeyPeriodList", "ContentKeyPeriod") {
        let period = match (element.attribute("index"), element.attribute("start")) {
            (Some(index), _) => {
                let index = index.trim().parse().map_err(|_| {
                    Malformed::at(
                        element,
                        "the index of a ContentKeyPeriod is a number from 0 to 4294967295",
                    )
                })?;
                Period::Index(index)
            }
            (None, Some(start)) => {
                let start = start.parse::<Timestamp>().ok().map(Timestamp::as_second);
                let start = start.and_then(|start| u64::try_from(start).ok());
                Period::Start(start.ok_or_else(|| {
                    Malformed::at(
                        element,
                        "the start of a ContentKeyPeriod is a time such as 2030-01-31T20:00:00Z",
                    )
                })?)
            }
            (None, None) => {
                return Err(Malformed::at(element, "ContentKeyPeriod has neither index nor start"));
            }
        };
        let id = element.attribute("id").unwrap_or_default();
        if periods.insert(id, period).is_some() {
            return Err(Malformed::at(element, format!("two ContentKeyPeriod have the id {id:?}")));
        }
    }
    Ok(periods)
}

/// Gives keys the track types and periods that the usage rules have for them.
pub(crate) fn apply_rules(
    root: &Element,
    keys: &mut BTreeMap<KeyId, RequestedKey>,
) -> Result<(), Malformed> {
    let periods = read_periods(root)?;
    for rule in listed(root, "ContentKeyUsageRuleList", "ContentKeyUsageRule") {
        let kid = kid_of(rule)?;
        let Some(key) = keys.get_mut(&kid) else {
            return Err(Malformed::at(
                rule,
                format!("a usage rule is for {kid}, which no ContentKey has"),
            ));
        };
        if let Some(name) = rule.attribute("intendedTrackType").filter(|name| !name.is_empty()) {
            let track = track_type(name).ok_or_else(|| {
                Malformed::at(rule, format!("{name:?} is no track type that is known here"))
            })?;
            key.track = key.track.max(track);
        }
        for filter in rule.all(CPIX, "KeyPeriodFilter") {
            let id = filter.attribute("periodId").unwrap_or_default();
            let Some(period) = periods.get(id) else {
                return Err(Malformed::at(filter, format!("there is no ContentKeyPeriod {id:?}")));
            };
            if key.period.is_some_and(|there| there != *period) {
                return Err(Malformed::at(
                    filter,
                    format!("the key {kid} is for two crypto periods"),
                ));
            }
            key.period = Some(*period);
        }
    }
    Ok(())
}
