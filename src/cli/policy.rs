//! `reelkey policy`: checks and lists policies.

use std::path::PathBuf;

use clap::Subcommand;
use serde_json::{Value, json};

use crate::cli::folder::installation;
use crate::cli::folder::paths::Folder;
use crate::cli::terminal::output::{Failure, Output, table};
use crate::domain::policy::Policy;
use crate::domain::track::TrackType;

#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    /// Check policies and report errors.
    Check {
        /// The files. The default is the policies of the data folder.
        files: Vec<PathBuf>,
    },
    /// List the policies of the data folder.
    List,
}

pub(crate) fn run(folder: &Folder, command: PolicyCommand) -> Result<Output, Failure> {
    match command {
        PolicyCommand::Check { files } if files.is_empty() => {
            checked(installation::policies(folder)?)
        }
        PolicyCommand::Check { files } => {
            let policies = files.iter().map(|file| installation::policy(file));
            checked(policies.collect::<Result<_, _>>()?)
        }
        PolicyCommand::List => Ok(list(&installation::policies(folder)?)),
    }
}

fn checked(policies: Vec<Policy>) -> Result<Output, Failure> {
    let names: Vec<_> = policies.iter().map(|policy| policy.name.as_str()).collect();
    let text = match names.len() {
        0 => return Err(Failure::new("there are no policies").remedy("run `reelkey init`")),
        1 => format!("{} is valid.", names.concat()),
        _ => format!("{} are valid.", names.join(", ")),
    };
    Ok(Output::new(json!({ "ok": names }), text))
}

fn list(policies: &[Policy]) -> Output {
    let rows: Vec<_> = policies
        .iter()
        .map(|policy| {
            [
                policy.name.clone(),
                if policy.can_play { "yes" } else { "no" }.to_owned(),
                tracks(policy).join(" "),
                format!("{} s", policy.license_duration.as_secs()),
                regions(policy),
            ]
        })
        .collect();
    let text = table(["POLICY", "PLAYS", "TRACKS", "LICENSE", "REGIONS"], &rows);
    Output::new(policies.iter().map(policy_json).collect(), text)
}

fn tracks(policy: &Policy) -> Vec<&'static str> {
    let allowed = TrackType::ALL.into_iter().filter(|track| policy.allows(Some(*track)));
    allowed.map(TrackType::as_str).collect()
}

fn regions(policy: &Policy) -> String {
    let Some(rule) = &policy.region else { return "anywhere".into() };
    let join = |list: &[crate::domain::region::Region]| {
        list.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
    };
    let mut text = if rule.allowed.is_empty() { "any".to_owned() } else { join(&rule.allowed) };
    if !rule.blocked.is_empty() {
        text.push_str(&format!(", not {}", join(&rule.blocked)));
    }
    if !rule.blackouts.is_empty() {
        text.push_str(&format!(", {} blackout(s)", rule.blackouts.len()));
    }
    text
}

fn policy_json(policy: &Policy) -> Value {
    json!({ "policy_id": policy.name, "can_play": policy.can_play, "tracks": tracks(policy),
        "license_duration": policy.license_duration.as_secs(), "regions": regions(policy) })
}
