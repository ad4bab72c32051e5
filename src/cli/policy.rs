//! `reelkey policy`: checks and lists policies.

use std::path::PathBuf;

use clap::Subcommand;
use serde_json::{Value, json};

use crate::cli::clock;
use crate::cli::explain::{ExplainArgs, explain};
use crate::cli::folder::installation;
use crate::cli::folder::paths::Folder;
use crate::cli::folder::reading::{self, POLICY};
use crate::cli::folder::surroundings;
use crate::cli::operator;
use crate::cli::policy_summary::{fields, regions, rules, tracks};
use crate::cli::terminal::output::{Failure, Output};
use crate::cli::terminal::table::table;
use crate::domain::policy::Policy;
use crate::domain::policy_warning::warnings;
use crate::domain::security_level::SecurityLevel;

#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    /// Check policies: report errors, and warn of rules that will hurt.
    Check {
        /// The files; - is standard input. The default is the policies of the data folder.
        files: Vec<PathBuf>,
    },
    /// List the policies of the data folder.
    List,
    /// Tell whether a viewer would get a license, rule by rule. Nothing is changed.
    Explain(ExplainArgs),
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
            let policies = installation::policies(folder)?;
            surroundings::check_databases(folder)?;
            checked(policies, reading::certified_level(folder)?)
        }
        PolicyCommand::Check { files } => {
            let policies = files.iter().map(|file| installation::policy(folder, file));
            // Which devices will be asked is not known here.
            checked(policies.collect::<Result<_, _>>()?, Some(SecurityLevel::HwSecureAll))
        }
        PolicyCommand::List => list(folder).await,
        PolicyCommand::Explain(args) => explain(folder, args).await,
    }
}

fn checked(policies: Vec<Policy>, certified: Option<SecurityLevel>) -> Result<Output, Failure> {
    let names: Vec<_> = policies.iter().map(|policy| policy.name.as_str()).collect();
    let mut text = match names.len() {
        0 => return Err(Failure::new("there are no policies").remedy("run `reelkey init`")),
        1 => format!("{} is valid.", names.concat()),
        _ => format!("{} are valid.", names.join(", ")),
    };
    let rows: Vec<_> = policies.iter().map(|policy| [policy.name.clone(), rules(policy)]).collect();
    text.push_str(&format!("\n\n{}", table(["POLICY", "RULES"], &rows)));
    let (mut rows, mut json) = (Vec::new(), Vec::new());
    let now = clock::now();
    for policy in &policies {
        for warning in warnings(policy, certified, now) {
            json.push(json!({ "policy_id": policy.name, "field": warning.field,
                "message": warning.message }));
            rows.push([policy.name.clone(), warning.field.to_owned(), warning.message]);
        }
    }
    if !rows.is_empty() {
        text.push_str(&format!("\n\n{}", table(["POLICY", "FIELD", "WARNING"], &rows)));
    }
    let policies: Vec<_> = policies.iter().map(fields).collect();
    Ok(Output::new(json!({ "ok": names, "policies": policies, "warnings": json }), text))
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
            rules(policy),
            state.words().1.to_owned(),
        ]);
        let mut entry = fields(policy);
        if let Value::Object(entry) = &mut entry {
            entry.insert("state".to_owned(), state.words().0.into());
        }
        json.push(entry);
    }
    let there = |name: &&str| policies.iter().any(|(policy, _)| policy.name == **name);
    let names = in_force.iter().flat_map(|made_of| made_of.keys());
    let removed = names.filter_map(|name| name.strip_prefix(POLICY)).filter(|name| !there(name));
    for name in removed {
        let (word, text) = State::Removed.words();
        let none = String::new;
        rows.push([name.to_owned(), none(), none(), none(), none(), none(), text.to_owned()]);
        json.push(json!({ "policy_id": name, "state": word }));
    }
    let text = table(["POLICY", "PLAYS", "TRACKS", "LICENSE", "REGIONS", "RULES", "STATE"], &rows);
    Ok(Output::new(Value::Array(json), text))
}
