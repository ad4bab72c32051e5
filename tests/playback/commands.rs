//! The command line: what repeating, contradicting and mistyping do.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use crate::installation::Installation;

const KID: &str = "4d97930a-3d7b-5000-8000-5c7bda1f0a11";
const KEY: &str = "000102030405060708090a0b0c0d0e0f";

#[test]
fn a_first_session_works_as_it_is_documented() {
    let installation = Installation::new();
    let jwks = json!({ "keys": [{ "kty": "EC", "crv": "P-256", "kid": "a",
        "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0" }] });
    let jwks = installation.write("auth.jwks.json", jwks.to_string().as_bytes());
    let add = [
        "issuer",
        "add",
        "https://other.example",
        "--jwks",
        jwks.to_str().unwrap(),
        "--alg",
        "ES256",
        "--content",
        "movies/*",
    ];
    assert_eq!(installation.succeed(&add)["created"], true);
    let config = fs::read_to_string(installation.data.path().join("reelkey.toml")).unwrap();
    assert!(config.contains("# Who may issue authorization tokens"), "comments stay");
    assert_eq!(installation.succeed(&add)["created"], false);
    assert_eq!(fs::read_to_string(installation.data.path().join("reelkey.toml")).unwrap(), config);
    let said = installation.fail(&[&add[..6], &["RS256", "--content", "movies/*"]].concat());
    assert!(said.contains("other values"), "{said}");

    let content = ["content", "add", "movies/bunny", "--policy", "premium-movie"];
    assert_eq!(installation.succeed(&content)["created"], true);
    assert_eq!(installation.succeed(&content)["created"], false);
    let key = format!("@{}", installation.write("key.hex", KEY.as_bytes()).display());
    let import = ["key", "import", "movies/bunny", "--track", "HD", "--kid", KID, "--key", &key];
    assert_eq!(installation.succeed(&import)["created"], true);
    assert_eq!(installation.succeed(&import)["created"], false);
    let generated = installation.succeed(&["key", "generate", "movies/bunny", "--track", "AUDIO"]);
    let listed = installation.succeed(&["key", "list", "movies/bunny"]);
    let kids: Vec<_> = listed.as_array().unwrap().iter().map(|key| key["kid"].clone()).collect();
    assert_eq!(kids.len(), 2);
    assert!(kids.contains(&json!(KID)) && kids.contains(&generated["kid"]));
    assert_eq!(installation.succeed(&["key", "show", KID])["track_type"], "HD");
    assert_eq!(installation.succeed(&["content", "show", "movies/bunny"])["keys"], listed);
    assert_eq!(installation.succeed(&["content", "list"])[0]["content_id"], "movies/bunny");
    assert_eq!(installation.succeed(&["issuer", "list"]).as_array().unwrap().len(), 2);
    let shipped = json!(["default", "kiosk", "live-event", "offline", "premium-movie", "rental"]);
    let listed = installation.succeed(&["policy", "list"]);
    let names: Vec<_> = listed.as_array().unwrap().iter().map(|one| &one["policy_id"]).collect();
    assert_eq!(json!(names), shipped);
    let checked = installation.succeed(&["policy", "check"]);
    assert_eq!((&checked["ok"], &checked["warnings"]), (&shipped, &json!([])));
}

#[test]
fn a_contradiction_is_refused_and_changes_nothing() {
    let installation = Installation::new();
    for content in ["movies/bunny", "movies/sintel"] {
        installation.succeed(&["content", "add", content, "--policy", "default"]);
    }
    installation.import("movies/bunny", "HD", KID, KEY);
    let before = installation.succeed(&["key", "list"]);
    let other = "ffffffffffffffffffffffffffffffff";
    for (content, track, key, part) in [
        ("movies/bunny", "HD", other, "another value"),
        ("movies/bunny", "SD", KEY, "another track type"),
        ("movies/sintel", "HD", KEY, "belongs to movies/bunny"),
        ("movies/none", "HD", KEY, "no content"),
    ] {
        let import = ["key", "import", content, "--track", track, "--kid", KID, "--key", key];
        let said = installation.fail(&import);
        assert!(said.contains(part) && !said.contains(key), "{said}");
        assert_eq!(installation.succeed(&["key", "list"]), before);
    }
    let said = installation.fail(&["content", "add", "movies/bunny", "--policy", "premium-movie"]);
    assert!(said.contains("other policies"), "{said}");
    let said = installation.fail(&["content", "add", "movies/new", "--policy", "nothing"]);
    assert!(said.contains("no policy") && said.contains("reelkey policy list"), "{said}");
}

#[test]
fn init_finishes_what_it_finds_and_never_replaces_a_key() {
    let installation = Installation::new();
    let root = installation.data.path().join("keys/root.key");
    let key = fs::read(&root).unwrap();
    assert_eq!(installation.succeed(&["init"])["created"], false);
    assert_eq!(fs::read(&root).unwrap(), key);
    fs::set_permissions(&root, fs::Permissions::from_mode(0o644)).unwrap();
    let said = installation.fail(&["key", "generate", "movies/bunny"]);
    assert!(said.contains("chmod 600"), "{said}");
    fs::remove_file(&root).unwrap();
    let said = installation.fail(&["init"]);
    assert!(said.contains("not the root key"), "{said}");
    let other = Installation::new();
    fs::copy(other.data.path().join("keys/root.key"), &root).unwrap();
    fs::set_permissions(&root, fs::Permissions::from_mode(0o600)).unwrap();
    assert!(installation.fail(&["init"]).contains("not this store's"));
    fs::write(&root, key).unwrap();
    fs::set_permissions(&root, fs::Permissions::from_mode(0o600)).unwrap();
    fs::remove_dir_all(installation.data.path().join("store")).unwrap();
    assert_eq!(installation.succeed(&["init"])["created"], true, "a half-made folder is finished");
}

#[test]
fn mistakes_are_told_with_the_next_step() {
    let installation = Installation::new();
    let nowhere = installation.data.path().join("nowhere");
    let output = std::process::Command::new(crate::installation::REELKEY)
        .args(["key", "list", "--data"])
        .arg(&nowhere)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("reelkey init"));
    assert!(!nowhere.exists());
    for usage in [&["key"][..], &["content", "add", "../x", "--policy", "default"], &["nonsense"]] {
        assert_eq!(installation.run(usage).status.code(), Some(2), "{usage:?}");
    }
    let said = installation.fail(&["serve", "--listen", "0.0.0.0:7420"]);
    assert!(said.contains("loopback") && said.contains("proxy"), "{said}");
    let policy = installation.data.path().join("policies/broken.toml");
    fs::write(&policy, "can_play = true\nlicense_duration = \"10m\"\nrenewal_delay = \"4m\"")
        .unwrap();
    let said = installation.fail(&["policy", "check"]);
    assert!(said.contains("broken.toml:3:") && said.contains("can_renew"), "{said}");
    assert!(installation.fail(&["serve"]).contains("broken.toml:3:"));
    let output = installation.run(&["policy", "check", "--json"]);
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(document["error"]["message"].as_str().unwrap().contains("broken.toml"));
    fs::remove_file(policy).unwrap();
    let config = installation.data.path().join("reelkey.toml");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, format!("colour = 1\n{text}")).unwrap();
    assert!(installation.fail(&["issuer", "list"]).contains("colour"));
}

/// A warning is no error: it says what will happen, in both forms.
#[test]
fn a_policy_that_will_hurt_is_valid_and_warned_of() {
    let installation = Installation::new();
    let text = "can_play = true\nlicense_duration = \"4h\"\ncan_renew = true\nrenewal_delay = \"1h\"\n\
                [device]\nlimit = 3\n[concurrency]\nlimit = 1\nmode = \"STOP_OLDEST\"\n";
    let file = installation.write("long.toml", text.as_bytes());
    let file = file.to_str().unwrap();
    let checked = installation.succeed(&["policy", "check", file]);
    assert_eq!(checked["ok"], json!(["long"]));
    let warnings = checked["warnings"].as_array().unwrap();
    assert_eq!(warnings.len(), 1, "{checked}");
    assert_eq!(warnings[0]["policy_id"], "long");
    assert_eq!(warnings[0]["field"], "license_duration");
    assert!(warnings[0]["message"].as_str().unwrap().contains("; write license_duration = "));
    let policy = &checked["policies"][0];
    assert_eq!(
        (&policy["license_duration"], &policy["renewal_delay"]),
        (&json!(14_400), &json!(3600))
    );
    assert_eq!(policy["concurrency"]["mode"], "STOP_OLDEST");
    assert_eq!(
        (&policy["device"]["limit"], &policy["device"]["replace"]),
        (&json!(3), &json!("NONE"))
    );
    assert_eq!((&policy["rental_duration"], &policy["persistent"]), (&json!(0), &Value::Null));
    let output = installation.run(&["policy", "check", file]);
    assert!(output.status.success());
    let said = String::from_utf8(output.stdout).unwrap();
    for part in
        ["long is valid.", "renews, devices 3, streams 1", "WARNING", "slot of [concurrency]"]
    {
        assert!(said.contains(part), "{part}: {said}");
    }
}

/// The verdict is the service's own: by patterns of the issuer, content, policy and region too.
#[test]
fn a_token_is_judged_by_the_services_own_code() {
    let installation = Installation::new();
    let america = "can_play = true\nlicense_duration = \"10m\"\n[region]\nevidence = \"token\"\n\
                   allowed_countries = [\"US\"]\n";
    fs::write(installation.data.path().join("policies/america.toml"), america).unwrap();
    installation.succeed(&[
        "issuer",
        "add",
        "https://other.example",
        "--dev",
        "--content",
        "series/*",
    ]);
    installation.succeed(&["content", "add", "movies/bunny", "--policy", "america"]);
    installation.succeed(&["key", "generate", "movies/bunny", "--track", "SD"]);
    let mint =
        |issuer: &str, more: &[&str]| installation.mint(&[&["--issuer", issuer], more].concat());
    let bunny = ["--content", "movies/bunny"];
    let tokens = [
        (mint("https://auth.example", &[&bunny[..], &["--region", "US"]].concat()), None),
        (mint("https://auth.example", &["--content", "movies/*"]), None),
        (mint("https://other.example", &bunny), Some("the issuer may speak for series/*")),
        (
            mint("https://auth.example", &[&bunny[..], &["--region", "DE"]].concat()),
            Some("region-denied"),
        ),
        (mint("https://auth.example", &["--content", "movies/none"]), Some("not-authorized")),
        (
            mint("https://auth.example", &[&bunny[..], &["--policy", "default"]].concat()),
            Some("policy_id"),
        ),
        (mint("https://auth.example", &bunny) + "A", Some("signature")),
    ];
    let judge = || {
        for (token, refused) in &tokens {
            let file = installation.write("token.jwt", token.as_bytes());
            let output = installation.run(&["token", "inspect", &format!("@{}", file.display())]);
            let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
            assert_eq!(output.status.code(), Some(refused.is_some().into()), "{said}");
            assert!(said.contains(refused.unwrap_or("accepted now")), "{said}");
            fs::remove_file(file).unwrap();
        }
    };
    judge();
    let service = installation.serve();
    judge();
    service.terminate();
}

#[test]
fn the_doctor_names_what_to_mend() {
    let installation = Installation::new();
    let look = |healthy: bool| -> Vec<(String, String, String)> {
        let output = installation.run(&["doctor", "--json"]);
        assert_eq!(output.status.success(), healthy, "{output:?}");
        let findings: Value = serde_json::from_slice(&output.stdout).unwrap();
        let text = |finding: &Value, name: &str| finding[name].as_str().unwrap().to_owned();
        let findings = findings.as_array().unwrap().iter();
        findings.map(|one| (text(one, "part"), text(one, "verdict"), text(one, "text"))).collect()
    };
    let of = |findings: &[(String, String, String)], part: &str| {
        let found = findings.iter().find(|finding| finding.0 == part).unwrap();
        (found.1.clone(), found.2.clone())
    };
    let well = look(true);
    assert_eq!(of(&well, "store").0, "ok");
    assert_eq!(of(&well, "service id").0, "warning");
    assert!(of(&well, "issuer").1.contains("not for real use"));
    let service = installation.serve();
    let verdicts = |findings: &[(String, String, String)]| -> Vec<_> {
        findings.iter().map(|finding| (finding.0.clone(), finding.1.clone())).collect()
    };
    let mut running = look(true);
    assert_eq!(of(&running, "in force").0, "ok");
    assert_eq!(of(&running, "log").0, "ok");
    running.retain(|finding| !["in force", "log"].contains(&&*finding.0));
    assert_eq!(verdicts(&running), verdicts(&well), "the same while the service runs");
    service.terminate();

    // What `policy check` warns of.
    let hurts = installation.data.path().join("policies/hurts.toml");
    fs::write(&hurts, "can_play = true\nlicense_duration = \"1s\"\n").unwrap();
    let checked = installation.succeed(&["policy", "check"]);
    let warning = &checked["warnings"][0];
    let (field, message) =
        (warning["field"].as_str().unwrap(), warning["message"].as_str().unwrap());
    let warned = of(&look(true), "policy");
    assert_eq!(warned, ("warning".into(), format!("hurts: {field}: {message}")));
    fs::remove_file(hurts).unwrap();

    let root = installation.data.path().join("keys/root.key");
    fs::set_permissions(&root, fs::Permissions::from_mode(0o640)).unwrap();
    fs::write(installation.data.path().join("policies/x.toml"), "can_play = 1").unwrap();
    let keys = installation.data.path().join("keys");
    fs::set_permissions(keys, fs::Permissions::from_mode(0o755)).unwrap();
    let ill = look(false);
    assert!(of(&ill, "root key").1.contains("chmod 600"));
    assert!(of(&ill, "policies").1.contains("x.toml:1:"));
    assert!(of(&ill, "folder").1.contains("chmod 700"));
    assert_eq!(of(&ill, "store").0, "error");
}

#[test]
fn tokens_are_minted_and_inspected() {
    let installation = Installation::new();
    installation.succeed(&["content", "add", "movies/bunny", "--policy", "default"]);
    installation.succeed(&["key", "generate", "movies/bunny", "--track", "SD"]);
    let token = installation.mint(&["--content", "movies/bunny", "--region", "US", "--amr", "pwd"]);
    let file = format!("@{}", installation.write("token", token.as_bytes()).display());
    let inspected = installation.succeed(&["token", "inspect", &file]);
    assert_eq!(inspected["verdict"]["accepted"], true);
    assert_eq!(inspected["claims"]["region"], "US");
    let forged = installation.write("forged", &token.as_bytes()[..token.len() - 6]);
    let forged = ["token", "inspect", &format!("@{}", forged.display()), "--json"];
    let forged = installation.run(&forged);
    assert_eq!(forged.status.code(), Some(1), "the exit code is the verdict");
    let forged: Value = serde_json::from_slice(&forged.stdout).unwrap();
    assert_eq!(forged["verdict"]["accepted"], false);
    let hyphen = format!("-{}", "A".repeat(42));
    let bound = installation.mint(&["--content", "movies/bunny", "--device", &hyphen]);
    assert_ne!(bound, token, "a thumbprint may begin with a hyphen");
    let said = installation.fail(&["token", "mint", "--sub", "alice"]);
    assert!(said.contains("--content"), "{said}");
    let long = ["token", "mint", "--sub", "alice", "--content", "*", "--life", "30d"];
    assert!(installation.fail(&long).contains("longest"));
}
