//! CPIX documents: got whole, and asked for by a request.

use axum::body::Body;
use axum::http::Request;
use axum::http::header::AUTHORIZATION;
use base64ct::{Base64, Encoding};
use reelkey::authority::operation::content::AddContent;
use reelkey_client::pssh::{Contents, Pssh};
use roxmltree::{Document, Node};

use crate::packager::{ENCODER, basic, rights};
use crate::world::{NOW, Reply, World, key_hex, kid};

pub(crate) const CPIX: &str = "urn:dashif:org:cpix";
pub(crate) const KIDS: [&str; 2] =
    ["11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"];

pub(crate) async fn world() -> World {
    let world = World::new().await;
    world.add_packager(rights(ENCODER)).await;
    world
}

pub(crate) async fn get(world: &World, path: &str) -> Reply {
    let request = Request::get(path).header(AUTHORIZATION, basic(ENCODER));
    world.send(request.body(Body::empty()).unwrap()).await
}

pub(crate) async fn post(world: &World, path: &str, body: impl Into<Body>) -> Reply {
    world.pack(path, Some(&basic(ENCODER)), body).await
}

/// The elements of this name, wherever they are.
pub(crate) fn all<'a>(document: &'a Document<'_>, name: &'a str) -> Vec<Node<'a, 'a>> {
    let nodes = document.root().descendants();
    nodes.filter(|node| node.is_element() && node.tag_name().name() == name).collect()
}

pub(crate) fn text<'a>(node: Node<'a, 'a>, name: &str) -> Option<&'a str> {
    let found = node.descendants().find(|node| node.tag_name().name() == name)?;
    Some(found.text().unwrap_or_default())
}

pub(crate) fn decoded(text: &str) -> Vec<u8> {
    Base64::decode_vec(text).unwrap()
}

pub(crate) fn decoded_text(text: &str) -> String {
    String::from_utf8(decoded(text)).unwrap()
}

/// The document of an answer.
pub(crate) fn granted(reply: &Reply) -> Document<'_> {
    assert_eq!(reply.status, 200, "{reply:?}");
    assert_eq!(reply.headers["content-type"], "application/xml");
    assert_eq!(reply.headers["cache-control"], "no-store");
    let document = Document::parse(&reply.body).unwrap();
    assert_eq!(document.root_element().tag_name().namespace(), Some(CPIX));
    document
}

/// KID, key in hexadecimal and track types of each key.
pub(crate) fn keys(document: &Document<'_>) -> Vec<(String, String, String)> {
    let of_key = |key: &Node<'_, '_>| {
        let kid = key.attribute("kid").unwrap().to_owned();
        let value = decoded(text(*key, "PlainValue").unwrap());
        let hex = value.iter().map(|byte| format!("{byte:02x}")).collect();
        let rules = all(document, "ContentKeyUsageRule");
        let rules = rules.iter().filter(|rule| rule.attribute("kid") == Some(&kid));
        let tracks: Vec<_> = rules.filter_map(|rule| rule.attribute("intendedTrackType")).collect();
        (kid, hex, tracks.join(" "))
    };
    all(document, "ContentKey").iter().map(of_key).collect()
}

pub(crate) fn refused(reply: &Reply, status: u16, what: &str) {
    assert_eq!(reply.status, status, "{reply:?}");
    assert_eq!(reply.headers["content-type"], "text/plain; charset=utf-8");
    assert!(reply.body.contains(what), "{:?} does not say {what:?}", reply.body);
}

#[tokio::test]
async fn a_title_is_got_with_the_keys_that_it_has() {
    let world = world().await;
    let reply = get(&world, "/v1/keys/cpix/movies/bunny").await;
    let document = granted(&reply);
    let expected = ["AUDIO", "SD", "HD", "UHD1"]
        .iter()
        .zip(0..)
        .map(|(track, key)| (kid(0, key).to_string(), key_hex(0, key), (*track).to_owned()));
    assert_eq!(keys(&document), expected.collect::<Vec<_>>());
    let root = document.root_element();
    assert_eq!(root.attribute("contentId"), Some("movies/bunny"));
    assert_eq!(root.attribute("version"), Some("2.4"));
    let lists: Vec<_> =
        root.children().filter(Node::is_element).map(|list| list.tag_name().name()).collect();
    assert_eq!(lists, ["ContentKeyList", "DRMSystemList", "ContentKeyUsageRuleList"]);
    let filters: Vec<_> = all(&document, "VideoFilter")
        .iter()
        .map(|filter| (filter.attribute("minPixels"), filter.attribute("maxPixels")))
        .collect();
    let expected =
        [(None, Some("589824")), (Some("589825"), Some("2073600")), (Some("2073601"), None)];
    assert_eq!(filters, expected);
    assert_eq!(get(&world, "/v1/keys/cpix/movies/bunny").await.body, reply.body, "twice the same");
}

#[tokio::test]
async fn a_title_without_keys_gets_three_and_keeps_them() {
    let world = world().await;
    let first = get(&world, "/v1/keys/cpix/movies/new").await;
    let made = keys(&granted(&first));
    let tracks: Vec<_> = made.iter().map(|key| key.2.as_str()).collect();
    assert_eq!(tracks, ["AUDIO", "SD", "HD"]);
    let world = world.restarted().await;
    assert_eq!(get(&world, "/v1/keys/cpix/movies/new").await.body, first.body);
    // Another track is made beside them, and only that one is answered where it alone is asked for.
    let higher = get(&world, "/v1/keys/cpix/movies/new?tracks=UHD1").await;
    let higher = keys(&granted(&higher));
    assert_eq!((higher.len(), higher[0].2.as_str()), (1, "UHD1"));
    let whole = get(&world, "/v1/keys/cpix/movies/new").await;
    assert_eq!(keys(&granted(&whole)), [made, higher].concat());
}

#[tokio::test]
async fn every_system_is_signalled_for_every_key() {
    let world = world().await;
    let reply = get(&world, "/v1/keys/cpix/movies/sintel?scheme=cbcs&systems=widevine,playready,fairplay,common,clearkey,aes128&base=https://drm.example/x").await;
    let document = granted(&reply);
    let expected = kid(1, 0);
    let hex = expected.to_string().replace('-', "");
    let key = all(&document, "ContentKey")[0];
    assert_eq!(key.attribute("commonEncryptionScheme"), Some("cbcs"));
    assert_eq!(decoded(key.attribute("explicitIV").unwrap()).len(), 16);
    let systems = all(&document, "DRMSystem");
    assert_eq!(systems.len(), 6);
    let media = |system: usize| {
        let data =
            systems[system].children().find(|child| child.attribute("playlist") == Some("media"));
        data.map(|data| decoded_text(data.text().unwrap()))
    };
    let boxes = |system: usize| {
        text(systems[system], "PSSH").map(|data| Pssh::parse_all(&decoded(data)).unwrap())
    };
    let widevine = boxes(0).unwrap();
    let Some(Contents::Widevine(header)) = widevine[0].contents() else { panic!() };
    assert_eq!((header.key_ids, header.protection_scheme), (vec![expected], Some(*b"cbcs")));
    let pssh = text(systems[0], "PSSH").unwrap();
    let line = format!(
        "#EXT-X-KEY:METHOD=SAMPLE-AES,URI=\"data:text/plain;base64,{pssh}\",KEYID=0x{hex},\
         KEYFORMATVERSIONS=\"1\",KEYFORMAT=\"urn:uuid:edef8ba9-79d6-4ace-a3c8-27dcd51d21ed\""
    );
    assert_eq!(media(0), Some(line));
    let dash = decoded_text(text(systems[0], "ContentProtectionData").unwrap());
    assert_eq!(dash, format!("<pssh xmlns=\"urn:mpeg:cenc:2013\">{pssh}</pssh>"));
    let Some(Contents::PlayReady(header)) = boxes(1).unwrap()[0].contents() else { panic!() };
    assert_eq!(header.version.as_deref(), Some("4.3.0.0"));
    assert_eq!((header.keys[0].kid, header.keys[0].checksum), (expected, None));
    let dash = decoded_text(text(systems[1], "ContentProtectionData").unwrap());
    assert!(dash.contains("<pro xmlns=\"urn:microsoft:playready\">"), "{dash}");
    assert!(media(1).unwrap().contains("KEYFORMAT=\"com.microsoft.playready\""));
    assert_eq!((boxes(2), text(systems[2], "ContentProtectionData")), (None, None));
    assert!(
        media(2)
            .unwrap()
            .starts_with(&format!("#EXT-X-KEY:METHOD=SAMPLE-AES,URI=\"skd://{expected}\""))
    );
    assert_eq!((boxes(3).unwrap()[0].kids.clone(), media(3)), (vec![expected], None));
    let dash = decoded_text(text(systems[4], "ContentProtectionData").unwrap());
    assert!(dash.contains(">https://drm.example/x/v1/clearkey</dashif:Laurl>"), "{dash}");
    let line = format!(
        "#EXT-X-KEY:METHOD=AES-128,URI=\"https://drm.example/x/v1/hls/movies/sintel/{expected}.key\""
    );
    assert_eq!(media(5), Some(line));
    for system in &systems {
        let session =
            system.children().find(|child| child.attribute("playlist") == Some("multiVariant"));
        let line = session.map(|data| decoded_text(data.text().unwrap()));
        assert!(line.is_none_or(|line| line.starts_with("#EXT-X-SESSION-KEY:")));
    }
}

#[tokio::test]
async fn shaka_packager_gets_the_simplest_of_documents() {
    let world = world().await;
    let reply = get(&world, "/v1/keys/cpix/movies/bunny?profile=shaka").await;
    let document = granted(&reply);
    assert_eq!(keys(&document).len(), 4);
    for absent in [
        "VideoFilter",
        "AudioFilter",
        "KeyPeriodFilter",
        "ContentKeyPeriodList",
        "HLSSignalingData",
        "ContentProtectionData",
    ] {
        assert!(all(&document, absent).is_empty(), "{absent}");
    }
    for system in all(&document, "DRMSystem") {
        let boxes = Pssh::parse_all(&decoded(text(system, "PSSH").unwrap())).unwrap();
        assert_eq!(boxes[0].system_id.to_string(), system.attribute("systemId").unwrap());
    }
    // One key for all tracks has no rule.
    let untyped = get(&world, "/v1/keys/cpix/movies/untyped?profile=shaka").await;
    assert_eq!(keys(&granted(&untyped)), [(kid(3, 0).to_string(), key_hex(3, 0), String::new())]);
}

#[tokio::test]
async fn crypto_periods_have_their_times() {
    let world = world().await;
    let content = "live/one".parse().unwrap();
    let seconds = 300.try_into().ok();
    let operation = AddContent {
        content_id: content,
        policies: vec!["open".into()],
        crypto_period_seconds: seconds,
    };
    world.administer(operation, NOW).await;
    let reply = get(&world, "/v1/keys/cpix/live/one").await;
    let document = granted(&reply);
    let periods: Vec<_> = all(&document, "ContentKeyPeriod")
        .iter()
        .map(|period| {
            ["index", "start", "end"].map(|name| period.attribute(name).unwrap().to_owned())
        })
        .collect();
    // 1800000000 / 300.
    let expected = [
        ["6000000", "2027-01-15T08:00:00Z", "2027-01-15T08:05:00Z"],
        ["6000001", "2027-01-15T08:05:00Z", "2027-01-15T08:10:00Z"],
    ];
    assert_eq!(periods, expected);
    assert_eq!(keys(&document).len(), 6);
    // The same keys when they are asked for by their number, in the middle of others.
    let later = get(&world, "/v1/keys/cpix/live/one?periods=5999990-6000010").await;
    let later = granted(&later);
    assert_eq!(all(&later, "ContentKeyPeriod").len(), 21);
    let later = keys(&later);
    assert!(keys(&document).iter().all(|key| later.contains(key)));
    // A request names the period by its start, and its KID is one of ours.
    let (known, key, _) = &keys(&document)[4];
    let request = format!(
        "<CPIX xmlns='{CPIX}'><ContentKeyList><ContentKey kid='{known}'/></ContentKeyList><ContentKeyPeriodList>\
         <ContentKeyPeriod id='p' start='2027-01-15T08:05:00Z' end='2027-01-15T08:10:00Z'/></ContentKeyPeriodList>\
         <ContentKeyUsageRuleList><ContentKeyUsageRule kid='{known}'><KeyPeriodFilter periodId='p'/>\
         </ContentKeyUsageRule></ContentKeyUsageRuleList></CPIX>"
    );
    let answer = post(&world, "/v1/keys/cpix/live/one", request.clone()).await;
    assert_eq!(keys(&granted(&answer))[0].1, *key);
    let other =
        post(&world, "/v1/keys/cpix/live/one", request.replace("08:05:00Z' end", "08:00:00Z' end"))
            .await;
    refused(&other, 409, "another track or crypto period");
    let without = post(&world, "/v1/keys/cpix/movies/sintel", request).await;
    refused(&without, 400, "no crypto_period_seconds");
}

pub(crate) fn request(inside: &str) -> String {
    let [one, other] = KIDS;
    format!(
        "<c:CPIX xmlns:c='{CPIX}' xmlns:x='urn:example:x' contentId='movies/asked' version='2.3' x:note='kept &amp; sound'>\
         <c:ContentKeyList><c:ContentKey kid='{one}' commonEncryptionScheme='cenc'/>\
         <c:ContentKey kid='{other}' commonEncryptionScheme='cenc' explicitIV=''/></c:ContentKeyList>\
         <c:DRMSystemList><c:DRMSystem kid='{one}' systemId='EDEF8BA9-79D6-4ACE-A3C8-27DCD51D21ED'>\
         <c:PSSH/><x:mine id='7'>as it was</x:mine></c:DRMSystem>\
         <c:DRMSystem kid='{other}' systemId='9a04f079-9840-4286-ab92-e65be0885f95'/></c:DRMSystemList>{inside}</c:CPIX>"
    )
}

#[tokio::test]
async fn a_request_is_answered_with_what_it_has_and_with_its_own_kids() {
    let world = world().await;
    let rules = "<c:ContentKeyUsageRuleList><c:ContentKeyUsageRule kid='22222222-2222-4222-8222-222222222222' intendedTrackType='AUDIO'/></c:ContentKeyUsageRuleList>";
    let reply = post(&world, "/v1/keys/cpix/movies/asked", request(rules)).await;
    let document = granted(&reply);
    let given = keys(&document);
    assert_eq!([&given[0].0, &given[1].0], KIDS);
    assert_ne!(given[0].1, given[1].1);
    assert_eq!(document.root_element().attribute(("urn:example:x", "note")), Some("kept & sound"));
    let mine = all(&document, "mine")[0];
    assert_eq!((mine.attribute("id"), mine.text()), (Some("7"), Some("as it was")));
    assert_eq!(all(&document, "ContentKey")[0].attribute("explicitIV"), None);
    let iv = all(&document, "ContentKey")[1].attribute("explicitIV").unwrap();
    assert_eq!(decoded(iv).len(), 16);
    let systems = all(&document, "DRMSystem");
    // One element was wanted of one system, and everything of the other.
    let names = |system: usize| -> Vec<_> {
        let children = systems[system].children().filter(Node::is_element);
        children.map(|child| child.tag_name().name().to_owned()).collect()
    };
    assert_eq!(names(0), ["PSSH", "mine"]);
    assert_eq!(names(1), ["PSSH", "ContentProtectionData", "HLSSignalingData", "HLSSignalingData"]);
    let Some(Contents::PlayReady(header)) =
        Pssh::parse_all(&decoded(text(systems[1], "PSSH").unwrap())).unwrap()[0].contents()
    else {
        panic!()
    };
    assert!(header.keys[0].checksum.is_some(), "of cenc");
    assert_eq!(post(&world, "/v1/keys/cpix/movies/asked", request(rules)).await.body, reply.body);
    let world = world.restarted().await;
    assert_eq!(post(&world, "/v1/keys/cpix/movies/asked", request(rules)).await.body, reply.body);
    // The whole title has them too.
    let whole = get(&world, "/v1/keys/cpix/movies/asked").await;
    let whole = keys(&granted(&whole));
    assert!(
        given.iter().all(|key| whole.iter().any(|other| (&other.0, &other.1) == (&key.0, &key.1)))
    );
}
