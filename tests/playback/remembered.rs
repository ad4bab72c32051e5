//! What a grant leaves behind is on disk before the answer leaves: the service is killed before any write of it. And what the
//! operator's manual shows of it is what the commands print.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;

use reelkey::crypto::random::SystemRng;
use reelkey_client::exchange::renew::Renew;
use reelkey_client::exchange::{DeviceKey, Jwks, License, Pending};
use serde_json::Value;

use crate::film::{ask, now};
use crate::installation::{Installation, Service, thoroughly};
use crate::killpoints::{Library, read_count};

/// One stream and one device, so that a second one shows what is remembered.
const POLICY: &str = "can_play = true\nlicense_duration = \"10m\"\ncan_renew = true\nrental_duration = \"1d\"\n\
                      [device]\nlimit = 1\n[concurrency]\nlimit = 1\n";

fn rented() -> Installation {
    let installation = Installation::new();
    installation.write("policies/rented.toml", POLICY.as_bytes());
    installation.succeed(&["content", "add", "movies/bunny", "--policy", "rented"]);
    installation.succeed(&["key", "generate", "movies/bunny", "--track", "HD"]);
    installation
}

/// A request of a new device, and what opens the answer.
fn asked(token: &str) -> (DeviceKey, String, Pending) {
    let device = DeviceKey::generate(&mut SystemRng).unwrap();
    let draft = ask(token).draft(&device.public_key(), None, &mut SystemRng).unwrap();
    let (body, pending) = draft.sign(&device);
    (device, body, pending)
}

/// Sends a request to a service that may be killed meanwhile. The answer, if all of it came.
pub(crate) fn try_send(service: &Service, token: &str, body: &str) -> Option<(u16, String)> {
    let host = service.url.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(host).ok()?;
    let head = format!(
        "POST /v1/license HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n\
         Content-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).ok()?;
    stream.write_all(body.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    Some((head.get(9..12)?.parse().ok()?, body.to_owned()))
}

fn opened(service: &Service, pending: &Pending, answer: &str) -> License {
    let (_, jwks) = service.send("GET", "/.well-known/jwks.json", "", "");
    pending.open(answer.as_bytes(), &Jwks::parse(jwks.as_bytes()).unwrap()).unwrap()
}

/// The reason for which another device is refused.
fn refusal_of_another(service: &Service, token: &str) -> String {
    let (_, body, _) = asked(token);
    let (_, answer) = service.send("POST", "/v1/license", token, &body);
    let problem: Value = serde_json::from_str(&answer).unwrap();
    problem["reason"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn a_grant_is_remembered_whenever_the_service_is_killed() {
    let (library, base) = (Library::build(), rented());
    let token = base.mint(&["--content", "movies/bunny"]);
    let counted = base.data.path().join("count");
    let points = {
        let copy = Installation::copy_of(base.data.path());
        let service = library.serve(&copy, 0, &counted);
        let (_, body, _) = asked(&token);
        assert_eq!(service.send("POST", "/v1/license", &token, &body).0, 200);
        service.terminate();
        read_count(&counted)
    };
    assert!(points > 1, "a grant under this policy writes");
    let mut answered = 0;
    for at in (1..=points).step_by(thoroughly(2, 1)) {
        let copy = Installation::copy_of(base.data.path());
        let (device, body, pending) = asked(&token);
        let killed = library.serve(&copy, at, Path::new("/dev/null"));
        let answer = try_send(&killed, &token, &body);
        drop(killed);
        let service = copy.serve();
        let was_answered = matches!(answer, Some((200, _)));
        answered += usize::from(was_answered);
        if was_answered {
            // Remembered, so nobody else has the place.
            assert_eq!(refusal_of_another(&service, &token), "device-limit", "at {at}");
        }
        // Whether it was answered or not: the same bytes are the same license.
        let (status, again) = service.send("POST", "/v1/license", &token, &body);
        assert_eq!(status, 200, "at {at}: {again}");
        let license = opened(&service, &pending, &again);
        if let Some((200, first)) = answer {
            let first = opened(&service, &pending, &first);
            assert_eq!(license.claims.jti, first.claims.jti, "at {at}");
        }
        assert_eq!(refusal_of_another(&service, &token), "device-limit", "at {at}");
        let claims = &license.claims;
        let renew = Renew {
            license: claims,
            token: &token,
            first_play: None,
            end_session: None,
            iat: now(),
        };
        let draft = renew.draft(&device.public_key(), &mut SystemRng).unwrap();
        let (body, pending) = draft.sign(&device);
        let (status, renewed) = service.send("POST", "/v1/license", &token, &body);
        assert_eq!(status, 200, "at {at}: {renewed}");
        assert_eq!(opened(&service, &pending, &renewed).claims.counter, 1, "at {at}");
        service.terminate();
    }
    println!("{points} points of a grant, {answered} killed after the answer");
}

/// Words without the widths of columns, and without what differs from day to day.
fn shape(line: &str) -> String {
    let is_date = |word: &str| word.len() == 20 && word.ends_with('Z') && word.contains('T');
    let words = line.split_whitespace().map(|word| if is_date(word) { "DATE" } else { word });
    words.collect::<Vec<_>>().join(" ")
}

#[test]
fn a_call_about_a_late_rental_is_explained_as_the_manual_shows() {
    let manual = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/OPERATIONS.md");
    let manual = std::fs::read_to_string(manual).unwrap();
    let shown =
        manual.split("```text\n").find(|block| block.contains("playback_duration")).unwrap();
    let (shown, _) = shown.split_once("\n```").unwrap();
    let (first, last) = shown.split_once("\n..\n").unwrap();
    let lines = |text: &str| text.lines().map(shape).collect::<Vec<_>>();

    let installation = Installation::new();
    installation.configure("longest_token_life = \"4d\"\n");
    installation.succeed(&["content", "add", "movies/bunny", "--policy", "rental"]);
    installation.succeed(&["key", "generate", "movies/bunny", "--track", "HD"]);
    let token = installation.mint(&["--content", "movies/bunny", "--life", "4d"]);
    let file = format!("@{}", installation.write("token", token.as_bytes()).display());
    let service = installation.serve();
    let (_, body, _) = asked(&token);
    assert_eq!(service.send("POST", "/v1/license", &token, &body).0, 200);
    let late = (now().as_secs() + 48 * 3_600 + 300).to_string();
    let explain = ["policy", "explain", "--token", &file, "--at", &late];
    let output = installation.run(&explain);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let said = lines(&String::from_utf8(output.stdout).unwrap());
    assert!(said.starts_with(&lines(first)), "{said:#?}");
    assert!(said.ends_with(&lines(last)), "{said:#?}");
    service.terminate();
}
