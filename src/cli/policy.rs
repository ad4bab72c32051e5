//! `reelkey policy`: checks and lists policies.

use std::path::PathBuf;

use clap::Subcommand;
use serde_json::{Value, json};

use crate::cli::folder::installation;
use crate::cli::folder::paths::Folder;
use crate::cli::folder::reading::{self, POLICY};
use crate::cli::operator;
use crate::cli::terminal::output::{Failure, Output};
use crate::cli::terminal::table::table;
use crate::domain::policy::Policy;
use crate::domain::track::TrackType;

#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    /// Check policies and report errors.
    Check {
        /// The files; - is standard input. The default is the policies of the data folder.
        files: Vec<PathBuf>,
    },
    /// List the policies of the data folder.
    List,
}

impl PolicyCommand {
    /// Whether it reads the data folder.
    pub(crate) fn needs_folder(&self) -> bool {
        !matches!(self, Self::Check { files } if !files.is_empty())
    }
}

pub(crate) async fn run(folder: &Folder, command: PolicyCommand) -> Result<Output, Failure> {
    match command {
        PolicyCommand::Check { files } if files.is_empty() => {
            checked(installation::policies(folder)?)
        }
        PolicyCommand::Check { files } => {
            let policies = files.iter().map(|file| installation::policy(file));
            checked(policies.collect::<Result<_, _>>()?)
        }
        PolicyCommand::List => list(folder).await,
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

/// How a policy's file stands to what the running service has in force.
#[derive(Clone, Copy)]
enum State {
    /// It is in force as the file says.
    InForce,
    /// The file is new or has changed: it waits for `reelkey reload`.
    Waits,
    /// The file is gone, and the policy is in force until `reelkey reload`.
    Removed,
    /// No service runs: it counts at the next start.
    AtStart,
}

impl State {
    /// For `--json`, and for people.
    const fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::InForce => ("in-force", "in force"),
            Self::Waits => ("waits", "waits for `reelkey reload`"),
            Self::Removed => ("removed", "removed; in force until `reelkey reload`"),
            Self::AtStart => ("at-start", "at the next start"),
        }
    }
}

async fn list(folder: &Folder) -> Result<Output, Failure> {
    let policies = installation::policies_and_texts(folder)?;
    let in_force = operator::in_force(folder).await?;
    let (mut rows, mut json) = (Vec::new(), Vec::new());
    for (policy, text) in &policies {
        let state = match &in_force {
            None => State::AtStart,
            Some(made_of) if reading::is_policy_in_force(made_of, policy, text) => State::InForce,
            Some(_) => State::Waits,
        };
        rows.push([
            policy.name.clone(),
            if policy.can_play { "yes" } else { "no" }.to_owned(),
            tracks(policy).join(" "),
            format!("{} s", policy.license_duration.as_secs()),
            regions(policy),
            state.words().1.to_owned(),
        ]);
        json.push(policy_json(policy, state));
    }
    let there = |name: &&str| policies.iter().any(|(policy, _)| policy.name == **name);
    let names = in_force.iter().flat_map(|made_of| made_of.keys());
    let removed = names.filter_map(|name| name.strip_prefix(POLICY)).filter(|name| !there(name));
    for name in removed {
        let (word, text) = State::Removed.words();
        let none = String::new;
        rows.push([name.to_owned(), none(), none(), none(), none(), text.to_owned()]);
        json.push(json!({ "policy_id": name, "state": word }));
    }
    let text = table(["POLICY", "PLAYS", "TRACKS", "LICENSE", "REGIONS", "STATE"], &rows);
    Ok(Output::new(Value::Array(json), text))
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

fn policy_json(policy: &Policy, state: State) -> Value {
    json!({ "policy_id": policy.name, "can_play": policy.can_play, "tracks": tracks(policy),
        "license_duration": policy.license_duration.as_secs(), "regions": regions(policy),
        "state": state.words().0 })
}
