//! The command line: its commands and options, and the function that each calls.
//!
//! Deliberately absent: what the commands do. Each noun has a file of its own.

use std::env;
use std::ffi::OsString;
use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;
use tokio::runtime::Runtime;

use crate::cli::folder::paths::Folder;
use crate::cli::terminal::output::{self, Failure, Output};
use crate::cli::{
    account, content, decrypt, demo, device, doctor, hygiene, init, inspect, issuer, kek, key,
    license, manifest, manual, packager, policy, pssh, reload, root, serve, session, signer, token,
    usage,
};

/// The version, with the commit and its day where they are known.
const VERSION: &str = env!("REELKEY_VERSION");

/// A self-hosted DRM license and key service.
#[derive(Debug, Parser)]
#[command(name = "reelkey", version = VERSION, max_term_width = 100, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
struct Global {
    /// The data folder.
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        env = "REELKEY_DATA",
        default_value = "reelkey-data"
    )]
    data: PathBuf,
    /// The configuration file, if it is not reelkey.toml in the data folder.
    #[arg(long, global = true, value_name = "FILE", env = "REELKEY_CONFIG")]
    config: Option<PathBuf>,
    /// Print one JSON document on standard output.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a data folder with a configuration, policies, a root key and an empty store.
    Init,
    /// Run the service: grant or refuse license requests.
    Serve(serve::ServeArgs),
    /// Show a whole playback: service, keys, token, license, decrypted film, refusals.
    Demo(demo::DemoArgs),
    /// Check the installation and list what to repair.
    Doctor,
    /// Let the running service read certificate, policies, issuers and origins anew: all of it, or nothing.
    Reload,
    /// Contents: what licenses are for.
    #[command(subcommand)]
    Content(content::ContentCommand),
    /// Content keys.
    #[command(subcommand)]
    Key(key::KeyCommand),
    /// Key-encryption keys.
    #[command(subcommand)]
    Kek(kek::KekCommand),
    /// The root key, which opens the store.
    #[command(subcommand)]
    Root(root::RootCommand),
    /// The keys that sign licenses.
    #[command(subcommand)]
    Signer(signer::SignerCommand),
    /// The trusted issuers of authorization tokens.
    #[command(subcommand)]
    Issuer(issuer::IssuerCommand),
    /// Packagers and origins: who may ask for content keys.
    #[command(subcommand)]
    Packager(packager::PackagerCommand),
    /// The devices of accounts.
    #[command(subcommand)]
    Device(device::DeviceCommand),
    /// The licenses that are remembered.
    #[command(subcommand)]
    License(license::LicenseCommand),
    /// The streams that count now.
    #[command(subcommand)]
    Session(session::SessionCommand),
    /// Accounts: forgetting one.
    #[command(subcommand)]
    Account(account::AccountCommand),
    /// Authorization tokens, for development.
    #[command(subcommand)]
    Token(token::TokenCommand),
    /// Policies.
    #[command(subcommand)]
    Policy(policy::PolicyCommand),
    /// Print the lines of a DASH manifest or HLS playlist that lead players to the keys.
    Manifest(manifest::ManifestArgs),
    /// Decrypt Common Encryption files with known keys or a stored license.
    Decrypt(decrypt::DecryptArgs),
    /// Show what a film is and which keys it needs: tracks, schemes, KIDs and DRM systems.
    Inspect(inspect::InspectArgs),
    /// pssh boxes: what they say, and writing them.
    #[command(subcommand)]
    Pssh(pssh::PsshCommand),
    /// Print the completion script of a shell.
    Completion {
        /// The shell.
        shell: Shell,
    },
    /// Print a manual page.
    Man(manual::ManArgs),
}

impl Command {
    /// Whether the command works on the data folder of an installation, which must exist then.
    fn needs_folder(&self) -> bool {
        match self {
            Self::Init
            | Self::Demo(_)
            | Self::Decrypt(_)
            | Self::Inspect(_)
            | Self::Completion { .. }
            | Self::Man(_) => false,
            Self::Policy(command) => command.needs_folder(),
            Self::Pssh(command) => command.needs_folder(),
            _ => true,
        }
    }
}

/// Runs the command line of this process and returns its exit code.
#[must_use]
pub fn run() -> ExitCode {
    let cli: Cli = match usage::read(env::args_os().collect()) {
        Ok(cli) => cli,
        Err(code) => return code,
    };
    let json = cli.global.json;
    if let Command::Decrypt(args) = &cli.command
        && let Err(error) = args.check()
    {
        return usage::tell(&error, json);
    }
    let is_service = matches!(cli.command, Command::Serve(_));
    hygiene::quiet_caught_panics();
    let result = match hygiene::guard_memory() {
        Err(error) => Err(Failure::from(error).during("switching core dumps off")),
        Ok(()) => match &cli.command {
            // These use no network, so they do not start the runtime's threads.
            Command::Decrypt(args) => decrypt::decrypt(args),
            Command::Inspect(args) => inspect::inspect(args),
            _ => Runtime::new()
                .map_err(Failure::from)
                .and_then(|threads| threads.block_on(dispatch(cli))),
        },
    };
    let code = if result.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    let written = if is_service {
        // The service ends in time, whatever its terminal or its log takes.
        output::within(FAREWELL, move || say(result, json))
    } else {
        say(result, json)
    };
    match written {
        // If the reader of the pipe has closed it, that is no failure.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => ExitCode::FAILURE,
        _ => code,
    }
}

/// How long the service waits for its last word to be written.
const FAREWELL: Duration = Duration::from_secs(1);

/// Writes what came of a command.
fn say(result: Result<Output, Failure>, json: bool) -> io::Result<()> {
    let (mut out, mut err) = (io::stdout().lock(), io::stderr().lock());
    match result {
        Ok(output) => {
            output.write_notes(&mut err)?;
            output.write(json, &mut out)
        }
        Err(failure) => failure.write(json, &mut out, &mut err),
    }
}

async fn dispatch(cli: Cli) -> Result<Output, Failure> {
    let folder = Folder::new(&cli.global.data, cli.global.config.as_deref());
    if cli.command.needs_folder() {
        folder.require()?;
    }
    match cli.command {
        Command::Init => init::init(&folder).await,
        Command::Serve(args) => serve::serve(&folder, args, cli.global.json).await,
        Command::Demo(args) => demo::run(args, &folder, cli.global.json, run_words).await,
        Command::Doctor => doctor::doctor(&folder).await,
        Command::Reload => reload::run(&folder).await,
        Command::Content(command) => content::run(&folder, command).await,
        Command::Key(command) => key::run(&folder, command).await,
        Command::Kek(command) => kek::run(&folder, command).await,
        Command::Root(command) => root::run(&folder, command).await,
        Command::Packager(command) => packager::run(&folder, command).await,
        Command::Signer(command) => signer::run(&folder, command).await,
        Command::Issuer(command) => issuer::run(&folder, command).await,
        Command::Device(command) => device::run(&folder, command).await,
        Command::License(command) => license::run(&folder, command).await,
        Command::Session(command) => session::run(&folder, command).await,
        Command::Account(command) => account::run(&folder, command).await,
        Command::Token(command) => token::run(&folder, command).await,
        Command::Policy(command) => policy::run(&folder, command).await,
        Command::Manifest(args) => manifest::manifest(&folder, args).await,
        Command::Decrypt(args) => decrypt::decrypt(&args),
        Command::Inspect(args) => inspect::inspect(&args),
        Command::Pssh(command) => pssh::run(&folder, command, cli.global.json).await,
        Command::Completion { shell } => manual::completion(shell, usage::commands::<Cli>()),
        Command::Man(args) => manual::man(&args, usage::commands::<Cli>()),
    }
}

/// Runs a command line, given word by word. The demo uses it.
fn run_words(words: Vec<OsString>) -> Pin<Box<dyn Future<Output = Result<Output, Failure>>>> {
    Box::pin(async move { dispatch(Cli::try_parse_from(words)?).await })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::examples::EXAMPLES;
    use clap::CommandFactory;

    #[test]
    fn the_command_tree_is_consistent() {
        Cli::command().debug_assert();
    }

    /// The paths of the commands that have no further subcommands.
    fn leaves(command: &clap::Command, path: &str, leaves: &mut Vec<String>) {
        if command.get_subcommands().next().is_none() {
            leaves.push(path.trim_start().to_owned());
        }
        for sub in command.get_subcommands() {
            self::leaves(sub, &format!("{path} {}", sub.get_name()), leaves);
        }
    }

    #[test]
    fn every_command_has_examples_and_each_of_them_is_understood() {
        let mut names = Vec::new();
        leaves(&Cli::command(), "", &mut names);
        for name in &names {
            assert!(EXAMPLES.iter().any(|(of, _)| of == name), "{name} has no examples");
        }
        for (of, lines) in EXAMPLES {
            assert!(of.is_empty() || names.iter().any(|name| name == of), "there is no {of}");
            assert!(!lines.is_empty(), "{of}");
            for line in lines {
                // Up to where a shell would take over.
                let line = line.split(['|', '<', '>']).next().unwrap().replace('\'', "");
                assert!(line.starts_with(format!("reelkey {of}").trim_end()), "{line}");
                Cli::try_parse_from(line.split_whitespace())
                    .unwrap_or_else(|e| panic!("{line}: {e}"));
            }
        }
    }
}
