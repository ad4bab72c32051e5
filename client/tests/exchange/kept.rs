//! Licenses that a device keeps: when they play, what they remember, and that nothing else is read.

use getrandom::SysRng;
use reelkey_client::exchange::kept::Error;
use reelkey_client::exchange::pending;
use reelkey_client::exchange::request::SignedRequest;
use reelkey_client::exchange::wall_clock::SetBack;
use reelkey_client::exchange::{DeviceKey, KeptLicense, stored};
use reelkey_client::strict::json as strict;
use reelkey_client::time::UnixTime;
use serde_json::{Value, json};

use crate::service::Service;
use crate::{NOW, changed, device, jwks, request};

/// How long the licenses of these tests live, and how long they play from the first play on.
const LIFE: u64 = 7 * 86_400;
const PLAYBACK: u64 = 2 * 86_400;

fn at(secs: u64) -> UnixTime {
    UnixTime::from_secs(secs)
}

fn persistent(claims: &mut Value) {
    claims["exp"] = (claims["iat"].as_u64().unwrap() + LIFE).into();
    claims["policy"] = json!({ "can_play": true, "can_persist": true, "can_renew": true,
        "playback_duration": PLAYBACK, "expires_because": "persistent.license_duration" });
}

/// A device that keeps a license, and its service.
struct Owner {
    service: Service,
    device: DeviceKey,
    kept: KeptLicense,
}

impl Owner {
    /// One whose wall clock said `arrived` when the license came, which the service dated [`NOW`].
    fn at(arrived: u64, change: impl FnOnce(&mut Value)) -> Self {
        let (service, device) = (Service::new(), device());
        let (body, pending) = request(&device);
        let answer = changed(&service, &service.license(&body), |claims| {
            persistent(claims);
            change(claims);
        });
        let jwks = jwks(&service);
        let kept =
            KeptLicense::keep(&pending, &body, answer.as_bytes(), &jwks, at(arrived)).unwrap();
        Self { service, device, kept }
    }

    fn new() -> Self {
        Self::at(NOW, |_| {})
    }

    fn plays(&mut self, wall_clock: u64) -> Result<usize, Error> {
        self.kept.keys_at(at(wall_clock)).map(|keys| keys.len())
    }

    /// The same after a restart.
    fn restarted(mut self) -> Self {
        self.kept = KeptLicense::parse(self.kept.to_json().as_bytes()).unwrap();
        self
    }

    /// Renews the license where the wall clock says `wall_clock` and the service's clock `now`.
    fn renew(&mut self, wall_clock: u64, now: u64) -> Result<(), Error> {
        let renew = self.kept.renewal("token", at(now))?;
        let draft = renew.draft(&self.device.public_key(), &mut SysRng).unwrap();
        let (body, pending) = draft.sign(&self.device);
        let answer = changed(&self.service, &self.service.license(&body), persistent);
        let jwks = jwks(&self.service);
        self.kept.renew_with(&pending, &body, answer.as_bytes(), &jwks, at(wall_clock))
    }

    fn release(&self, now: u64) -> String {
        let draft = self.kept.release(at(now)).unwrap();
        let draft = draft.draft(&self.device.public_key(), &mut SysRng).unwrap();
        draft.sign(&self.device).0
    }

    /// What is stored, as JSON.
    fn stored(&self) -> Value {
        serde_json::from_str(&self.kept.to_json()).unwrap()
    }
}

#[test]
fn a_license_plays_from_its_begin_to_just_before_its_end() {
    for (wall_clock, plays) in [(NOW, true), (NOW + LIFE - 1, true), (NOW + LIFE, false)] {
        let mut owner = Owner::new();
        assert_eq!(owner.plays(wall_clock).is_ok(), plays, "{wall_clock}");
    }
    let Err(Error::Expired { at: ended, because }) = Owner::new().plays(NOW + LIFE) else {
        panic!("it still plays");
    };
    assert_eq!((ended.as_secs(), because.as_str()), (NOW + LIFE, "persistent.license_duration"));
    // The device's clock was a day ahead when the license arrived, and an hour behind.
    for arrived in [NOW + 86_400, NOW - 3600] {
        let owner = || Owner::at(arrived, |_| {});
        assert_eq!(owner().plays(arrived).unwrap(), 1);
        assert_eq!(owner().plays(arrived + LIFE - 1).unwrap(), 1);
        assert!(matches!(owner().plays(arrived + LIFE), Err(Error::Expired { .. })));
    }
}

#[test]
fn the_playback_period_begins_with_the_first_play_and_is_remembered() {
    let mut owner = Owner::new();
    assert_eq!(owner.kept.first_play(), None);
    assert_eq!(owner.kept.ends_at(), Some(at(NOW + LIFE)));
    let first = NOW + 1000;
    owner.plays(first).unwrap();
    assert_eq!(owner.kept.first_play(), Some(1000));
    let mut owner = owner.restarted();
    assert_eq!(owner.kept.ends_at(), Some(at(first + PLAYBACK)));
    owner.plays(first + PLAYBACK - 1).unwrap();
    assert_eq!(owner.kept.first_play(), Some(1000), "only the first play counts");
    let ended = owner.restarted().plays(first + PLAYBACK);
    assert!(matches!(ended, Err(Error::PlaybackEnded(end)) if end == at(first + PLAYBACK)));
    // Without a period it plays to the end, and the first play is known all the same.
    let mut owner = Owner::at(NOW, |claims| claims["policy"]["playback_duration"] = 0.into());
    owner.plays(NOW + 5).unwrap();
    assert_eq!(owner.kept.ends_at(), Some(at(NOW + LIFE)));
    assert_eq!(owner.kept.first_play(), Some(5));
}

#[test]
fn what_ends_first_is_the_reason() {
    let mut owner = Owner::new();
    owner.plays(NOW + LIFE - PLAYBACK).unwrap();
    // The playback period ends in the second in which the license does.
    assert!(matches!(owner.plays(NOW + LIFE), Err(Error::PlaybackEnded(_))));
    let mut owner = Owner::new();
    owner.plays(NOW + LIFE - PLAYBACK + 1).unwrap();
    assert!(matches!(owner.plays(NOW + LIFE), Err(Error::Expired { .. })));
}

#[test]
fn a_clock_that_is_set_back_brings_nothing_back() {
    let mut owner = Owner::new();
    owner.plays(NOW + 1000).unwrap();
    let mut owner = owner.restarted();
    assert!(owner.plays(NOW + 880).is_ok(), "120 seconds below the latest time");
    let back = owner.plays(NOW + 879);
    assert!(matches!(back, Err(Error::SetBack(SetBack { back_secs: 121 }))));
    // Below the latest time it stays that time.
    assert_eq!(owner.kept.now_at(at(NOW + 900)).unwrap(), at(NOW + 1000));

    // The end was seen, and is remembered although nothing played.
    let mut owner = Owner::new();
    assert!(owner.plays(NOW + LIFE + 500).is_err());
    let mut owner = owner.restarted();
    assert!(matches!(owner.plays(NOW), Err(Error::SetBack(_))));
    assert!(matches!(owner.plays(NOW + LIFE + 400), Err(Error::Expired { .. })));
    // Of no play at all nothing is remembered.
    assert_eq!(owner.kept.first_play(), None);
}

#[test]
fn a_renewal_brings_new_times_and_tells_the_first_play() {
    let mut owner = Owner::new();
    owner.plays(NOW + 1000).unwrap();
    owner.renew(NOW + 2000, NOW + 2000).unwrap();
    let mut owner = owner.restarted();
    let claims = owner.kept.claims().unwrap();
    assert_eq!((claims.counter, claims.exp), (1, NOW + 2000 + LIFE));
    assert_eq!(owner.kept.first_play(), Some(1000));
    let request = owner.stored()["request"].as_str().unwrap().to_owned();
    let request = SignedRequest::parse(request.as_bytes()).unwrap();
    assert_eq!(request.first_play, Some(1000));
    // The playback period goes on from the first play.
    assert!(matches!(owner.plays(NOW + 1000 + PLAYBACK), Err(Error::PlaybackEnded(_))));
    // A second renewal of the renewed one.
    owner.renew(NOW + 3000, NOW + 3000).unwrap();
    assert_eq!(owner.restarted().kept.claims().unwrap().counter, 2);
}

#[test]
fn a_renewal_sets_the_clock_right() {
    // The clock ran a day fast, and the first play was dated by it.
    let mut owner = Owner::new();
    owner.plays(NOW + 86_400).unwrap();
    owner.renew(NOW + 86_500, NOW + 100).unwrap();
    let mut owner = owner.restarted();
    assert_eq!(owner.kept.now_at(at(NOW + 86_500)).unwrap(), at(NOW + 100));
    assert_eq!(owner.kept.first_play(), Some(100), "not later than it was when it was renewed");
    assert!(owner.plays(NOW + 86_501).is_ok());
    // What a renewal or a release says of the first play is never later than itself.
    let early = owner.kept.renewal("token", at(NOW + 60)).unwrap();
    assert_eq!(early.first_play, Some(60));
    assert_eq!(owner.kept.release(at(NOW + 60)).unwrap().first_play, Some(60));
}

#[test]
fn an_answer_that_is_not_newer_leaves_the_license_as_it_was() {
    let mut owner = Owner::new();
    let renew = owner.kept.renewal("token", at(NOW + 60)).unwrap();
    let draft = renew.draft(&owner.device.public_key(), &mut SysRng).unwrap();
    let (body, late) = draft.sign(&owner.device);
    let answer = changed(&owner.service, &owner.service.license(&body), persistent);
    owner.renew(NOW + 60, NOW + 60).unwrap();
    let before = owner.stored();
    let jwks = jwks(&owner.service);
    // The first renewal, whose answer comes after that of the second.
    let late = owner.kept.renew_with(&late, &body, answer.as_bytes(), &jwks, at(NOW + 61));
    assert!(matches!(late, Err(Error::License(pending::Error::Counter))));

    let (body, other) = request(&owner.device);
    let answer = changed(&owner.service, &owner.service.license(&body), persistent);
    let new = owner.kept.renew_with(&other, &body, answer.as_bytes(), &jwks, at(NOW + 61));
    assert!(matches!(new, Err(Error::OtherLicense)));
    assert_eq!(owner.stored(), before);
}

#[test]
fn a_returned_license_has_no_keys() {
    let mut owner = Owner::new();
    owner.plays(NOW + 10).unwrap();
    let body = owner.release(NOW + 20);
    let receipt = owner.service.receipt(&body);
    let jwks = jwks(&owner.service);
    let early = owner.kept.close(receipt.as_bytes(), &jwks);
    assert!(matches!(early, Err(Error::NotReturning)));
    owner.kept.return_with(&body).unwrap();

    let mut owner = owner.restarted();
    assert_eq!(owner.kept.release_body(), Some(body.as_str()));
    assert!(matches!(owner.plays(NOW + 30), Err(Error::Returning)));
    assert!(matches!(owner.kept.renewal("token", at(NOW + 30)), Err(Error::Returning)));
    assert!(matches!(owner.kept.return_with(&body), Err(Error::Returning)));
    let forged = Service::new().receipt(&body);
    assert!(matches!(owner.kept.close(forged.as_bytes(), &jwks), Err(Error::Receipt(_))));
    assert_eq!(owner.stored()["state"], "returning");

    let closed = owner.kept.close(receipt.as_bytes(), &jwks).unwrap();
    assert_eq!(SignedRequest::parse(body.as_bytes()).unwrap().first_play, Some(10));
    let id = closed.jti;
    assert_eq!(owner.stored(), json!({ "version": 1, "state": "returned", "license_id": id }));
    let mut owner = owner.restarted();
    assert!(matches!(owner.plays(NOW + 30), Err(Error::Returned)));
    assert!(matches!(owner.kept.close(receipt.as_bytes(), &jwks), Err(Error::Returned)));
    assert!(owner.kept.claims().is_none() && owner.kept.ends_at().is_none());
}

#[test]
fn only_the_release_of_this_license_returns_it() {
    let (mut owner, other) = (Owner::new(), Owner::new());
    let foreign = other.release(NOW + 20);
    assert!(matches!(owner.kept.return_with(&foreign), Err(Error::OtherLicense)));
    let (new, _) = request(&owner.device);
    assert!(matches!(owner.kept.return_with(&new), Err(Error::Release(_))));
    assert!(owner.plays(NOW + 30).is_ok());
}

#[test]
fn only_a_persistent_license_for_its_own_request_is_kept() {
    let (service, device) = (Service::new(), device());
    let ((body, pending), (other, _)) = (request(&device), request(&device));
    let keep = |body: &str, answer: &str| {
        KeptLicense::keep(&pending, body, answer.as_bytes(), &jwks(&service), at(NOW)).map(drop)
    };
    let answer = changed(&service, &service.license(&body), persistent);
    assert!(keep(&body, &answer).is_ok());
    assert!(matches!(keep(&other, &answer), Err(Error::OtherRequest)));
    assert!(matches!(keep("", &answer), Err(Error::Request(stored::Error::Request(_)))));
    let temporary =
        changed(&service, &answer, |claims| claims["session_type"] = "temporary".into());
    assert!(matches!(keep(&body, &temporary), Err(Error::Temporary)));
    let impostor = Service::new().license(&body);
    let impostor = keep(&body, &impostor);
    assert!(matches!(impostor, Err(Error::License(pending::Error::Signature))));
    let elsewhere = service.license(&other);
    let elsewhere = keep(&body, &elsewhere);
    assert!(matches!(elsewhere, Err(Error::License(pending::Error::Nonce))));
}

fn parse(stored: &Value) -> Result<(), Error> {
    KeptLicense::parse(stored.to_string().as_bytes()).map(drop)
}

#[test]
fn what_is_stored_is_read_strictly() {
    let mut owner = Owner::new();
    owner.plays(NOW + 10).unwrap();
    let stored = owner.stored();
    assert!(parse(&stored).is_ok());
    let with = |name: &str, value: Value| {
        let mut stored = stored.clone();
        stored[name] = value;
        parse(&stored)
    };
    assert!(matches!(with("version", json!(2)), Err(Error::Version)));
    for (name, value) in [
        ("new", json!(1)),
        ("version", json!("1")),
        ("state", json!("kept")),
        ("sealing_key", json!(["EC", "P-256", "AA"])),
        ("clock_ahead", json!(1.5)),
        ("latest", json!(-1)),
        ("license", json!([])),
    ] {
        assert!(matches!(with(name, value), Err(Error::Form(_))), "{name}");
    }
    for (name, value) in [
        ("state", json!("returned")),
        ("state", json!("returning")),
        ("license_id", json!("q83vEjRWeJCrze8SNFZ4kA")),
        ("latest", json!(NOW + 9)),
        ("latest", json!(NOW - 1)),
        ("first_play", json!(11)),
        ("first_play", json!(u64::MAX)),
        ("first_issued", json!(NOW - 1)),
        ("first_issued", json!(NOW + 1)),
        ("verifying_key", json!({})),
        ("sealing_key", Value::Null),
        ("request", Value::Null),
        ("license", Value::Null),
    ] {
        assert!(matches!(with(name, value), Err(Error::Contradiction)), "{name}");
    }
    let mut mine = json!({ "kid": "signer" });
    assert!(matches!(with("verifying_key", mine.clone()), Err(Error::VerifyingKey(_))));
    mine = device().public_key().to_jwk();
    mine["kid"] = "signer".into();
    let forged = with("verifying_key", mine);
    assert!(matches!(forged, Err(Error::License(pending::Error::Signature))));
    let other = Owner::new().stored();
    let other_key = with("sealing_key", other["sealing_key"].clone());
    assert!(matches!(other_key, Err(Error::Request(stored::Error::OtherKey))));
    let other_request = with("request", other["request"].clone());
    assert!(matches!(other_request, Err(Error::Request(stored::Error::OtherKey))));
    let release = owner.release(NOW + 20);
    assert!(matches!(with("release", json!(release)), Err(Error::Contradiction)));
    let foreign = Owner::new().release(NOW + 20);
    assert!(matches!(with("release", json!(foreign)), Err(Error::OtherLicense)));
    let no_release = with("release", stored["request"].clone());
    assert!(matches!(no_release, Err(Error::Release(_))));
}

#[test]
fn what_is_no_kept_license_is_refused() {
    let owner = Owner::new();
    let text = owner.kept.to_json();
    let twice = text.replacen('{', r#"{"first_play":1,"first_play":1,"#, 1);
    let parse = |text: &str| KeptLicense::parse(text.as_bytes()).map(drop);
    assert!(matches!(parse(&twice), Err(Error::Form(strict::Error::Form { .. }))));
    for length in (0..text.len()).step_by(7) {
        assert!(matches!(parse(&text[..length]), Err(Error::Form(_))), "{length} bytes");
    }
    let values: Vec<_> = owner.stored().as_object().unwrap().values().cloned().collect();
    assert!(matches!(parse(&json!(values).to_string()), Err(Error::Form(_))));
    assert!(matches!(parse(&" ".repeat(400_000)), Err(Error::TooLong(_))));
    assert!(matches!(parse(r#"{"version":1,"state":"returned"}"#), Err(Error::Contradiction)));
    let mut returned = owner.stored();
    returned["state"] = "returned".into();
    returned["license_id"] = "q83vEjRWeJCrze8SNFZ4kA".into();
    let mut with_key = returned.clone();
    for name in ["license", "request"] {
        with_key.as_object_mut().unwrap().remove(name);
    }
    for wrong in [returned, with_key] {
        assert!(matches!(parse(&wrong.to_string()), Err(Error::Contradiction)));
    }
}

#[test]
fn neither_a_kept_license_nor_an_error_prints_a_secret() {
    let owner = Owner::new();
    let stored = owner.stored();
    let secret = stored["sealing_key"]["d"].as_str().unwrap();
    assert!(!format!("{:?}", owner.kept).contains(secret));
    let mut wrong = stored.clone();
    wrong["sealing_key"]["crv"] = "P-384".into();
    let error = KeptLicense::parse(wrong.to_string().as_bytes()).unwrap_err();
    assert!(!format!("{error} {error:?}").contains(secret));
}
