//! What SPEKE version 2 demands of a request beyond CPIX: AWS's encryption contract. Its own test suite sends a request against
//! each of these rules.

use std::collections::BTreeSet;

use crate::http::keys::cpix::vocabulary::{CPIX, Malformed, listed};
use crate::http::keys::xml::element::Element;

/// The version of CPIX.
const VERSION: &str = "2.3";

/// What each list must have, and which attributes each of its elements.
const LISTS: [(&str, &str, &[&str]); 3] = [
    ("ContentKeyList", "ContentKey", &["kid", "commonEncryptionScheme"]),
    ("DRMSystemList", "DRMSystem", &["kid", "systemId"]),
    ("ContentKeyUsageRuleList", "ContentKeyUsageRule", &["kid", "intendedTrackType"]),
];

/// Refuses what the contract forbids.
pub(crate) fn judge(root: &Element) -> Result<(), Malformed> {
    let version = root.attribute("version").unwrap_or_default();
    if version != VERSION {
        let what = format!("SPEKE 2.0 needs the CPIX version {VERSION}, and this is {version:?}");
        return Err(Malformed::at(root, what));
    }
    if root.attribute("contentId").is_none_or(str::is_empty) {
        return Err(Malformed::at(root, "CPIX has no contentId"));
    }
    for (list, item, attributes) in LISTS {
        if listed(root, list, item).next().is_none() {
            return Err(Malformed::at(root, format!("there is no {list} with a {item}")));
        }
        for element in listed(root, list, item) {
            let is_missing = |name: &&&str| element.attribute(name).is_none_or(str::is_empty);
            if let Some(name) = attributes.iter().find(is_missing) {
                return Err(Malformed::at(element, format!("{item} has no {name}")));
            }
        }
    }
    judge_rules(root)
}

fn judge_rules(root: &Element) -> Result<(), Malformed> {
    let rules = || listed(root, "ContentKeyUsageRuleList", "ContentKeyUsageRule");
    let kid = |element: &Element| element.attribute("kid").unwrap_or_default().to_ascii_lowercase();
    let is_all = |rule: &Element| rule.attribute("intendedTrackType") == Some("ALL");
    let has_all = rules().any(is_all);
    for rule in rules() {
        let filters = ["VideoFilter", "AudioFilter"];
        if !filters.iter().any(|filter| rule.first(CPIX, filter).is_some()) {
            return Err(Malformed::at(
                rule,
                "ContentKeyUsageRule has neither VideoFilter nor AudioFilter",
            ));
        }
        if has_all && !is_all(rule) {
            return Err(Malformed::at(rule, "the track type ALL stands beside others"));
        }
    }
    let ruled: BTreeSet<_> = rules().map(kid).collect();
    for key in listed(root, "ContentKeyList", "ContentKey") {
        if !ruled.contains(&kid(key)) {
            return Err(Malformed::at(key, "no ContentKeyUsageRule is for this ContentKey"));
        }
    }
    Ok(())
}
