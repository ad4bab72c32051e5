//! Devices whose secure hardware attests their key: Android's key attestation.

use base64ct::{Base64, Encoding};
use reelkey::crypto::device_ca::{DeviceCa, Kind};
use reelkey::domain::decision::Vouched;
use reelkey::domain::security_level::SecurityLevel;
use reelkey_client::strict::certificate;

use crate::certified::{CERTIFIED, STRONG, ask, ca, refused, trusting, vouched};
use crate::chains::{Attested, Ca, IN_ORDER};
use crate::world::{NOW, World, time};

fn android(pem: &str) -> DeviceCa {
    DeviceCa::from_pem("google", Kind::AndroidKeyAttestation, pem.as_bytes()).unwrap()
}

#[tokio::test]
async fn android_attests_secure_hardware_and_a_verified_boot() {
    let root = Ca::root("Key Attestation Root");
    let world = World::with_makers(trusting(vec![android(&root.pem)])).await;
    let batch = root.sub("Batch", |_| {});
    let chain = |attested: Attested| {
        let extension = attested.extension();
        let own = batch.certify(&world.device, |params| params.custom_extensions.push(extension));
        [own, batch.der.clone(), root.der.clone()]
    };
    for level in [1, 2] {
        let in_order = chain(Attested { attested_by: level, kept_by: level, ..IN_ORDER });
        for policy in [CERTIFIED, STRONG] {
            assert_eq!(ask(&world, policy, &in_order, false).await.status, 200);
        }
        // HW_SECURE_CRYPTO, not more.
        let tracks = ask(&world, "levels", &in_order, false).await.license()["tracks"].clone();
        assert_eq!(tracks.as_array().unwrap().len(), 3);
    }
    let makers = trusting(vec![android(&root.pem)]);
    for (attested, word) in [
        (Attested { attested_by: 0, ..IN_ORDER }, "level Software"),
        (Attested { kept_by: 0, ..IN_ORDER }, "level Software"),
        (Attested { kept_by: 3, ..IN_ORDER }, "level Software"),
        (Attested { boot: Some((false, 0)), ..IN_ORDER }, "unlocked"),
        (Attested { boot: Some((true, 1)), ..IN_ORDER }, "not verified"),
        (Attested { boot: Some((true, 2)), ..IN_ORDER }, "not verified"),
        (Attested { boot: Some((true, 3)), ..IN_ORDER }, "not verified"),
        (Attested { boot: None, ..IN_ORDER }, "root of trust"),
        (Attested { origin: Some(2), ..IN_ORDER }, "not generated"),
        (Attested { origin: None, ..IN_ORDER }, "not generated"),
        (Attested { purpose: 7, ..IN_ORDER }, "not for signatures"),
        (Attested { by_software: true, ..IN_ORDER }, "not generated"),
    ] {
        let why = refused(&makers, &chain(attested), &world, NOW);
        assert!(why.contains(word), "{why:?} has no {word:?}");
        ask(&world, "open", &chain(attested), false).await.refuses(403, "device-not-enrolled");
    }
    let none = [batch.certify(&world.device, |_| {}), batch.der.clone()];
    assert!(refused(&makers, &none, &world, NOW).contains("no key attestation"));
    let twice = batch.certify(&world.device, |params| {
        params.custom_extensions = vec![IN_ORDER.extension(), IN_ORDER.extension()];
    });
    assert!(refused(&makers, &[twice, batch.der.clone()], &world, NOW).contains(""));
    // A key that was attested, and certifies another one.
    let attest_key = root.sub("Attest key", |params| {
        params.custom_extensions.push(Attested { purpose: 7, ..IN_ORDER }.extension());
    });
    let own = attest_key
        .certify(&world.device, |params| params.custom_extensions.push(IN_ORDER.extension()));
    let why = refused(&makers, &[own, attest_key.der], &world, NOW);
    assert!(why.contains("only attested itself"), "{why}");
    // Under a CA for certificates, an attestation says nothing.
    let plain = trusting(vec![ca("phones", &root.pem)]);
    let by_software = chain(Attested { attested_by: 0, ..IN_ORDER });
    assert_eq!(vouched(&plain, &by_software, &world).1, SecurityLevel::SwSecureDecode);
}

#[tokio::test]
async fn a_damaged_attestation_is_refused_and_never_panics() {
    let world = World::new().await;
    let root = Ca::root("Key Attestation Root");
    let makers = trusting(vec![android(&root.pem)]);
    let der = IN_ORDER.to_der();
    let judge = |content: Vec<u8>| {
        const OID: [u64; 10] = [1, 3, 6, 1, 4, 1, 11129, 2, 1, 17];
        let extension = rcgen::CustomExtension::from_oid_content(&OID, content);
        let own = root.certify(&world.device, |params| params.custom_extensions.push(extension));
        makers.judge(&[own], &world.device.public_key(), time(NOW))
    };
    for length in 0..der.len() {
        assert!(matches!(judge(der[..length].to_vec()), Vouched::Invalid(_)), "{length} bytes");
    }
    let mut longer = der.clone();
    longer.push(0);
    assert!(matches!(judge(longer), Vouched::Invalid(_)));
    for at in 0..der.len() {
        let mut altered = der.clone();
        altered[at] ^= 0x55;
        let _any = judge(altered);
    }
}

/// The chain of a phone, published with Google's verifier (github.com/google/android-key-attestation, Apache-2.0). Its
/// certificates were valid for some weeks of 2023.
#[tokio::test]
async fn a_published_chain_of_a_phone_is_accepted_in_its_time() {
    const CHAIN: &str = include_str!("android-phone-2023.pem");
    let chain: Vec<_> = CHAIN
        .split("-----BEGIN CERTIFICATE-----")
        .skip(1)
        .map(|part| {
            let part = part.split("-----END").next().unwrap();
            Base64::decode_vec(&part.split_whitespace().collect::<String>()).unwrap()
        })
        .collect();
    assert_eq!(chain.len(), 5);
    let root = CHAIN.rfind("-----BEGIN").unwrap();
    let device = certificate::public_key(&chain[0]).unwrap();
    let makers = trusting(vec![android(&CHAIN[root..])]);
    // 2023-03-08T00:00:00Z.
    let then = time(1_678_233_600);
    let vouched = makers.judge(&chain, &device, then);
    assert_eq!(
        vouched,
        Vouched::Level { by: "google".into(), level: SecurityLevel::HwSecureCrypto }
    );
    assert_eq!(makers.judge(&chain[..4], &device, then), vouched, "the root is known");
    for (at, word) in [(NOW, "expired"), (1_600_000_000, "not valid yet")] {
        match makers.judge(&chain, &device, time(at)) {
            Vouched::Invalid(why) => assert!(why.contains(word), "{why}"),
            other => panic!("{other:?}"),
        }
    }
    let other_root = trusting(vec![android(&Ca::root("Other").pem)]);
    assert!(matches!(other_root.judge(&chain, &device, then), Vouched::Invalid(_)));
    // The serial number of its batch key, as a status list has it.
    let mut listed = android(&CHAIN[root..]);
    listed
        .revoke_by_status(
            br#"{"entries":{"d05facf443ed535548d994f6845e6d3c":{"status":"REVOKED","reason":"KEY_COMPROMISE"}}}"#,
        )
        .unwrap();
    match trusting(vec![listed]).judge(&chain, &device, then) {
        Vouched::Invalid(why) => assert!(why.contains("status list"), "{why}"),
        other => panic!("{other:?}"),
    }
    for wrong in ["", "{}", r#"{"entries":{"1":{"status":"FINE"}}}"#] {
        assert!(android(&CHAIN[root..]).revoke_by_status(wrong.as_bytes()).is_err(), "{wrong}");
    }
}
