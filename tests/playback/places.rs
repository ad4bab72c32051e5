//! Regions by address, as an operator sets them up: databases and networks, what is refused at start and reload, a database that
//! changes under the service, and what log, doctor and metrics tell.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use reelkey::crypto::random::SystemRng;
use reelkey_client::exchange::device::DeviceKey;
use reelkey_client::strict::base64url;
use serde_json::Value;

use crate::film::{CONTENT, ask, now, provisioned};
use crate::installation::{Installation, Service, tool};

const DAY: u64 = 86_400;

/// A service behind a proxy on this machine, and databases in its data folder.
const TABLES: &str = "[proxies]\ntrusted = [\"127.0.0.1\"]\n[geoip]\ncountry = \"geo/country.mmdb\"\n\
    anonymous = \"geo/anonymous.mmdb\"\n[networks]\n\"10.7.0.0/16\" = \"US-CA\"\n[region_groups]\nNA = [\"US\", \"CA\"]\n\
    [log]\naddresses = \"prefix\"\n[metrics]\nlisten = \"127.0.0.1:0\"\n";

/// A database of the tests, as if it had been built then.
fn database(name: &str, built: u64) -> Vec<u8> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/geoip");
    let mut bytes = fs::read(format!("{folder}/{name}")).unwrap();
    let field = b"build_epoch";
    let at = bytes.windows(field.len()).position(|part| part == field).unwrap() + field.len();
    // An unsigned integer of 64 bits (extended type 9) with four bytes.
    assert_eq!(bytes[at..at + 2], [0x04, 0x02], "{name}");
    bytes[at + 2..at + 6].copy_from_slice(&u32::try_from(built).unwrap().to_be_bytes());
    bytes
}

fn put(installation: &Installation, name: &str, bytes: &[u8]) {
    let folder = installation.data.path().join("geo");
    fs::create_dir_all(&folder).unwrap();
    let aside = folder.join("aside");
    fs::write(&aside, bytes).unwrap();
    fs::rename(aside, folder.join(name)).unwrap();
}

fn allow(installation: &Installation, region: &str) {
    let policy = format!("can_play = true\nlicense_duration = \"10m\"\n[region]\n{region}\n");
    fs::write(installation.data.path().join("policies/default.toml"), policy).unwrap();
}

const BY_BOTH: &str =
    "evidence = \"token-and-ip\"\nallowed_countries = [\"NA\"]\nblock_vpn_and_tor = true";

fn configured() -> Installation {
    let (installation, _) = provisioned();
    installation.configure(TABLES);
    put(&installation, "country.mmdb", &database("nested.mmdb", now().as_secs() - DAY));
    put(&installation, "anonymous.mmdb", &database("anonymous.mmdb", now().as_secs() - 61 * DAY));
    allow(&installation, BY_BOTH);
    installation
}

/// Asks through the proxy as a client at `address`: the license's region, or the reason.
fn from(service: &Service, token: &str, address: &str) -> String {
    let device = DeviceKey::generate(&mut SystemRng).unwrap();
    let draft = ask(token).draft(&device.public_key(), None, &mut SystemRng).unwrap();
    let (body, _) = draft.sign(&device);
    let mut stream = TcpStream::connect(service.url.strip_prefix("http://").unwrap()).unwrap();
    write!(
        stream,
        "POST /v1/license HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Forwarded-For: {address}\r\n\
         Authorization: Bearer {token}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    if head.starts_with("HTTP/1.1 200") {
        let claims = base64url::decode(body.split('.').nth(1).unwrap()).unwrap();
        let claims: Value = serde_json::from_slice(&claims).unwrap();
        return claims["region"].as_str().unwrap().to_owned();
    }
    let problem: Value = serde_json::from_str(body).unwrap();
    problem["reason"].as_str().unwrap().to_owned()
}

fn lines(installation: &Installation, message: &str) -> Vec<Value> {
    let log = installation.log();
    let lines = log.lines().filter(|line| line.contains(message));
    lines.map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A field of a line of the log, wherever the line has it.
fn field<'a>(line: &'a Value, name: &str) -> &'a Value {
    let found = &line[name];
    if found.is_null() { &line["fields"][name] } else { found }
}

#[test]
fn a_database_counts_from_a_reload_on_and_a_damaged_one_never() {
    let installation = configured();
    let token = installation.mint(&["--content", CONTENT, "--region", "US"]);
    let service = installation.serve();
    assert_eq!(from(&service, &token, "6.1.1.1"), "US-CA");
    assert_eq!(from(&service, &token, "10.7.1.1"), "US-CA");
    for refused in ["5.1.1.1", "8.1.0.1", "192.0.2.1", "unknown", "garbage"] {
        assert_eq!(from(&service, &token, refused), "region-denied", "{refused}");
    }

    // Another database takes its place; it has no parts of countries, and does not know the first address.
    put(&installation, "country.mmdb", &database("flat.mmdb", now().as_secs()));
    assert_eq!(from(&service, &token, "6.1.1.1"), "US-CA");
    let found = installation.succeed(&["doctor"]);
    let drift = found.as_array().unwrap().iter().find(|found| found["part"] == "in force").unwrap();
    assert!(drift["text"].as_str().unwrap().contains("geoip.country changed"), "{drift}");
    installation.succeed(&["reload"]);
    assert_eq!(from(&service, &token, "6.1.1.1"), "region-denied");
    assert_eq!(from(&service, &token, "8.8.8.8"), "US");

    let whole = database("nested.mmdb", now().as_secs());
    for damaged in [&whole[..whole.len() / 2], b"", b"not a database"] {
        put(&installation, "country.mmdb", damaged);
        let said = installation.fail(&["reload"]);
        assert!(said.contains("country.mmdb") && said.contains("damaged"), "{said}");
        assert_eq!(from(&service, &token, "8.8.8.8"), "US");
        let check = installation.fail(&["policy", "check"]);
        assert!(check.contains("damaged"), "{check}");
    }
    fs::write(installation.data.path().join("geo/country.mmdb"), whole).unwrap();
    installation.succeed(&["reload"]);
    assert_eq!(from(&service, &token, "6.1.1.1"), "US-CA");
    service.terminate();
}

#[test]
fn the_log_has_the_evidence_and_of_the_address_what_it_may() {
    let installation = configured();
    let token = installation.mint(&["--content", CONTENT, "--region", "US"]);
    let service = installation.serve();
    assert_eq!(from(&service, &token, "6.1.1.77"), "US-CA");
    assert_eq!(from(&service, &token, "10.7.1.77"), "US-CA");
    assert_eq!(from(&service, &token, "5.1.1.77"), "region-denied");
    service.terminate();
    let built = now().as_secs() / DAY - 1;
    let granted = lines(&installation, "license granted");
    let is = |line: &Value, name: &str, expected: &str| {
        assert_eq!(field(line, name).as_str(), Some(expected), "{name} of {line}");
    };
    is(&granted[0], "client", "6.1.1.0/24");
    is(&granted[0], "region", "US-CA");
    is(&granted[0], "region.from", "token-and-database");
    is(&granted[0], "region.by_address", "US-CA");
    assert_eq!(field(&granted[0], "region.database_built").as_u64().unwrap() / DAY, built);
    is(&granted[1], "client", "10.7.1.0/24");
    is(&granted[1], "region.from", "token-and-network");
    assert!(field(&granted[1], "region.database_built").is_null());
    let refused = lines(&installation, "license refused");
    is(&refused[0], "rule", "region.evidence");
    is(&refused[0], "region", "US");
    is(&refused[0], "region.by_address", "DE");
    for address in ["6.1.1.77", "10.7.1.77", "5.1.1.77"] {
        let log = installation.log();
        let mut decisions = log.lines().filter(|line| line.contains("\"license "));
        assert!(!decisions.any(|line| line.contains(address)), "{address}");
    }
}

#[test]
fn the_age_of_a_database_is_told() {
    let installation = configured();
    let service = installation.serve();
    let found = installation.succeed(&["doctor"]);
    let found = found.as_array().unwrap().iter().filter(|found| found["part"] == "addresses");
    let found: Vec<_> = found.collect();
    let says = |at: usize, part: &str| found[at]["text"].as_str().unwrap().contains(part);
    assert!(found[0]["verdict"] == "ok" && says(0, "country: GeoLite2-City"), "{found:?}");
    assert!(found[1]["verdict"] == "warning" && says(1, "61 days ago"), "{found:?}");
    let url = service.metrics_url.clone().unwrap();
    let (host, _) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let mut stream = TcpStream::connect(host).unwrap();
    write!(stream, "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut told = String::new();
    stream.read_to_string(&mut told).unwrap();
    for (name, days) in [("country", 1), ("anonymous", 61)] {
        let series = format!("reelkey_geoip_build_timestamp_seconds{{database=\"{name}\"}} ");
        let value = told.lines().find_map(|line| line.strip_prefix(&series)).unwrap();
        let age = now().as_secs() - value.parse::<u64>().unwrap();
        assert_eq!(age / DAY, days, "{name}");
    }
    service.terminate();
}

#[test]
fn explain_asks_the_same_as_a_license() {
    let installation = configured();
    let token = installation.mint(&["--content", CONTENT, "--region", "US"]);
    let file = format!("@{}", installation.write("token", token.as_bytes()).display());
    let explained = |address: &[&str]| -> Value {
        let words = [&["policy", "explain", "--token", &file, "--json"], address].concat();
        serde_json::from_slice(&installation.run(&words).stdout).unwrap()
    };
    for service in [None, Some(())] {
        let service = service.map(|()| installation.serve());
        for (address, decision) in
            [("6.1.1.1", "grant"), ("5.1.1.1", "refuse"), ("8.1.0.1", "refuse")]
        {
            let said = explained(&["--address", address]);
            assert_eq!(said["decision"], decision, "{said}");
        }
        let said = explained(&["--address", "5.1.1.1"]);
        let steps = said["steps"].as_array().unwrap();
        let failed = steps.iter().find(|step| step["outcome"] == "fail").unwrap();
        assert_eq!(
            (failed["rule"].as_str(), failed["actual"].as_str()),
            (Some("region.evidence"), Some("DE"))
        );
        let said = explained(&[]);
        assert_eq!(said["reason"], "region-denied");
        if let Some(service) = service {
            service.terminate();
        }
    }
}

#[test]
fn what_could_not_be_kept_is_refused_at_start_at_reload_and_by_the_check() {
    let (installation, _) = provisioned();
    let service = installation.serve();
    let config = installation.data.path().join("reelkey.toml");
    let fresh = fs::read_to_string(&config).unwrap();
    let nested = database("nested.mmdb", now().as_secs());
    put(&installation, "country.mmdb", &nested);
    put(&installation, "anonymous.mmdb", &database("anonymous.mmdb", now().as_secs()));
    let networks = "[networks]\n\"10.0.0.0/8\" = \"US\"\n";
    for (top, tables, region, part) in [
        ("", "", "evidence = \"ip\"", "default.toml:4: region.evidence: nothing tells where"),
        (
            "tls_terminated_by_proxy = true\n",
            networks,
            "evidence = \"token-and-ip\"",
            "default.toml:4: region.evidence: every client would have",
        ),
        (
            "",
            "[geoip]\ncountry = \"geo/country.mmdb\"\n",
            "evidence = \"token\"\nblock_vpn_and_tor = true",
            "default.toml:5: region.block_vpn_and_tor: nothing tells which",
        ),
        (
            "",
            "[geoip]\nanonymous = \"geo/country.mmdb\"\n",
            "evidence = \"token\"\nblock_vpn_and_tor = true",
            "cannot tell which addresses are anonymous",
        ),
        ("", "[geoip]\ncountry = \"geo/anonymous.mmdb\"\n", "evidence = \"ip\"", "names a country"),
        ("", "[geoip]\ncountry = \"geo/none.mmdb\"\n", "evidence = \"ip\"", "none.mmdb"),
        (
            "",
            "[geoip]\ncountry = \"../country.mmdb\"\n",
            "evidence = \"ip\"",
            "not in the data folder",
        ),
        (
            "",
            networks,
            "evidence = \"ip\"\nallowed_countries = [\"NORDICS\"]",
            "default.toml:5: region.allowed_countries[0]: a region is",
        ),
        ("", "[networks]\n\"10.0.0.1/8\" = \"US\"\n", "evidence = \"ip\"", "10.0.0.0/8"),
        ("", "[networks]\n\"10.0.0.0/8\" = \"EU\"\n", "evidence = \"ip\"", "EU is no country"),
    ] {
        fs::write(&config, format!("{top}{fresh}\n{tables}")).unwrap();
        allow(&installation, region);
        for words in [&["policy", "check"][..], &["reload"]] {
            let said = installation.fail(words);
            assert!(said.contains(part), "{words:?}: {said}");
        }
        let other = Installation::copy_of(installation.data.path());
        fs::remove_file(other.data.path().join("admin.sock")).unwrap();
        let said = other.fail(&["serve", "--listen", "127.0.0.1:0"]);
        assert!(said.contains(part), "serve: {said}");
    }
    service.terminate();
}

#[test]
fn a_database_elsewhere_is_read_where_nobody_else_may_write_it() {
    let (installation, _) = provisioned();
    let elsewhere = tempfile::tempdir().unwrap();
    let file = elsewhere.path().join("country.mmdb");
    fs::write(&file, database("nested.mmdb", now().as_secs())).unwrap();
    let mode = |path: &Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    mode(&file, 0o644);
    installation.configure(&format!("[geoip]\ncountry = \"{}\"\n", file.display()));
    allow(&installation, "evidence = \"ip\"\nallowed_countries = [\"US\"]");
    installation.succeed(&["policy", "check"]);
    let said = installation.succeed(&["doctor"]);
    assert!(said.to_string().contains("country: GeoLite2-City"), "{said}");
    for (path, open, closed) in [(&*file, 0o666, 0o644), (elsewhere.path(), 0o777, 0o700)] {
        mode(path, open);
        let said = installation.fail(&["policy", "check"]);
        assert!(said.contains("chmod go-w"), "{said}");
        assert!(installation.fail(&["serve"]).contains("chmod go-w"));
        mode(path, closed);
    }
    installation.serve().terminate();
}

#[test]
fn the_databases_are_what_their_script_makes() {
    let made = tempfile::tempdir().unwrap();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/geoip");
    let mut python = Command::new(tool("python/bin/python"));
    let run = python.arg(folder.join("make")).arg(made.path()).output().unwrap();
    assert!(run.status.success(), "{run:?}");
    for name in ["nested.mmdb", "flat.mmdb", "anonymous.mmdb"] {
        let same =
            fs::read(made.path().join(name)).unwrap() == fs::read(folder.join(name)).unwrap();
        assert!(same, "{name}: run target/tools/python/bin/python tests/geoip/make tests/geoip");
    }
}
