//! The devices of an account: whether the asking one may have licenses, and which place it takes.
//!
//! Places are numbered from 0. A policy with `device.limit = n` grants to the devices in places below n. A place is taken by
//! the first grant and stays taken while its device is active or revoked, and for `cooldown` after the device was removed.

use reelkey_client::time::UnixTime;

use crate::domain::denial::Denial;
use crate::domain::past::{Device, DeviceStatus, Past};
use crate::domain::policy::{DeviceRule, Policy, Registration, Replace};
use crate::domain::refusal::Refusal;
use crate::domain::request::Asker;
use crate::domain::steps::Steps;

/// Judges the asking device. Returns what is to be remembered of devices: nothing if the policy needs no memory.
///
/// # Errors
/// The device is revoked, not enrolled or removed, or there is no place for it.
pub(super) fn judge(
    asker: &Asker,
    is_renewal: bool,
    policy: &Policy,
    past: &Past,
    now: UnixTime,
    steps: &mut Steps,
) -> Result<Vec<Device>, Denial> {
    let known = past.device.as_ref();
    if let Some(known) = known {
        let is_kept = known.status != DeviceStatus::Revoked;
        steps.check(is_kept, Refusal::DeviceRevoked, "device", "not revoked", status(known))?;
    }
    if !policy.needs_memory() {
        return Ok(Vec::new());
    }
    let active = known.filter(|known| known.status == DeviceStatus::Active);
    if is_renewal {
        let actual = known.map_or("unknown", status);
        steps.check(active.is_some(), Refusal::LicenseExpired, "device", "active", actual)?;
    }
    if policy.device.registration == Registration::Enrolled {
        let actual = known.map_or("unknown", status);
        let (refusal, rule) = (Refusal::DeviceNotEnrolled, "device.registration");
        steps.check(active.is_some(), refusal, rule, "enrolled", actual)?;
    }
    let mut device = Device {
        jkt: asker.device,
        name: asker.name.clone().or_else(|| known.and_then(|known| known.name.clone())),
        model: asker.model.clone().or_else(|| known.and_then(|known| known.model.clone())),
        place: known.and_then(|known| known.place),
        placed_at: match active {
            Some(known) => known.placed_at,
            None => known.and_then(|known| known.place).map(|_| now),
        },
        // Not later than now, if a clock that was ahead was set right.
        registered_at: active.map_or(now, |known| known.registered_at.min(now)),
        last_seen_at: active.map_or(now, |known| known.last_seen_at.max(now)),
        status: DeviceStatus::Active,
        status_since: active.map_or(now, |known| known.status_since),
    };
    let Some(limit) = policy.device.limit else { return Ok(vec![device]) };
    if device.place.is_some_and(|place| place < limit) {
        steps.check(true, Refusal::DeviceLimit, "device.limit", limit, place_name(&device))?;
        return Ok(vec![device]);
    }
    let left = take_place(&mut device, limit, policy.device, past, now);
    let taken = past.others.iter().filter(|other| holds(other, policy.device, now)).count();
    steps.check(
        device.place.is_some_and(|place| place < limit),
        Refusal::DeviceLimit,
        "device.limit",
        format_args!("a free place of {limit}"),
        format_args!("{taken} taken"),
    )?;
    Ok(std::iter::once(device).chain(left).collect())
}

/// Gives the device the first free place below `limit`, or that of the device that has been idle for the longest time. Returns
/// the device that had it.
fn take_place(
    device: &mut Device,
    limit: u16,
    rule: DeviceRule,
    past: &Past,
    now: UnixTime,
) -> Option<Device> {
    let holder = |place: u16| past.others.iter().find(|other| other.place == Some(place));
    let is_free = |place: &u16| holder(*place).is_none_or(|other| !holds(other, rule, now));
    if let Some(place) = (0..limit).find(is_free) {
        (device.place, device.placed_at) = (Some(place), Some(now));
        return holder(place).map(without_place);
    }
    let (Replace::LongestIdle, Some(cooldown)) = (rule.replace, rule.cooldown) else { return None };
    let long_here = |other: &&Device| {
        let placed_at = other.placed_at.unwrap_or(other.registered_at);
        other.status == DeviceStatus::Active && placed_at.saturating_add(cooldown.as_secs()) <= now
    };
    let below = past.others.iter().filter(|other| other.place.is_some_and(|place| place < limit));
    let idle = below.filter(long_here).min_by_key(|other| (other.last_seen_at, other.jkt))?;
    (device.place, device.placed_at) = (idle.place, Some(now));
    let status = DeviceStatus::Removed;
    Some(Device { status, status_since: now, ..without_place(idle) })
}

fn without_place(device: &Device) -> Device {
    Device { place: None, placed_at: None, ..device.clone() }
}

/// Whether the device still holds its place.
fn holds(device: &Device, rule: DeviceRule, now: UnixTime) -> bool {
    match device.status {
        DeviceStatus::Active | DeviceStatus::Revoked => true,
        DeviceStatus::Removed => {
            let cooldown = rule.cooldown.unwrap_or_default().as_secs();
            now < device.status_since.saturating_add(cooldown)
        }
    }
}

fn status(device: &Device) -> &'static str {
    device.status.as_str()
}

fn place_name(device: &Device) -> String {
    device.place.map_or_else(|| "none".into(), |place| format!("place {place}"))
}
