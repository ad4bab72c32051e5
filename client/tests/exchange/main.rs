//! A device and a service in memory: what a license has to agree with before its keys are opened, and
//! that a saved device key is the same device.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may fail where its expectation does"
)]

use getrandom::SysRng;
use p256::SecretKey;
use reelkey_client::exchange::pending::Error;
use reelkey_client::exchange::{Ask, DeviceKey, Jwks, Pending, SessionType, StoredRequest, stored};
use reelkey_client::strict::base64url;
use reelkey_client::time::UnixTime;
use serde_json::{Value, json};

use crate::service::Service;

mod kept;
mod renewals;
mod requests;

include!("service.rs");

const NOW: u64 = 1_700_000_000;

fn ask(service_id: &str) -> Ask<'_> {
    Ask {
        service_id,
        token: "token",
        kids: &[],
        content_id: Some("movies/bunny"),
        session_type: SessionType::PersistentLicense,
        iat: UnixTime::from_secs(NOW),
    }
}

fn request(device: &DeviceKey) -> (String, Pending) {
    ask("reelkey").draft(&device.public_key(), None, &mut SysRng).unwrap().sign(device)
}

fn device() -> DeviceKey {
    DeviceKey::generate(&mut SysRng).unwrap()
}

fn jwks(service: &Service) -> Jwks {
    Jwks::parse(service.jwks().as_bytes()).unwrap()
}

/// The claims of `license`, changed, signed by `service` again.
fn changed(service: &Service, license: &str, change: impl FnOnce(&mut Value)) -> String {
    let payload = base64url::decode(license.split('.').nth(1).unwrap()).unwrap();
    let mut claims = serde_json::from_slice(&payload).unwrap();
    change(&mut claims);
    service.sign(&claims)
}

#[test]
fn a_request_by_a_saved_and_loaded_key_is_by_the_same_device() {
    let service = Service::new();
    let saved = device().to_pkcs8_der();
    let (first, second) = (DeviceKey::from_pkcs8_der(&saved), DeviceKey::from_pkcs8_der(&saved));
    let (first, second) = (first.unwrap(), second.unwrap());
    let draft = ask("reelkey").draft(&first.public_key(), None, &mut SysRng).unwrap();
    let (body, pending) = draft.sign(&second);
    let license = pending.open(service.license(&body).as_bytes(), &jwks(&service)).unwrap();
    assert_eq!(license.claims.cnf.jkt, first.public_key().thumbprint().to_string());
    assert_eq!(license.keys.len(), 1);
}

#[test]
fn a_license_for_another_request_device_service_or_time_is_refused() {
    let service = Service::new();
    let (body, pending) = request(&device());
    let license = service.license(&body);
    let open = |license: &str| pending.open(license.as_bytes(), &jwks(&service));
    assert!(open(&license).is_ok());

    let other = service.license(&request(&device()).0);
    assert!(matches!(open(&other), Err(Error::Nonce)));
    let with = |change: &dyn Fn(&mut Value)| open(&changed(&service, &license, change));
    assert!(matches!(with(&|claims| claims["iss"] = "other".into()), Err(Error::Issuer)));
    let jkt = device().public_key().thumbprint().to_string();
    assert!(matches!(with(&|claims| claims["cnf"]["jkt"] = json!(jkt)), Err(Error::Device)));
    assert!(matches!(with(&|claims| claims["exp"] = NOW.into()), Err(Error::Times)));
    let later = |claims: &mut Value| claims["iat"] = (NOW + 121).into();
    assert!(matches!(with(&later), Err(Error::Stale)));
    let mistyped = |claims: &mut Value| claims["exp"] = "never".into();
    assert!(matches!(with(&mistyped), Err(Error::Claims(_))));
}

#[test]
fn keys_that_were_sealed_for_another_request_do_not_open() {
    let service = Service::new();
    let device = device();
    let ((body, pending), (other, _)) = (request(&device), request(&device));
    let (license, other) = (service.license(&body), service.license(&other));
    let payload = base64url::decode(other.split('.').nth(1).unwrap()).unwrap();
    let other: Value = serde_json::from_slice(&payload).unwrap();
    let mixed = changed(&service, &license, |claims| claims["keys"] = other["keys"].clone());
    let opened = pending.open(mixed.as_bytes(), &jwks(&service));
    assert!(matches!(opened, Err(Error::Sealed(_))));
}

#[test]
fn a_license_that_another_service_signed_is_refused() {
    let (service, impostor) = (Service::new(), Service::new());
    let (body, pending) = request(&device());
    let opened = pending.open(impostor.license(&body).as_bytes(), &jwks(&service));
    assert!(matches!(opened, Err(Error::Signature)));
}

#[test]
fn a_stored_request_opens_its_license_again_with_its_own_key_only() {
    let service = Service::new();
    let device = device();
    let (body, pending) = request(&device);
    let (license, own) = (service.license(&body), pending.to_private_jwk());
    let resume = |private_jwk: &str| {
        Pending::resume(StoredRequest {
            request: body.as_bytes(),
            private_jwk: private_jwk.as_bytes(),
        })
    };
    let opened = resume(&own).unwrap().open(license.as_bytes(), &jwks(&service)).unwrap();
    assert_eq!(opened.keys.len(), 1);

    let another = request(&device).1.to_private_jwk();
    assert!(matches!(resume(&another), Err(stored::Error::OtherKey)));
    assert!(matches!(resume("{}"), Err(stored::Error::Key)));
    let swapped = StoredRequest { request: own.as_bytes(), private_jwk: body.as_bytes() };
    assert!(matches!(Pending::resume(swapped), Err(stored::Error::Request(_))));
}

/// One key has one purpose: `enc_jwk` is neither the device key nor its negative.
#[test]
fn a_stored_request_with_the_device_key_as_enc_jwk_is_refused() {
    let device = device();
    let der = device.to_pkcs8_der();
    let scalar = SecretKey::from_slice(&der[36..68]).unwrap().to_nonzero_scalar();
    let (body, _) = request(&device);
    let input = body.rsplit_once('.').unwrap().0;
    let (header, payload) = input.split_once('.').unwrap();
    let claims: Value = serde_json::from_slice(&base64url::decode(payload).unwrap()).unwrap();
    for secret in [SecretKey::from(scalar), SecretKey::from(-scalar)] {
        let point = secret.public_key().to_sec1_bytes();
        let [x, y] = [&point[1..33], &point[33..]].map(base64url::encode);
        let d = base64url::encode(&secret.to_bytes());
        let mut claims = claims.clone();
        claims["enc_jwk"] = json!({ "kty": "EC", "crv": "P-256", "x": x, "y": y });
        let input = format!("{header}.{}", base64url::encode(claims.to_string().as_bytes()));
        let signature = base64url::encode(device.sign(input.as_bytes()).as_bytes());
        let request = format!("{input}.{signature}");
        let private = json!({ "kty": "EC", "crv": "P-256", "x": x, "y": y, "d": d }).to_string();
        let stored = StoredRequest { request: request.as_bytes(), private_jwk: private.as_bytes() };
        assert!(matches!(Pending::resume(stored), Err(stored::Error::DeviceKey)));
    }
}
