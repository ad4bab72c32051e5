//! `reelkey demo --serve`: the demo in a browser. A page on this machine plays a film with licenses of a real service, and
//! shows what the service decides.

use std::collections::BTreeMap;
use std::future::{Future, pending};
use std::io::IsTerminal;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, oneshot};

use crate::cli::demo::film;
use crate::cli::demo::player;
use crate::cli::demo::report::Report;
use crate::cli::demo::setup::{self, FILM, RunCommand, Service};
use crate::cli::demo::tap;
use crate::cli::terminal::output::{Failure, Output};
use crate::http::demo::{Acted, Decisions, DemoPage, demo_router};
use crate::http::listener::server::{self, Rules};

/// Where the page is unless that port is taken.
const PORT: u16 = 7430;

/// The issuer of the demo's tokens.
const ISSUER: &str = "https://auth.example";

/// Longer than the rental of `short-rental`.
const RENTAL: Duration = Duration::from_millis(1200);

/// The thumbprint of a device that nobody here has.
const OTHER_DEVICE: &str = "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs";

/// Serves the page until a signal ends it.
pub(crate) async fn serve(json: bool, run: RunCommand) -> Result<Output, Failure> {
    let mut report = Report::new(true);
    // Before there is a folder that has to go again. The page's questions for decisions are not waited for.
    let stopped = stopped()?;
    let decisions = Arc::new(Decisions::default());
    tap::install(Arc::clone(&decisions))?;
    let listener = listen()?;
    let address = listener.local_addr()?;
    let origins =
        ["127.0.0.1", "localhost"].map(|host| format!("http://{host}:{}", address.port()));
    let service = setup::start_for_page(run, &origins, &mut report).await?;
    let (asks, asked) = mpsc::channel(16);
    let page = DemoPage {
        files: Arc::new(film::files()),
        act: Arc::new(move |action, query| ask(asks.clone(), action, query)),
        decisions,
        service: format!("http://{}", service.address),
    };
    announce(address, json)?;
    let serving = server::serve(listener, None, Rules::default(), demo_router(page), pending());
    tokio::select! {
        served = serving => served?,
        () = obey(&service, asked) => {}
        () = stopped => {}
    }
    service.stop().await?;
    Ok(Output::new(Value::Null, ""))
}

/// Ends with the first signal that ends the demo. A terminal that is closed is one.
fn stopped() -> std::io::Result<impl Future<Output = ()>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    })
}

/// What a button asks for, and where the answer goes.
type Ask = (String, BTreeMap<String, String>, oneshot::Sender<Result<Value, String>>);

/// Hands over what a button asks for. Commands run on one thread, and requests come on many.
fn ask(asks: mpsc::Sender<Ask>, action: String, query: BTreeMap<String, String>) -> Acted {
    Box::pin(async move {
        let (tell, told) = oneshot::channel();
        let ended = |_| "the demo is ending".to_owned();
        asks.send((action, query, tell)).await.map_err(|_| ended(()))?;
        told.await.map_err(|_| ended(()))?
    })
}

/// Does what buttons ask for, one after the other.
async fn obey(service: &Service, mut asked: mpsc::Receiver<Ask>) {
    while let Some((action, query, tell)) = asked.recv().await {
        let done = act(service, &action, &query).await;
        tell.send(done.map_err(|failure| failure.to_string())).ok();
    }
}

fn listen() -> Result<TcpListener, Failure> {
    let on = |port| TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    let listener = on(PORT).or_else(|_| on(0))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

fn announce(address: SocketAddr, json: bool) -> Result<(), Failure> {
    use std::io::Write;

    let url = format!("http://localhost:{}/", address.port());
    let mut out = std::io::stdout().lock();
    match json {
        true => writeln!(out, "{}", json!({ "ready": true, "url": url }))?,
        false => {
            writeln!(
                out,
                "The demo is on {url}\nOpen it in a browser on this machine. Ctrl-C ends it."
            )?;
            if !std::io::stdin().is_terminal() {
                writeln!(out, "It ends with SIGTERM.")?;
            }
        }
    }
    Ok(out.flush()?)
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
