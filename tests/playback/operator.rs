//! Commands while the service runs.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};

use serde_json::{Value, json};

use crate::film::{CONTENT, obtain, provisioned, refusal};
use crate::installation::Installation;
use crate::power::operate;

const KID: &str = "4d97930a-3d7b-5000-8000-5c7bda1f0a11";
const KEY: &str = "000102030405060708090a0b0c0d0e0f";

/// Every command that shows something, and some that change nothing or are refused.
const COMMANDS: [&[&str]; 18] = [
    &["content", "list"],
    &["content", "show", CONTENT],
    &["content", "show", "movies/none"],
    &["content", "add", CONTENT, "--policy", "default"],
    &["content", "add", CONTENT, "--policy", "premium-movie"],
    &["content", "add", "movies/new", "--policy", "none"],
    &["content", "remove", "movies/none"],
    &["content", "remove", CONTENT],
    &["key", "list"],
    &["key", "list", CONTENT],
    &["key", "show", KID],
    &["key", "rotate", "movies/none"],
    &["key", "export", "movies/none", "--yes", "--to", "/dev/null/none"],
    &["key", "import", "--from", "/dev/null"],
    &["issuer", "remove", "https://none.example"],
    &["kek", "list"],
    &["kek", "retire", "1"],
    &["signer", "list"],
];

#[test]
fn a_command_says_the_same_whether_the_service_runs_or_not() {
    let (installation, _) = provisioned();
    let said = || {
        COMMANDS.map(|command| {
            [&[][..], &["--json"]].map(|more| {
                let output = installation.run(&[command, more].concat());
                (output.status.code(), output.stdout, output.stderr)
            })
        })
    };
    let stopped = said();
    let service = installation.serve();
    assert_eq!(said(), stopped);
    service.terminate();
    assert_eq!(said(), stopped);
}

#[test]
fn what_is_done_takes_effect_before_the_command_answers() {
    let (installation, keys) = provisioned();
    let token = installation.mint(&["--content", CONTENT]);
    let service = installation.serve();
    let granted = || {
        let mut kids: Vec<_> =
            obtain(&service, &token).keys.iter().map(|(kid, _)| kid.to_string()).collect();
        kids.sort();
        kids
    };
    assert_eq!(granted().len(), 2);
    installation.import(CONTENT, "HD", KID, KEY);
    assert!(granted().contains(&KID.to_owned()));

    // Rotation adds a key for each track; the old ones go on until they are retired.
    let made = installation.succeed(&["key", "rotate", CONTENT]);
    assert_eq!(made.as_array().unwrap().len(), 3);
    assert_eq!(granted().len(), 6);
    let one = installation.succeed(&["key", "rotate", CONTENT, "--track", "HD"]);
    assert_eq!(one[0]["track_type"], "HD");
    let retire = ["key", "retire", keys[0].kid.as_str()];
    assert_eq!(installation.succeed(&retire)["changed"], true);
    assert_eq!(installation.succeed(&retire)["changed"], false);
    let old = installation.succeed(&["key", "show", &keys[0].kid]);
    assert_eq!(old["state"], "retired");
    let now = granted();
    assert_eq!(now.len(), 6);
    assert!(!now.contains(&old["kid"].as_str().unwrap().to_owned()));

    // The KEK and the signer are rotated under the players.
    assert_eq!(installation.succeed(&["kek", "rotate"]).as_array().unwrap().len(), 2);
    assert_eq!(granted(), now);
    assert!(installation.fail(&["kek", "retire", "1"]).contains("kek rewrap"));
    assert!(installation.succeed(&["kek", "rewrap"])["rewrapped"].as_u64().unwrap() > 8);
    assert_eq!(installation.succeed(&["kek", "retire"])["retired"], json!([1]));
    assert_eq!(granted(), now);
    assert_eq!(installation.succeed(&["signer", "rotate", "--now"]).as_array().unwrap().len(), 2);
    assert_eq!(granted(), now);

    // An issuer that is added is trusted at once.
    installation.succeed(&["issuer", "add", "https://late.example", "--dev", "--content", "*"]);
    let late = installation.mint(&["--issuer", "https://late.example", "--content", CONTENT]);
    obtain(&service, &late);
    service.terminate();

    let service = installation.serve();
    assert_eq!(obtain(&service, &token).keys.len(), 6, "and all of it is on disk");
}

/// The lines of the log about operations, and their levels.
fn operations(installation: &Installation) -> Vec<Value> {
    let log = installation.log();
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.filter(|line| line["operation"].is_string()).collect()
}

/// A rule that refuses is the operator's business; what fails is ours, and is logged as such, once.
#[test]
fn a_refusal_and_a_fault_are_told_apart_and_each_is_logged_once() {
    let (installation, _) = provisioned();
    let data = installation.data.path();
    let socket = data.join("admin.sock");
    let service = installation.serve();
    let ask = |operation: &str, body: &str| {
        let answer = operate(&socket, operation, body).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head[9..12].to_owned(), serde_json::from_str::<Value>(body).unwrap())
    };
    let (status, refused) = ask("content/show", r#"{"content_id":"movies/none"}"#);
    assert_eq!((&*status, &refused["message"]), ("409", &json!("there is no content movies/none")));
    assert!(refused["remedy"].as_str().unwrap().contains("reelkey content add movies/none"));

    let root = data.join("keys/root.key");
    let own = fs::read(&root).unwrap();
    fs::write(&root, "no root key").unwrap();
    let (status, failed) = ask("kek/rotate", "{}");
    assert_eq!(status, "500", "{failed}");
    let message = failed["message"].as_str().unwrap().to_owned();
    assert!(message.contains("root.key"), "{message}");
    assert!(installation.fail(&["kek", "rotate"]).contains(&message), "the command says it too");
    fs::write(&root, own).unwrap();
    assert_eq!(ask("kek/rotate", "{}").0, "200");
    service.terminate();

    let user = format!("uid {}", fs::metadata(data).unwrap().uid());
    let said: Vec<_> = operations(&installation)
        .into_iter()
        .map(|line| {
            assert_eq!(line["actor"], user.as_str(), "{line}");
            [line["level"].clone(), line["operation"].clone(), line["message"].clone()]
        })
        .collect();
    assert_eq!(
        said,
        [
            ["INFO", "content/show", "operation refused"],
            ["ERROR", "kek/rotate", "operation failed"],
            ["ERROR", "kek/rotate", "operation failed"],
            ["INFO", "kek/rotate", "operation done"],
        ]
    );
}

/// Who asked for what from where, what was decided by which rule, and what the rule found: all of it in one line.
#[test]
fn every_decision_is_explained_by_one_line_of_the_log() {
    let installation = Installation::new();
    let policy = "can_play = true\nlicense_duration = \"10m\"\n[region]\nevidence = \"token\"\n\
                  allowed_countries = [\"US\", \"CA\"]\n";
    fs::write(installation.data.path().join("policies/america.toml"), policy).unwrap();
    installation.succeed(&["content", "add", CONTENT, "--policy", "america"]);
    installation.succeed(&["key", "generate", CONTENT, "--track", "SD"]);
    let mint = |region| installation.mint(&["--content", CONTENT, "--region", region]);
    let (here, there) = (mint("US-CA"), mint("DE"));
    let other = installation.mint(&["--content", "movies/other"]);
    let service = installation.serve();
    obtain(&service, &here);
    assert_eq!(refusal(&service, &there), "region-denied");
    assert_eq!(refusal(&service, &other), "not-authorized");
    service.terminate();

    let log = installation.log();
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let of =
        |line: &Value| line["message"].as_str().is_some_and(|text| text.starts_with("license"));
    let lines: Vec<_> = lines.filter(of).collect();
    assert_eq!(lines.len(), 3, "{log}");
    for line in &lines {
        let account = (&line["account"], &line["issuer"]);
        assert_eq!(account, (&json!("alice"), &json!("https://auth.example")), "{line}");
        assert_eq!(line["content.id"], CONTENT, "{line}");
        assert_eq!(line["client"], "127.0.0.1", "{line}");
        assert_eq!(line["device"].as_str().unwrap().len(), 43, "{line}");
        assert!(line["took_us"].is_u64() && line["request.id"].is_string(), "{line}");
    }
    let [granted, region, content] = &lines[..] else { panic!("{lines:?}") };
    assert_eq!(
        (&granted["message"], &granted["region"]),
        (&json!("license granted"), &json!("US-CA"))
    );
    assert_eq!((&granted["region.from"], &granted["policy"]), (&json!("token"), &json!("america")));
    assert_eq!(region["reason"], "region-denied");
    assert_eq!(region["rule"], "region.allowed_countries");
    assert_eq!((&region["expected"], &region["actual"]), (&json!("US CA"), &json!("DE")));
    assert_eq!((&region["policy"], &region["region"]), (&json!("america"), &json!("DE")));
    assert_eq!(
        (&content["reason"], &content["rule"]),
        (&json!("not-authorized"), &json!("content_id"))
    );
    assert_eq!(content["actual"], CONTENT);
    assert!(content["expected"].as_str().unwrap().contains("movies/other"), "{content}");
}

#[test]
fn a_refused_license_is_logged_once() {
    let (installation, _) = provisioned();
    let token = installation.mint(&["--content", "movies/other"]);
    let service = installation.serve();
    assert_eq!(service.send("POST", "/v1/license", &token, "no request").0, 400);
    assert_eq!(service.send("POST", "/v1/license", "", "no request").0, 403);
    service.terminate();
    let log = installation.log();
    let refusals = log.lines().filter(|line| line.contains("refused")).count();
    assert_eq!(refusals, 2, "{log}");
}

#[test]
fn the_admin_socket_is_for_its_owner_and_leaves_nothing_behind() {
    let installation = Installation::new();
    let socket = installation.data.path().join("admin.sock");
    let service = installation.serve();
    let found = fs::metadata(&socket).unwrap();
    assert!(found.file_type().is_socket());
    assert_eq!(found.permissions().mode() & 0o7777, 0o600);
    let said = installation.fail(&["serve", "--listen", "127.0.0.1:0"]);
    assert!(said.contains("in use"), "{said}");
    assert!(socket.exists(), "a second service does not take the socket of the first");
    installation.succeed(&["content", "list"]);
    service.terminate();
    assert!(!socket.exists());

    // A service that is killed leaves its socket; commands find that nobody answers.
    drop(installation.serve());
    assert!(socket.exists());
    assert_eq!(installation.succeed(&["content", "list"]), json!([]));
    installation.serve().terminate();
}

#[test]
fn a_path_that_is_too_long_for_a_socket_is_named() {
    let installation = Installation::new();
    let deep = installation.data.path().join("d".repeat(100));
    let reelkey = |words: &[&str]| {
        let mut command = std::process::Command::new(crate::installation::REELKEY);
        command.args(words).arg("--data").arg(&deep).output().unwrap()
    };
    assert!(reelkey(&["init"]).status.success());
    let output = reelkey(&["serve", "--listen", "127.0.0.1:0"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("too long for a socket") && said.contains("ddd/admin.sock"), "{said}");
    assert!(reelkey(&["content", "list"]).status.success(), "commands work on the store itself");
}
