//! Where the client's address is, from the header field or the connection to the license.

use std::collections::BTreeMap;
use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderValue, Request};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use reelkey::authority::atlas::asked::Atlas;
use reelkey::authority::atlas::database::Database;
use reelkey::domain::location::Source;
use reelkey::domain::region::Region;
use reelkey::http::app::App;
use reelkey::http::frame::address::{Peer, Proxies, ProxyHeader};
use reelkey::http::frame::bearer::TokenPlaces;
use reelkey::http::frame::limits::Limits;
use reelkey::http::log_health::LogHealth;
use reelkey::http::router::router_within;
use serde_json::Value;

use crate::world::{NOW, Reply, World, time};

/// When the databases of the tests were built: 2027-01-01T00:00:00Z.
const BUILT: u64 = 1_798_761_600;

/// The policies of movies/places.
pub(crate) const POLICIES: [(&str, &str); 4] = [
    (
        "by-ip",
        "can_play = true\nlicense_duration = \"10m\"\n[region]\nevidence = \"ip\"\n\
         allowed_countries = [\"US\", \"GB-LND\"]\nblocked_countries = [\"US-TX\"]",
    ),
    (
        "by-both",
        "can_play = true\nlicense_duration = \"10m\"\n[region]\nevidence = \"token-and-ip\"\n\
         allowed_countries = [\"US\"]",
    ),
    (
        "no-vpn",
        "can_play = true\nlicense_duration = \"10m\"\n[region]\nevidence = \"token\"\n\
         allowed_countries = [\"US\"]\nblock_vpn_and_tor = true",
    ),
    (
        "clear-by-ip",
        "can_play = true\nlicense_duration = \"10m\"\nallow_clearkey = true\n\
         allow_hls_aes128 = true\n[region]\nevidence = \"ip\"\nallowed_countries = [\"US\"]",
    ),
];

fn file(name: &str) -> Vec<u8> {
    fs::read(format!("{}/tests/geoip/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// What the operator configured: a network, and both databases.
pub(crate) fn atlas() -> Atlas {
    let network = |text: &str, region: &str| (text.parse().unwrap(), region.parse().unwrap());
    let networks = vec![network("10.7.0.0/16", "US-CA"), network("10.7.7.0/24", "DE")];
    let country = Database::of_countries(file("nested.mmdb")).unwrap();
    Atlas::new(
        networks,
        Some(country),
        Some(Database::of_anonymous(file("anonymous.mmdb")).unwrap()),
    )
}

fn regions(atlas: &Atlas, address: &str) -> String {
    let located = atlas.locate(address.parse().unwrap());
    let source = Source::Database { built: time(BUILT) };
    if let Some(said) = located.source.filter(|said| *said != Source::Network) {
        assert_eq!(said, source);
    }
    located.regions.iter().map(Region::as_str).collect::<Vec<_>>().join(" ")
}

#[test]
fn both_shapes_of_databases_are_read() {
    let nested = atlas();
    for (address, expected) in [
        ("81.2.69.142", "GB-ENG GB-LND"),
        ("81.3.0.1", "GB"),
        ("5.6.7.8", "DE"),
        ("6.0.0.0", "US-CA"),
        ("6.255.255.255", "US-CA"),
        ("7.1.1.1", "US-TX"),
        ("8.8.8.8", "US"),
        ("2a02:1::1", "DE-BY"),
        ("2600::", "US"),
        ("2601::", ""),
        // No country, a country of nobody, no code, and one that the company is registered in.
        ("9.1.0.1", ""),
        ("9.2.0.1", ""),
        ("9.3.0.1", ""),
        ("9.5.0.1", ""),
        // A code that is none of ISO 3166-2.
        ("9.4.0.1", "US-TX"),
        ("192.0.2.1", ""),
        // What an address embeds.
        ("::ffff:81.3.0.1", "GB"),
        ("2002:0506:0708::1", "DE"),
        ("64:ff9b::8.8.8.8", "US"),
        ("64:ff9b:1::5.6.7.8", "DE"),
        ("10.7.1.1", "US-CA"),
        ("10.7.7.1", "DE"),
    ] {
        assert_eq!(regions(&nested, address), expected, "{address}");
    }
    let flat = Database::of_countries(file("flat.mmdb")).unwrap();
    let flat = Atlas::new(Vec::new(), Some(flat), None);
    for (address, expected) in [
        ("5.6.7.8", "DE"),
        ("8.8.8.8", "US"),
        ("::ffff:8.8.8.8", "US"),
        ("2002:0808:0808::1", "US"),
        ("9.2.0.1", ""),
        ("9.3.0.1", ""),
        // A database of IPv4 knows no IPv6.
        ("2600::1", ""),
    ] {
        assert_eq!(regions(&flat, address), expected, "{address}");
    }
}

#[test]
fn an_anonymous_address_has_any_of_the_marks() {
    let atlas = atlas();
    for (address, expected) in [
        ("8.1.0.1", true),
        ("8.2.0.1", true),
        ("8.3.0.1", true),
        ("8.4.0.1", true),
        ("8.5.0.1", false),
        ("8.6.0.1", false),
        ("8.7.0.1", false),
        ("2600:1::1", true),
        ("2600:2::1", false),
        ("64:ff9b::8.3.0.1", true),
        ("2002:0803:0001::1", true),
    ] {
        let located = atlas.locate(address.parse().unwrap());
        assert_eq!(located.is_anonymous, expected, "{address}");
    }
}

#[test]
fn a_database_that_is_damaged_or_of_something_else_is_an_error() {
    let said = |file: Vec<u8>| Database::of_countries(file).unwrap_err().to_string();
    let whole = file("nested.mmdb");
    for cut in [0, 1, 100, whole.len() / 2, whole.len() - 10] {
        let said = said(whole[..cut].to_vec());
        assert!(said.starts_with("the database is damaged"), "{cut}: {said}");
    }
    assert!(said(b"not a database".to_vec()).starts_with("the database is damaged"));
    // A tree that leads behind the data.
    let mut wild = whole.clone();
    wild[..64].fill(0xff);
    assert!(said(wild).starts_with("the database is damaged"));
    assert!(said(file("anonymous.mmdb")).contains("names a country"));
    let none = Database::of_anonymous(whole).unwrap_err().to_string();
    assert!(none.contains("GeoLite2-City") && none.contains("cannot tell"), "{none}");
}

#[test]
fn no_byte_of_a_database_crashes_the_service() {
    let whole = file("nested.mmdb");
    let mut runner = TestRunner::deterministic();
    let change = (0..whole.len(), any::<u8>(), 0..whole.len(), any::<u8>());
    for _ in 0..3000 {
        let (at, byte, other, second) = change.new_tree(&mut runner).unwrap().current();
        let mut damaged = whole.clone();
        (damaged[at], damaged[other]) = (byte, second);
        if let Ok(database) = Database::of_countries(damaged) {
            let atlas = Atlas::new(Vec::new(), Some(database), None);
            for address in ["81.2.69.142", "8.8.8.8", "255.255.255.255", "2a02::1", "::", "9.4.0.1"]
            {
                drop(atlas.locate(address.parse().unwrap()));
            }
        }
    }
}

/// A service that believes proxies in 10.0.0.0/8.
fn behind(world: &World, header: ProxyHeader) -> Router {
    let trusted = vec!["10.0.0.0/8".parse().unwrap()];
    let proxies = Proxies { trusted, header };
    let clock = Arc::new(|| time(NOW));
    let app = App { authority: Arc::clone(&world.authority), clock, log: LogHealth::default() };
    router_within(app, Limits::default(), proxies, TokenPlaces::default())
}

/// A viewer who asks with one token and one request, from anywhere: the region of the license, or the reason.
struct Asker<'a> {
    world: &'a World,
    router: Router,
    token: String,
    body: String,
}

impl<'a> Asker<'a> {
    fn new(world: &'a World, policy: &str, by_token: Option<&str>) -> Self {
        let token = world.token(|claims| {
            claims["content_id"] = "movies/places".into();
            claims["policy_id"] = policy.into();
            if let Some(region) = by_token {
                claims["region"] = region.into();
            }
        });
        let body = world.request(&token, |claims| {
            claims["content_id"] = "movies/places".into();
        });
        Self { world, router: world.router.clone(), token, body }
    }

    async fn reply(&self, peer: Option<&str>, fields: &[(&'static str, HeaderValue)]) -> Reply {
        let Self { token, body, .. } = self;
        let mut request = Request::post("/v1/license")
            .header(AUTHORIZATION, format!("Bearer {token}"))
            .body(Body::from(body.clone()))
            .unwrap();
        for (name, value) in fields {
            request.headers_mut().append(*name, value.clone());
        }
        if let Some(peer) = peer {
            let peer: IpAddr = peer.parse().unwrap();
            request.extensions_mut().insert(Peer(SocketAddr::new(peer, 9)));
        }
        self.world.send_to(&self.router, request).await
    }

    async fn ask(&self, peer: Option<&str>, fields: &[(&'static str, HeaderValue)]) -> String {
        let reply = self.reply(peer, fields).await;
        if reply.status == 200 {
            return reply.license()["region"].as_str().unwrap_or("anywhere").to_owned();
        }
        let reason = reply.json()["reason"].as_str().unwrap().to_owned();
        reply.refuses(403, &reason);
        reason
    }

    async fn from(&self, peer: &str) -> String {
        self.ask(Some(peer), &[]).await
    }
}

const DENIED: &str = "region-denied";

#[tokio::test]
async fn a_license_is_for_the_region_of_the_address() {
    let world = World::new().await;
    for by_token in [None, Some("DE")] {
        let asker = Asker::new(&world, "by-ip", by_token);
        for (peer, expected) in [
            ("6.1.1.1", "US-CA"),
            ("7.1.1.1", DENIED),
            // The country is as narrow as the database is, and a part of it is blocked.
            ("8.8.8.8", DENIED),
            ("81.2.69.142", "GB-LND"),
            ("81.3.0.1", DENIED),
            ("5.1.1.1", DENIED),
            ("192.0.2.1", DENIED),
            ("10.7.1.1", "US-CA"),
            ("10.7.7.1", DENIED),
            ("::ffff:6.1.1.1", "US-CA"),
            ("2002:0601:0101::1", "US-CA"),
        ] {
            assert_eq!(asker.from(peer).await, expected, "{peer}");
        }
        assert_eq!(asker.ask(None, &[]).await, DENIED, "nobody knows who asks");
    }
}

#[tokio::test]
async fn a_token_and_an_address_have_to_agree() {
    let world = World::new().await;
    for (by_token, peer, expected) in [
        (Some("US"), "6.1.1.1", "US-CA"),
        (Some("US"), "8.8.8.8", "US"),
        (Some("US-CA"), "8.8.8.8", "US-CA"),
        (Some("US-CA"), "7.1.1.1", DENIED),
        (Some("US"), "5.1.1.1", DENIED),
        (Some("DE"), "5.1.1.1", DENIED),
        (Some("US"), "192.0.2.1", DENIED),
        (None, "8.8.8.8", DENIED),
    ] {
        let asker = Asker::new(&world, "by-both", by_token);
        assert_eq!(asker.from(peer).await, expected, "{by_token:?} {peer}");
    }
}

#[tokio::test]
async fn who_hides_is_refused_and_who_nobody_knows_too() {
    let world = World::new().await;
    let asker = Asker::new(&world, "no-vpn", Some("US"));
    for (peer, expected) in [
        ("8.8.8.8", "US"),
        ("192.0.2.1", "US"),
        ("8.1.0.1", DENIED),
        ("8.3.0.1", DENIED),
        ("8.4.0.1", DENIED),
        ("8.5.0.1", "US"),
    ] {
        assert_eq!(asker.from(peer).await, expected, "{peer}");
    }
    assert_eq!(asker.ask(None, &[]).await, DENIED);
}

#[tokio::test]
async fn keys_in_the_clear_ask_the_same_address() {
    let world = World::new().await;
    let token = world.token(|claims| {
        claims["content_id"] = "movies/places".into();
        claims["policy_id"] = "clear-by-ip".into();
    });
    for (peer, status) in [("8.8.8.8", 200), ("5.1.1.1", 403)] {
        let kid = crate::world::kid(8, 0).to_string();
        let mut request = Request::get(format!("/v1/hls/movies/places/{kid}.key"))
            .header(AUTHORIZATION, format!("Bearer {token}"))
            .body(Body::empty())
            .unwrap();
        let peer: IpAddr = peer.parse().unwrap();
        request.extensions_mut().insert(Peer(SocketAddr::new(peer, 9)));
        assert_eq!(world.send(request).await.status, status, "{peer}");
    }
}

/// Texts of which header fields of attackers are made.
fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(vec![
            "8.8.8.8",
            "6.1.1.1",
            "5.1.1.1",
            "10.0.0.1",
            "10.7.1.1",
            "unknown",
            "_hidden",
            "for=",
            "for=8.8.8.8",
            "For=\"8.8.8.8\"",
            "by=10.0.0.1",
            ",",
            ";",
            "\"",
            "\\",
            " ",
            "[2600::1]",
            "\"[2600::1]:80\"",
            "::ffff:8.8.8.8",
            "8.8.8.8:80",
            "8.8.8.8:_x",
            "=",
            "for",
            "127.0.0.1",
            "%",
        ])
        .prop_map(str::to_owned),
        "[ -~]{0,12}",
        "[\\u{80}-\\u{ff}]{1,3}",
    ]
}

fn value() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(piece(), 0..8).prop_map(|pieces| pieces.concat().into_bytes())
}

/// 10,000 header fields that a client wrote in front of what its proxy appended: no such request is granted from a country that
/// is not allowed, whatever they say, and every one that comes from an allowed one is answered.
#[tokio::test]
async fn no_header_field_of_a_client_moves_it_to_another_region() {
    let world = World::new().await;
    let mut runner = TestRunner::deterministic();
    let fields = prop::collection::vec(value(), 0..3);
    let mut told = BTreeMap::<String, usize>::new();
    let askers = [ProxyHeader::XForwardedFor, ProxyHeader::Forwarded].map(|header| Asker {
        router: behind(&world, header),
        ..Asker::new(&world, "by-ip", Some("US-CA"))
    });
    for round in 0..10_000 {
        let (asker, header, name) = match round % 2 {
            0 => (&askers[0], ProxyHeader::XForwardedFor, "x-forwarded-for"),
            _ => (&askers[1], ProxyHeader::Forwarded, "forwarded"),
        };
        let written = fields.new_tree(&mut runner).unwrap().current();
        let mut fields: Vec<_> = written
            .iter()
            .filter_map(|value| Some((name, HeaderValue::from_bytes(value).ok()?)))
            .collect();
        // The proxy in front of the service was asked by a client in Germany.
        let proxy = match (header, round % 3) {
            (_, 0) => None,
            (ProxyHeader::XForwardedFor, _) => Some("5.1.1.1"),
            (ProxyHeader::Forwarded, _) => Some("for=5.1.1.1"),
        };
        fields.extend(proxy.map(|proxy| (name, HeaderValue::from_static(proxy))));
        // Without what a proxy appends, the client speaks to the service itself.
        let peer = if proxy.is_some() { "10.0.0.9" } else { "5.1.1.1" };
        let answer = asker.ask(Some(peer), &fields).await;
        *told.entry(answer).or_default() += 1;
    }
    assert_eq!(told, BTreeMap::from([(DENIED.to_owned(), 10_000)]));
    let asker = Asker {
        router: behind(&world, ProxyHeader::XForwardedFor),
        ..Asker::new(&world, "by-ip", None)
    };
    for (value, expected) in [
        ("6.1.1.1", "US-CA"),
        ("5.1.1.1, 6.1.1.1", "US-CA"),
        ("6.1.1.1, unknown", DENIED),
        ("6.1.1.1, _hidden", DENIED),
        ("6.1.1.1, garbage", DENIED),
        ("", DENIED),
    ] {
        let fields = [("x-forwarded-for", HeaderValue::from_static(value))];
        assert_eq!(asker.ask(Some("10.0.0.9"), &fields).await, expected, "{value}");
    }
    // The license says it to the client, and nothing of its address.
    let fields = [("x-forwarded-for", HeaderValue::from_static("6.1.1.1"))];
    let license: Value = asker.reply(Some("10.0.0.9"), &fields).await.license();
    assert!(!license.to_string().contains("6.1.1.1"));
}
