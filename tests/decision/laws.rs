//! Laws of the decision, over random policies, titles, tokens, requests and pasts.

use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::sample::select;
use reelkey::domain::changes::Changes;
use reelkey::domain::decision::{
    Decision, Delivery, Request, Terms, Title, Vouched, authorize, decide,
};
use reelkey::domain::duration::Duration;
use reelkey::domain::entitlement::Entitlement;
use reelkey::domain::location::Arrival;
use reelkey::domain::past::{DeviceStatus, LicenseState, Usage};
use reelkey::domain::policy::{
    Blackout, ConcurrencyMode, ConcurrencyRule, ConcurrencyScope, DeviceRule, Policy, Registration,
    Replace, TrackRule,
};
use reelkey::domain::region::Region;
use reelkey::domain::security_level::SecurityLevel;
use reelkey::domain::steps::Steps;
use reelkey::domain::track::TrackType;
use reelkey_client::exchange::request::{RequestType, SessionType};
use reelkey_client::key::KeyId;
use reelkey_client::time::UnixTime;

use crate::random::{
    LEVELS, Memory, REGIONS, blackout, id, jkt, kid, memory, now, policy, region, request, secs,
    time, title, token,
};

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
    Rental(Duration),
    Playback(Duration),
    Persistent(Duration),
    NoPersistence,
    NoRenewal,
    Recovery(Duration),
    Places(u16),
    Register(Registration),
    ReplaceNone,
    Cooldown(Duration),
    Streams(u16),
    BlockNew,
    Barred,
    RevokedDevice(u8),
    RevokedLicense(u8),
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
        right(),
    ]
}

/// One more rule about what came before.
fn right() -> impl Strategy<Value = Restriction> {
    use Restriction::*;
    prop_oneof![
        secs(40).prop_map(Rental),
        secs(40).prop_map(Playback),
        secs(60).prop_map(Persistent),
        Just(NoPersistence),
        Just(NoRenewal),
        secs(30).prop_map(Recovery),
        (1_u16..4).prop_map(Places),
        select(&[Registration::Enrolled, Registration::Certified]).prop_map(Register),
        Just(ReplaceNone),
        secs(20).prop_map(Cooldown),
        (1_u16..4).prop_map(Streams),
        Just(BlockNew),
        Just(Barred),
        (0_u8..4).prop_map(RevokedDevice),
        (0_u8..4).prop_map(RevokedLicense),
    ]
}

fn earlier(one: Option<UnixTime>, other: UnixTime) -> Option<UnixTime> {
    Some(one.map_or(other, |one| one.min(other)))
}

fn shorter(one: Option<Duration>, other: Duration) -> Option<Duration> {
    Some(one.map_or(other, |one| one.min(other)))
}

fn restrict(
    restriction: Restriction,
    policy: &mut Policy,
    token: &mut Entitlement,
    memory: &mut Memory,
) {
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
        right => restrict_rights(right, policy, memory),
    }
}

fn restrict_rights(right: Restriction, policy: &mut Policy, memory: &mut Memory) {
    let device = &mut policy.device;
    match right {
        Restriction::Rental(duration) => {
            policy.rental_duration = shorter(policy.rental_duration, duration);
        }
        // Beside a rental, a first one lets who has begun see the film to its end.
        Restriction::Playback(duration) => {
            if policy.playback_duration.is_some() || policy.rental_duration.is_none() {
                policy.playback_duration = shorter(policy.playback_duration, duration);
            }
        }
        Restriction::Persistent(duration) => {
            policy.persistent_duration = policy.persistent_duration.map(|old| old.min(duration));
        }
        Restriction::NoPersistence => policy.persistent_duration = None,
        Restriction::NoRenewal => policy.can_renew = false,
        Restriction::Recovery(duration) => {
            policy.renewal.recovery = policy.renewal.recovery.map(|old| old.min(duration));
        }
        Restriction::Places(limit) => {
            device.limit = Some(device.limit.map_or(limit, |old| old.min(limit)));
        }
        // From one of the two to the other is another rule, not one more.
        Restriction::Register(registration) => {
            if device.registration == Registration::Open {
                device.registration = registration;
            }
        }
        Restriction::ReplaceNone => device.replace = Replace::None,
        Restriction::Cooldown(duration) => device.cooldown = device.cooldown.max(Some(duration)),
        Restriction::Streams(limit) => {
            let (scope, mode) = (ConcurrencyScope::Account, ConcurrencyMode::StopOldest);
            let new = ConcurrencyRule { limit, scope, mode, grace_period: None };
            let rule = policy.concurrency.get_or_insert(new);
            rule.limit = rule.limit.min(limit);
        }
        Restriction::BlockNew => {
            if let Some(rule) = &mut policy.concurrency {
                rule.mode = ConcurrencyMode::BlockNew;
            }
        }
        Restriction::Barred => {
            let none = || Usage::none("movies/bunny".parse().unwrap(), String::new());
            memory.usage.get_or_insert_with(none).barred = true;
        }
        Restriction::RevokedDevice(number) => {
            let known = memory.devices.iter_mut().find(|one| one.jkt == jkt(number));
            if let Some(known) = known {
                known.status = DeviceStatus::Revoked;
            }
        }
        Restriction::RevokedLicense(number) => {
            let known = memory.licenses.iter_mut().find(|one| one.id == id(number));
            if let Some(known) = known {
                known.state = LicenseState::Revoked;
            }
        }
        other => panic!("{other:?} is a rule of a policy or a token"),
    }
}

fn decided(
    request: &Request,
    title: &Title,
    policy: &Policy,
    token: &Entitlement,
    memory: &Memory,
) -> Option<(Terms, Changes)> {
    let authorized = authorize(request, title, token).ok()?;
    let past = memory.past(request);
    let arrival = Arrival::from_nowhere(now());
    match decide(request, &authorized, policy, token, &past, arrival, &mut Steps::default()) {
        Decision::Grant(terms, changes) => Some((*terms, *changes)),
        Decision::Refuse(_) => None,
    }
}

fn granted(
    request: &Request,
    title: &Title,
    policy: &Policy,
    token: &Entitlement,
    memory: &Memory,
) -> Option<Terms> {
    decided(request, title, policy, token, memory).map(|(terms, _)| terms)
}

fn kids(terms: &Terms) -> BTreeSet<KeyId> {
    terms.tracks.iter().map(|track| track.kid).collect()
}

/// Every moment at which the license has to end.
fn bounds(
    request: &Request,
    policy: &Policy,
    token: &Entitlement,
    memory: &Memory,
) -> Vec<UnixTime> {
    let after = |begun: UnixTime, length: Duration| begun.saturating_add(length.as_secs());
    let is_kept = request.session_type == SessionType::PersistentLicense;
    let life = policy.persistent_duration.filter(|_| is_kept).unwrap_or(policy.license_duration);
    let mut bounds = vec![after(now(), life)];
    bounds.extend([policy.available_until, token.license_not_after].into_iter().flatten());
    if let (Some(rule), Some(region)) = (&policy.region, &token.region) {
        let coming = rule.blackouts(std::slice::from_ref(region)).map(|one| one.from);
        bounds.extend(coming.filter(|from| now() < *from));
    }
    let usage = memory.usage.as_ref();
    let rented_at = usage.and_then(|usage| usage.rented_at).unwrap_or_else(now);
    let played_at = usage.and_then(|usage| usage.played_at);
    if let Some(rental) = policy.rental_duration
        && (is_kept || policy.playback_duration.is_none())
    {
        bounds.push(after(rented_at, rental));
    }
    if let Some(playback) = policy.playback_duration
        && let Some(played_at) = played_at.or_else(|| (!is_kept).then_some(now()))
    {
        bounds.push(after(played_at, playback));
    }
    bounds
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn a_restriction_never_grants_more(
        request in request(),
        title in title(),
        policy in policy(),
        token in token(),
        memory in memory(),
        restriction in restriction(),
    ) {
        let (mut stricter, mut narrower) = (policy.clone(), token.clone());
        let mut worse = memory.clone();
        restrict(restriction, &mut stricter, &mut narrower, &mut worse);
        let before = granted(&request, &title, &policy, &token, &memory);
        if let Some(after) = granted(&request, &title, &stricter, &narrower, &worse) {
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
        memory in memory(),
    ) {
        let Some(terms) = granted(&request, &title, &policy, &token, &memory) else { return Ok(()) };
        prop_assert!(!terms.tracks.is_empty());
        prop_assert!(terms.expires > now() && terms.not_before == now());
        prop_assert!(!matches!(request.vouched, Vouched::Invalid(_)));
        if policy.device.registration == Registration::Certified {
            prop_assert!(request.vouched.by().is_some());
        }
        for bound in bounds(&request, &policy, &token, &memory) {
            prop_assert!(terms.expires <= bound);
        }
        if !request.kids.is_empty() {
            prop_assert!(!kids(&terms).is_disjoint(&request.kids), "something named is granted");
        }
        for track in &terms.tracks {
            let key = title.keys.iter().find(|key| key.kid == track.kid).expect("a key of the title");
            prop_assert!(key.active && token.permits_key(key.kid, &title.content));
            prop_assert!(policy.allows(key.track));
            prop_assert!(track.rule.security_level.is_none_or(|least| least <= request.vouched.level()));
            prop_assert_eq!(track.rule, policy.track_rule(key.track));
        }
    }

    #[test]
    fn keys_in_the_clear_are_what_a_license_would_hold_and_the_policy_allows(
        request in request(),
        title in title(),
        policy in policy(),
        token in token(),
        memory in memory(),
        delivery in select(&[Delivery::ClearKey, Delivery::HlsAes128]),
    ) {
        // A request that proves no device has the lowest level.
        let request = Request { vouched: Vouched::Nothing, ..request };
        let session_type = SessionType::Temporary;
        let request = Request { session_type, asker: None, request_type: RequestType::New, ..request };
        let sealed = granted(&request, &title, &policy, &token, &memory);
        let clear = granted(&Request { delivery, ..request }, &title, &policy, &token, &memory);
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
        memory in memory(),
    ) {
        let Some(terms) = granted(&request, &title, &policy, &token, &memory) else { return Ok(()) };
        let periods: BTreeSet<u32> =
            title.keys.iter().filter(|key| key.active).filter_map(|key| key.period).collect();
        let newest: Vec<u32> = periods.into_iter().rev().take(2).collect();
        for track in &terms.tracks {
            let is_new = track.period.is_none_or(|period| newest.contains(&period));
            prop_assert!(is_new || request.kids.contains(&track.kid));
        }
    }

    #[test]
    fn a_request_that_comes_again_gets_the_same(
        request in request(),
        title in title(),
        policy in policy(),
        token in token(),
        memory in memory(),
    ) {
        let first = decided(&request, &title, &policy, &token, &memory);
        let again = decided(&request, &title, &policy, &token, &memory);
        prop_assert_eq!(format!("{first:?}"), format!("{again:?}"), "the same facts, the same decision");
        let Some((terms, changes)) = first else { return Ok(()) };
        let after = memory.after(changes.clone());
        let again = decided(&request, &title, &policy, &token, &after);
        let (same, repeated) = again.expect("what was granted is granted again");
        prop_assert_eq!(format!("{terms:?}"), format!("{same:?}"));
        let own = |changes: &Changes| {
            let device = request.asker.as_ref().map(|asker| asker.device);
            changes.devices.iter().find(|one| Some(one.jkt) == device).and_then(|one| one.place)
        };
        prop_assert_eq!(own(&changes), own(&repeated));
        prop_assert!(repeated.devices.len() <= 1, "and replaces no other device");
        prop_assert!(repeated.licenses.len() <= 1, "and ends no other license");
        prop_assert_eq!(&changes.slot, &repeated.slot);
        prop_assert_eq!(&repeated.usage, &None);
        // Nothing is left to be changed.
        let last = after.after(repeated);
        let place = |memory: &Memory| {
            let mut places: Vec<_> = memory.devices.iter().filter_map(|one| one.place).collect();
            places.sort_unstable();
            places
        };
        prop_assert_eq!(place(&after), place(&last));
        prop_assert!(place(&after).windows(2).all(|two| two.first() != two.last()));
    }

    #[test]
    fn what_needs_no_memory_changes_nothing(
        request in request(),
        title in title(),
        policy in policy(),
        token in token(),
        memory in memory(),
    ) {
        let device = DeviceRule {
            limit: None,
            registration: Registration::Open,
            ..policy.device
        };
        let policy = Policy {
            can_renew: false,
            persistent_duration: None,
            rental_duration: None,
            playback_duration: None,
            concurrency: None,
            device,
            ..policy
        };
        prop_assert!(!policy.needs_memory());
        if let Some((_, changes)) = decided(&request, &title, &policy, &token, &memory) {
            prop_assert_eq!(changes, Changes::default());
        }
    }
}
