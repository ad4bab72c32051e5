//! SPEKE, version 1 and 2: what encoders of AWS's protocol send, what they get, and what has to be refused.

use axum::body::Body;
use axum::http::Request;
use axum::http::header::AUTHORIZATION;
use reelkey_client::pssh::{Contents, Pssh};
use roxmltree::Node;

use crate::cpix::{all, decoded, decoded_text, granted, text, world};
use crate::packager::{ENCODER, basic};
use crate::world::{Reply, World};

const WIDEVINE: &str = "edef8ba9-79d6-4ace-a3c8-27dcd51d21ed";
const PLAYREADY: &str = "9a04f079-9840-4286-ab92-e65be0885f95";
const FAIRPLAY: &str = "94ce86fb-07ff-4f43-adb8-93d2fa968ca2";
const AES_128_V1: &str = "81376844-f976-481e-a84e-cc25d39b0b33";

async fn send(world: &World, version: Option<&str>, body: impl Into<Body>) -> Reply {
    let mut request =
        Request::post("/v1/keys/speke/copyProtection").header(AUTHORIZATION, basic(ENCODER));
    request = request.header("host", "drm.example");
    if let Some(version) = version {
        request = request.header("x-speke-version", version);
    }
    world.send(request.body(body.into()).unwrap()).await
}

fn kid(at: usize) -> String {
    format!("0000000{at}-1111-4111-8111-111111111111")
}

/// A request of version 2 for these track types, each with its filter, as AWS's encoders write it.
fn contract(scheme: &str, systems: &[&str], tracks: &[(&str, &str)]) -> String {
    let each = |write: &dyn Fn(usize) -> String| (0..tracks.len()).map(write).collect::<String>();
    let keys = each(&|at| {
        format!("<cpix:ContentKey kid=\"{}\" commonEncryptionScheme=\"{scheme}\"/>\n", kid(at))
    });
    let of_system = |system: &&str| {
        let data = if *system == FAIRPLAY { "" } else { "<cpix:ContentProtectionData/>" };
        each(&|at| {
            format!(
                "<cpix:DRMSystem kid=\"{}\" systemId=\"{system}\"><cpix:PSSH/>{data}<cpix:HLSSignalingData playlist=\"media\"/>\
                 <cpix:HLSSignalingData playlist=\"master\"/></cpix:DRMSystem>\n",
                kid(at)
            )
        })
    };
    let systems: String = systems.iter().map(of_system).collect();
    let rules = each(&|at| {
        let (track, filter) = tracks[at];
        format!(
            "<cpix:ContentKeyUsageRule kid=\"{}\" intendedTrackType=\"{track}\"><cpix:KeyPeriodFilter periodId=\"p0\"/>\
             {filter}</cpix:ContentKeyUsageRule>\n",
            kid(at)
        )
    });
    format!(
        "<?xml version='1.0' encoding='utf-8'?>\n\
         <cpix:CPIX xmlns:cpix=\"urn:dashif:org:cpix\" xmlns:pksc=\"urn:ietf:params:xml:ns:keyprov:pskc\" contentId=\"live/{scheme}\" version=\"2.3\">\n\
         <cpix:ContentKeyList>\n{keys}</cpix:ContentKeyList>\n<cpix:DRMSystemList>\n{systems}</cpix:DRMSystemList>\n\
         <cpix:ContentKeyPeriodList><cpix:ContentKeyPeriod id=\"p0\" index=\"0\"/></cpix:ContentKeyPeriodList>\n\
         <cpix:ContentKeyUsageRuleList>\n{rules}</cpix:ContentKeyUsageRuleList>\n</cpix:CPIX>"
    )
}

const VIDEO: &str = "<cpix:VideoFilter maxPixels=\"589824\"/>";
const AUDIO: &str = "<cpix:AudioFilter maxChannels=\"2\"/>";
const BOTH: &str = "<cpix:VideoFilter/><cpix:AudioFilter/>";

/// Every set of tracks that AWS's contract has.
const SETS: [&[(&str, &str)]; 6] = [
    &[("VIDEO", VIDEO), ("AUDIO", AUDIO)],
    &[("SD", VIDEO), ("HD", VIDEO), ("STEREO_AUDIO", AUDIO), ("MULTICHANNEL_AUDIO", AUDIO)],
    &[
        ("SD", VIDEO),
        ("HD", VIDEO),
        ("UHD", VIDEO),
        ("STEREO_AUDIO", AUDIO),
        ("MULTICHANNEL_AUDIO", AUDIO),
    ],
    &[
        ("SD", VIDEO),
        ("HD1", VIDEO),
        ("HD2", VIDEO),
        ("UHD1", VIDEO),
        ("UHD2", VIDEO),
        ("STEREO_AUDIO", AUDIO),
        ("MULTICHANNEL_AUDIO_3_6", AUDIO),
        ("MULTICHANNEL_AUDIO_7", AUDIO),
    ],
    &[("SD+HD1", VIDEO), ("HD2", VIDEO), ("UHD1", VIDEO), ("UHD2", VIDEO), ("STEREO_AUDIO", AUDIO)],
    &[("ALL", BOTH)],
];

fn children<'a>(node: Node<'a, 'a>) -> Vec<&'a str> {
    let children = node.children().filter(Node::is_element);
    children.map(|child| child.tag_name().name()).collect()
}

#[tokio::test]
async fn every_contract_of_version_2_is_fulfilled() {
    for (scheme, set) in ["cenc", "cbcs", "cbc1", "cens", "cbcs", "cenc"].into_iter().zip(SETS) {
        let world = world().await;
        let mut systems = vec![WIDEVINE, PLAYREADY];
        systems.extend((scheme == "cbcs").then_some(FAIRPLAY));
        let body = contract(scheme, &systems, set);
        let reply = send(&world, Some("2.0"), body.clone()).await;
        let document = granted(&reply);
        assert_eq!(reply.headers["x-speke-version"], "2.0");
        assert!(reply.headers["x-speke-user-agent"].to_str().unwrap().starts_with("reelkey/"));
        let root = document.root_element();
        assert_eq!((root.attribute("version"), root.attribute("id")), (Some("2.3"), None));
        let asked = roxmltree::Document::parse(&body).unwrap();
        // Nothing that was asked for is missing.
        for name in [
            "ContentKey",
            "DRMSystem",
            "ContentKeyPeriod",
            "ContentKeyUsageRule",
            "VideoFilter",
            "AudioFilter",
        ] {
            let of = |document| -> Vec<Vec<(String, String)>> {
                let nodes: Vec<Node<'_, '_>> = all(document, name);
                let attributes = nodes.iter().map(|node| {
                    let own = node.attributes().filter(|one| one.name() != "explicitIV");
                    own.map(|one| (one.name().to_owned(), one.value().to_owned())).collect()
                });
                attributes.collect()
            };
            assert_eq!(of(&document), of(&asked), "{name}");
        }
        let keys: std::collections::BTreeSet<_> = all(&document, "PlainValue")
            .iter()
            .map(|value| value.text().unwrap().to_owned())
            .collect();
        assert_eq!(keys.len(), set.len(), "every track has a key of its own");
        for (system, before) in
            all(&document, "DRMSystem").into_iter().zip(all(&asked, "DRMSystem"))
        {
            assert_eq!(children(system), children(before));
            of_system(system, scheme);
        }
        assert_eq!(send(&world, Some("2.0"), body).await.body, reply.body, "twice the same");
    }
}

/// What an encoder reads of one system.
fn of_system(system: Node<'_, '_>, scheme: &str) {
    let (kid, id) = (system.attribute("kid").unwrap(), system.attribute("systemId").unwrap());
    let lines: Vec<_> = system
        .children()
        .filter(|child| child.tag_name().name() == "HLSSignalingData")
        .map(|data| decoded_text(data.text().unwrap()))
        .collect();
    let method = if scheme.starts_with("cb") { "SAMPLE-AES" } else { "SAMPLE-AES-CTR" };
    assert_eq!(lines[0].replace("#EXT-X-KEY:", "#EXT-X-SESSION-KEY:"), lines[1]);
    assert!(lines[0].starts_with(&format!("#EXT-X-KEY:METHOD={method},URI=\"")), "{lines:?}");
    assert!(lines[0].contains("KEYFORMATVERSIONS=\"1\""));
    let pssh = text(system, "PSSH").unwrap();
    if id == FAIRPLAY {
        assert_eq!(pssh, "", "it is asked for, and there is none");
        return assert!(lines[0].contains(&format!("URI=\"skd://{kid}\"")));
    }
    let data = decoded_text(text(system, "ContentProtectionData").unwrap());
    assert!(data.starts_with(&format!("<pssh xmlns=\"urn:mpeg:cenc:2013\">{pssh}</pssh>")));
    let boxes = Pssh::parse_all(&decoded(pssh)).unwrap();
    let kids = match boxes[0].contents().unwrap() {
        Contents::Widevine(header) => {
            assert_eq!(header.protection_scheme.unwrap(), scheme.as_bytes());
            header.key_ids
        }
        Contents::PlayReady(header) => {
            let algorithm = if scheme.starts_with("cb") { "AESCBC" } else { "AESCTR" };
            assert_eq!(header.keys[0].algorithm.as_deref(), Some(algorithm));
            header.kids().collect()
        }
    };
    assert_eq!(kids[0].to_string(), kid);
}

/// The tracks of a request that is right.
const TRACKS: [(&str, &str); 2] = [("SD", VIDEO), ("STEREO_AUDIO", AUDIO)];

/// What the contract of version 2 forbids: the request that is right with a change, each with what is said of it.
fn forbidden(right: &str) -> Vec<(String, &'static str)> {
    let without = |from: &str, to: &str| {
        let (start, rest) = right.split_once(from).unwrap();
        let (_, end) = rest.split_once(to).unwrap();
        format!("{start}{end}")
    };
    let changed = |from: &str, to: &str| {
        assert!(right.contains(from), "{from}");
        right.replace(from, to)
    };
    let other = format!("kid=\"{}\"", kid(7));
    let fairplay = contract("cenc", &[FAIRPLAY], &TRACKS);
    let mixed = contract("cenc", &[WIDEVINE], &[("ALL", VIDEO), ("STEREO_AUDIO", AUDIO)]);
    vec![
        (String::new(), "the body is empty"),
        (changed("version=\"2.3\"", "version=\"2.4\""), "needs the CPIX version 2.3"),
        (changed(" version=\"2.3\"", ""), "needs the CPIX version 2.3"),
        (changed("contentId=\"live/cenc\"", ""), "CPIX has no contentId"),
        (
            without("<cpix:ContentKeyList>", "</cpix:ContentKeyList>"),
            "no ContentKeyList with a ContentKey",
        ),
        (
            without("<cpix:DRMSystemList>", "</cpix:DRMSystemList>"),
            "no DRMSystemList with a DRMSystem",
        ),
        (
            without("<cpix:ContentKeyUsageRuleList>", "</cpix:ContentKeyUsageRuleList>"),
            "no ContentKeyUsageRuleList with a ContentKeyUsageRule",
        ),
        (
            changed(&format!("<cpix:ContentKey kid=\"{}\"", kid(0)), "<cpix:ContentKey"),
            "ContentKey has no kid",
        ),
        (
            changed(" commonEncryptionScheme=\"cenc\"", ""),
            "ContentKey has no commonEncryptionScheme",
        ),
        (
            changed("Scheme=\"cenc\"", "Scheme=\"cbc7\""),
            "a protection scheme is cenc, cens, cbc1 or cbcs",
        ),
        (changed(&format!(" systemId=\"{WIDEVINE}\""), ""), "DRMSystem has no systemId"),
        (
            changed(&format!("<cpix:DRMSystem kid=\"{}\"", kid(0)), "<cpix:DRMSystem"),
            "DRMSystem has no kid",
        ),
        (changed(" intendedTrackType=\"SD\"", ""), "ContentKeyUsageRule has no intendedTrackType"),
        (changed(&format!("Rule kid=\"{}\"", kid(0)), "Rule"), "ContentKeyUsageRule has no kid"),
        (changed(VIDEO, ""), "neither VideoFilter nor AudioFilter"),
        (
            changed(&format!("Rule kid=\"{}\"", kid(0)), &format!("Rule kid=\"{}\"", kid(1))),
            "no ContentKeyUsageRule is for this ContentKey",
        ),
        (
            changed(&format!("DRMSystem kid=\"{}\"", kid(0)), &format!("DRMSystem {other}")),
            "which no ContentKey has",
        ),
        (fairplay, "FairPlay plays cbcs alone"),
        (mixed, "the track type ALL stands beside others"),
    ]
}

#[tokio::test]
async fn version_2_refuses_what_its_contract_forbids() {
    let world = world().await;
    let right = contract("cenc", &[WIDEVINE], &TRACKS);
    for (body, what) in forbidden(&right) {
        let reply = send(&world, Some("2.0"), body.clone()).await;
        assert_eq!(reply.status, 400, "{what}: {reply:?}\n{body}");
        assert!(reply.body.contains(what), "{what}: {reply:?}");
        assert_eq!(reply.headers["x-speke-version"], "2.0");
        assert!(reply.headers.contains_key("x-speke-user-agent"));
    }
    assert_eq!(send(&world, Some("2.0"), right.clone()).await.status, 200);
    assert_eq!(send(&world, Some("3.0"), right.clone()).await.status, 400);
    // Nobody, and a body that is too long.
    let nobody = world.pack("/v1/keys/speke", None, right.clone()).await;
    assert_eq!((nobody.status, nobody.headers.contains_key("www-authenticate")), (401, true));
    let long = send(&world, Some("2.0"), right + &" ".repeat(256 * 1024)).await;
    assert_eq!((long.status, long.headers.contains_key("x-speke-user-agent")), (413, true));
}

/// A request of version 1, as AWS's encoders write it: every element that there is, for one key.
fn version_1(index: u32, systems: &[&str], children: &str) -> String {
    let kid = kid(0);
    let systems: String = systems
        .iter()
        .map(|system| {
            format!(
                "<cpix:DRMSystem kid=\"{kid}\" systemId=\"{system}\">{children}</cpix:DRMSystem>"
            )
        })
        .collect();
    format!(
        "<cpix:CPIX id=\"channel-1\" xmlns:cpix=\"urn:dashif:org:cpix\" xmlns:pskc=\"urn:ietf:params:xml:ns:keyprov:pskc\" \
         xmlns:speke=\"urn:aws:amazon:com:speke\"><cpix:ContentKeyList><cpix:ContentKey kid=\"{kid}\"></cpix:ContentKey>\
         </cpix:ContentKeyList><cpix:DRMSystemList>{systems}</cpix:DRMSystemList><cpix:ContentKeyPeriodList>\
         <cpix:ContentKeyPeriod id=\"p\" index=\"{index}\"/></cpix:ContentKeyPeriodList><cpix:ContentKeyUsageRuleList>\
         <cpix:ContentKeyUsageRule kid=\"{kid}\"><cpix:KeyPeriodFilter periodId=\"p\"/></cpix:ContentKeyUsageRule>\
         </cpix:ContentKeyUsageRuleList></cpix:CPIX>"
    )
}

const EVERYTHING: &str = "<cpix:ContentProtectionData/><speke:KeyFormat/><speke:KeyFormatVersions/>\
    <speke:ProtectionHeader/><cpix:PSSH/><cpix:URIExtXKey/>";

#[tokio::test]
async fn version_1_fills_what_it_knows_and_drops_the_rest() {
    let world = world().await;
    let systems =
        [AES_128_V1, FAIRPLAY, WIDEVINE, PLAYREADY, "1077efec-c0b2-4d02-ace3-3c1e52e2fb4b"];
    let body = version_1(11_425, &systems, EVERYTHING);
    let reply = send(&world, None, body.clone()).await;
    let document = granted(&reply);
    assert!(reply.headers["speke-user-agent"].to_str().unwrap().starts_with("reelkey/"));
    assert!(!reply.headers.contains_key("x-speke-version"));
    let root = document.root_element();
    assert_eq!((root.attribute("id"), root.attribute("version")), (Some("channel-1"), None));
    let key = all(&document, "ContentKey")[0];
    assert_eq!(decoded(text(key, "PlainValue").unwrap()).len(), 16);
    assert_eq!(decoded(key.attribute("explicitIV").unwrap()).len(), 16);
    let systems = all(&document, "DRMSystem");
    let named: Vec<_> = systems.iter().map(|system| children(*system)).collect();
    assert_eq!(named[0], ["KeyFormat", "KeyFormatVersions", "URIExtXKey"]);
    assert_eq!(named[1], ["KeyFormat", "KeyFormatVersions", "URIExtXKey"]);
    assert_eq!(named[2], ["PSSH", "ContentProtectionData"]);
    assert_eq!(named[3], ["PSSH", "ContentProtectionData", "ProtectionHeader"]);
    assert_eq!(named[4], ["PSSH", "ContentProtectionData"]);
    let value = |system: usize, name| decoded_text(text(systems[system], name).unwrap());
    assert_eq!(
        (value(0, "KeyFormat"), value(0, "KeyFormatVersions")),
        ("identity".into(), "1".into())
    );
    assert_eq!(value(1, "KeyFormat"), "com.apple.streamingkeydelivery");
    assert_eq!(value(1, "URIExtXKey"), format!("skd://{}", kid(0)));
    assert_eq!(send(&world, None, body).await.body, reply.body);
}

#[tokio::test]
async fn version_1_makes_addresses_of_the_host_that_was_asked() {
    let world = world().await;
    let body = version_1(0, &[AES_128_V1], EVERYTHING);
    let request = Request::post("/v1/keys/speke").header(AUTHORIZATION, basic(ENCODER));
    let request = request.header("host", "keys.example:8443").header("x-forwarded-proto", "https");
    let reply = world.send(request.body(Body::from(body)).unwrap()).await;
    let document = granted(&reply);
    let address = decoded_text(text(document.root_element(), "URIExtXKey").unwrap());
    assert_eq!(address, format!("https://keys.example:8443/v1/hls/channel-1/{}.key", kid(0)));
    // Without a host there is no address, and half an answer is none.
    let body = version_1(0, &[AES_128_V1], EVERYTHING);
    let reply = world.pack("/v1/keys/speke", Some(&basic(ENCODER)), body).await;
    assert_eq!((reply.status, reply.body.contains("no Host")), (400, true), "{reply:?}");
}

/// Other clients write identifiers in capitals and name a system without what they want of it.
#[tokio::test]
async fn version_1_adds_what_a_system_has_if_nothing_is_named() {
    let world = world().await;
    let systems = [
        WIDEVINE.to_uppercase(),
        PLAYREADY.to_uppercase(),
        "3EA8778F-7742-4BF9-B18B-E834B2ACBD47".into(),
    ];
    let systems: Vec<_> = systems.iter().map(String::as_str).collect();
    let reply = send(&world, Some("1.0"), version_1(3, &systems, "")).await;
    let document = granted(&reply);
    let named: Vec<_> = all(&document, "DRMSystem").into_iter().map(children).collect();
    assert_eq!(named[0], ["PSSH"]);
    assert_eq!(named[1], ["PSSH", "ProtectionHeader"]);
    assert_eq!(named[2], ["URIExtXKey", "KeyFormat", "KeyFormatVersions"]);
}

#[tokio::test]
async fn version_1_has_a_heartbeat_and_a_content() {
    let world = world().await;
    let get = |path: &str| Request::get(path).body(Body::empty()).unwrap();
    let alive = world.send(get("/v1/keys/speke/client/heartbeat")).await;
    assert_eq!((alive.status, alive.body.as_str()), (200, "ok\n"));
    assert_eq!(alive.headers["content-type"], "text/plain; charset=utf-8");
    assert_eq!(world.send(get("/v1/keys/speke/copyProtection")).await.status, 404);
    let nameless = version_1(1, &[WIDEVINE], EVERYTHING).replace("id=\"channel-1\"", "");
    let reply = send(&world, None, nameless).await;
    assert_eq!((reply.status, reply.body.contains("names no content")), (400, true), "{reply:?}");
}

/// A second crypto period has a key of its own under a KID of its own, and the first one stays.
#[tokio::test]
async fn periods_of_a_channel_have_keys_of_their_own() {
    let world = world().await;
    let key = |reply: &Reply| text(granted(reply).root_element(), "PlainValue").unwrap().to_owned();
    let body = version_1(1, &[WIDEVINE], EVERYTHING);
    let first = send(&world, None, body.clone()).await;
    let next = version_1(2, &[WIDEVINE], EVERYTHING).replace(&kid(0), &kid(1));
    let second = send(&world, None, next).await;
    assert_ne!(key(&first), key(&second));
    assert_eq!(send(&world, None, body).await.body, first.body);
    // The KID of the first period is no key of the second.
    let reply = send(&world, None, version_1(2, &[WIDEVINE], EVERYTHING)).await;
    assert_eq!(reply.status, 409, "{reply:?}");
}
