//! Titles, keys and issuers coming and going, one by one and by the thousand.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::thread;

use reelkey::crypto::random;
use reelkey_client::key::KeyId;
use serde_json::Value;

use crate::film::{CONTENT, obtain, provisioned};
use crate::installation::{Installation, Service, tool};

/// Lines for `key import --from`, five keys to a title.
fn lines(count: usize) -> String {
    let mut lines = String::new();
    for at in 0..count {
        let hex = || random::bytes::<16>().unwrap().map(|byte| format!("{byte:02x}")).concat();
        let (track, title) = (["AUDIO", "SD", "HD", "UHD1", "UHD2"][at % 5], at / 5);
        let kid: KeyId = hex().parse().unwrap();
        let key = hex();
        writeln!(
            lines,
            r#"{{"content_id":"movies/t{title}","kid":"{kid}","track_type":"{track}","key":"{key}"}}"#
        )
        .unwrap();
    }
    lines
}

fn sorted(text: &str) -> Vec<&str> {
    let mut lines: Vec<_> = text.lines().collect();
    lines.sort_unstable();
    lines
}

#[test]
fn many_keys_come_in_and_go_out_through_a_file() {
    let installation = Installation::new();
    let text = lines(5001);
    let from = installation.write("keys.jsonl", text.as_bytes());
    let import = ["key", "import", "--from", from.to_str().unwrap()];
    let said = installation.fail(&import);
    assert!(said.contains("line 1:") && said.contains("content add"), "{said}");
    let import = [&import[..], &["--policy", "default"]].concat();
    let done = installation.succeed(&import);
    assert_eq!((&done["stored"], &done["already"]), (&5001.into(), &0.into()));

    for service in [None, Some(installation.serve())] {
        let done = installation.succeed(&import);
        assert_eq!((&done["stored"], &done["already"]), (&0.into(), &5001.into()));
        let to = installation.data.path().join(format!("out{}.jsonl", service.is_some()));
        let export = ["key", "export", "--to", to.to_str().unwrap()];
        let said = installation.fail(&export);
        assert!(said.contains("in the clear") && said.contains("--yes") && !to.exists(), "{said}");
        let export = [&export[..], &["--yes"]].concat();
        assert_eq!(installation.succeed(&export)["exported"], 5001);
        assert_eq!(fs::metadata(&to).unwrap().permissions().mode() & 0o777, 0o600);
        let exported = fs::read_to_string(&to).unwrap();
        let keys = |text: &str| -> Vec<Value> {
            let mut keys: Vec<Value> =
                sorted(text).iter().map(|line| serde_json::from_str(line).unwrap()).collect();
            for key in &mut keys {
                key.as_object_mut().unwrap().remove("created_at");
            }
            keys
        };
        let (mut exported, mut imported) = (keys(&exported), keys(&text));
        let by_kid = |one: &Value| one["kid"].as_str().unwrap().to_owned();
        exported.sort_by_key(by_kid);
        imported.sort_by_key(by_kid);
        assert!(exported == imported, "what went out is what came in");
        assert!(installation.fail(&export).contains("exists"), "no file is written over");
        let one = installation.data.path().join(format!("one{}.jsonl", service.is_some()));
        let export = ["key", "export", "movies/t7", "--yes", "--to", one.to_str().unwrap()];
        assert_eq!(installation.succeed(&export)["exported"], 5);
    }
}

#[test]
fn a_file_of_keys_is_imported_up_to_the_line_that_is_wrong() {
    let installation = Installation::new();
    let text = lines(3000);
    let good: Vec<_> = text.lines().collect();
    let at = good[5].len() - 34;
    let other_key = format!("{}{}\"}}", &good[5][..at], "0".repeat(32));
    let cases: [(&str, &str); 5] = [
        ("{\"content_id\":\"movies/t1\"}", "line 2501: not {"),
        (&format!("{}{}", good[2500], " ".repeat(500)), "longer than 400 bytes"),
        (&other_key, "exists with another value"),
        (&good[2500].replace("movies/t500", "../x"), "line 2501: not {"),
        (&good[5].replace("movies/t1", "movies/t2"), "belongs to movies/t1"),
    ];
    for (line, expected) in cases {
        let mut lines = good.clone();
        lines[2500] = line;
        let from = installation.write("keys.jsonl", lines.join("\n").as_bytes());
        let import = ["key", "import", "--policy", "default", "--from", from.to_str().unwrap()];
        let said = installation.fail(&import);
        assert!(said.contains(expected) && said.contains("2500 keys before it"), "{line}: {said}");
        for key in good.iter().map(|line| &line[line.len() - 34..line.len() - 2]) {
            assert!(!said.contains(key), "a key in an error");
        }
        assert_eq!(installation.succeed(&["key", "list"]).as_array().unwrap().len(), 2500);
    }
}

#[test]
fn a_title_is_removed_once_its_keys_are_retired() {
    let (installation, keys) = provisioned();
    let service = installation.serve();
    let said = installation.fail(&["content", "remove", CONTENT]);
    assert!(said.contains("2 active keys") && said.contains("key retire"), "{said}");
    for key in &keys {
        installation.succeed(&["key", "retire", &key.kid]);
    }
    let removed = installation.succeed(&["content", "remove", CONTENT]);
    assert_eq!((&removed["changed"], &removed["keys"]), (&true.into(), &2.into()));
    let again = installation.succeed(&["content", "remove", CONTENT]);
    assert_eq!(again["changed"], false);
    assert!(installation.succeed(&["key", "list"]).as_array().unwrap().is_empty());
    service.terminate();
}

/// A token by an issuer that signs with a secret, made by an independent library.
fn hs256(secret: &str, iss: &str) -> String {
    let script = "import json, sys, time\n\
        from jwcrypto import jwk, jwt\n\
        secret, iss, content = sys.argv[1:]\n\
        now = int(time.time())\n\
        key = jwk.JWK.from_password(secret)\n\
        claims = dict(iss=iss, sub='bob', aud='reelkey', iat=now, exp=now + 600, content_id=content)\n\
        token = jwt.JWT(header={'alg': 'HS256', 'kid': 'any'}, claims=claims)\n\
        token.make_signed_token(key)\n\
        print(token.serialize(), end='')";
    let mut python = std::process::Command::new(tool("python/bin/python"));
    let made = python.args(["-c", script, secret, iss, CONTENT]).output().unwrap();
    assert!(made.status.success(), "{made:?}");
    String::from_utf8(made.stdout).unwrap()
}

fn refusal(service: &Service, token: &str) -> String {
    let (_, answer) = service.send("POST", "/v1/license", token, "x");
    serde_json::from_str::<Value>(&answer).unwrap()["reason"].as_str().unwrap().to_owned()
}

#[test]
fn an_issuer_may_sign_with_a_secret_and_is_trusted_until_it_is_removed() {
    let (installation, _) = provisioned();
    let service = installation.serve();
    let iss = "https://own.example";
    let add = |file: &str, more: &[&str]| {
        let words = ["issuer", "add", iss, "--content", "movies/*", "--secret-file", file];
        let output = installation.run(&[&words, more].concat());
        (output.status.success(), String::from_utf8(output.stderr).unwrap())
    };
    let secret = "correct horse battery staple, thirty-two and more";
    let file = installation.write("secret", format!("{secret}\n").as_bytes());
    let file = file.to_str().unwrap();
    let (_, said) = add(file, &[]);
    assert!(said.contains("chmod 600"), "{said}");
    fs::set_permissions(file, fs::Permissions::from_mode(0o600)).unwrap();
    let (_, said) = add(file, &["--alg", "ES256"]);
    assert!(said.contains("HS256 alone"), "{said}");
    let copies = || fs::read_dir(installation.data.path().join("keys/issuers")).unwrap().count();
    assert_eq!(copies(), 1, "a refused secret leaves no copy");
    assert!(add(file, &[]).0);
    assert!(add(file, &[]).0, "adding it again is done");

    let token = hs256(secret, iss);
    assert_eq!(obtain(&service, &token).keys.len(), 2);
    let other = hs256(&secret.replace("correct", "another"), iss);
    assert_eq!(refusal(&service, &other), "token-invalid");
    assert_eq!(installation.succeed(&["issuer", "remove", iss])["changed"], true);
    assert_eq!(refusal(&service, &token), "token-invalid");
    assert_eq!(installation.succeed(&["issuer", "remove", iss])["changed"], false);
    assert_eq!(copies(), 1, "the development issuer's");
    let short = installation.write("short", b"too short");
    fs::set_permissions(&short, fs::Permissions::from_mode(0o600)).unwrap();
    let (_, said) = add(short.to_str().unwrap(), &[]);
    assert!(said.contains("32 to 1024 bytes"), "{said}");
}

#[test]
fn issuers_that_are_added_at_once_are_all_there_and_comments_stay() {
    let installation = Installation::new();
    let config = installation.data.path().join("reelkey.toml");
    let comments = |text: &str| -> Vec<String> {
        text.lines().filter(|line| line.starts_with('#')).map(str::to_owned).collect()
    };
    let before = comments(&fs::read_to_string(&config).unwrap());
    assert!(before.len() > 10);
    let names: Vec<_> = (0..8).map(|at| format!("https://{at}.example")).collect();
    thread::scope(|scope| {
        for iss in &names {
            scope
                .spawn(|| installation.succeed(&["issuer", "add", iss, "--dev", "--content", "*"]));
        }
    });
    let listed = installation.succeed(&["issuer", "list"]);
    assert_eq!(listed.as_array().unwrap().len(), 9);
    installation.succeed(&["issuer", "remove", "https://auth.example"]);
    for iss in &names {
        installation.succeed(&["issuer", "remove", iss]);
    }
    assert!(installation.succeed(&["issuer", "list"]).as_array().unwrap().is_empty());
    assert_eq!(comments(&fs::read_to_string(&config).unwrap()), before);
    assert_eq!(fs::read_dir(installation.data.path().join("keys/dev")).unwrap().count(), 0);
}
