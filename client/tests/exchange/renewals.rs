//! Renewals and releases: what they ask, what their answers have to agree with, and when they are due.

use getrandom::SysRng;
use reelkey_client::exchange::draft;
use reelkey_client::exchange::pending::Error;
use reelkey_client::exchange::release::{ReceiptError, StoredError};
use reelkey_client::exchange::request::{RequestType, SignedRequest};
use reelkey_client::exchange::schedule::{RETRY_SECS_DEFAULT, Renewals, Step};
use reelkey_client::exchange::verified;
use reelkey_client::exchange::{
    Ask, DeviceKey, Jwks, License, Pending, PendingRelease, Problem, Release, Renew, SessionType,
    StoredRequest,
};
use reelkey_client::strict::jws;
use reelkey_client::time::UnixTime;
use serde_json::{Value, json};

use crate::service::Service;
use crate::{NOW, ask, changed, device, jwks, request};

const LATER: u64 = NOW + 240;

/// A device with a license, whose service, by which the license may be changed first.
struct Held {
    service: Service,
    device: DeviceKey,
    license: License,
}

impl Held {
    fn new(change: impl FnOnce(&mut Value)) -> Self {
        let (service, device) = (Service::new(), device());
        let (body, pending) = request(&device);
        let license = changed(&service, &service.license(&body), change);
        let license = pending.open(license.as_bytes(), &jwks(&service)).unwrap();
        Self { service, device, license }
    }

    fn renew(&self) -> Renew<'_> {
        Renew {
            license: &self.license.claims,
            token: "another token",
            first_play: None,
            end_session: None,
            iat: UnixTime::from_secs(LATER),
        }
    }

    fn renewal(&self) -> (String, Pending) {
        self.renew().draft(&self.device.public_key(), &mut SysRng).unwrap().sign(&self.device)
    }

    fn release(&self) -> Release<'_> {
        let (license, iat) = (&self.license.claims, UnixTime::from_secs(LATER));
        Release { license, token: None, first_play: None, iat }
    }

    fn released(&self) -> (String, PendingRelease) {
        self.release().draft(&self.device.public_key(), &mut SysRng).unwrap().sign(&self.device)
    }

    fn jwks(&self) -> Jwks {
        jwks(&self.service)
    }
}

#[test]
fn a_renewal_is_of_the_same_license_and_device_with_a_fresh_key_and_no_keys_named() {
    let held = Held::new(|_| {});
    let first = Renew { first_play: Some(12), end_session: Some("c0de"), ..held.renew() };
    let (body, _) = first.draft(&held.device.public_key(), &mut SysRng).unwrap().sign(&held.device);
    let read = SignedRequest::parse(body.as_bytes()).unwrap();
    assert_eq!(read.request_type, RequestType::Renewal);
    assert_eq!(read.session_type, SessionType::PersistentLicense);
    assert_eq!(read.license_id.as_deref(), Some(held.license.claims.jti.as_str()));
    assert_eq!((read.first_play, read.end_session.as_deref()), (Some(12), Some("c0de")));
    assert_eq!((read.aud.as_str(), read.iat.as_secs()), ("reelkey", LATER));
    assert_eq!(read.device_key, held.device.public_key());
    let again = held.renewal().0;
    let again = SignedRequest::parse(again.as_bytes()).unwrap();
    assert_ne!(again.enc_jwk, read.enc_jwk);
    assert_ne!(again.jti, read.jti);
    assert_eq!(again.first_play, None);
}

#[test]
fn a_renewed_license_is_the_same_license_with_a_higher_counter() {
    let held = Held::new(|claims| claims["counter"] = 5.into());
    let (body, pending) = held.renewal();
    let answer = held.service.license(&body);
    let open = |change: &dyn Fn(&mut Value)| {
        let answer = changed(&held.service, &answer, change);
        pending.open(answer.as_bytes(), &held.jwks())
    };
    let counter = |counter: u64| move |claims: &mut Value| claims["counter"] = counter.into();
    for lower in [0, 4, 5] {
        assert!(matches!(open(&counter(lower)), Err(Error::Counter)), "{lower}");
    }
    for higher in [6, 7, u64::MAX] {
        let renewed = open(&counter(higher)).unwrap();
        assert_eq!((renewed.claims.counter, renewed.keys.len()), (higher, 1));
    }
    let other = |claims: &mut Value| {
        claims["counter"] = 6.into();
        claims["jti"] = "AAAAAAAAAAAAAAAAAAAAAA".into();
    };
    assert!(matches!(open(&other), Err(Error::OtherLicense)));
    let stale = |claims: &mut Value| {
        claims["counter"] = 6.into();
        claims["iat"] = (LATER - 121).into();
        claims["nbf"] = (LATER - 121).into();
    };
    assert!(matches!(open(&stale), Err(Error::Stale)));
    let elsewhere = held.renewal().0;
    let elsewhere = held.service.license(&elsewhere);
    assert!(matches!(pending.open(elsewhere.as_bytes(), &held.jwks()), Err(Error::Nonce)));
}

#[test]
fn a_stored_renewal_is_opened_again() {
    let held = Held::new(|_| {});
    let (body, pending) = held.renewal();
    let answer = held.service.license(&body);
    let key = pending.to_private_jwk();
    let stored = StoredRequest { request: body.as_bytes(), private_jwk: key.as_bytes() };
    let resumed = Pending::resume(stored).unwrap();
    assert!(resumed.open(answer.as_bytes(), &held.jwks()).is_ok());
    let first = changed(&held.service, &answer, |claims| claims["counter"] = 0.into());
    assert!(matches!(resumed.open(first.as_bytes(), &held.jwks()), Err(Error::Counter)));
}

#[test]
fn another_device_and_a_temporary_first_play_are_not_drafted() {
    let held = Held::new(|_| {});
    let other = device().public_key();
    let own = held.device.public_key();
    let renewed = held.renew().draft(&other, &mut SysRng);
    assert!(matches!(renewed, Err(draft::Error::OtherDevice)));
    let released = held.release().draft(&other, &mut SysRng);
    assert!(matches!(released, Err(draft::Error::OtherDevice)));

    let temporary = Held::new(|claims| claims["session_type"] = "temporary".into());
    let own_temporary = temporary.device.public_key();
    let renew = Renew { first_play: Some(0), ..temporary.renew() };
    assert!(matches!(renew.draft(&own_temporary, &mut SysRng), Err(draft::Error::FirstPlay)));
    let release = Release { first_play: Some(0), ..temporary.release() };
    assert!(matches!(release.draft(&own_temporary, &mut SysRng), Err(draft::Error::FirstPlay)));
    let release = Release { first_play: Some(0), ..held.release() };
    assert!(release.draft(&own, &mut SysRng).is_ok());
}

#[test]
fn a_new_request_may_name_a_session_to_end() {
    let device = device();
    let draft = ask("reelkey").draft_ending("c0de", &device.public_key(), None, &mut SysRng);
    let (body, _) = draft.unwrap().sign(&device);
    let read = SignedRequest::parse(body.as_bytes()).unwrap();
    assert_eq!(read.end_session.as_deref(), Some("c0de"));
    assert_eq!(SignedRequest::parse(request(&device).0.as_bytes()).unwrap().end_session, None);
}

#[test]
fn a_release_has_a_token_or_none_and_no_key() {
    let held = Held::new(|_| {});
    let (body, _) = held.released();
    let read = SignedRequest::parse(body.as_bytes()).unwrap();
    assert_eq!((read.request_type, read.ath), (RequestType::Release, None));
    assert_eq!(read.license_id.as_deref(), Some(held.license.claims.jti.as_str()));
    let release = Release { token: Some("token"), first_play: Some(3), ..held.release() };
    let draft = release.draft(&held.device.public_key(), &mut SysRng).unwrap();
    let (body, _) = draft.sign(&held.device);
    let read = SignedRequest::parse(body.as_bytes()).unwrap();
    assert_eq!((read.ath.is_some(), read.first_play), (true, Some(3)));
}

#[test]
fn a_receipt_is_for_this_release_by_this_device_from_this_service() {
    let held = Held::new(|_| {});
    let (body, pending) = held.released();
    let receipt = held.service.receipt(&body);
    let opened = pending.open(receipt.as_bytes(), &held.jwks()).unwrap();
    assert_eq!(opened.jti, held.license.claims.jti);

    let claims: Value = serde_json::to_value(&opened).unwrap();
    let with = |name: &str, value: Value| {
        let mut claims = claims.clone();
        claims[name] = value;
        let answer = held.service.sign_as("license-release+jwt", &claims);
        pending.open(answer.as_bytes(), &held.jwks())
    };
    let jkt = device().public_key().thumbprint().to_string();
    assert!(with("counter", json!(9)).is_ok());
    assert!(matches!(with("iss", json!("other")), Err(ReceiptError::Issuer)));
    assert!(matches!(with("nonce", json!("other")), Err(ReceiptError::Nonce)));
    assert!(matches!(with("cnf", json!({ "jkt": jkt })), Err(ReceiptError::Device)));
    assert!(matches!(with("jti", json!("other")), Err(ReceiptError::License)));
    for (name, value) in [
        ("cnf", json!([jkt])),
        ("counter", json!(-1)),
        ("counter", json!("1")),
        ("iat", Value::Null),
        ("sub", json!(["viewer"])),
    ] {
        assert!(matches!(with(name, value), Err(ReceiptError::Claims(_))), "{name}");
    }
    let values = json!(claims.as_object().unwrap().values().collect::<Vec<_>>());
    let row = held.service.sign_as("license-release+jwt", &values);
    let row = pending.open(row.as_bytes(), &held.jwks());
    assert!(matches!(row, Err(ReceiptError::Claims(_))));

    // A license is no receipt, a receipt no license, and another service's signature is nobody's.
    let license = held.service.sign_as("license+jwt", &claims);
    let Err(ReceiptError::Unverified(typ)) = pending.open(license.as_bytes(), &held.jwks()) else {
        panic!("a license passed for a receipt");
    };
    assert!(matches!(typ, verified::Error::Jws(jws::Error::Typ)));
    let (_, renewal) = held.renewal();
    let opened = renewal.open(receipt.as_bytes(), &held.jwks());
    assert!(matches!(opened, Err(Error::Jws(jws::Error::Typ))));
    let impostor = Service::new().receipt(&body);
    let opened = pending.open(impostor.as_bytes(), &held.jwks());
    assert!(matches!(opened, Err(ReceiptError::Unverified(verified::Error::Signature))));
}

#[test]
fn a_stored_release_is_resumed_and_nothing_else_passes_for_one() {
    let held = Held::new(|_| {});
    let (body, _) = held.released();
    let resumed = PendingRelease::resume(body.as_bytes()).unwrap();
    let receipt = held.service.receipt(&body);
    assert!(resumed.open(receipt.as_bytes(), &held.jwks()).is_ok());
    let renewal = PendingRelease::resume(held.renewal().0.as_bytes());
    assert!(matches!(renewal, Err(StoredError::Type)));
    let nothing = PendingRelease::resume(b"");
    assert!(matches!(nothing, Err(StoredError::Request(_))));
}

#[test]
fn a_license_says_when_it_is_renewed() {
    let with = |name: &str, value: Value| {
        Held::new(|claims| claims["policy"][name] = value).license.schedule()
    };
    let schedule = with("can_play", json!(true));
    assert_eq!(schedule.next_step(239, Renewals::None), Step::Play { until_secs: 240 });
    assert_eq!(schedule.next_step(240, Renewals::None), Step::Renew);
    let unanswered = Renewals::Unanswered { last_secs: 240 };
    assert_eq!(schedule.renewal_due_secs(unanswered), Some(270));
    assert_eq!(schedule.plays_until_secs(unanswered), 720);
    assert_eq!(schedule.plays_until_secs(Renewals::Refused), 600);

    for fixed in [with("can_renew", json!(false)), with("renewal_delay", json!(0))] {
        for renewals in [Renewals::None, unanswered, Renewals::Refused] {
            assert_eq!(fixed.renewal_due_secs(renewals), None);
            assert_eq!(fixed.plays_until_secs(renewals), 600);
        }
    }
    let unsaid = with("renewal_retry_interval", json!(0));
    assert_eq!(unsaid.renewal_due_secs(unanswered), Some(240 + RETRY_SECS_DEFAULT));
}

#[test]
fn only_a_decision_against_the_request_is_a_refusal() {
    let problem = |status: u16| Problem {
        kind: String::new(),
        title: String::new(),
        status,
        detail: String::new(),
        instance: String::new(),
        reason: String::new(),
        server_time: 0,
        conflicts: Vec::new(),
    };
    for refused in [400, 403, 404, 409, 413] {
        assert!(problem(refused).is_refusal(), "{refused}");
    }
    for unanswered in [399, 408, 429, 500, 503] {
        assert!(!problem(unanswered).is_refusal(), "{unanswered}");
    }
}

#[test]
fn a_session_type_of_its_own_is_asked_for() {
    let temporary = Ask { session_type: SessionType::Temporary, ..ask("reelkey") };
    let device = device();
    let draft = temporary.draft(&device.public_key(), None, &mut SysRng).unwrap();
    let read = draft.sign(&device).0;
    let read = SignedRequest::parse(read.as_bytes()).unwrap();
    assert_eq!(read.session_type, SessionType::Temporary);
}
