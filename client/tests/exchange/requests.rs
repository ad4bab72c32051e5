//! How requests, registrations and releases are read: what each type of request has to have, may have and
//! must not have, and that nothing in another form is read.

use getrandom::SysRng;
use reelkey_client::exchange::registration::{self, SignedRegistration};
use reelkey_client::exchange::request::{Error, SignedRequest};
use reelkey_client::exchange::{DeviceKey, Register, signed};
use reelkey_client::strict::{base64url, jws};
use reelkey_client::time::UnixTime;
use serde_json::{Value, json};

use crate::{NOW, device};

const LICENSE_ID: &str = "q83vEjRWeJCrze8SNFZ4kA";
const ATH: &str = "QmmdvNxxCW0AOHf_mpR16XlXt0gu-2wF5eNhyM1zpfE";

/// A compact JWS by `device` with this `typ` and this payload, byte for byte.
fn sign(device: &DeviceKey, typ: &str, payload: &str) -> String {
    let header = json!({ "typ": typ, "alg": "ES256", "jwk": device.public_key().to_jwk() });
    let parts = [header.to_string().as_bytes(), payload.as_bytes()].map(base64url::encode);
    let input = parts.join(".");
    let signature = base64url::encode(device.sign(input.as_bytes()).as_bytes());
    format!("{input}.{signature}")
}

/// The claims of a well-formed request of this type, for a persistent license.
fn claims(request_type: &str) -> Value {
    let mut claims = json!({
        "aud": "reelkey", "iat": NOW, "jti": "0123456789abcdefghijkl", "request_type": request_type,
        "session_type": "persistent-license", "ath": ATH,
    });
    match request_type {
        "NEW" => claims["content_id"] = "movies/bunny".into(),
        _ => claims["license_id"] = LICENSE_ID.into(),
    }
    if request_type != "RELEASE" {
        claims["enc_jwk"] = json!({ "kty": "EC" });
    }
    claims
}

fn read(payload: &str) -> Result<(), Error> {
    let body = sign(&device(), "license-request+jwt", payload);
    SignedRequest::parse(body.as_bytes()).map(drop)
}

/// Reads a request of this type after `change`.
fn with(request_type: &str, change: impl FnOnce(&mut Value)) -> Result<(), Error> {
    let mut claims = claims(request_type);
    change(&mut claims);
    read(&claims.to_string())
}

fn without(request_type: &str, name: &str) -> Result<(), Error> {
    with(request_type, |claims| drop(claims.as_object_mut().unwrap().remove(name)))
}

fn set(request_type: &str, name: &str, value: impl Into<Value>) -> Result<(), Error> {
    with(request_type, |claims| claims[name] = value.into())
}

#[test]
fn each_type_of_request_is_read_with_its_own_claims() {
    let device = device();
    let read = |claims: &Value| {
        let body = sign(&device, "license-request+jwt", &claims.to_string());
        let request = SignedRequest::parse(body.as_bytes()).unwrap();
        (request.license_id, request.first_play, request.end_session, request.ath.is_some())
    };
    assert_eq!(read(&claims("NEW")), (None, None, None, true));
    let mut renewal = claims("RENEWAL");
    renewal["first_play"] = 7.into();
    renewal["end_session"] = "Zm9v".into();
    let id = || Some(LICENSE_ID.to_owned());
    assert_eq!(read(&renewal), (id(), Some(7), Some("Zm9v".into()), true));
    let mut release = claims("RELEASE");
    assert_eq!(read(&release), (id(), None, None, true));
    release["first_play"] = u64::MAX.into();
    release.as_object_mut().unwrap().remove("ath");
    assert_eq!(read(&release), (id(), Some(u64::MAX), None, false));
}

#[test]
fn a_license_id_is_for_renewals_and_releases() {
    assert!(matches!(set("NEW", "license_id", LICENSE_ID), Err(Error::LicenseIdInNew)));
    for again in ["RENEWAL", "RELEASE"] {
        assert!(matches!(without(again, "license_id"), Err(Error::LicenseIdMissing)));
        for wrong in ["", &LICENSE_ID[1..], "q83vEjRWeJCrze8SNFZ4kAA", "q83vEjRWeJCrze8SNFZ4kB"] {
            assert!(matches!(set(again, "license_id", wrong), Err(Error::LicenseId)), "{wrong}");
        }
        assert!(matches!(
            set(again, "license_id", "q83vEjRWeJCrze8SNFZ4k="),
            Err(Error::LicenseId)
        ));
        assert!(matches!(set(again, "license_id", 7), Err(Error::Claims(_))));
    }
}

#[test]
fn a_renewal_and_a_release_name_no_keys() {
    for again in ["RENEWAL", "RELEASE"] {
        for (name, value) in [
            ("kids", json!(["XuHOeg07TF2Ob3CBkqO0xQ"])),
            ("pssh", json!(["AAAA"])),
            ("content_id", json!("movies/bunny")),
        ] {
            assert!(matches!(set(again, name, value), Err(Error::AskedAgain)), "{again} {name}");
        }
    }
    assert!(matches!(without("NEW", "content_id"), Err(Error::NothingAsked)));
}

#[test]
fn the_first_play_is_told_in_renewals_and_releases_of_persistent_licenses() {
    assert!(matches!(set("NEW", "first_play", 0), Err(Error::FirstPlayInNew)));
    for again in ["RENEWAL", "RELEASE"] {
        assert!(set(again, "first_play", 0).is_ok());
        let temporary = with(again, |claims| {
            claims["session_type"] = "temporary".into();
            claims["first_play"] = 0.into();
        });
        assert!(matches!(temporary, Err(Error::FirstPlayTemporary)));
        for wrong in [json!(-1), json!(1.5), json!("1"), json!([1])] {
            assert!(matches!(set(again, "first_play", wrong), Err(Error::Claims(_))));
        }
    }
}

#[test]
fn only_a_request_for_keys_has_a_key_to_seal_to_and_only_a_release_may_lack_a_token() {
    for keys in ["NEW", "RENEWAL"] {
        assert!(matches!(without(keys, "enc_jwk"), Err(Error::EncJwkMissing)));
        assert!(matches!(without(keys, "ath"), Err(Error::AthMissing)));
    }
    let jwk = json!({ "kty": "EC" });
    assert!(matches!(set("RELEASE", "enc_jwk", jwk), Err(Error::EncJwkInRelease)));
    for any in ["NEW", "RENEWAL", "RELEASE"] {
        for wrong in ["", &ATH[1..], "QmmdvNxxCW0AOHf_mpR16XlXt0gu-2wF5eNhyM1zpfF"] {
            assert!(matches!(set(any, "ath", wrong), Err(Error::Ath)), "{any} {wrong}");
        }
    }
}

#[test]
fn a_session_to_end_is_named_by_its_code() {
    for keys in ["NEW", "RENEWAL"] {
        for right in ["x".to_owned(), "-_9Z".repeat(32)] {
            assert!(set(keys, "end_session", right).is_ok());
        }
        for wrong in [String::new(), "x".repeat(129), "a b".into(), "a=".into(), "\u{e9}".into()] {
            assert!(matches!(set(keys, "end_session", wrong), Err(Error::EndSession)));
        }
        assert!(matches!(set(keys, "end_session", json!(["x"])), Err(Error::Claims(_))));
    }
    assert!(matches!(set("RELEASE", "end_session", "x"), Err(Error::EndSessionInRelease)));
}

#[test]
fn a_request_in_another_form_is_not_read() {
    for request_type in ["NEW", "RENEWAL", "RELEASE"] {
        let fine = claims(request_type);
        assert!(read(&fine.to_string()).is_ok());
        // The values of the members in a row, as serde would also take them.
        let values: Vec<_> = fine.as_object().unwrap().values().collect();
        assert!(matches!(read(&json!(values).to_string()), Err(Error::Claims(_))));
        for name in ["license_id", "first_play", "end_session", "ath", "new"] {
            let twice = fine.to_string().replacen('{', &format!(r#"{{"{name}":1,"{name}":1,"#), 1);
            assert!(matches!(read(&twice), Err(Error::Claims(_))), "{twice}");
        }
    }
    for typ in ["device-registration+jwt", "license+jwt", "license-release+jwt", "JWT"] {
        let body = sign(&device(), typ, &claims("RELEASE").to_string());
        let read = SignedRequest::parse(body.as_bytes());
        assert!(matches!(read, Err(Error::Signed(signed::Error::Jws(jws::Error::Typ)))), "{typ}");
    }
}

fn registration() -> Value {
    json!({ "aud": "reelkey", "iat": NOW, "jti": "0123456789abcdefghijkl", "ath": ATH,
        "device": { "name": "Living room", "model": "X1" } })
}

fn register(payload: &str) -> Result<(), registration::Error> {
    let body = sign(&device(), "device-registration+jwt", payload);
    SignedRegistration::parse(body.as_bytes()).map(drop)
}

#[test]
fn a_registration_is_read_strictly() {
    use registration::Error;

    let device = device();
    let body = sign(&device, "application/Device-Registration+JWT", &registration().to_string());
    let read = SignedRegistration::parse(body.as_bytes()).unwrap();
    assert_eq!((read.device_key, read.iat.as_secs()), (device.public_key(), NOW));
    assert_eq!(read.device.model.as_deref(), Some("X1"));

    let register_it = Register {
        service_id: "reelkey",
        token: "token",
        description: None,
        iat: UnixTime::from_secs(NOW),
    };
    let [first, second] = [(); 2].map(|()| {
        let draft = register_it.clone().draft(&device.public_key(), &mut SysRng).unwrap();
        draft.sign(&device).0
    });
    let [first, second] =
        [&first, &second].map(|body| SignedRegistration::parse(body.as_bytes()).unwrap());
    assert_eq!((first.aud.as_str(), first.iat.as_secs()), ("reelkey", NOW));
    assert_eq!((first.device_key, first.ath), (second.device_key, second.ath));
    assert_ne!(first.jti, second.jti);

    let with = |name: &str, value: Value| {
        let mut claims = registration();
        claims[name] = value;
        register(&claims.to_string())
    };
    assert!(with("device", Value::Null).is_ok());
    assert!(with("new", json!({})).is_ok());
    assert!(matches!(with("jti", json!("x".repeat(15))), Err(Error::Jti)));
    assert!(matches!(with("ath", json!(&ATH[1..])), Err(Error::Ath)));
    assert!(matches!(with("device", json!({ "os": "x".repeat(65) })), Err(Error::Device)));
    for (name, value) in [
        ("ath", Value::Null),
        ("iat", json!(1.5)),
        ("aud", json!(["reelkey"])),
        ("device", json!(["Living room", "X1", "linux", "player"])),
    ] {
        assert!(matches!(with(name, value), Err(Error::Claims(_))), "{name}");
    }
    let values: Vec<_> = registration().as_object().unwrap().values().cloned().collect();
    assert!(matches!(register(&json!(values).to_string()), Err(Error::Claims(_))));
    let twice = registration().to_string().replacen('{', r#"{"iat":1,"#, 1);
    assert!(matches!(register(&twice), Err(Error::Claims(_))));
    for typ in ["license-request+jwt", "JWT"] {
        let body = sign(&device, typ, &registration().to_string());
        let read = SignedRegistration::parse(body.as_bytes());
        assert!(matches!(read, Err(Error::Signed(signed::Error::Jws(jws::Error::Typ)))), "{typ}");
    }
}
