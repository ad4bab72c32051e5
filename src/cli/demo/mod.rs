//! `reelkey demo`: one playback, from an empty folder to a decrypted film, and some refused requests.
//!
//! Everything is real: the commands are those of the command line, the service answers over HTTP, an ordinary packager
//! encrypted the clip, and the player uses the client crate. Only the folder is temporary.

mod buttons;
mod film;
mod page;
mod player;
mod report;
mod setup;
mod stream;
mod tap;

use clap::Args;
use serde_json::Value;

use crate::cli::clock;
use crate::cli::demo::player::{Attempt, Player};
use crate::cli::demo::report::Report;
use crate::cli::demo::setup::RunCommand;
use crate::cli::demo::stream::StreamArgs;
use crate::cli::folder::paths::Folder;
use crate::cli::terminal::output::{Failure, Output};

#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// Serve the demo as a page for a browser on this machine, until Ctrl-C.
    #[arg(long)]
    serve: bool,
    /// The page's port on this machine. The default is 7430, or one that is free.
    #[arg(long, requires = "serve")]
    port: Option<u16>,
    #[command(flatten)]
    stream: StreamArgs,
}

/// Runs the demo: in the terminal, or as a page. `run` runs a command line, as a shell would; `folder` is that of the service
/// whose stream is played, if one is.
pub(crate) async fn run(
    args: DemoArgs,
    folder: &Folder,
    json: bool,
    run: RunCommand,
) -> Result<Output, Failure> {
    match (args.serve, args.stream.stream()) {
        (true, Some(_)) => stream::serve(folder, &args.stream, args.port, json, run).await,
        (true, None) => buttons::serve(args.port, json, run).await,
        (false, _) => demo(json, run).await,
    }
}

/// Shows a playback. `run` runs a command line, as a shell would.
async fn demo(json: bool, run: RunCommand) -> Result<Output, Failure> {
    let mut report = Report::new(json);
    report.title("Reelkey demo: one playback, from an empty folder to a decrypted film")?;

    report.step("A service is set up. These are ordinary commands:")?;
    let service = setup::start(run, &mut report).await?;

    report.step("A player asks for a license")?;
    let player = Player::new()?;
    let here = Attempt { region: "US", ..Attempt::new() };
    let license = player.play(&service, here).await?.map_err(|problem| {
        Failure::new(format_args!("the license was refused: {}", problem.reason))
    })?;
    report.granted(player.thumbprint(), &license)?;

    report.step("It decrypts the film, which an ordinary packager has encrypted")?;
    for track in player::decrypt_clips(license)? {
        report.decrypted(&track)?;
    }

    report.step("The same request, changed a little, is refused")?;
    let attempts = [
        ("from Germany", "region-denied", Attempt { region: "DE", ..here }),
        (
            "by another device, with the token stolen",
            "token-not-bound",
            Attempt { steal: true, ..here },
        ),
        ("with a request made an hour ago", "request-stale", Attempt { age_secs: 3600, ..here }),
        (
            "with a token that says it is for everything",
            "token-invalid",
            Attempt { forge: true, ..here },
        ),
        (
            "for a title that the token does not name",
            "not-authorized",
            Attempt { content: "movies/other", ..here },
        ),
    ];
    for (what, expected, attempt) in attempts {
        match player.play(&service, attempt).await? {
            Err(problem) if problem.reason == expected => report.refused(what, &problem)?,
            Err(problem) => return Err(unexpected(what, &problem.reason)),
            Ok(_) => return Err(unexpected(what, "granted")),
        }
    }
    service.stop().await?;
    report.close()?;
    let document = if json { report.into_json(clock::now()) } else { Value::Null };
    Ok(Output::new(document, ""))
}

fn unexpected(what: &str, reason: &str) -> Failure {
    Failure::new(format_args!("the request {what} should have been refused, and was: {reason}"))
}
