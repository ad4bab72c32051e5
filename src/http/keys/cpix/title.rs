//! The document of a whole title, for packagers that get it without a request. It is written as a request, which is then
//! answered as those of others are.

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::authority::packaging::ask::PackagedKey;
use crate::domain::content::ContentId;
use crate::domain::track::TrackType;
use crate::http::keys::cpix::query::TitleQuery;
use crate::http::keys::cpix::vocabulary::CPIX;
use crate::http::keys::xml::element::Element;

/// The version of CPIX that titles are written in.
const VERSION: &str = "2.4";

/// The most pixels of a picture of each track type of video, but for the highest.
const PIXELS: [(TrackType, u32); 3] =
    [(TrackType::Sd, 589_824), (TrackType::Hd, 2_073_600), (TrackType::Uhd1, 8_847_360)];

/// A request for these keys.
pub(crate) fn request(
    content: &ContentId,
    keys: &[PackagedKey],
    period_seconds: Option<u32>,
    query: &TitleQuery,
) -> Element {
    let mut key_list = Element::new(CPIX, "ContentKeyList");
    let mut system_list = Element::new(CPIX, "DRMSystemList");
    let mut period_list = Element::new(CPIX, "ContentKeyPeriodList");
    let mut rule_list = Element::new(CPIX, "ContentKeyUsageRuleList");
    for key in keys {
        let kid = key.kid.to_string();
        let scheme = query.scheme.as_str();
        let element = Element::new(CPIX, "ContentKey").with("kid", &*kid);
        key_list.children.push(element.with("commonEncryptionScheme", scheme));
        for system in &query.systems {
            let element = Element::new(CPIX, "DRMSystem").with("kid", &*kid);
            let mut element = element.with("systemId", system.id().to_string());
            if query.for_shaka {
                element.children.push(Element::new(CPIX, "PSSH"));
            }
            system_list.children.push(element);
        }
    }
    let periods: BTreeSet<_> = keys.iter().filter_map(|key| key.period).collect();
    period_list.children.extend(periods.iter().map(|index| period(*index, period_seconds)));
    let tracks: BTreeSet<_> = keys.iter().filter_map(|key| key.track).collect();
    rule_list.children.extend(keys.iter().filter_map(|key| rule(key, &tracks, query.for_shaka)));
    let root = Element::new(CPIX, "CPIX").with("contentId", content.as_str());
    let mut root = root.with("version", VERSION);
    let lists = [key_list, system_list, period_list, rule_list];
    root.children.extend(lists.into_iter().filter(|list| !list.children.is_empty()));
    root
}

fn period_id(index: u32) -> String {
    format!("period-{index}")
}

fn period(index: u32, seconds: Option<u32>) -> Element {
    let element = Element::new(CPIX, "ContentKeyPeriod").with("id", period_id(index));
    let element = element.with("index", index.to_string());
    let time = |index: u64| {
        let second = index.checked_mul(seconds?.into())?;
        Some(Timestamp::from_second(i64::try_from(second).ok()?).ok()?.to_string())
    };
    match (time(index.into()), time(u64::from(index) + 1)) {
        (Some(start), Some(end)) => element.with("start", start).with("end", end),
        _ => element,
    }
}

/// The rule that says which tracks a key is for. Shaka Packager reads the name alone, and for one key no rule.
fn rule(key: &PackagedKey, tracks: &BTreeSet<TrackType>, for_shaka: bool) -> Option<Element> {
    let rule = Element::new(CPIX, "ContentKeyUsageRule").with("kid", key.kid.to_string());
    if for_shaka {
        return Some(rule.with("intendedTrackType", key.track?.as_str()));
    }
    let mut rule = rule.with("intendedTrackType", key.track.map_or("ALL", TrackType::as_str));
    if let Some(index) = key.period {
        let filter = Element::new(CPIX, "KeyPeriodFilter").with("periodId", period_id(index));
        rule.children.push(filter);
    }
    if key.track != Some(TrackType::Audio) {
        rule.children.push(video_filter(key.track, tracks));
    }
    if matches!(key.track, None | Some(TrackType::Audio)) {
        rule.children.push(Element::new(CPIX, "AudioFilter"));
    }
    Some(rule)
}

/// The pictures that a key of video is for: those that are larger than the next lower track's, and, if there is a higher track,
/// no larger than this one's.
fn video_filter(track: Option<TrackType>, tracks: &BTreeSet<TrackType>) -> Element {
    let mut filter = Element::new(CPIX, "VideoFilter");
    let Some(track) = track else { return filter };
    let most = |of: TrackType| PIXELS.iter().find(|(track, _)| *track == of).map(|known| known.1);
    let lower = tracks.range(..track).next_back().copied().and_then(most);
    if let Some(lower) = lower {
        filter.set("minPixels", (lower + 1).to_string());
    }
    let has_higher = tracks.iter().any(|other| *other > track);
    if let Some(most) = most(track).filter(|_| has_higher) {
        filter.set("maxPixels", most.to_string());
    }
    filter
}
