//! What the service tells Prometheus: the numbers move, their names are bounded, and the files in `deploy/` fit them.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::film::{CONTENT, obtain, provisioned};
use crate::installation::{Installation, Service, tool};

const TABLE: &str = "[metrics]\nlisten = \"127.0.0.1:0\"\n";

/// One `GET` in plain HTTP: the whole answer.
fn get(url: &str, accept: &str) -> String {
    let (host, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let mut stream = TcpStream::connect(host).unwrap();
    let head = format!("GET /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n");
    write!(stream, "{head}Accept: {accept}\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn scrape(service: &Service) -> String {
    let answer = get(service.metrics_url.as_ref().unwrap(), "*/*");
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    assert!(head.contains("content-type: text/plain; version=0.0.4; charset=utf-8"), "{head}");
    body.to_owned()
}

/// The value of a series, which has to be there.
fn value(text: &str, series: &str) -> f64 {
    let found = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    assert!(found.is_some(), "{series} is not in\n{text}");
    found.unwrap().parse().unwrap()
}

/// Tries until it is so; the figures of the store are counted within seconds.
fn until<T>(mut attempt: impl FnMut() -> Option<T>) -> T {
    let attempt = |_| {
        thread::sleep(Duration::from_millis(100));
        attempt()
    };
    (0..300).find_map(attempt).expect("it is so within half a minute")
}

fn promtool(words: &[&str], input: &str) {
    let mut tool = Command::new(tool("prometheus/usr/bin/promtool"));
    tool.args(words).current_dir(deploy("")).stdin(Stdio::piped());
    let mut tool = tool.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    tool.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = tool.wait_with_output().unwrap();
    assert!(output.status.success(), "{words:?}: {output:?}\n{input}");
}

fn deploy(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(file)
}

#[test]
fn the_numbers_move_as_licenses_are_granted_and_refused() {
    let (installation, _) = provisioned();
    installation.configure(TABLE);
    let service = installation.serve();
    let before = scrape(&service);
    let granted = "reelkey_licenses_total{result=\"granted\",reason=\"none\"}";
    let invalid = "reelkey_licenses_total{result=\"refused\",reason=\"token-invalid\"}";
    let generated = "reelkey_operations_total{operation=\"key/generate\",result=\"done\"}";
    assert_eq!((value(&before, granted), value(&before, invalid)), (0.0, 0.0));

    obtain(&service, &installation.mint(&["--content", CONTENT]));
    obtain(&service, &installation.mint(&["--content", CONTENT]));
    assert_eq!(service.send("POST", "/v1/license", "no.token.atall", "x").0, 403);
    assert_eq!(service.send("GET", "/nowhere", "", "").0, 404);
    installation.succeed(&["key", "generate", CONTENT, "--track", "HD"]);
    installation.fail(&["content", "remove", CONTENT]);
    let after = scrape(&service);
    assert_eq!(value(&after, granted), 2.0);
    assert_eq!(value(&after, invalid), 1.0);
    assert_eq!(value(&after, "reelkey_license_duration_seconds_count{result=\"granted\"}"), 2.0);
    assert!(value(&after, "reelkey_license_duration_seconds_sum{result=\"granted\"}") > 0.0);
    assert_eq!(value(&after, "reelkey_refused_requests_total{reason=\"not-found\"}"), 1.0);
    assert_eq!(value(&after, generated), 1.0);
    let removed = "reelkey_operations_total{operation=\"content/remove\",result=\"refused\"}";
    assert_eq!(value(&after, removed), 1.0);
    assert_eq!(value(&after, "reelkey_store_commits_total"), 1.0);
    assert_eq!(value(&after, "reelkey_store_commit_duration_seconds_count"), 1.0);
    assert_eq!(value(&after, "reelkey_store_healthy"), 1.0);
    let [start, signer] = ["process_start_time", "signer_start_timestamp"]
        .map(|name| value(&after, &format!("reelkey_{name}_seconds")));
    assert!(start >= signer && signer > 1.7e9, "{start}, {signer}");
    until(|| {
        let text = scrape(&service);
        (value(&text, "reelkey_keys{state=\"active\"}") == 3.0
            && value(&text, "reelkey_contents") == 1.0
            && value(&text, "reelkey_kek_created_timestamp_seconds") > 1.7e9)
            .then_some(())
    });
    // A store that takes another's place goes on counting.
    installation.succeed(&["root", "rotate"]);
    installation.succeed(&["content", "add", "movies/other", "--policy", "default"]);
    assert!(value(&scrape(&service), "reelkey_store_commits_total") >= 2.0);

    let held = TcpStream::connect(service.url.strip_prefix("http://").unwrap()).unwrap();
    until(|| (value(&scrape(&service), "reelkey_connections") >= 1.0).then_some(()));
    drop(held);
    until(|| (value(&scrape(&service), "reelkey_connections") == 0.0).then_some(()));
    promtool(&["check", "metrics"], &scrape(&service));
    service.terminate();
}

#[test]
fn no_client_makes_a_new_series() {
    let installation = Installation::new();
    installation.configure(TABLE);
    let service = installation.serve();
    let series = |text: &str| -> Vec<String> {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        lines.map(|line| line.rsplit_once(' ').unwrap().0.to_owned()).collect()
    };
    // The contents of the store are told a moment after the start.
    let before = until(|| Some(scrape(&service)).filter(|text| text.contains("reelkey_contents ")));
    for at in 0..50 {
        service.send("GET", &format!("/made/up/{at}"), "", "");
        service.send(&format!("BREW{at}"), "/v1/license", &format!("a{at}.b.c"), "{}");
        service.send("POST", "/v1/license", &format!("a{at}.b.c"), "{}");
        get(&service.metrics_url.clone().unwrap().replace("metrics", &at.to_string()), "*/*");
    }
    assert_eq!(series(&scrape(&service)), series(&before));
    service.terminate();
}

#[test]
fn metrics_are_for_this_machine_and_stop_nothing() {
    let installation = Installation::new();
    let silent = installation.serve();
    assert!(silent.metrics_url.is_none(), "there are none unless they are asked for");
    assert_eq!(silent.send("GET", "/metrics", "", "").0, 404);
    silent.terminate();

    let config = installation.data.path().join("reelkey.toml");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, format!("{text}\n[metrics]\nlisten = \"0.0.0.0:0\"\n")).unwrap();
    assert!(installation.fail(&["serve"]).contains("allow_remote = true"));
    fs::write(&config, format!("{text}\n[metrics]\nlisten = \"0.0.0.0:0\"\nallow_remote = true\n"))
        .unwrap();
    installation.serve().terminate();

    // Somebody else has the port: players are served all the same.
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = other.local_addr().unwrap();
    fs::write(&config, format!("{text}\n[metrics]\nlisten = \"{taken}\"\n")).unwrap();
    let service = installation.serve();
    assert!(service.metrics_url.is_none());
    assert_eq!(service.send("GET", "/readyz", "", "").0, 200);
    assert!(installation.log().contains("no metrics"), "{}", installation.log());
    service.terminate();
}

/// Every name of ours in a text, without what a histogram appends.
fn names(text: &str) -> Vec<String> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    let ours = words.filter(|word| word.starts_with("reelkey_"));
    ours.map(|name| name.strip_suffix("_bucket").unwrap_or(name).to_owned()).collect()
}

#[test]
fn the_dashboard_and_the_alerts_name_only_what_is_told() {
    let installation = Installation::new();
    installation.identify();
    installation.configure(TABLE);
    let database = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/geoip/nested.mmdb");
    fs::copy(database, installation.data.path().join("country.mmdb")).unwrap();
    installation.configure("[geoip]\ncountry = \"country.mmdb\"\n");
    let service = installation.serve();
    installation.succeed(&["content", "list"]);
    let told = until(|| Some(scrape(&service)).filter(|text| text.contains("reelkey_contents ")));
    assert!(value(&told, "reelkey_certificate_expiry_timestamp_seconds") > 1.7e9);
    let described: Vec<_> = told.lines().filter(|line| line.starts_with("# TYPE ")).collect();
    for file in ["grafana-dashboard.json", "reelkey.rules.yml", "reelkey.rules.test.yml"] {
        let names = names(&fs::read_to_string(deploy(file)).unwrap());
        assert!(names.len() > 9, "{file}");
        for name in &names {
            let is_told = described.iter().any(|line| line[7..].starts_with(&format!("{name} ")));
            assert!(is_told, "{file}: {name} is not in\n{told}");
        }
    }
    let dashboard: Value =
        serde_json::from_slice(&fs::read(deploy("grafana-dashboard.json")).unwrap()).unwrap();
    assert!(dashboard["panels"].as_array().unwrap().len() > 9);
    service.terminate();
}

#[test]
fn promtool_takes_the_configuration_and_the_alerts_fire() {
    promtool(&["check", "config", "prometheus.yml"], "");
    promtool(&["check", "rules", "--lint-fatal", "reelkey.rules.yml"], "");
    promtool(&["test", "rules", "reelkey.rules.test.yml"], "");
}

/// A Prometheus, killed when it is dropped.
struct Prometheus(Child);

impl Drop for Prometheus {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

#[test]
fn prometheus_scrapes_a_running_service() {
    let (installation, _) = provisioned();
    installation.configure(TABLE);
    let service = installation.serve();
    obtain(&service, &installation.mint(&["--content", CONTENT]));
    let url = service.metrics_url.clone().unwrap();
    let open = get(&url, "application/openmetrics-text;version=1.0.0,text/plain;q=0.5");
    assert!(open.contains("application/openmetrics-text; version=1.0.0"), "{open}");
    assert!(open.ends_with("# EOF\n"), "{open}");

    let folder = tempfile::tempdir().unwrap();
    let target = url.strip_prefix("http://").unwrap().strip_suffix("/metrics").unwrap();
    let config = fs::read_to_string(deploy("prometheus.yml")).unwrap();
    let config = config.replace("127.0.0.1:7421\"]", &format!("{target}\"]")).replace("15s", "1s");
    let rules = deploy("reelkey.rules.yml");
    let config = config.replace("- reelkey.rules.yml", &format!("- {}", rules.display()));
    fs::write(folder.path().join("prometheus.yml"), config).unwrap();
    // A port that was free a moment ago.
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let log = fs::File::create(folder.path().join("log")).unwrap();
    let mut prometheus = Command::new(tool("prometheus/usr/bin/prometheus"));
    prometheus.arg(format!("--web.listen-address={free}")).current_dir(folder.path());
    prometheus.args(["--config.file=prometheus.yml", "--storage.tsdb.path=data"]);
    let _prometheus = Prometheus(prometheus.stdout(Stdio::null()).stderr(log).spawn().unwrap());
    until(|| TcpStream::connect(free).ok());
    let query = |series: &str| -> Option<String> {
        let answer = get(&format!("http://{free}/api/v1/query?query={series}"), "*/*");
        let (_, body) = answer.split_once("\r\n\r\n")?;
        let answer: Value = serde_json::from_str(body).ok()?;
        Some(answer["data"]["result"][0]["value"][1].as_str()?.to_owned())
    };
    for (series, expected) in [
        ("reelkey_licenses_total%7Bresult%3D%22granted%22%7D", "1"),
        ("reelkey_license_duration_seconds_count%7Bresult%3D%22granted%22%7D", "1"),
        ("reelkey_keys%7Bstate%3D%22active%22%7D", "2"),
    ] {
        until(|| query(series).filter(|value| value == expected));
    }
    service.terminate();
}
