//! A certified OpenID provider on this machine: it is discovered, it signs the tokens, and it changes its keys.

use std::io::{BufRead, BufReader, Lines, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::film::{obtain, provisioned, send};
use crate::installation::tool;
use crate::issuers::age;

/// The claim that the provider names contents by.
const CLAIM: &str = "https://reelkey.example/content_id";

/// The provider, killed when it is dropped.
struct Provider {
    process: Child,
    commands: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
    issuer: String,
}

impl Provider {
    fn start() -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/playback/openid.mjs");
        let mut command = Command::new(tool("bin/node"));
        command.arg(script).arg(tool("node/node_modules/oidc-provider/lib/index.js"));
        command.arg(tool("node/node_modules/jose/dist/webapi/index.js"));
        let mut process = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let commands = process.stdin.take().unwrap();
        let answers = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut new = Self { process, commands, answers, issuer: String::new() };
        new.issuer = new.answer();
        new
    }

    fn answer(&mut self) -> String {
        self.answers.next().unwrap().unwrap()
    }

    fn ask(&mut self, command: &str) -> String {
        writeln!(self.commands, "{command}").unwrap();
        self.answer()
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

#[test]
fn an_openid_provider_is_discovered_and_followed_through_a_change_of_its_keys() {
    let mut provider = Provider::start();
    let (installation, _) = provisioned();
    let iss = provider.issuer.clone();
    let words =
        ["issuer", "add", &*iss, "--discover", "--content", "movies/*", "--content-claim", CLAIM];
    let added = installation.succeed(&words);
    assert_eq!(added["jwks_url"], json!(format!("{iss}/jwks")));
    assert_eq!(added["algorithms"], json!(["ES256"]));
    assert_eq!(installation.succeed(&words)["created"], json!(false), "again is no change");
    let other = format!("{iss}/");
    let said = installation.fail(&["issuer", "add", &other, "--discover", "--content", "*"]);
    assert!(said.contains("describes the issuer"), "{said}");

    age(&installation, 100, 3600);
    let service = installation.serve();
    let first = provider.ask("token");
    let license = obtain(&service, &first);
    assert_eq!(license.keys.len(), 2);

    assert_eq!(provider.ask("rotate"), "rotated");
    let second = provider.ask("token");
    let (status, answer, _) = send(&service, &second);
    let problem: Value = serde_json::from_str(&answer).unwrap();
    assert_eq!((status, &problem["reason"]), (403, &json!("token-invalid")));
    while send(&service, &second).0 != 200 {
        thread::sleep(Duration::from_millis(10));
    }
    // The old key is still in the set, so tokens that it signed go on.
    obtain(&service, &first);
    service.terminate();
}
