//! Devices whose maker vouches for them by a certificate chain.

use std::collections::{BTreeMap, BTreeSet};

use base64ct::{Base64, Encoding};
use rcgen::{
    BasicConstraints, CertificateRevocationListParams, ExtendedKeyUsagePurpose, GeneralSubtree,
    IsCa, KeyIdMethod, KeyUsagePurpose, NameConstraints, RevokedCertParams, SanType, SerialNumber,
    date_time_ymd,
};
use reelkey::authority::makers::Makers;
use reelkey::crypto::device_ca::{DeviceCa, DeviceCas, Kind};
use reelkey::domain::decision::Vouched;
use reelkey::domain::security_level::SecurityLevel;
use serde_json::{Value, json};

use crate::chains::{Ca, device_key_hash};
use crate::world::{NOW, World, key, sign, time};

/// A policy of the world that wants a certificate, and one that wants secure hardware.
pub(crate) const CERTIFIED: &str = "certified";
pub(crate) const STRONG: &str = "strong";

pub(crate) fn ca(name: &str, pem: &str) -> DeviceCa {
    DeviceCa::from_pem(name, Kind::Certificates, pem.as_bytes()).unwrap()
}

/// These CAs; `acme` vouches for everything in hardware, others for secure decoding in software.
fn makers(cas: Vec<DeviceCa>, revoked: BTreeSet<[u8; 32]>) -> Makers {
    let level = |ca: &DeviceCa| match ca.name() {
        "acme" => SecurityLevel::HwSecureAll,
        _ => SecurityLevel::SwSecureDecode,
    };
    let levels: BTreeMap<_, _> = cas.iter().map(|ca| (ca.name().to_owned(), level(ca))).collect();
    Makers::new(DeviceCas::new(cas, revoked).unwrap(), levels)
}

pub(crate) fn trusting(cas: Vec<DeviceCa>) -> Makers {
    makers(cas, BTreeSet::new())
}

/// Why a chain is refused.
#[track_caller]
pub(crate) fn refused(makers: &Makers, chain: &[Vec<u8>], world: &World, at: u64) -> String {
    match makers.judge(chain, &world.device.public_key(), time(at)) {
        Vouched::Invalid(why) => why,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
pub(crate) fn vouched(
    makers: &Makers,
    chain: &[Vec<u8>],
    world: &World,
) -> (String, SecurityLevel) {
    match makers.judge(chain, &world.device.public_key(), time(NOW)) {
        Vouched::Level { by, level } => (by, level),
        other => panic!("{other:?}"),
    }
}

fn x5c(chain: &[Vec<u8>]) -> Value {
    chain.iter().map(|der| Base64::encode_string(der)).collect()
}

/// Asks with a chain in the header, and the device key as `jwk` too if that is wanted.
pub(crate) async fn ask(
    world: &World,
    policy: &str,
    chain: &[Vec<u8>],
    has_jwk: bool,
) -> crate::world::Reply {
    let token = world.token(|claims| claims["policy_id"] = policy.into());
    let mut header = world.header();
    header["x5c"] = x5c(chain);
    if !has_jwk {
        header.as_object_mut().unwrap().remove("jwk");
    }
    let body = sign(&header, &world.claims(&token), &world.device);
    world.post(Some(&token), body).await
}

#[tokio::test]
async fn a_certified_device_has_the_level_of_its_ca() {
    let root = Ca::root("Acme Root");
    let issuing = root.sub("Acme Devices", |_| {});
    let world = World::with_makers(trusting(vec![ca("acme", &root.pem)])).await;
    let chain = [issuing.certify(&world.device, |_| {}), issuing.der.clone()];
    for has_jwk in [true, false] {
        let license = ask(&world, CERTIFIED, &chain, has_jwk).await.license();
        assert_eq!(license["cnf"]["jkt"], world.device.public_key().thumbprint().to_string());
        assert_eq!(ask(&world, STRONG, &chain, has_jwk).await.status, 200);
        let whole = ask(&world, "levels", &chain, has_jwk).await.license();
        assert_eq!(whole["tracks"].as_array().unwrap().len(), 4, "UHD1 too");
    }
    // The root may be in the chain, and the order of the issuers does not matter.
    let long = [chain[0].clone(), root.der.clone(), issuing.der.clone()];
    assert_eq!(ask(&world, CERTIFIED, &long, false).await.status, 200);

    let as_certified = |claims: &mut Value| claims["policy_id"] = CERTIFIED.into();
    world.ask(as_certified, |_| {}).await.refuses(403, "device-not-enrolled");
    let as_strong = |claims: &mut Value| claims["policy_id"] = STRONG.into();
    world.ask(as_strong, |_| {}).await.refuses(403, "security-level");
}

#[tokio::test]
async fn a_chain_that_fails_is_refused_under_every_policy() {
    let (root, other) = (Ca::root("Acme Root"), Ca::root("Acme Root"));
    let world = World::with_makers(trusting(vec![ca("acme", &root.pem)])).await;
    let forged = [other.certify(&world.device, |_| {})];
    for policy in ["open", CERTIFIED, STRONG] {
        ask(&world, policy, &forged, true).await.refuses(403, "device-not-enrolled");
    }
    let for_another = [root.certify(&key(), |_| {})];
    ask(&world, "open", &for_another, true).await.refuses(403, "device-not-enrolled");
    // Without jwk the certificate says which key signed, and that one did not.
    ask(&world, "open", &for_another, false).await.refuses(400, "proof-invalid");
    ask(&world, "open", &[vec![0; 3]], true).await.refuses(403, "device-not-enrolled");
    ask(&world, "open", &[vec![0; 3]], false).await.refuses(400, "bad-request");
    let nobody = World::new().await;
    let chain = [root.certify(&nobody.device, |_| {})];
    ask(&nobody, "open", &chain, true).await.refuses(403, "device-not-enrolled");
}

#[tokio::test]
async fn x5c_has_a_form_and_a_length() {
    let root = Ca::root("Acme Root");
    let world = World::with_makers(trusting(vec![ca("acme", &root.pem)])).await;
    let token = world.token(|_| {});
    let own = root.certify(&world.device, |_| {});
    let text = Base64::encode_string(&own);
    for wrong in [
        json!([]),
        json!(text),
        json!([[text]]),
        json!([text.trim_end_matches('=').to_owned() + " "]),
        json!([text, ""]),
        json!([text.replacen(['+', '/'], "-", 1) + "_"]),
        Value::from(vec![text.clone(); 9]),
        // A header of more than 8 KiB.
        json!([text, "A".repeat(8192)]),
        Value::Null,
    ] {
        let mut header = world.header();
        header["x5c"] = wrong;
        let body = sign(&header, &world.claims(&token), &world.device);
        world.post(Some(&token), body).await.refuses(400, "bad-request");
    }
    // Without x5c a header stays short.
    let mut header = world.header();
    header["padding"] = "a".repeat(1024).into();
    let body = sign(&header, &world.claims(&token), &world.device);
    world.post(Some(&token), body).await.refuses(400, "bad-request");
    // Tokens have no keys of their own.
    let header = json!({ "alg": "ES256", "typ": "JWT", "x5c": [text] });
    let claims = json!({ "iss": crate::world::ISS, "sub": "alice", "aud": crate::world::SERVICE,
        "iat": NOW, "exp": NOW + 60, "content_id": "movies/bunny" });
    let token = sign(&header, &claims, &world.issuer);
    let body = world.request(&token, |_| {});
    world.post(Some(&token), body).await.refuses(403, "token-invalid");
}

/// Every rule of a path, by a chain that breaks it alone (RFC 5280 section 6).
#[tokio::test]
async fn each_defect_of_a_path_is_named() {
    let world = World::new().await;
    let root = Ca::root("Acme Root");
    let makers = trusting(vec![ca("acme", &root.pem)]);
    let device = |issuing: &Ca| issuing.certify(&world.device, |_| {});
    let issuing = root.sub("Acme Devices", |_| {});
    assert_eq!(
        vouched(&makers, &[device(&issuing), issuing.der.clone()], &world),
        ("acme".into(), SecurityLevel::HwSecureAll)
    );
    let named = |chain: &[Vec<u8>], word: &str| {
        let why = refused(&makers, chain, &world, NOW);
        assert!(why.contains(word), "{why:?} has no {word:?}");
    };

    named(&[device(&issuing)], "does not lead to a device CA");
    named(&[root.certify(&key(), |_| {})], "not for the device key");
    named(&[device(&root), vec![0x30, 0]], "certificate 2 of the chain cannot be read");
    let stranger = Ca::root("Acme Root");
    named(&[device(&stranger)], "signature");
    let mut altered = device(&root);
    let last = altered.len() - 1;
    altered[last] ^= 1;
    named(&[altered], "");

    let expired =
        |params: &mut rcgen::CertificateParams| params.not_after = date_time_ymd(2027, 1, 15);
    let early =
        |params: &mut rcgen::CertificateParams| params.not_before = date_time_ymd(2027, 1, 16);
    named(&[root.certify(&world.device, expired)], "has expired");
    named(&[root.certify(&world.device, early)], "not valid yet");
    let old = root.sub("Acme Old", expired);
    named(&[device(&old), old.der.clone()], "has expired");

    let no_ca = root.sub("Acme Leaf", |params| params.is_ca = IsCa::ExplicitNoCa);
    named(&[device(&no_ca), no_ca.der.clone()], "not that of a CA");
    let no_depth = |params: &mut rcgen::CertificateParams| {
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    };
    let shallow = root.sub("Acme Shallow", no_depth);
    let below = shallow.sub("Acme Below", |_| {});
    named(
        &[device(&below), below.der.clone(), shallow.der.clone()],
        "longer than a CA on it allows",
    );
    assert_eq!(vouched(&makers, &[device(&shallow), shallow.der.clone()], &world).0, "acme");
    let as_ca = root.certify(&world.device, |params| {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    });
    named(&[as_ca], "is that of a CA");
}

/// What the certificates on a path say of their keys and names.
#[tokio::test]
async fn each_wrong_usage_and_name_is_named() {
    let world = World::new().await;
    let root = Ca::root("Acme Root");
    let makers = trusting(vec![ca("acme", &root.pem)]);
    let device = |issuing: &Ca| issuing.certify(&world.device, |_| {});
    let named = |chain: &[Vec<u8>], word: &str| {
        let why = refused(&makers, chain, &world, NOW);
        assert!(why.contains(word), "{why:?} has no {word:?}");
    };
    let only = |usage: KeyUsagePurpose| {
        move |params: &mut rcgen::CertificateParams| params.key_usages = vec![usage]
    };
    named(
        &[root.certify(&world.device, only(KeyUsagePurpose::KeyAgreement))],
        "not for digital signatures",
    );
    let no_cert_sign = root.sub("Acme Crl", only(KeyUsagePurpose::CrlSign));
    named(&[device(&no_cert_sign), no_cert_sign.der.clone()], "not for signing certificates");
    let eku = |purpose: ExtendedKeyUsagePurpose| {
        move |params: &mut rcgen::CertificateParams| params.extended_key_usages = vec![purpose]
    };
    let server = root.certify(&world.device, eku(ExtendedKeyUsagePurpose::ServerAuth));
    named(&[server], "other purposes");
    let client = root.certify(&world.device, eku(ExtendedKeyUsagePurpose::ClientAuth));
    assert_eq!(vouched(&makers, &[client], &world).0, "acme");
    let unlimited = root.certify(&world.device, |params| params.key_usages.clear());
    assert_eq!(vouched(&makers, &[unlimited], &world).0, "acme");

    let constrained = root.sub("Acme Names", |params| {
        params.name_constraints = Some(NameConstraints {
            permitted_subtrees: vec![GeneralSubtree::DnsName("devices.acme.example".into())],
            excluded_subtrees: Vec::new(),
        });
    });
    let called = |name: &str| {
        let name = SanType::DnsName(name.try_into().unwrap());
        let own =
            constrained.certify(&world.device, |params| params.subject_alt_names = vec![name]);
        [own, constrained.der.clone()]
    };
    assert_eq!(vouched(&makers, &called("d1.devices.acme.example"), &world).0, "acme");
    named(&called("d1.devices.other.example"), "name constraints");
}

/// What webpki does not ask of a trust anchor.
#[tokio::test]
async fn the_configured_certificate_has_limits_too() {
    let world = World::new().await;
    let shallow = Ca::root_with("Acme Root", |params| {
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.not_before = date_time_ymd(2026, 1, 1);
        params.not_after = date_time_ymd(2028, 1, 1);
    });
    let makers = trusting(vec![ca("acme", &shallow.pem)]);
    let own = [shallow.certify(&world.device, |_| {})];
    assert_eq!(vouched(&makers, &own, &world).0, "acme");
    let below = shallow.sub("Acme Below", |_| {});
    let chain = [below.certify(&world.device, |_| {}), below.der];
    assert!(refused(&makers, &chain, &world, NOW).contains("longer than the device CA allows"));
    // 2028-01-01T00:00:00Z, inclusive (RFC 5280, 4.1.2.5).
    let end = 1_830_297_600;
    assert!(matches!(
        makers.judge(&own, &world.device.public_key(), time(end)),
        Vouched::Level { .. }
    ));
    assert!(refused(&makers, &own, &world, end + 1).contains("CA's certificate is not valid now"));
    // 2026-01-01T00:00:00Z.
    assert!(refused(&makers, &own, &world, 1_767_225_599).contains("not valid now"));

    for wrong in ["", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "no PEM"] {
        assert!(DeviceCa::from_pem("x", Kind::Certificates, wrong.as_bytes()).is_err(), "{wrong}");
    }
    let leaf = Ca::root_with("Leaf", |params| params.is_ca = IsCa::NoCa);
    assert!(DeviceCa::from_pem("x", Kind::Certificates, leaf.pem.as_bytes()).is_err());
}

/// Google's attestation root of 2016 is such a case: it was issued again, with the same key, before it ended.
#[tokio::test]
async fn a_ca_that_was_issued_again_counts_while_one_of_its_certificates_is_good() {
    let world = World::new().await;
    let root = Ca::root("Acme Root");
    let ended = root.reissued(|params| params.not_after = date_time_ymd(2026, 1, 1));
    let shallow = root.reissued(|params| {
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    });
    let issuing = root.sub("Acme Devices", |_| {});
    let chain = [issuing.certify(&world.device, |_| {}), issuing.der];
    for pem in [
        format!("{ended}{}", root.pem),
        format!("{}{ended}", root.pem),
        format!("{shallow}{ended}{}", root.pem),
    ] {
        let makers = trusting(vec![ca("acme", &pem)]);
        assert_eq!(vouched(&makers, &chain, &world).0, "acme");
    }
    let makers = trusting(vec![ca("acme", &ended)]);
    assert!(refused(&makers, &chain, &world, NOW).contains("not valid now"));
    let both = vec![ca("acme", &root.pem), ca("other", &ended)];
    let said = DeviceCas::new(both, BTreeSet::new()).unwrap_err().to_string();
    assert!(said.contains("acme and other are the same CA"), "{said}");
}

#[tokio::test]
async fn a_certificate_is_in_a_chain_once() {
    let world = World::new().await;
    let root = Ca::root("Acme Root");
    let makers = trusting(vec![ca("acme", &root.pem)]);
    let issuing = root.sub("Acme Devices", |_| {});
    let own = issuing.certify(&world.device, |_| {});
    let chain = [own, issuing.der.clone(), root.der, issuing.der];
    assert!(refused(&makers, &chain, &world, NOW).contains("twice"));
}

#[tokio::test]
async fn the_nearest_configured_ca_sets_the_level() {
    let world = World::new().await;
    let root = Ca::root("Acme Root");
    let issuing = root.sub("Acme Phones", |_| {});
    let chain = [issuing.certify(&world.device, |_| {}), issuing.der.clone()];
    let both = trusting(vec![ca("acme", &root.pem), ca("phones", &issuing.pem)]);
    assert_eq!(vouched(&both, &chain, &world), ("phones".into(), SecurityLevel::SwSecureDecode));
    let one = trusting(vec![ca("acme", &root.pem)]);
    assert_eq!(vouched(&one, &chain, &world), ("acme".into(), SecurityLevel::HwSecureAll));
}

#[tokio::test]
async fn keys_and_certificates_are_revoked() {
    let world = World::new().await;
    let root = Ca::root("Acme Root");
    let (issuing, other) = (root.sub("Acme Devices", |_| {}), root.sub("Acme Others", |_| {}));
    let chain = [issuing.certify(&world.device, |_| {}), issuing.der.clone()];
    let spared = [other.certify(&world.device, |_| {}), other.der];
    for revoked in [root.key_hash(), issuing.key_hash(), device_key_hash(&world.device)] {
        let makers = makers(vec![ca("acme", &root.pem)], BTreeSet::from([revoked]));
        assert!(refused(&makers, &chain, &world, NOW).contains("revoked by its hash"));
    }
    let makers = makers(vec![ca("acme", &root.pem)], BTreeSet::from([issuing.key_hash()]));
    assert_eq!(vouched(&makers, &spared, &world).0, "acme");
}

/// A list of the issuer that revokes this serial number, made in this month of 2026. Its next one is overdue.
fn revoking(issuer: &Ca, serial: u64, month: u8) -> rcgen::CertificateRevocationList {
    let revoked = RevokedCertParams {
        serial_number: SerialNumber::from(serial),
        revocation_time: date_time_ymd(2026, 1, 1),
        reason_code: None,
        invalidity_date: None,
    };
    let list = CertificateRevocationListParams {
        this_update: date_time_ymd(2026, month, 1),
        next_update: date_time_ymd(2026, month + 1, 1),
        crl_number: SerialNumber::from(u64::from(month)),
        issuing_distribution_point: None,
        revoked_certs: vec![revoked],
        key_identifier_method: KeyIdMethod::Sha256,
    };
    list.signed_by(&issuer.issuer()).unwrap()
}

#[tokio::test]
async fn the_newest_list_of_an_issuer_revokes_serial_numbers() {
    // The serial number of every certificate of these tests.
    const ALL: u64 = 0xc0ffee;
    let world = World::new().await;
    let root = Ca::root("Acme Root");
    let (issuing, other) = (root.sub("Acme Devices", |_| {}), root.sub("Acme Others", |_| {}));
    let chain = [issuing.certify(&world.device, |_| {}), issuing.der.clone()];
    let spared = [other.certify(&world.device, |_| {}), other.der];
    let list = revoking(&issuing, ALL, 2);
    let (old, new) = (revoking(&issuing, 7, 1).pem().unwrap(), list.pem().unwrap());
    for bytes in [
        new.clone().into_bytes(),
        list.der().to_vec(),
        format!("{old}{new}").into_bytes(),
        format!("{new}{old}").into_bytes(),
    ] {
        let mut acme = ca("acme", &root.pem);
        acme.revoke_by_lists(&bytes).unwrap();
        let makers = trusting(vec![acme]);
        assert!(refused(&makers, &chain, &world, NOW).contains("revocation list"));
        assert_eq!(vouched(&makers, &spared, &world).0, "acme", "it is of another issuer");
    }
    // A newer list that spares it.
    let mut acme = ca("acme", &root.pem);
    let newer = revoking(&issuing, 7, 3).pem().unwrap();
    acme.revoke_by_lists(format!("{new}{newer}").as_bytes()).unwrap();
    assert_eq!(vouched(&trusting(vec![acme]), &chain, &world).0, "acme");
    // The list of another maker, whose CA has the same name, is not asked.
    let stranger = Ca::root("Another Root");
    let namesake = stranger.sub("Acme Devices", |_| {});
    let mut theirs = ca("theirs", &stranger.pem);
    theirs.revoke_by_lists(revoking(&namesake, ALL, 4).pem().unwrap().as_bytes()).unwrap();
    let mut acme = ca("acme", &root.pem);
    acme.revoke_by_lists(new.as_bytes()).unwrap();
    for cas in [vec![theirs.clone(), acme.clone()], vec![acme, theirs]] {
        assert!(refused(&trusting(cas), &chain, &world, NOW).contains("revocation list"));
    }
    for wrong in [&b""[..], b"no list", &[0x30, 0]] {
        assert!(ca("acme", &root.pem).revoke_by_lists(wrong).is_err());
    }
}
