//! `reelkey completion` and `reelkey man`: what a shell and `man` know of the commands.

use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;

use clap::{Args, Command};
use clap_complete::Shell;
use clap_mangen::Man;
use serde_json::{Value, json};

use crate::cli::terminal::output::{Failure, Output};

#[derive(Debug, Args)]
pub(crate) struct ManArgs {
    /// The command. The default is reelkey itself.
    #[arg(value_name = "COMMAND", conflicts_with = "to")]
    of: Vec<String>,
    /// Write the pages of all commands to this folder instead. It is made if it is missing.
    #[arg(long, value_name = "DIR")]
    to: Option<PathBuf>,
}

/// Prints the completion script of a shell.
pub(crate) fn completion(shell: Shell, mut commands: Command) -> Result<Output, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut commands, "reelkey", &mut script);
    print(&script)
}

/// Prints a manual page, or writes all of them to a folder.
pub(crate) fn man(args: &ManArgs, mut commands: Command) -> Result<Output, Failure> {
    commands.build();
    if let Some(folder) = &args.to {
        let written =
            fs::create_dir_all(folder).and_then(|()| clap_mangen::generate_to(commands, folder));
        written.map_err(|error| Failure::from(error).during(folder.display()))?;
        let text = format!("the manual pages are in {}.", folder.display());
        return Ok(Output::new(json!({ "pages": folder }), text));
    }
    let mut command = &commands;
    for name in &args.of {
        command = command.find_subcommand(name).ok_or_else(|| {
            let what = format_args!("there is no command {}", args.of.join(" "));
            Failure::new(what).remedy("see `reelkey --help`")
        })?;
    }
    let mut page = Vec::new();
    Man::new(command.clone()).render(&mut page)?;
    print(&page)
}

/// What is written is for another program, so it is the output with `--json`, too.
fn print(bytes: &[u8]) -> Result<Output, Failure> {
    io::stdout().lock().write_all(bytes)?;
    Ok(Output::new(Value::Null, ""))
}
