//! Authorization tokens: what attackers have tried elsewhere, and what issuers may do.

use base64ct::{Base64UrlUnpadded, Encoding};
use reelkey::crypto::issuer_key::Algorithm;
use reelkey_client::strict::base64url;
use ring::rand::SystemRandom;
use ring::signature::{
    Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaKeyPair, RsaPublicKeyComponents,
};
use serde_json::{Value, json};

use crate::world::{ISS, NOW, World, issuer, key, sign, signing_input};

/// A key for tests alone.
const RSA: &[u8] = include_bytes!("rsa-2048.pkcs8.der");

fn as_it_is(_: &mut Value) {}

/// Sends `token` with a request that fits it.
async fn refuse(world: &World, token: &str, reason: &str) {
    let body = world.request(token, as_it_is);
    world.post(Some(token), body).await.refuses(403, reason);
}

fn claims() -> Value {
    json!({ "iss": ISS, "sub": "alice", "aud": "reelkey-test", "iat": NOW, "exp": NOW + 3600,
        "content_id": "movies/bunny" })
}

fn header() -> Value {
    json!({ "alg": "ES256", "typ": "JWT" })
}

#[tokio::test]
async fn j1_the_algorithm_is_the_issuers_choice() {
    let world = World::new().await;
    for alg in ["none", "None", "HS256", "es256", "ES384", "RS256", "PS256", "EdDSA", "Ed25519", ""]
    {
        let mut header = header();
        header["alg"] = alg.into();
        refuse(&world, &sign(&header, &claims(), &world.issuer), "token-invalid").await;
        let unsigned = format!("{}.", signing_input(&header, &claims()));
        refuse(&world, &unsigned, "token-invalid").await;
    }
}

#[tokio::test]
async fn j2_j4_header_members_that_change_the_meaning_are_refused() {
    let world = World::new().await;
    let own = key();
    for (name, value) in [
        ("crit", json!(["exp"])),
        ("b64", json!(false)),
        ("zip", json!("DEF")),
        ("jwk", own.public_key().to_jwk()),
        ("jku", json!("https://attacker.example/jwks.json")),
        ("x5u", json!("https://attacker.example/cert.pem")),
        ("x5c", json!(["AAAA"])),
    ] {
        let mut header = header();
        header[name] = value;
        refuse(&world, &sign(&header, &claims(), &own), "token-invalid").await;
        refuse(&world, &sign(&header, &claims(), &world.issuer), "token-invalid").await;
    }
}

#[tokio::test]
async fn j3_every_kind_of_jws_has_its_own_place() {
    let world = World::new().await;
    for typ in ["license-request+jwt", "license+jwt", "dpop+jwt", "JOSE", ""] {
        let mut header = header();
        header["typ"] = typ.into();
        refuse(&world, &sign(&header, &claims(), &world.issuer), "token-invalid").await;
    }
    for typ in ["jwt", "at+jwt", "application/at+jwt"] {
        let mut header = header();
        header["typ"] = typ.into();
        let token = sign(&header, &claims(), &world.issuer);
        let body = world.request(&token, as_it_is);
        assert_eq!(world.post(Some(&token), body).await.status, 200, "{typ}");
    }
    let token = world.token(as_it_is);
    let request = world.request(&token, as_it_is);
    let license = world.post(Some(&token), request.clone()).await.body;
    for (token, body, status, reason) in [
        (&request, &request, 403, "token-invalid"),
        (&license, &request, 403, "token-invalid"),
        (&token, &token, 400, "bad-request"),
        (&token, &license, 400, "bad-request"),
    ] {
        world.post(Some(token), body.clone()).await.refuses(status, reason);
    }
}

#[tokio::test]
async fn j5_a_kid_is_a_name_and_nothing_else() {
    let world = World::new().await;
    for kid in ["../../keys/root.key", "x' OR 1=1", "https://attacker.example", "", "a\u{0}b"] {
        let mut header = header();
        header["kid"] = kid.into();
        refuse(&world, &sign(&header, &claims(), &world.issuer), "token-invalid").await;
    }
    let mut long = header();
    long["kid"] = "k".repeat(20_000).into();
    let token = sign(&long, &claims(), &world.issuer);
    let body = world.request("", as_it_is);
    world.post(Some(&token), body).await.refuses(403, "token-invalid");
}

#[tokio::test]
async fn j6_j7_a_member_may_stand_once() {
    let world = World::new().await;
    for twice in [
        r#"{"iss":"https://auth.example","region":"US","region":"DE","#,
        r#"{"iss":"https://auth.example","iss":"https://auth.example","#,
        r#"{"cnf":{"jkt":"a","jkt":"b"},"iss":"https://auth.example","#,
    ] {
        let rest = r#""sub":"alice","aud":"reelkey-test","iat":1800000000,"exp":1800003600,"content_id":"*"}"#;
        let header = base64url::encode(header().to_string().as_bytes());
        let payload = base64url::encode(format!("{twice}{rest}").as_bytes());
        let input = format!("{header}.{payload}");
        let signature = base64url::encode(world.issuer.sign(input.as_bytes()).as_bytes());
        refuse(&world, &format!("{input}.{signature}"), "token-invalid").await;
    }
}

#[tokio::test]
async fn claims_are_an_object_and_no_array() {
    let world = World::new().await;
    let values = json!([
        ISS,
        "alice",
        "reelkey-test",
        NOW + 3600,
        NOW,
        null,
        null,
        "*",
        null,
        null,
        null,
        null,
        null,
        null,
        null,
        []
    ]);
    refuse(&world, &sign(&header(), &values, &world.issuer), "token-invalid").await;
    let token = world.token(|claims| {
        claims["cnf"] = json!([world.device.public_key().thumbprint().to_string()]);
    });
    refuse(&world, &token, "token-invalid").await;
}

#[tokio::test]
async fn j8_to_j12_every_claim_is_held_to_its_rule() {
    let world = World::new().await;
    for missing in ["iss", "sub", "aud", "iat", "exp", "content_id"] {
        let token = world.token(|claims| {
            claims.as_object_mut().unwrap().remove(missing);
        });
        refuse(&world, &token, "token-invalid").await;
    }
    for (name, value) in [
        ("iss", json!([ISS])),
        ("iss", json!([ISS, "https://other.example"])),
        ("iss", json!("https://unknown.example")),
        ("iss", json!("https://auth.example/")),
        ("aud", json!("other-service")),
        ("aud", json!(["other", "services"])),
        ("aud", json!([])),
        ("sub", json!("")),
        ("sub", json!(1)),
        ("nbf", json!(NOW + 31)),
        ("iat", json!(NOW + 31)),
        ("exp", json!(NOW + 24 * 3600 + 1)),
        ("exp", json!(NOW)),
        ("exp", json!(NOW - 1)),
        ("exp", json!(u64::MAX)),
        ("exp", json!(1e300)),
        ("exp", json!(1_800_003_600.0)),
        ("exp", json!("1800003600")),
        ("exp", json!(-1)),
        ("nbf", json!("soon")),
        ("region", json!("us")),
        ("region", json!(["US"])),
        ("content_id", json!("movies/**")),
        ("content_id", json!(["movies/bunny", "../etc"])),
        ("authorized_kids", json!(["not a kid"])),
        ("cnf", json!({ "x5t#S256": "AAAA" })),
        ("cnf", json!({ "jkt": "AAAA" })),
        ("policy_id", json!("")),
        ("amr", json!("pwd")),
    ] {
        let token = world.token(|claims| claims[name] = value.clone());
        refuse(&world, &token, "token-invalid").await;
    }
    for (name, value) in [
        ("aud", json!(["other", "reelkey-test"])),
        ("nbf", json!(NOW + 30)),
        ("iat", json!(NOW + 30)),
        ("exp", json!(NOW + 24 * 3600)),
        ("unknown", json!({ "is": "ignored" })),
    ] {
        let token = world.token(|claims| claims[name] = value.clone());
        let body = world.request(&token, as_it_is);
        assert_eq!(world.post(Some(&token), body).await.status, 200, "{name}");
    }
}

#[tokio::test]
async fn j13_a_token_expires_and_only_then_is_it_called_expired() {
    let world = World::new().await;
    let token = world.token(as_it_is);
    let at = async |now: u64, token: &str| {
        world.set_clock(now);
        let body = world.request(token, |claims| claims["iat"] = now.into());
        world.post(Some(token), body).await
    };
    assert_eq!(at(NOW + 3600 + 29, &token).await.status, 200);
    at(NOW + 3600 + 30, &token).await.refuses(403, "token-expired");
    let (input, _) = token.rsplit_once('.').unwrap();
    let forged = format!("{input}.{}", base64url::encode(key().sign(input.as_bytes()).as_bytes()));
    at(NOW + 7200, &forged).await.refuses(403, "token-invalid");
    let malformed = world.token(|claims| claims["region"] = "nowhere".into());
    at(NOW + 7200, &malformed).await.refuses(403, "token-invalid");
}

#[tokio::test]
async fn j15_j22_there_is_one_form_of_a_token() {
    let world = World::new().await;
    let token = world.token(as_it_is);
    let (input, signature) = token.rsplit_once('.').unwrap();
    let raw = base64url::decode(signature).unwrap();
    let mut der = vec![0x30, 0x44, 2, 32];
    der.extend(&raw[..32]);
    der.extend([2, 32]);
    der.extend(&raw[32..]);
    let mut zeros = raw.clone();
    zeros.fill(0);
    let spare_bits = {
        let mut text = signature.to_owned();
        let last = text.pop().unwrap();
        let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let at = alphabet.find(last).unwrap();
        text.push(alphabet.as_bytes()[at ^ 1].into());
        text
    };
    for wrong in [
        String::new(),
        base64url::encode(&zeros),
        base64url::encode(&der),
        base64url::encode(&[&raw[..], &[0]].concat()),
        base64url::encode(&raw[..63]),
        format!("{signature}="),
        format!("{signature}."),
        format!("{signature}.AAAA"),
        format!("{signature}.AAAA.AAAA"),
        spare_bits,
    ] {
        refuse(&world, &format!("{input}.{wrong}"), "token-invalid").await;
    }
    for wrong in [format!("{token}{}", "A".repeat(8192)), "a.b.c".into(), "..".into(), "A".into()] {
        refuse(&world, &wrong, "token-invalid").await;
    }
}

#[test]
fn j16_a_key_that_is_no_point_is_refused_when_it_is_read() {
    use reelkey::crypto::issuer_key::Error;
    use reelkey::crypto::issuer_keys::IssuerKeys;
    let mut jwk = key().public_key().to_jwk();
    jwk["x"] = jwk["y"].clone();
    let read = |jwk: &Value| IssuerKeys::parse(json!({ "keys": [jwk] }).to_string().as_bytes());
    assert!(matches!(read(&jwk), Err(Error::Key { number: 1, .. })));
    assert!(matches!(read(&json!({ "kty": "oct", "k": "AAAA" })), Err(Error::Private { .. })));
    let short = json!({ "kty": "RSA", "n": "AQAB", "e": "AQAB" });
    assert!(matches!(read(&short), Err(Error::Key { .. })));
    let enc = json!({ "kty": "RSA", "n": "AQAB", "e": "AQAB", "use": "enc" });
    assert!(matches!(read(&enc), Err(Error::NoKey)));
    let ours = key().public_key().to_jwk();
    let mut named = ours.clone();
    named["kid"] = "a".into();
    let twice = json!({ "keys": [named, named] }).to_string();
    assert!(matches!(IssuerKeys::parse(twice.as_bytes()), Err(Error::RepeatedKid)));
    let mut contradiction = ours;
    contradiction["alg"] = "RS256".into();
    assert!(matches!(read(&contradiction), Err(Error::Key { .. })));
}

/// What a JWK Set is refused for, because signatures under its key can be forged or it says one thing and means another.
#[test]
fn a_set_with_a_weak_key_is_refused_with_the_reason() {
    use reelkey::crypto::issuer_keys::IssuerKeys;
    let b64 = |bytes: &[u8]| Base64UrlUnpadded::encode_string(bytes);
    let read = |jwk: Value| {
        let good = key().public_key().to_jwk();
        let set = json!({ "keys": [good, jwk] }).to_string();
        IssuerKeys::parse(set.as_bytes()).map(|keys| keys.count()).map_err(|why| why.to_string())
    };
    let rsa = RsaKeyPair::from_pkcs8(RSA).unwrap();
    let public = RsaPublicKeyComponents::<Vec<u8>>::from(rsa.public());
    let with = |n: &[u8], e: &[u8]| read(json!({ "kty": "RSA", "n": b64(n), "e": b64(e) }));
    assert_eq!(with(&public.n, &public.e), Ok(2));
    for e in [&[][..], &[0], &[1], &[2], &[4], &[0, 1, 0, 1], &[1, 0, 0], &[1; 6], &[3; 5]] {
        assert!(with(&public.n, e).is_err(), "{e:?}");
    }
    let mut even = public.n.clone();
    even[255] &= 0xfe;
    let mut power = vec![0; 257];
    power[0] = 1;
    let mut short = public.n.clone();
    short[0] = 0x7f;
    let padded = [&[0], &public.n[..]].concat();
    for n in [even, power, short, padded, public.n[1..].to_vec(), vec![0xff; 1025], vec![0xff; 256]]
    {
        assert!(with(&n, &public.e).is_err(), "{n:?}");
    }
    let ed = |x: &[u8]| read(json!({ "kty": "OKP", "crv": "Ed25519", "x": b64(x) }));
    let mut identity = [0; 32];
    identity[0] = 1;
    assert!(ed(&identity).unwrap_err().contains("small order"));
    assert!(ed(&[0; 32]).is_err() && ed(&[0xff; 32]).is_err() && ed(&[1; 31]).is_err());
    let ours = key().public_key().to_jwk();
    for (name, value) in [
        ("alg", json!(["ES256"])),
        ("alg", Value::Null),
        ("use", json!(1)),
        ("use", json!(["sig"])),
        ("kid", json!(7)),
        ("kid", Value::Null),
        ("kty", json!(["EC"])),
        ("crv", json!({})),
        ("key_ops", json!("verify")),
        ("key_ops", json!(["verify", "verify"])),
        ("key_ops", json!([1])),
        ("d", json!("AAAA")),
        ("p", Value::Null),
        ("k", json!("AAAA")),
        ("kty", json!("oct")),
        ("alg", json!("EdDSA")),
        ("x", json!(1)),
    ] {
        let mut jwk = ours.clone();
        jwk[name] = value.clone();
        assert!(read(jwk).is_err(), "{name}: {value}");
    }
    assert!(read(json!({ "crv": "P-256" })).is_err() && read(json!(["EC"])).is_err());
    // Keys for something else are passed over, as RFC 7517 has it.
    for (name, value) in [("use", json!("enc")), ("key_ops", json!(["encrypt"]))] {
        let mut jwk = ours.clone();
        jwk[name] = value;
        assert_eq!(read(jwk), Ok(1));
    }
    let mut verifies = ours;
    verifies["key_ops"] = json!(["verify"]);
    assert_eq!(read(verifies), Ok(2));
}

/// A claim that is null restricts nothing, so it is refused and not taken for absent.
#[tokio::test]
async fn a_claim_that_is_null_is_refused() {
    let world = World::new().await;
    for name in [
        "nbf",
        "jti",
        "content_id",
        "authorized_kids",
        "policy_id",
        "entitlement_id",
        "license_not_after",
        "region",
        "cnf",
        "session_id",
        "amr",
        "aud",
    ] {
        let token = world.token(|claims| claims[name] = Value::Null);
        refuse(&world, &token, "token-invalid").await;
    }
    let token = world.token(|claims| claims["cnf"] = json!({ "jkt": null }));
    refuse(&world, &token, "token-invalid").await;
}

#[tokio::test]
async fn j23_nesting_has_an_end() {
    let world = World::new().await;
    let nested = |depth: usize| -> Value {
        serde_json::from_str(&format!("{}1{}", "[".repeat(depth), "]".repeat(depth))).unwrap()
    };
    let token = world.token(|claims| claims["deep"] = nested(100));
    refuse(&world, &token, "token-invalid").await;
    world.ask(as_it_is, |claims| claims["deep"] = nested(100)).await.refuses(400, "bad-request");
    assert_eq!(world.ask(|claims| claims["deep"] = nested(7), as_it_is).await.status, 200);
}

/// Issuers with Ed25519 and RSA keys, and tokens that they sign.
#[tokio::test]
async fn issuers_may_sign_with_any_of_the_four_algorithms() {
    let rng = SystemRandom::new();
    let ed = Ed25519KeyPair::generate_pkcs8(&rng).unwrap();
    let ed = Ed25519KeyPair::from_pkcs8(ed.as_ref()).unwrap();
    let rsa = RsaKeyPair::from_pkcs8(RSA).unwrap();
    let b64 = |bytes: &[u8]| Base64UrlUnpadded::encode_string(bytes);
    let public: RsaPublicKeyComponents<Vec<u8>> = rsa.public().into();
    let (n, e) = (public.n.as_slice(), public.e.as_slice());
    let ed_jwk =
        json!({ "kty": "OKP", "crv": "Ed25519", "kid": "ed", "x": b64(ed.public_key().as_ref()) });
    let rsa_jwk = json!({ "kty": "RSA", "kid": "rsa", "n": b64(n), "e": b64(e) });
    let jwks = json!({ "keys": [ed_jwk, rsa_jwk] });
    let all = [Algorithm::EdDsa, Algorithm::Rs256, Algorithm::Ps256];
    let only = issuer("https://one.example", &jwks, &[Algorithm::Ps256]);
    let world = World::with_issuers(vec![issuer("https://two.example", &jwks, &all), only]).await;

    let sign_by = |alg: &str, input: &[u8]| {
        let scheme: &dyn ring::signature::RsaEncoding = match alg {
            "RS256" => &RSA_PKCS1_SHA256,
            "PS256" => &RSA_PSS_SHA256,
            _ => return ed.sign(input).as_ref().to_vec(),
        };
        let mut signature = vec![0; rsa.public().modulus_len()];
        rsa.sign(scheme, &rng, input, &mut signature).unwrap();
        signature
    };
    for (iss, alg, kid, status) in [
        ("https://two.example", "EdDSA", Some("ed"), 200),
        ("https://two.example", "Ed25519", None, 200),
        ("https://two.example", "RS256", Some("rsa"), 200),
        ("https://two.example", "PS256", None, 200),
        ("https://two.example", "PS256", Some("ed"), 403),
        ("https://two.example", "EdDSA", Some("rsa"), 403),
        ("https://one.example", "PS256", Some("rsa"), 200),
        ("https://one.example", "RS256", Some("rsa"), 403),
        ("https://one.example", "EdDSA", Some("ed"), 403),
    ] {
        let mut header = json!({ "alg": alg });
        if let Some(kid) = kid {
            header["kid"] = kid.into();
        }
        let mut claims = claims();
        claims["iss"] = iss.into();
        let input = signing_input(&header, &claims);
        let token = format!("{input}.{}", base64url::encode(&sign_by(alg, input.as_bytes())));
        let body = world.request(&token, as_it_is);
        let reply = world.post(Some(&token), body).await;
        assert_eq!(reply.status, status, "{iss} {alg} {kid:?} {}", reply.body);
    }
}

#[tokio::test]
async fn without_a_kid_exactly_one_key_may_fit() {
    let (one, two) = (key(), key());
    let named = |key: &reelkey_client::exchange::device::DeviceKey, kid: &str| {
        let mut jwk = key.public_key().to_jwk();
        jwk["kid"] = kid.into();
        jwk
    };
    let jwks = json!({ "keys": [named(&one, "1"), named(&two, "2")] });
    let iss = "https://two.example";
    let world = World::with_issuers(vec![issuer(iss, &jwks, &[Algorithm::Es256])]).await;
    let mut claims = claims();
    claims["iss"] = iss.into();
    for (kid, status) in [(None, 403), (Some("1"), 200), (Some("2"), 403), (Some("3"), 403)] {
        let mut header = header();
        if let Some(kid) = kid {
            header["kid"] = kid.into();
        }
        let token = sign(&header, &claims, &one);
        let body = world.request(&token, as_it_is);
        assert_eq!(world.post(Some(&token), body).await.status, status, "{kid:?}");
    }
}
