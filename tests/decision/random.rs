//! Random policies, titles, tokens, requests and pasts.

use proptest::collection::{btree_map, btree_set, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use reelkey::domain::changes::Changes;
use reelkey::domain::decision::{Asker, Delivery, Request, Title, TitleKey, Vouched};
use reelkey::domain::duration::Duration;
use reelkey::domain::entitlement::{Account, Entitlement};
use reelkey::domain::past::{
    Device, DeviceStatus, License, LicenseId, LicenseState, Past, Slot, Usage,
};
use reelkey::domain::policy::{
    Blackout, ConcurrencyMode, ConcurrencyRule, ConcurrencyScope, DeviceRule, Hdcp, Policy,
    RegionRule, Registration, RenewalRule, Replace, TrackRule,
};
use reelkey::domain::region::Region;
use reelkey::domain::security_level::SecurityLevel;
use reelkey::domain::track::TrackType;
use reelkey_client::exchange::request::{RequestType, SessionType};
use reelkey_client::key::KeyId;
use reelkey_client::strict::jwk::Thumbprint;
use reelkey_client::time::UnixTime;

pub(crate) const NOW: u64 = 1_000_000;
pub(crate) const REGIONS: [&str; 5] = ["US", "US-CA", "US-TX", "CA", "DE"];
pub(crate) const LEVELS: [SecurityLevel; 3] =
    [SecurityLevel::SwSecureCrypto, SecurityLevel::SwSecureDecode, SecurityLevel::HwSecureAll];

pub(crate) fn now() -> UnixTime {
    UnixTime::from_secs(NOW)
}

pub(crate) fn region(text: &str) -> Region {
    text.parse().unwrap()
}

pub(crate) fn regions() -> impl Strategy<Value = Vec<Region>> {
    subsequence(REGIONS.to_vec(), 0..=2).prop_map(|list| list.into_iter().map(region).collect())
}

/// Times around now.
pub(crate) fn time() -> impl Strategy<Value = UnixTime> {
    (NOW - 20..NOW + 20).prop_map(UnixTime::from_secs)
}

pub(crate) fn blackout() -> impl Strategy<Value = Blackout> {
    let regions = regions().prop_filter("a blackout is somewhere", |list| !list.is_empty());
    (regions, time(), 1_u64..30).prop_map(|(regions, from, length)| Blackout {
        regions,
        from,
        until: from.saturating_add(length),
    })
}

pub(crate) fn region_rule() -> impl Strategy<Value = RegionRule> {
    (regions(), regions(), vec(blackout(), 0..2)).prop_map(|(allowed, blocked, blackouts)| {
        RegionRule { allowed, blocked, blackouts, ..RegionRule::default() }
    })
}

pub(crate) fn track_rule() -> impl Strategy<Value = TrackRule> {
    (option::of(select(&LEVELS)), option::of(Just(Hdcp::V2_2)), option::of(1_u32..5000)).prop_map(
        |(security_level, hdcp, max_height)| TrackRule { security_level, hdcp, max_height },
    )
}

pub(crate) fn tracks() -> impl Strategy<Value = Vec<TrackType>> {
    subsequence(TrackType::ALL.to_vec(), 1..=5)
}

prop_compose! {
    pub(crate) fn policy()(
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
        rights in rights(),
    ) -> Policy {
        Policy {
            name: "random".into(),
            can_play,
            can_renew: rights.can_renew,
            persistent_duration: rights.persistent,
            tracks,
            available_from,
            available_until,
            license_duration: Duration::from_secs(secs),
            rental_duration: rights.rental,
            playback_duration: rights.playback,
            renewal: rights.renewal,
            required_amr: required_amr.into_iter().map(Into::into).collect(),
            region,
            allow_clearkey,
            allow_hls_aes128,
            device: DeviceRule { security_level: level, require_binding, ..rights.device },
            concurrency: rights.concurrency,
            track_rules,
        }
    }
}

pub(crate) fn title_key() -> impl Strategy<Value = TitleKey> {
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

pub(crate) fn kid(number: u8) -> KeyId {
    KeyId::from_bytes([number; 16])
}

prop_compose! {
    pub(crate) fn title()(keys in vec(title_key(), 1..6)) -> Title {
        let keys = (0..).zip(keys).map(|(n, key)| TitleKey { kid: kid(n), ..key });
        Title {
            content: "movies/bunny".parse().unwrap(),
            policies: vec!["random".into()],
            keys: keys.collect(),
            current_period: None,
        }
    }
}

prop_compose! {
    pub(crate) fn token()(
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

/// What certificates say of a device. Most devices have one, so that levels are met often.
fn vouched() -> impl Strategy<Value = Vouched> {
    let level = |level| Vouched::Level { by: "maker".into(), level };
    prop_oneof![
        1 => Just(Vouched::Nothing),
        6 => Just(level(SecurityLevel::SwSecureDecode)),
        1 => Just(level(SecurityLevel::HwSecureAll)),
        1 => Just(Vouched::Invalid("it has expired".into())),
    ]
}

/// A request by one of four devices, under one of eight names, or by nobody.
pub(crate) fn request() -> impl Strategy<Value = Request> {
    let kids = btree_set((0_u8..6).prop_map(kid), 0..3);
    let asker = (0_u8..4, 0_u8..8, option::weighted(0.3, 0_u8..8), any::<[bool; 2]>(), 0_u64..30);
    let end_session = option::weighted(0.2, 0_u8..8);
    let asker = option::weighted(0.9, asker);
    (kids, asker, end_session, prop::bool::weighted(0.3), vouched()).prop_map(
        |(kids, asker, end_session, keeps, vouched)| {
            let asker = asker.map(|(device, name, renews, [has_played, _], secs)| Asker {
                device: jkt(device),
                name: None,
                model: None,
                request: id(name),
                renews: renews.map(id),
                first_play_secs: (renews.is_some() && keeps && has_played).then_some(secs),
                end_session: end_session.map(id),
            });
            let is_renewal = asker.as_ref().is_some_and(|asker| asker.renews.is_some());
            Request {
                request_type: if is_renewal { RequestType::Renewal } else { RequestType::New },
                session_type: if keeps && asker.is_some() {
                    SessionType::PersistentLicense
                } else {
                    SessionType::Temporary
                },
                kids,
                vouched,
                delivery: Delivery::Sealed,
                asker,
            }
        },
    )
}

/// The rules of a policy about what came before.
#[derive(Clone, Copy, Debug)]
struct Rights {
    can_renew: bool,
    persistent: Option<Duration>,
    rental: Option<Duration>,
    playback: Option<Duration>,
    renewal: RenewalRule,
    device: DeviceRule,
    concurrency: Option<ConcurrencyRule>,
}

pub(crate) fn secs(longest: u64) -> impl Strategy<Value = Duration> {
    (1..longest).prop_map(Duration::from_secs)
}

prop_compose! {
    fn concurrency()(
        limit in 1_u16..4,
        mode in select(&[
            ConcurrencyMode::BlockNew,
            ConcurrencyMode::StopOldest,
            ConcurrencyMode::StopNewest,
        ]),
        grace_period in option::of(secs(20)),
    ) -> ConcurrencyRule {
        ConcurrencyRule { limit, scope: ConcurrencyScope::Account, mode, grace_period }
    }
}

prop_compose! {
    fn rights()(
        can_renew in prop::bool::weighted(0.7),
        persistent in option::of(secs(60)),
        rental in option::weighted(0.3, secs(40)),
        playback in option::weighted(0.3, secs(40)),
        [delay, retry_interval, recovery] in prop::array::uniform3(option::of(secs(30))),
        limit in option::weighted(0.4, 1_u16..4),
        replace in select(&[Replace::None, Replace::LongestIdle]),
        cooldown in option::of(secs(20)),
        registration in prop_oneof![
            8 => Just(Registration::Open),
            1 => Just(Registration::Enrolled),
            1 => Just(Registration::Certified),
        ],
        concurrency in option::weighted(0.4, concurrency()),
    ) -> Rights {
        // Combinations that no policy file may have are not made.
        let replace = if cooldown.is_some() { replace } else { Replace::None };
        let device = DeviceRule { limit, replace, cooldown, registration, ..DeviceRule::default() };
        let renewal = RenewalRule { delay, retry_interval, recovery };
        Rights { can_renew, persistent, rental, playback, renewal, device, concurrency }
    }
}

/// Everything that is remembered of an account.
#[derive(Clone, Debug)]
pub(crate) struct Memory {
    pub(crate) devices: Vec<Device>,
    pub(crate) usage: Option<Usage>,
    pub(crate) slots: Vec<Slot>,
    pub(crate) licenses: Vec<License>,
}

impl Memory {
    /// What a decision about this request reads.
    pub(crate) fn past(&self, request: &Request) -> Past {
        let Some(asker) = &request.asker else {
            return Past { usage: self.usage.clone(), ..Past::default() };
        };
        let own = |license: &&License| license.device == asker.device;
        Past {
            device: self.devices.iter().find(|one| one.jkt == asker.device).cloned(),
            others: self.devices.iter().filter(|one| one.jkt != asker.device).cloned().collect(),
            usage: self.usage.clone(),
            slots: self.slots.clone(),
            licenses: self.licenses.iter().filter(own).cloned().collect(),
        }
    }

    /// What is remembered after these changes.
    pub(crate) fn after(&self, changes: Changes) -> Self {
        let Changes { devices, usage, slot, licenses } = changes;
        let mut after = self.clone();
        after.devices.retain(|one| devices.iter().all(|new| new.jkt != one.jkt));
        after.devices.extend(devices);
        after.usage = usage.or(after.usage);
        after.slots.retain(|one| slot.iter().all(|new| new.number != one.number));
        after.slots.extend(slot);
        after.licenses.retain(|one| licenses.iter().all(|new| new.id != one.id));
        after.licenses.extend(licenses);
        after
    }
}

pub(crate) fn jkt(number: u8) -> Thumbprint {
    Thumbprint::from_bytes([number; 32])
}

pub(crate) fn id(number: u8) -> LicenseId {
    LicenseId::from_bytes([number; 16])
}

/// Times before now.
fn past_time() -> impl Strategy<Value = UnixTime> {
    (NOW - 40..=NOW).prop_map(UnixTime::from_secs)
}

prop_compose! {
    /// Device `number`, which has place `place` if it has one.
    fn device(number: u8, place: u16)(
        has_place in prop::bool::weighted(0.8),
        [registered_at, last_seen_at, status_since, placed_at] in prop::array::uniform4(past_time()),
        status in select(&[
            DeviceStatus::Active,
            DeviceStatus::Active,
            DeviceStatus::Active,
            DeviceStatus::Revoked,
            DeviceStatus::Removed,
        ]),
        knows_when in any::<bool>(),
    ) -> Device {
        Device {
            jkt: jkt(number),
            name: None,
            model: None,
            place: has_place.then_some(place),
            placed_at: (has_place && knows_when).then_some(placed_at),
            registered_at,
            last_seen_at,
            status,
            status_since,
        }
    }
}

prop_compose! {
    fn slot(number: u16)(
        (license, device) in (0_u8..8, 0_u8..4),
        since in past_time(),
        until in time(),
        stopped in vec((0_u8..4, time()), 0..2),
    ) -> Slot {
        let content = "movies/bunny".parse().unwrap();
        let stopped = stopped.into_iter().map(|(device, until)| (jkt(device), until)).collect();
        Slot { number, license: id(license), device: jkt(device), content, since, until, stopped }
    }
}

prop_compose! {
    fn license(number: u8)(
        device in 0_u8..4,
        keeps in any::<bool>(),
        issued_at in past_time(),
        expires_at in time(),
        counter in 0_u64..3,
        renewed_by in option::of(0_u8..8),
        state in select(&[
            LicenseState::Active,
            LicenseState::Active,
            LicenseState::Active,
            LicenseState::Revoked,
            LicenseState::Returned,
            LicenseState::Ended,
        ]),
    ) -> License {
        License {
            id: id(number),
            sub: "s".into(),
            device: jkt(device),
            content: "movies/bunny".parse().unwrap(),
            entitlement_id: String::new(),
            policy_id: "random".into(),
            session_type: if keeps {
                SessionType::PersistentLicense
            } else {
                SessionType::Temporary
            },
            issued_at,
            updated_at: issued_at,
            expires_at,
            counter,
            renewed_by: renewed_by.map(id),
            state,
            events: Vec::new(),
        }
    }
}

prop_compose! {
    fn usage()(
        rented_at in option::of(past_time()),
        played_at in option::of(past_time()),
        keepers in btree_set(0_u8..4, 0..3),
        barred in prop::bool::weighted(0.1),
    ) -> Usage {
        let none = Usage::none("movies/bunny".parse().unwrap(), String::new());
        let keepers = keepers.into_iter().map(jkt).collect();
        Usage { rented_at, played_at, keepers, barred, ..none }
    }
}

prop_compose! {
    /// What may be remembered. No two devices have one place.
    pub(crate) fn memory()(
        devices in (device(0, 2), device(1, 0), device(2, 1), device(3, 3)),
        known in subsequence(vec![0, 1, 2, 3], 0..=4),
        usage in option::of(usage()),
        slots in (slot(0), slot(1), slot(2)),
        slots_known in subsequence(vec![0, 1, 2], 0..=3),
        licenses in (license(0), license(1), license(2), license(3)),
        licenses_known in subsequence(vec![0, 1, 2, 3], 0..=4),
    ) -> Memory {
        fn some<T: Clone>(all: &[T], known: &[usize]) -> Vec<T> {
            known.iter().filter_map(|number| all.get(*number)).cloned().collect()
        }
        Memory {
            devices: some(&[devices.0, devices.1, devices.2, devices.3], &known),
            usage,
            slots: some(&[slots.0, slots.1, slots.2], &slots_known),
            licenses: some(&[licenses.0, licenses.1, licenses.2, licenses.3], &licenses_known),
        }
    }
}
