//! The stories of `docs/rights.md`, request by request: the page has a policy, and tables of who asks when and what comes of
//! it. Each table is an account of which nothing is known, served at the moments that its rows name.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::Arc;

use axum::body::Body;
use axum::http::Request;
use axum::http::header::AUTHORIZATION;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use reelkey::authority::in_force::Snapshot;
use reelkey::authority::operation::content::AddContent;
use reelkey::authority::operation::key::GenerateKey;
use reelkey::domain::policy_file;
use reelkey_client::exchange::device::DeviceKey;
use reelkey_client::strict::base64url;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::world::{ISS, NOW, Reply, SERVICE, World, key, sign};

const FILM: &str = "movies/contract";
const POLICY: &str = "contract";
const HEAD: &str = "| moment | device | region | request | answer | why |";
const FORMAT: &str = "%Y-%m-%d %H:%M:%S";

/// A row of a table.
struct Row<'a> {
    moment: &'a str,
    device: &'a str,
    region: &'a str,
    request: &'a str,
    answer: &'a str,
}

/// The last license of a device.
struct Held {
    id: String,
    issued_at: u64,
    session_type: String,
    entitlement: String,
}

/// A story: the account's devices and what they were granted.
struct Story {
    world: World,
    devices: BTreeMap<String, DeviceKey>,
    held: BTreeMap<String, Held>,
    requests: u32,
}

#[tokio::test]
async fn every_row_of_the_contract_is_what_the_service_answers() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/rights.md");
    let page = fs::read_to_string(page).unwrap();
    let policy = page.split("```toml\n").nth(1).unwrap().split("\n```").next().unwrap();
    let (mut answers, mut rows) = (BTreeSet::new(), 0);
    for table in tables(&page) {
        let mut story = Story::under(policy).await;
        for row in table {
            let answer = story.answer(&row).await;
            assert_eq!(
                answer, row.answer,
                "{} {} {} {}",
                row.moment, row.device, row.region, row.request
            );
            answers.insert(answer.rsplit(", ").next().unwrap().to_owned());
            rows += 1;
        }
    }
    let told = [
        "license_duration",
        "persistent.license_duration",
        "rental_duration",
        "playback_duration",
        "region.blackout",
        "blackout",
        "region-denied",
        "rental-expired",
        "playback-expired",
        "device-limit",
        "concurrency-limit",
        "license-expired",
        "released",
        "removed",
    ];
    assert_eq!(answers, told.map(String::from).into(), "each rule of the contract is told");
    assert!(rows > 40, "{rows} rows");
}

/// The tables of the page that are stories.
fn tables(page: &str) -> Vec<Vec<Row<'_>>> {
    let mut tables: Vec<Vec<Row<'_>>> = Vec::new();
    let mut lines = page.lines();
    while lines.by_ref().any(|line| line == HEAD) {
        assert!(lines.next().unwrap().starts_with("|---"));
        let rows = lines.by_ref().take_while(|line| line.starts_with('|')).map(|line| {
            let cells: Vec<_> = line.trim_matches('|').split('|').map(str::trim).collect();
            let [moment, device, region, request, answer, _] = cells[..] else { panic!("{line}") };
            Row { moment, device, region, request, answer }
        });
        tables.push(rows.collect());
    }
    tables
}

fn seconds(moment: &str) -> u64 {
    let moment = DateTime::strptime(FORMAT, moment).unwrap().to_zoned(TimeZone::UTC).unwrap();
    u64::try_from(moment.timestamp().as_second()).unwrap()
}

fn moment(seconds: u64) -> String {
    let seconds = i64::try_from(seconds).unwrap();
    jiff::Timestamp::from_second(seconds).unwrap().strftime(FORMAT).to_string()
}

impl Story {
    async fn under(policy: &str) -> Self {
        let world = World::new().await;
        let change = world.authority.change().await;
        let before = change.before();
        let mut policies = before.policies.as_ref().clone();
        policies.insert(POLICY.into(), policy_file::parse(POLICY, policy).unwrap());
        change.put(Snapshot { policies: Arc::new(policies), ..before });
        world.film().await;
        Self { world, devices: BTreeMap::new(), held: BTreeMap::new(), requests: 0 }
    }

    /// Makes the request of a row. Returns the answer as the page has it.
    async fn answer(&mut self, row: &Row<'_>) -> String {
        let now = seconds(row.moment);
        self.world.set_clock(now);
        self.devices.entry(row.device.into()).or_insert_with(key);
        let (kind, rest) = row.request.split_once(' ').unwrap_or((row.request, ""));
        let held = self.held.get(row.device);
        let (session_type, entitlement) = match kind {
            "NEW" => {
                let (session_type, rental) = rest.split_once(" of ").unwrap_or((rest, "rental-1"));
                (session_type.to_owned(), rental.to_owned())
            }
            "DELETE" => return self.delete(row, now).await,
            _ => {
                let held = held.unwrap();
                (held.session_type.clone(), held.entitlement.clone())
            }
        };
        let token = self.token(row, now, json!({ "entitlement_id": entitlement }));
        self.requests += 1;
        let mut claims = json!({
            "aud": SERVICE, "iat": now, "jti": format!("{:022}", self.requests),
            "request_type": kind, "session_type": session_type,
            "ath": base64url::encode(&Sha256::digest(&token)),
        });
        match held.filter(|_| kind != "NEW") {
            None => claims["content_id"] = FILM.into(),
            Some(held) => claims["license_id"] = held.id.clone().into(),
        }
        if kind != "RELEASE" {
            claims["enc_jwk"] = key().public_key().to_jwk();
        }
        if let Some(played) = rest.strip_prefix("first play ") {
            claims["first_play"] = (seconds(played) - held.unwrap().issued_at).into();
        }
        let device = &self.devices[row.device];
        let header = json!({ "typ": "license-request+jwt", "alg": "ES256",
            "jwk": device.public_key().to_jwk() });
        let reply = self.world.post(Some(&token), sign(&header, &claims, device)).await;
        match kind {
            _ if reply.status != 200 => reason(&reply),
            "RELEASE" => "released".into(),
            _ => self.granted(row, &reply.license(), entitlement),
        }
    }

    /// Remembers a license, and says until when it was granted and why.
    fn granted(&mut self, row: &Row<'_>, license: &Value, entitlement: String) -> String {
        let text = |name: &str| license[name].as_str().unwrap().to_owned();
        let (id, session_type) = (text("jti"), text("session_type"));
        let before = self.held.get(row.device).filter(|held| held.id == id);
        let issued_at =
            before.map_or_else(|| license["iat"].as_u64().unwrap(), |held| held.issued_at);
        let held = Held { id, issued_at, session_type, entitlement };
        self.held.insert(row.device.into(), held);
        let until = moment(license["exp"].as_u64().unwrap());
        format!("granted until {until}, {}", license["policy"]["expires_because"].as_str().unwrap())
    }

    async fn delete(&self, row: &Row<'_>, now: u64) -> String {
        let token = self.token(row, now, json!({ "scope": "devices" }));
        let jkt = self.devices[row.device].public_key().thumbprint();
        let request = Request::delete(format!("/v1/devices/{jkt}"))
            .header(AUTHORIZATION, format!("Bearer {token}"));
        let reply = self.world.send(request.body(Body::empty()).unwrap()).await;
        if reply.status == 200 { "removed".into() } else { reason(&reply) }
    }

    /// A token of this moment for the viewer of the story.
    fn token(&self, row: &Row<'_>, now: u64, more: Value) -> String {
        let mut claims = json!({
            "iss": ISS, "sub": "alice", "aud": SERVICE, "iat": now, "exp": now + 3600,
            "content_id": FILM,
        });
        let members = claims.as_object_mut().unwrap();
        members.extend(more.as_object().unwrap().clone());
        if row.region != "none" {
            members.insert("region".into(), row.region.into());
        }
        sign(&json!({ "alg": "ES256", "typ": "JWT" }), &claims, &self.world.issuer)
    }
}

fn reason(reply: &Reply) -> String {
    reply.json()["reason"].as_str().unwrap().to_owned()
}

impl World {
    /// Adds the film of the contract, with one key.
    async fn film(&self) {
        let content_id = FILM.parse().unwrap();
        self.administer(
            AddContent { content_id, policies: vec![POLICY.into()], crypto_period_seconds: None },
            NOW,
        )
        .await;
        let content_id = FILM.parse().unwrap();
        let key = GenerateKey { content_id, track_type: None, crypto_period_index: None };
        self.administer(key, NOW).await;
    }
}
