//! The command line as it is typed: which words there are, and where each leads.
//!
//! Deliberately absent: what a command does. Each noun has a file of its own.

use std::ffi::OsString;
use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use tokio::runtime::Runtime;

use crate::cli::folder::paths::Folder;
use crate::cli::terminal::output::{Failure, Output};
use crate::cli::{
    content, decrypt, demo, doctor, hygiene, init, issuer, kek, key, policy, root, serve, signer,
    token,
};

/// A self-hosted DRM license and key service.
#[derive(Debug, Parser)]
#[command(name = "reelkey", version, max_term_width = 100, arg_required_else_help = true)]
pub struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Args)]
struct Global {
    /// The data folder.
    #[arg(long, global = true, value_name = "DIR", default_value = "reelkey-data")]
    data: PathBuf,
    /// The configuration, if it is not the data folder's reelkey.toml.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Answer with one JSON document on standard output.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a data folder: configuration, policies, root key, empty store.
    Init,
    /// Answer license requests.
    Serve(serve::ServeArgs),
    /// Show a whole playback: service, keys, token, license, decrypted film, refusals.
    Demo,
    /// Look an installation over, and say what to mend.
    Doctor,
    /// Titles.
    #[command(subcommand)]
    Content(content::ContentCommand),
    /// Content keys.
    #[command(subcommand)]
    Key(key::KeyCommand),
    /// Key-encryption keys.
    #[command(subcommand)]
    Kek(kek::KekCommand),
    /// The key that opens the store.
    #[command(subcommand)]
    Root(root::RootCommand),
    /// Keys that sign licenses.
    #[command(subcommand)]
    Signer(signer::SignerCommand),
    /// Who may issue authorization tokens.
    #[command(subcommand)]
    Issuer(issuer::IssuerCommand),
    /// Authorization tokens, for development.
    #[command(subcommand)]
    Token(token::TokenCommand),
    /// Policies.
    #[command(subcommand)]
    Policy(policy::PolicyCommand),
    /// Decrypt a Common Encryption file with known keys.
    Decrypt(decrypt::DecryptArgs),
}

/// Runs a command and answers the process's exit code.
pub fn run(cli: Cli) -> ExitCode {
    let json = cli.global.json;
    hygiene::quiet_caught_panics();
    let result = match hygiene::guard_memory() {
        Err(error) => Err(Failure::from(error).during("switching core dumps off")),
        Ok(()) => match &cli.command {
            // It talks to nobody, so it does not wait for threads that would.
            Command::Decrypt(args) => decrypt::decrypt(args),
            _ => Runtime::new()
                .map_err(Failure::from)
                .and_then(|threads| threads.block_on(dispatch(cli))),
        },
    };
    // Locked only now: while a command runs, its log goes to standard error.
    let (mut out, mut err) = (io::stdout().lock(), io::stderr().lock());
    let (written, code) = match result {
        Ok(output) => (output.write(json, &mut out), ExitCode::SUCCESS),
        Err(failure) => (failure.write(json, &mut out, &mut err), ExitCode::FAILURE),
    };
    match written {
        // Whoever closed the pipe has read enough.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => ExitCode::FAILURE,
        _ => code,
    }
}

async fn dispatch(cli: Cli) -> Result<Output, Failure> {
    let folder = Folder::new(&cli.global.data, cli.global.config.as_deref());
    match cli.command {
        Command::Init => init::init(&folder).await,
        Command::Serve(args) => serve::serve(&folder, args, cli.global.json).await,
        Command::Demo => demo::demo(cli.global.json, run_words).await,
        Command::Doctor => doctor::doctor(&folder).await,
        Command::Content(command) => content::run(&folder, command).await,
        Command::Key(command) => key::run(&folder, command).await,
        Command::Kek(command) => kek::run(&folder, command).await,
        Command::Root(command) => root::run(&folder, command).await,
        Command::Signer(command) => signer::run(&folder, command).await,
        Command::Issuer(command) => issuer::run(&folder, command).await,
        Command::Token(command) => token::run(&folder, command),
        Command::Policy(command) => policy::run(&folder, command),
        Command::Decrypt(args) => decrypt::decrypt(&args),
    }
}

/// Runs a command line, given word by word. The demo is shown with it.
fn run_words(words: Vec<OsString>) -> Pin<Box<dyn Future<Output = Result<Output, Failure>>>> {
    Box::pin(async move { dispatch(Cli::try_parse_from(words)?).await })
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_tree_is_consistent() {
        Cli::command().debug_assert();
    }
}
