//! The evidence of the viewer's region: each kind of evidence at its boundaries, and laws over random tokens and addresses.

use proptest::prelude::*;
use proptest::sample::select;
use reelkey::domain::decision::{Decision, Request, Terms, Title, authorize, decide};
use reelkey::domain::denial::Denial;
use reelkey::domain::entitlement::Entitlement;
use reelkey::domain::location::{Arrival, Located, Source};
use reelkey::domain::policy::{Evidence, Policy, RegionRule};
use reelkey::domain::policy_file;
use reelkey::domain::refusal::Refusal;
use reelkey::domain::region::Region;
use reelkey::domain::steps::Steps;
use reelkey_client::time::UnixTime;

use crate::account::{self, Account};
use crate::random::{
    Memory, NOW, REGIONS, memory, now, policy, region, region_rule, request, title, token,
};

fn by_rule(rule: &str) -> Policy {
    let text = format!("can_play = true\nlicense_duration = \"10m\"\n[region]\n{rule}");
    policy_file::parse("test", &text).unwrap()
}

fn located(regions: &[&str]) -> Located {
    let regions: Vec<_> = regions.iter().map(|text| region(text)).collect();
    let source = (!regions.is_empty()).then_some(Source::Network);
    Located { regions, source, is_anonymous: false }
}

/// What is decided of a new license: its region, or the rule that is broken.
fn judged(policy: &Policy, by_token: Option<&str>, from: Option<&Located>) -> String {
    match decided_at(policy, by_token, from, account::NOW) {
        Ok(terms) => terms.region.map_or_else(|| "anywhere".into(), |region| region.to_string()),
        Err(denial) => {
            assert!([Refusal::RegionDenied, Refusal::Blackout].contains(&denial.refusal));
            format!("{}: {}", denial.rule, denial.actual)
        }
    }
}

fn decided_at(
    policy: &Policy,
    by_token: Option<&str>,
    from: Option<&Located>,
    at: u64,
) -> Result<Terms, Denial> {
    let account = Account::under("");
    let request = account::new(at, 1, 1).request();
    let token = Entitlement { region: by_token.map(region), ..account.token.clone() };
    let (title, past) = (account::title(), account.past(account::jkt(1)));
    let authorized = authorize(&request, &title, &token).unwrap();
    let arrival = Arrival { at: UnixTime::from_secs(at), from };
    let mut steps = Steps::default();
    match decide(&request, &authorized, policy, &token, &past, arrival, &mut steps) {
        Decision::Grant(terms, _) => Ok(*terms),
        Decision::Refuse(denial) => Err(denial),
    }
}

#[test]
fn by_address_the_token_does_not_count() {
    let policy = by_rule("evidence = \"ip\"\nallowed_countries = [\"US\"]");
    let us = located(&["US"]);
    for by_token in [None, Some("US"), Some("DE")] {
        assert_eq!(judged(&policy, by_token, Some(&us)), "US");
        let de = located(&["DE"]);
        assert_eq!(judged(&policy, by_token, Some(&de)), "region.allowed_countries: DE");
        let nowhere = located(&[]);
        assert_eq!(judged(&policy, by_token, Some(&nowhere)), "region.address: unknown region");
        assert_eq!(judged(&policy, by_token, None), "region.address: unknown");
    }
}

#[test]
fn a_token_and_an_address_must_agree_and_the_narrower_counts() {
    let policy = by_rule("evidence = \"token-and-ip\"");
    for (by_token, by_address, expected) in [
        ("US", &["US"][..], "US"),
        ("US", &["US-CA"], "US-CA"),
        ("US-CA", &["US"], "US-CA"),
        ("US-CA", &["US-CA"], "US-CA"),
        ("US-CA", &["US-TX"], "region.evidence: US-TX"),
        ("US", &["DE"], "region.evidence: DE"),
        ("GB", &["GB-ENG", "GB-LND"], "GB-LND"),
        ("GB-LND", &["GB-ENG", "GB-LND"], "GB-LND"),
        ("GB-SCT", &["GB-ENG", "GB-LND"], "region.evidence: GB-ENG GB-LND"),
        ("US", &[], "region.address: unknown region"),
    ] {
        let from = located(by_address);
        assert_eq!(judged(&policy, Some(by_token), Some(&from)), expected, "{by_token}");
    }
    assert_eq!(judged(&policy, None, Some(&located(&["US"]))), "region: none");
    assert_eq!(judged(&policy, Some("US"), None), "region.address: unknown");
}

#[test]
fn of_several_regions_of_one_address_each_is_blocked() {
    for blocked in ["GB", "GB-ENG", "GB-LND"] {
        let rule = format!("evidence = \"ip\"\nblocked_countries = [\"{blocked}\"]");
        let from = located(&["GB-ENG", "GB-LND"]);
        let said = judged(&by_rule(&rule), None, Some(&from));
        assert_eq!(said, "region.blocked_countries: GB-ENG GB-LND", "{blocked}");
        let rule = format!("evidence = \"ip\"\nallowed_countries = [\"{blocked}\"]");
        assert_eq!(judged(&by_rule(&rule), None, Some(&from)), "GB-LND", "{blocked}");
    }
}

#[test]
fn an_anonymous_address_is_refused_whoever_says_where_the_viewer_is() {
    for evidence in ["token", "ip", "token-and-ip"] {
        let rule = |block: bool| {
            by_rule(&format!("evidence = \"{evidence}\"\nblock_vpn_and_tor = {block}"))
        };
        let known = located(&["US"]);
        let anonymous = Located { is_anonymous: true, ..known.clone() };
        let says = |block, from| judged(&rule(block), Some("US"), from);
        assert_eq!(says(true, Some(&anonymous)), "region.block_vpn_and_tor: anonymous");
        assert_eq!(says(true, Some(&known)), "US");
        assert_eq!(says(false, Some(&anonymous)), "US");
        assert_eq!(says(true, None), "region.address: unknown");
    }
    // An address that no database has is not anonymous.
    let rule = by_rule("evidence = \"token\"\nblock_vpn_and_tor = true");
    assert_eq!(judged(&rule, Some("US"), Some(&Located::default())), "US");
}

#[test]
fn a_blackout_is_judged_and_ends_licenses_where_the_viewer_is() {
    let blackout = |evidence: &str| {
        by_rule(&format!(
            "evidence = \"{evidence}\"\n[[region.blackout]]\ncountries = [\"US-CA\"]\n\
             from = 2027-01-15T08:05:00Z\nuntil = 2027-01-15T08:10:00Z"
        ))
    };
    let (us, california, texas) = (located(&["US"]), located(&["US-CA"]), located(&["US-TX"]));
    let (begin, end) = (account::NOW + 300, account::NOW + 600);
    for (evidence, by_token, from, is_there) in [
        ("ip", None, &california, true),
        ("ip", Some("US-TX"), &us, true),
        ("ip", Some("US-CA"), &texas, false),
        ("token-and-ip", Some("US"), &california, true),
        ("token-and-ip", Some("US"), &texas, false),
        ("token-and-ip", Some("US-CA"), &us, true),
        ("token-and-ip", Some("US-TX"), &us, false),
        ("token", Some("US-TX"), &california, false),
    ] {
        let at = |at| decided_at(&blackout(evidence), by_token, Some(from), at);
        let terms = at(account::NOW).unwrap();
        let ends = if is_there { begin } else { end };
        assert_eq!(terms.expires.as_secs(), ends, "{evidence} {by_token:?} {from:?}");
        for (time, is_dark) in [(begin - 1, false), (begin, true), (end - 1, true), (end, false)] {
            let refused = at(time).is_err_and(|denial| denial.refusal == Refusal::Blackout);
            assert_eq!(refused, is_there && is_dark, "{evidence} at {time}");
        }
    }
}

fn address() -> impl Strategy<Value = Located> {
    let regions = prop_oneof![
        1 => Just(Vec::new()),
        6 => select(&REGIONS).prop_map(|text| vec![region(text)]),
        2 => Just(vec![region("US-CA"), region("US-LA")]),
    ];
    (regions, prop::bool::weighted(0.2)).prop_map(|(regions, is_anonymous)| {
        let built = UnixTime::from_secs(NOW);
        let source = (!regions.is_empty()).then_some(Source::Database { built });
        Located { regions, source, is_anonymous }
    })
}

/// Everything of a decision but who says where the viewer is.
type Asked = (Request, Title, Policy, Entitlement, Memory, RegionRule);

fn asked() -> impl Strategy<Value = Asked> {
    (request(), title(), policy(), token(), memory(), region_rule())
}

fn granted(
    (request, title, policy, token, memory, rule): &Asked,
    evidence: Evidence,
    by_token: Option<&Region>,
    from: Option<&Located>,
    block_anonymous: bool,
) -> Option<Terms> {
    let rule = RegionRule { evidence, block_anonymous, ..rule.clone() };
    let policy = Policy { region: Some(rule), ..policy.clone() };
    let token = Entitlement { region: by_token.cloned(), ..token.clone() };
    let authorized = authorize(request, title, &token).ok()?;
    let (past, arrival) = (memory.past(request), Arrival { at: now(), from });
    let steps = &mut Steps::default();
    match decide(request, &authorized, &policy, &token, &past, arrival, steps) {
        Decision::Grant(terms, _) => Some(*terms),
        Decision::Refuse(_) => None,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    /// What is granted on a token and an address is granted, for as long at least, on each alone that names the region; and the
    /// region is one that the token named, or lies in it.
    #[test]
    fn an_address_never_widens_what_the_token_allows(
        asked in asked(),
        from in address(),
        at in select(&REGIONS),
        block in any::<bool>(),
    ) {
        let claimed = region(at);
        let both = granted(&asked, Evidence::TokenAndIp, Some(&claimed), Some(&from), block);
        let Some(both) = both else { return Ok(()) };
        let decided = both.region.clone().unwrap();
        prop_assert!(decided.as_str().starts_with("US-LA") || claimed.contains(&decided));
        prop_assert!(from.regions.iter().any(|found| found.overlaps(&claimed)));
        prop_assert!(!(block && from.is_anonymous));
        // The token alone, as soon as it is as precise as the address.
        let is_precise = from.regions.iter().all(|found| found.contains(&claimed));
        if is_precise {
            let alone = granted(&asked, Evidence::Token, Some(&claimed), None, false);
            prop_assert!(alone.is_some_and(|alone| alone.expires >= both.expires));
        }
        // A token that names the region on which was decided.
        if from.regions.len() == 1 {
            let alone = granted(&asked, Evidence::Token, Some(&decided), None, false);
            prop_assert!(alone.is_some_and(|alone| alone.expires == both.expires));
        }
    }

    /// A region that the lists refuse as a whole is refused whatever an address says.
    #[test]
    fn no_address_helps_a_token_of_a_blocked_or_another_country(
        asked in asked(),
        from in address(),
        at in select(&REGIONS),
    ) {
        let claimed = region(at);
        let rule = &asked.5;
        let is_blocked = rule.blocked.iter().any(|one| one.contains(&claimed));
        let is_elsewhere =
            !rule.allowed.is_empty() && !rule.allowed.iter().any(|one| one.overlaps(&claimed));
        if is_blocked || is_elsewhere {
            let both = granted(&asked, Evidence::TokenAndIp, Some(&claimed), Some(&from), false);
            prop_assert!(both.is_none());
        }
    }

    /// More that has to be shown is never more that is granted.
    #[test]
    fn evidence_that_is_missing_refuses(
        asked in asked(),
        from in address(),
        at in select(&REGIONS),
        evidence in select(&[Evidence::Token, Evidence::Ip, Evidence::TokenAndIp]),
    ) {
        let claimed = region(at);
        if evidence != Evidence::Token {
            prop_assert!(granted(&asked, evidence, Some(&claimed), None, false).is_none());
            let unknown = Located { regions: Vec::new(), source: None, ..from };
            prop_assert!(granted(&asked, evidence, Some(&claimed), Some(&unknown), false).is_none());
        }
        if evidence != Evidence::Ip {
            prop_assert!(granted(&asked, evidence, None, Some(&from), false).is_none());
        }
        prop_assert!(granted(&asked, evidence, Some(&claimed), None, true).is_none());
        let strict = granted(&asked, evidence, Some(&claimed), Some(&from), true);
        let lax = granted(&asked, evidence, Some(&claimed), Some(&from), false);
        prop_assert_eq!(strict.is_some(), lax.is_some() && !from.is_anonymous);
    }
}
