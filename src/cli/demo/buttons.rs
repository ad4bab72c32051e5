//! The page of the demo's own film: what its buttons do, and its service, which is set up for it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::cli::demo::film;
use crate::cli::demo::page::{self, PORT, Page, Secret};
use crate::cli::demo::player;
use crate::cli::demo::report::Report;
use crate::cli::demo::setup::{self, FILM, RunCommand, Service};
use crate::cli::demo::tap;
use crate::cli::terminal::output::{Failure, Output};
use crate::http::demo::Decisions;

/// The issuer of the demo's tokens.
const ISSUER: &str = "https://auth.example";

/// Longer than the rental of `short-rental`.
const RENTAL: Duration = Duration::from_millis(1200);

/// The thumbprint of a device that nobody here has.
const OTHER_DEVICE: &str = "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs";

/// Serves the page until a signal ends it.
pub(super) async fn serve(
    port: Option<u16>,
    json: bool,
    run: RunCommand,
) -> Result<Output, Failure> {
    let mut report = Report::new(true);
    // Before there is a folder that has to go again. The page's questions for decisions are not waited for.
    let stopped = page::stopped()?;
    let decisions = Arc::new(Decisions::default());
    tap::install(Arc::clone(&decisions))?;
    let usual = || page::listen(Some(PORT)).or_else(|_| page::listen(None));
    let listener = port.map_or_else(usual, |port| page::listen(Some(port)))?;
    let port = listener.local_addr()?.port();
    let origins = ["127.0.0.1", "localhost"].map(|host| format!("http://{host}:{port}"));
    let service = setup::start_for_page(run, &origins, &mut report).await?;
    let page = Page {
        files: film::files(),
        decisions,
        stream: None,
        secret: Secret::new()?,
        service: format!("http://{}", service.address),
    };
    let act = async |action: &str, query: &BTreeMap<_, _>| act(&service, action, query).await;
    page.serve(listener, json, act, stopped).await?;
    service.stop().await?;
    Ok(Output::new(Value::Null, ""))
}

/// Does what a button asks for, by the ordinary commands.
async fn act(
    service: &Service,
    action: &str,
    query: &BTreeMap<String, String>,
) -> Result<Value, Failure> {
    match action {
        "start" => start(service).await,
        "token" => token(service, query).await,
        "rotate" => run(service, &["key", "rotate", FILM]).await,
        "keys" => run(service, &["key", "list", FILM]).await,
        _ => Err(Failure::new("there is no such action")),
    }
}

async fn run(service: &Service, words: &[&str]) -> Result<Value, Failure> {
    Ok(service.run(words).await?.json)
}

/// What the page needs to know first.
async fn start(service: &Service) -> Result<Value, Failure> {
    let keys = run(service, &["key", "list", FILM]).await?;
    let url = format!("http://{}", service.address);
    Ok(json!({ "service": url, "serviceId": service.id, "content": FILM, "keys": keys,
        "tracks": film::tracks() }))
}

/// A token as the auth service of the demo gives it for each button.
async fn token(service: &Service, query: &BTreeMap<String, String>) -> Result<Value, Failure> {
    let case = query.get("case").map_or("play", String::as_str);
    let jkt = query.get("jkt").cloned().unwrap_or_default();
    let account = prepare(service, case, &jkt).await?;
    let mut words = vec!["token", "mint", "--sub", &account, "--life", "5m"];
    let region = if case == "region" { "DE" } else { "US" };
    words.extend(["--region", region]);
    let content = if case == "title" { "movies/another-film" } else { FILM };
    words.extend(["--content", content]);
    let device = format!("--device={}", if case == "stolen" { OTHER_DEVICE } else { &jkt });
    words.push(&device);
    if case == "expired" {
        words.extend(["--age", "1h"]);
    }
    words.extend(policy(case).into_iter().flat_map(|policy| ["--policy", policy]));
    run(service, &words).await
}

/// The policy that the token asks for.
fn policy(case: &str) -> Option<&'static str> {
    match case {
        "sd" => Some("small-screens"),
        "third" => Some("two-streams"),
        "sixth" => Some("five-devices"),
        "rental" => Some("short-rental"),
        "offline" => Some("downloads"),
        _ => None,
    }
}

/// Brings the viewer's account into the state that a button is about. Returns its name: each browser has accounts of its own.
async fn prepare(service: &Service, case: &str, jkt: &str) -> Result<String, Failure> {
    let account = match case {
        "third" | "sixth" | "rental" | "offline" | "revoked" => {
            format!("{case}-{}", jkt.chars().take(8).collect::<String>())
        }
        _ => return Ok("alice".into()),
    };
    let others = match case {
        "third" => 2,
        "sixth" => 5,
        "rental" => 1,
        "offline" => 0,
        _ => {
            let words = ["device", "revoke", "--issuer", ISSUER, "--account", &account, "--", jkt];
            run(service, &words).await?;
            return Ok(account);
        }
    };
    let mut words = vec!["token", "mint", "--sub", &account, "--content", FILM, "--region", "US"];
    words.extend(policy(case).into_iter().flat_map(|policy| ["--policy", policy]));
    let token = service.run(&words).await?.text;
    player::ask_with_new_devices(service, &token, FILM, others).await?;
    if case == "rental" {
        tokio::time::sleep(RENTAL).await;
    }
    Ok(account)
}
