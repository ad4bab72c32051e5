//! Laws of the decision, over random policies, titles and tokens.
#![expect(clippy::unwrap_used, reason = "a test may fail where its expectation does")]

use std::collections::BTreeSet;

use proptest::collection::{btree_map, btree_set, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use reelkey::domain::decision::{
    Decision, Delivery, Request, Terms, Title, TitleKey, authorize, decide,
};
use reelkey::domain::duration::Duration;
use reelkey::domain::entitlement::{Account, Entitlement};
use reelkey::domain::past::Past;
use reelkey::domain::policy::{
    Blackout, DeviceRule, Hdcp, Policy, RegionRule, RenewalRule, TrackRule,
};
use reelkey::domain::region::Region;
use reelkey::domain::security_level::SecurityLevel;
use reelkey::domain::steps::Steps;
use reelkey::domain::track::TrackType;
use reelkey_client::exchange::request::{RequestType, SessionType};
use reelkey_client::key::KeyId;
use reelkey_client::strict::jwk::Thumbprint;
use reelkey_client::time::UnixTime;

const NOW: u64 = 1_000_000;
const REGIONS: [&str; 5] = ["US", "US-CA", "US-TX", "CA", "DE"];
const LEVELS: [SecurityLevel; 3] =
    [SecurityLevel::SwSecureCrypto, SecurityLevel::SwSecureDecode, SecurityLevel::HwSecureAll];

fn now() -> UnixTime {
    UnixTime::from_secs(NOW)
}

fn region(text: &str) -> Region {
    text.parse().unwrap()
}

fn regions() -> impl Strategy<Value = Vec<Region>> {
    subsequence(REGIONS.to_vec(), 0..=2).prop_map(|list| list.into_iter().map(region).collect())
}

/// Times around now.
fn time() -> impl Strategy<Value = UnixTime> {
    (NOW - 20..NOW + 20).prop_map(UnixTime::from_secs)
}

fn blackout() -> impl Strategy<Value = Blackout> {
    let regions = regions().prop_filter("a blackout is somewhere", |list| !list.is_empty());
    (regions, time(), 1_u64..30).prop_map(|(regions, from, length)| Blackout {
        regions,
        from,
        until: from.saturating_add(length),
    })
}

fn region_rule() -> impl Strategy<Value = RegionRule> {
    (regions(), regions(), vec(blackout(), 0..2))
        .prop_map(|(allowed, blocked, blackouts)| RegionRule { allowed, blocked, blackouts })
}

fn track_rule() -> impl Strategy<Value = TrackRule> {
    (option::of(select(&LEVELS)), option::of(Just(Hdcp::V2_2)), option::of(1_u32..5000)).prop_map(
        |(security_level, hdcp, max_height)| TrackRule { security_level, hdcp, max_height },
    )
}

fn tracks() -> impl Strategy<Value = Vec<TrackType>> {
    subsequence(TrackType::ALL.to_vec(), 1..=5)
}

prop_compose! {
    fn policy()(
        can_play in prop::bool::weighted(0.9),
        tracks in option::weighted(0.3, tracks()),
        available_from in option::weighted(0.2, time()),
        available_until in option::weighted(0.2, time()),
        secs in 1_u64..40,
        required_amr in subsequence(vec!["pwd", "mfa"], 0..=1),
        [allow_clearkey, allow_hls_aes128] in any::<[bool; 2]>(),
        region in option::weighted(0.4, region_rule()),
        level in select(&[LEVELS[0], LEVELS[0], LEVELS[0], LEVELS[1]]),
        require_binding in prop::bool::weighted(0.2),
        track_rules in btree_map(select(&TrackType::ALL), track_rule(), 0..3),
    ) -> Policy {
        Policy {
            name: "random".into(),
            can_play,
            can_renew: false,
            persistent_duration: None,
            tracks,
            available_from,
            available_until,
            license_duration: Duration::from_secs(secs),
            rental_duration: None,
            playback_duration: None,
            renewal: RenewalRule::default(),
            required_amr: required_amr.into_iter().map(Into::into).collect(),
            region,
            allow_clearkey,
            allow_hls_aes128,
            device: DeviceRule { security_level: level, require_binding, ..DeviceRule::default() },
            concurrency: None,
            track_rules,
        }
    }
}

fn title_key() -> impl Strategy<Value = TitleKey> {
    let (track, active) =
        (option::weighted(0.9, select(&TrackType::ALL)), prop::bool::weighted(0.9));
    let period = option::weighted(0.3, 0_u32..4);
    (track, active, period).prop_map(|(track, active, period)| TitleKey {
        kid: kid(0),
        track,
        active,
        period,
    })
}

fn kid(number: u8) -> KeyId {
    KeyId::from_bytes([number; 16])
}

prop_compose! {
    fn title()(keys in vec(title_key(), 1..6)) -> Title {
        let keys = (0..).zip(keys).map(|(n, key)| TitleKey { kid: kid(n), ..key });
        Title {
            content: "movies/bunny".parse().unwrap(),
            policies: vec!["random".into()],
            keys: keys.collect(),
        }
    }
}

prop_compose! {
    fn token()(
        kids in option::weighted(0.3, btree_set((0_u8..6).prop_map(kid), 1..4)),
        license_not_after in option::weighted(0.2, time()),
        at in option::weighted(0.8, select(&REGIONS)),
        bound in any::<bool>(),
        amr in subsequence(vec!["pwd", "mfa"], 0..=2),
    ) -> Entitlement {
        let any = vec!["*".parse().unwrap()];
        let jkt = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        Entitlement {
            account: Account { iss: "i".into(), sub: "s".into() },
            issuer_content: any.clone(),
            content: Some(any),
            kids,
            policy_id: None,
            entitlement_id: String::new(),
            license_not_after,
            region: at.map(region),
            device: bound.then(|| Thumbprint::parse(jkt).unwrap()),
            amr: amr.into_iter().map(Into::into).collect(),
            manages_devices: false,
        }
    }
}

fn request() -> impl Strategy<Value = Request> {
    btree_set((0_u8..6).prop_map(kid), 0..3).prop_map(|kids| Request {
        request_type: RequestType::New,
        session_type: SessionType::Temporary,
        kids,
        device_level: SecurityLevel::SwSecureDecode,
        delivery: Delivery::Sealed,
        asker: None,
    })
}

/// One more rule, by a policy or by a token.
#[derive(Clone, Debug)]
enum Restriction {
    NoPlay,
    WithoutTrack(TrackType),
    From(UnixTime),
    Until(UnixTime),
    Shorter(u64),
    Amr(&'static str),
    Block(Region),
    BlackOut(Blackout),
    DeviceLevel(SecurityLevel),
    Bind,
    TrackLevel(TrackType, SecurityLevel),
    TokenUntil(UnixTime),
    TokenWithout(KeyId),
    TokenNowhere,
    TokenUnbound,
}

fn restriction() -> impl Strategy<Value = Restriction> {
    use Restriction::*;
    prop_oneof![
        Just(NoPlay),
        select(&TrackType::ALL).prop_map(WithoutTrack),
        time().prop_map(From),
        time().prop_map(Until),
        (1_u64..40).prop_map(Shorter),
        select(&["pwd", "mfa"]).prop_map(Amr),
        select(&REGIONS).prop_map(|text| Block(region(text))),
        blackout().prop_map(BlackOut),
        select(&LEVELS).prop_map(DeviceLevel),
        Just(Bind),
        (select(&TrackType::ALL), select(&LEVELS))
            .prop_map(|(track, level)| TrackLevel(track, level)),
        time().prop_map(TokenUntil),
        (0_u8..6).prop_map(|number| TokenWithout(kid(number))),
        Just(TokenNowhere),
        Just(TokenUnbound),
    ]
}

fn earlier(one: Option<UnixTime>, other: UnixTime) -> Option<UnixTime> {
    Some(one.map_or(other, |one| one.min(other)))
}

fn restrict(restriction: Restriction, policy: &mut Policy, token: &mut Entitlement) {
    match restriction {
        Restriction::NoPlay => policy.can_play = false,
        Restriction::WithoutTrack(track) => {
            let all = policy.tracks.take().unwrap_or_else(|| TrackType::ALL.to_vec());
            policy.tracks = Some(all.into_iter().filter(|one| *one != track).collect());
        }
        Restriction::From(from) => {
            policy.available_from = Some(policy.available_from.map_or(from, |old| old.max(from)));
        }
        Restriction::Until(until) => {
            policy.available_until = earlier(policy.available_until, until)
        }
        Restriction::Shorter(secs) => {
            let shorter = Duration::from_secs(secs);
            policy.license_duration = policy.license_duration.min(shorter);
        }
        Restriction::Amr(amr) => policy.required_amr.push(amr.into()),
        Restriction::Block(region) => {
            policy.region.get_or_insert_default().blocked.push(region);
        }
        Restriction::BlackOut(blackout) => {
            policy.region.get_or_insert_default().blackouts.push(blackout);
        }
        Restriction::DeviceLevel(level) => {
            policy.device.security_level = policy.device.security_level.max(level);
        }
        Restriction::Bind => policy.device.require_binding = true,
        Restriction::TrackLevel(track, level) => {
            let rule = policy.track_rule(Some(track));
            let security_level = rule.security_level.max(Some(level));
            policy.track_rules.insert(track, TrackRule { security_level, ..rule });
        }
        Restriction::TokenUntil(until) => {
            token.license_not_after = earlier(token.license_not_after, until);
        }
        Restriction::TokenWithout(kid) => {
            let all = token.kids.take().unwrap_or_else(|| (0..6).map(self::kid).collect());
            token.kids = Some(all.into_iter().filter(|one| *one != kid).collect());
        }
        Restriction::TokenNowhere => token.region = None,
        Restriction::TokenUnbound => token.device = None,
    }
}

fn granted(
    request: &Request,
    title: &Title,
    policy: &Policy,
    token: &Entitlement,
) -> Option<Terms> {
    let authorized = authorize(request, title, token).ok()?;
    match decide(
        request,
        &authorized,
        policy,
        token,
        &Past::default(),
        now(),
        &mut Steps::default(),
    ) {
        Decision::Grant(terms, _) => Some(*terms),
        Decision::Refuse(_) => None,
    }
}

fn kids(terms: &Terms) -> BTreeSet<KeyId> {
    terms.tracks.iter().map(|track| track.kid).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn a_restriction_never_grants_more(
        request in request(),
        title in title(),
        policy in policy(),
        token in token(),
        restriction in restriction(),
    ) {
        let (mut stricter, mut narrower) = (policy.clone(), token.clone());
        restrict(restriction, &mut stricter, &mut narrower);
        let before = granted(&request, &title, &policy, &token);
        if let Some(after) = granted(&request, &title, &stricter, &narrower) {
            let before = before.expect("what was refused stays refused");
            prop_assert!(kids(&after).is_subset(&kids(&before)));
            prop_assert!(after.expires <= before.expires);
            prop_assert!(after.not_before >= before.not_before);
        }
    }

    #[test]
    fn a_grant_never_exceeds_what_each_track_allows(
        request in request(),
        title in title(),
        policy in policy(),
        token in token(),
    ) {
        let Some(terms) = granted(&request, &title, &policy, &token) else { return Ok(()) };
        prop_assert!(!terms.tracks.is_empty());
        prop_assert!(terms.expires > now() && terms.not_before == now());
        prop_assert!(terms.expires <= now().saturating_add(policy.license_duration.as_secs()));
        for bound in [policy.available_until, token.license_not_after].into_iter().flatten() {
            prop_assert!(terms.expires <= bound);
        }
        if !request.kids.is_empty() {
            prop_assert!(!kids(&terms).is_disjoint(&request.kids), "something named is granted");
        }
        for track in &terms.tracks {
            let key = title.keys.iter().find(|key| key.kid == track.kid).expect("a key of the title");
            prop_assert!(key.active && token.permits_key(key.kid, &title.content));
            prop_assert!(policy.allows(key.track));
            prop_assert!(track.rule.security_level.is_none_or(|least| least <= request.device_level));
            prop_assert_eq!(track.rule, policy.track_rule(key.track));
        }
    }

    #[test]
    fn keys_in_the_clear_are_what_a_license_would_hold_and_the_policy_allows(
        request in request(),
        title in title(),
        policy in policy(),
        token in token(),
        delivery in select(&[Delivery::ClearKey, Delivery::HlsAes128]),
    ) {
        // A request that proves no device has the lowest level.
        let request = Request { device_level: SecurityLevel::SwSecureCrypto, ..request };
        let sealed = granted(&request, &title, &policy, &token);
        let clear = granted(&Request { delivery, ..request }, &title, &policy, &token);
        let allowed = match delivery {
            Delivery::ClearKey => policy.allow_clearkey,
            _ => policy.allow_hls_aes128,
        };
        prop_assert_eq!(clear.is_some(), allowed && sealed.is_some());
        let (Some(sealed), Some(clear)) = (sealed, clear) else { return Ok(()) };
        prop_assert_eq!(&sealed.tracks, &clear.tracks);
        for track in &clear.tracks {
            prop_assert!(track.rule.security_level.is_none_or(|level| level == SecurityLevel::SwSecureCrypto));
        }
    }

    #[test]
    fn of_keys_with_periods_the_two_newest_are_granted_and_what_is_named(
        request in request(),
        title in title(),
        policy in policy(),
        token in token(),
    ) {
        let Some(terms) = granted(&request, &title, &policy, &token) else { return Ok(()) };
        let periods: BTreeSet<u32> =
            title.keys.iter().filter(|key| key.active).filter_map(|key| key.period).collect();
        let newest: Vec<u32> = periods.into_iter().rev().take(2).collect();
        for track in &terms.tracks {
            let is_new = track.period.is_none_or(|period| newest.contains(&period));
            prop_assert!(is_new || request.kids.contains(&track.kid));
        }
    }
}
