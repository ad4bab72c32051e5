//! What holds a secret prints none of it.

use reelkey::crypto::development_key::DevelopmentKey;
use reelkey::crypto::request_name::NamingKey;
use reelkey::crypto::root_key::RootKey;
use reelkey::crypto::sign::SigningKey;
use reelkey::crypto::wrap::Kek;
use reelkey_client::cenc::Keys;
use reelkey_client::exchange::ask::Ask;
use reelkey_client::exchange::request::SessionType;
use reelkey_client::key::{ContentKey, KeyId};
use reelkey_client::time::UnixTime;

use crate::world::{NOW, key};

#[test]
fn secret_types_print_their_names_and_what_is_public() {
    let content_key = || ContentKey::parse_hex("00112233445566778899aabbccddeeff").unwrap();
    let kid = KeyId::from_bytes([7; 16]);
    let signing = SigningKey::from_pkcs8(&SigningKey::generate_pkcs8().unwrap()).unwrap();
    let thumbprint = signing.public_key().thumbprint();
    let keys: Keys = [(kid, content_key())].into_iter().collect();
    for (printed, expected) in [
        (format!("{:?}", content_key()), "ContentKey(..)".to_owned()),
        (format!("{keys:?}"), format!("Keys({{KeyId({kid}): ContentKey(..)}})")),
        (format!("{:?}", RootKey::generate().unwrap()), "RootKey(..)".into()),
        (format!("{:?}", Kek::generate(3).unwrap()), "Kek(3, ..)".into()),
        (format!("{signing:?}"), format!("SigningKey({thumbprint}, ..)")),
        (format!("{:?}", NamingKey::new(&[7; 32])), "NamingKey(..)".into()),
        (format!("{:?}", DevelopmentKey::generate().unwrap()), "DevelopmentKey(..)".into()),
        (format!("{:?}", key()), "DeviceKey(..)".into()),
    ] {
        assert_eq!(printed, expected);
    }
}

#[test]
fn a_request_on_its_way_prints_its_name_alone() {
    let device = key();
    let ask = Ask {
        service_id: "reelkey",
        token: "token",
        kids: &[],
        content_id: Some("movies/bunny"),
        session_type: SessionType::Temporary,
        iat: UnixTime::from_secs(NOW),
    };
    let rng = &mut reelkey::crypto::random::SystemRng;
    let (_, pending) = ask.draft(&device.public_key(), None, rng).unwrap().sign(&device);
    let printed = format!("{pending:?}");
    assert!(printed.starts_with("Pending(") && printed.ends_with(", ..)"), "{printed}");
    assert_eq!(printed.len(), "Pending(, ..)".len() + 22);
}

/// The texts of errors are read by people who must not learn a secret from them.
#[test]
fn errors_about_secrets_do_not_repeat_them() {
    let secret = "5ecret5ecret5ecret5ecret5ecret00";
    for text in [
        ContentKey::parse_hex(&secret[1..]).unwrap_err().to_string(),
        RootKey::parse(secret).unwrap_err().to_string(),
        DevelopmentKey::parse(&format!(r#"{{"d":"{secret}"}}"#)).unwrap_err().to_string(),
        SigningKey::from_pkcs8(secret.as_bytes()).unwrap_err().to_string(),
    ] {
        assert!(!text.contains("5ecret"), "{text}");
    }
}
