//! PlayReady's `AcquirePackagingData`: the recorded request of Shaka Packager, and its faults.

use base64ct::{Base64, Encoding};
use reelkey::authority::operation::packager::AddPackager;
use reelkey_client::key::{ContentKey, KeyId};
use reelkey_client::pssh::PlayReady;
use reelkey_client::pssh::playready::Checksum;

use crate::packager::{ENCODER, basic, rights};
use crate::world::{Reply, World};

const PATH: &str = "/v1/keys/playready";
const RECORDED: &str = include_str!("recorded/shaka_playready_soap.xml");
const RECORDED_ANSWER: &str = include_str!("recorded/shaka_playready_soap.answer.xml");

/// What the packager reads of an answer: KID, key and object.
fn read(answer: &str) -> (KeyId, Vec<u8>, PlayReady) {
    let between = |open: &str, close: &str| {
        let (_, rest) = answer.split_once(open).unwrap_or_else(|| panic!("{answer}"));
        rest.split_once(close).unwrap().0.to_owned()
    };
    let kid = between("<KeyId>", "</KeyId>").parse().unwrap();
    let key = Base64::decode_vec(&between("<KeyData>", "</KeyData>")).unwrap();
    let object = Base64::decode_vec(&between("<Data>", "</Data>")).unwrap();
    (kid, key, PlayReady::parse(&object).unwrap())
}

/// An answer without its values.
fn form(answer: &str) -> Vec<&str> {
    let tags = answer.split('<').skip(1).filter_map(|part| Some(part.split_once('>')?.0));
    tags.filter(|tag| !tag.starts_with("?xml")).collect()
}

fn is_fault(reply: &Reply, status: u16, code: &str) {
    assert_eq!(reply.status, status, "{reply:?}");
    assert_eq!(reply.headers["content-type"], "text/xml; charset=utf-8");
    assert!(reply.body.contains(&format!("<faultcode>soap:{code}</faultcode>")), "{}", reply.body);
    assert!(!reply.body.contains("Key"), "{}", reply.body);
}

#[tokio::test]
async fn the_recorded_request_gets_an_answer_that_means_what_was_recorded() {
    let world = World::new().await;
    world.add_packager(rights(ENCODER)).await;
    let reply = world.pack(PATH, Some(&basic(ENCODER)), RECORDED).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    assert_eq!(form(&reply.body), form(RECORDED_ANSWER));
    let (kid, key, object) = read(&reply.body);
    let recorded = read(RECORDED_ANSWER).2;
    assert_eq!(object.version, recorded.version);
    assert_eq!(object.keys.len(), 1);
    assert_eq!((object.keys[0].kid, &object.keys[0].algorithm), (kid, &recorded.keys[0].algorithm));
    let hex: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
    let key = ContentKey::parse_hex(&hex).unwrap();
    assert_eq!(object.keys[0].checksum, Some(Checksum::of(kid, &key)));

    // The key of all tracks, in any protocol and after a restart.
    let world = world.restarted().await;
    let again = world.pack(PATH, Some(&basic(ENCODER)), RECORDED).await;
    assert_eq!(again.bytes, reply.bytes);
}

#[tokio::test]
async fn a_refusal_is_a_soap_fault() {
    let world = World::new().await;
    world.add_packager(rights(ENCODER)).await;
    let studio = AddPackager {
        content: vec!["movies/*".parse().unwrap()],
        policies: Vec::new(),
        ..rights("studio")
    };
    world.add_packager(studio).await;
    let challenge = |content: &str| RECORDED.replace("prog-1", content);

    let nobody = world.pack(PATH, None, RECORDED).await;
    is_fault(&nobody, 401, "Client");
    assert!(nobody.headers.contains_key("www-authenticate"));
    is_fault(&world.pack(PATH, Some("Basic eDp5"), RECORDED).await, 401, "Client");

    let there = world.pack(PATH, Some(&basic("studio")), challenge("series/one")).await;
    is_fault(&there, 500, "Client");
    let absent = world.pack(PATH, Some(&basic("studio")), challenge("series/none")).await;
    assert_eq!((there.status, &there.bytes), (absent.status, &absent.bytes));
    is_fault(
        &world.pack(PATH, Some(&basic("studio")), challenge("movies/none")).await,
        500,
        "Client",
    );

    for wrong in [
        String::new(),
        challenge("a&b"),
        challenge("a]]>b"),
        challenge("<!-- x -->movies/bunny"),
        RECORDED.replace("9A04F079", "EDEF8BA9"),
        format!("<!DOCTYPE lol [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;\">]>{}", challenge("&b;")),
        format!("<!DOCTYPE x SYSTEM \"http://127.0.0.1/x\">{RECORDED}"),
    ] {
        is_fault(&world.pack(PATH, Some(&basic(ENCODER)), wrong).await, 500, "Client");
    }
    let long = format!("{RECORDED}{}", " ".repeat(16 * 1024));
    is_fault(&world.pack(PATH, Some(&basic(ENCODER)), long).await, 413, "Client");
}
