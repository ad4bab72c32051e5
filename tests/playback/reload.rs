//! Reading policies, issuers, origins and the certificate anew, while the service runs.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};

use crate::film::{CONTENT, obtain, provisioned, refusal};
use crate::installation::{Installation, Service};

/// A policy that lets viewers of these countries play.
fn allow(installation: &Installation, countries: &str) {
    let text = format!(
        "can_play = true\nlicense_duration = \"10m\"\n[region]\nevidence = \"token\"\n\
         allowed_countries = [{countries}]\n"
    );
    fs::write(installation.data.path().join("policies/default.toml"), text).unwrap();
}

fn states(installation: &Installation) -> Vec<(String, String)> {
    let list = installation.succeed(&["policy", "list"]);
    let list = list.as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    list.map(|policy| (text(&policy["policy_id"]), text(&policy["state"]))).collect()
}

fn state(installation: &Installation, name: &str) -> String {
    states(installation).into_iter().find(|(policy, _)| policy == name).unwrap().1
}

fn drift(installation: &Installation) -> (String, String) {
    let findings = installation.succeed(&["doctor"]);
    let mut findings = findings.as_array().unwrap().iter();
    let found = findings.find(|finding| finding["part"] == "in force").unwrap();
    let text = |name: &str| found[name].as_str().unwrap().to_owned();
    (text("verdict"), text("text"))
}

#[test]
fn what_the_files_say_is_in_force_after_a_reload_and_not_before() {
    let (installation, _) = provisioned();
    assert_eq!(state(&installation, "default"), "at-start");
    assert!(installation.fail(&["reload"]).contains("no service runs"));
    let token = installation.mint(&["--content", CONTENT, "--region", "US"]);
    let service = installation.serve();
    obtain(&service, &token);
    assert_eq!(state(&installation, "default"), "in-force");
    assert_eq!(drift(&installation).0, "ok");

    allow(&installation, "\"CA\"");
    obtain(&service, &token);
    assert_eq!(state(&installation, "default"), "waits");
    let (verdict, text) = drift(&installation);
    assert!(verdict == "warning" && text.contains("policy default changed"), "{text}");
    let reloaded = installation.succeed(&["reload"]);
    assert_eq!(reloaded["waits_for_restart"], json!([]));
    assert_eq!(reloaded["certificate_expires"], Value::Null);
    assert_eq!(refusal(&service, &token), "region-denied");
    assert_eq!(state(&installation, "default"), "in-force");

    // A new policy can be used at once, and a setting of the listener waits.
    fs::copy(
        installation.data.path().join("policies/default.toml"),
        installation.data.path().join("policies/late.toml"),
    )
    .unwrap();
    assert!(
        installation.fail(&["content", "add", "movies/late", "--policy", "late"]).contains("late")
    );
    installation.configure("[limits]\nconnections = 100\n");
    let reloaded = installation.succeed(&["reload"]);
    assert_eq!(
        reloaded["policies"],
        json!(["default", "kiosk", "late", "live-event", "offline", "premium-movie", "rental"])
    );
    assert_eq!(reloaded["waits_for_restart"], json!(["limits"]));
    installation.succeed(&["content", "add", "movies/late", "--policy", "late"]);
    service.terminate();
}

#[test]
fn a_reload_of_anything_invalid_changes_nothing() {
    let (installation, _) = provisioned();
    let data = installation.data.path();
    let token = installation.mint(&["--content", CONTENT, "--region", "US"]);
    let service = installation.serve();
    let unchanged = |service: &Service, said: &str, why: &str| {
        assert!(said.contains(why), "{said}");
        obtain(service, &token);
    };

    // One file is right and would refuse this viewer; another one is wrong.
    allow(&installation, "\"CA\"");
    fs::write(data.join("policies/broken.toml"), "can_pley = true").unwrap();
    unchanged(&service, &installation.fail(&["reload"]), "broken.toml:1");
    fs::remove_file(data.join("policies/broken.toml")).unwrap();

    let config = fs::read_to_string(data.join("reelkey.toml")).unwrap();
    fs::write(data.join("reelkey.toml"), format!("{config}\n[cors]\nallowed_origins = [\"*\"]\n"))
        .unwrap();
    unchanged(&service, &installation.fail(&["reload"]), "an origin is");
    fs::write(data.join("reelkey.toml"), config).unwrap();

    // A policy that a content names is missed.
    fs::rename(data.join("policies/default.toml"), data.join("default.toml")).unwrap();
    let said = installation.fail(&["reload"]);
    unchanged(&service, &said, "names the policy \"default\"");
    assert_eq!(state(&installation, "default"), "removed");
    fs::rename(data.join("default.toml"), data.join("policies/default.toml")).unwrap();

    installation.succeed(&["reload"]);
    assert_eq!(refusal(&service, &token), "region-denied");
    service.terminate();
}

#[test]
fn a_hangup_signal_reads_everything_anew_and_never_ends_the_service() {
    let (installation, _) = provisioned();
    let token = installation.mint(&["--content", CONTENT, "--region", "US"]);
    let service = installation.serve();
    let hang_up = |until: &str| {
        let before = installation.log().matches(until).count();
        let pid = service.pid().to_string();
        assert!(Command::new("kill").args(["-HUP", &pid]).status().unwrap().success());
        while installation.log().matches(until).count() == before {
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    };
    fs::write(installation.data.path().join("policies/broken.toml"), "x").unwrap();
    allow(&installation, "\"CA\"");
    hang_up("SIGHUP: everything stays as it was");
    obtain(&service, &token);
    fs::remove_file(installation.data.path().join("policies/broken.toml")).unwrap();
    hang_up("SIGHUP: what the files say is in force");
    assert_eq!(refusal(&service, &token), "region-denied");
    service.terminate();
}
