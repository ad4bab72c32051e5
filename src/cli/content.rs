//! `reelkey content`: titles.

use clap::Subcommand;
use serde_json::json;

use crate::authority::provision::{self, Provisioned};
use crate::cli::folder::Folder;
use crate::cli::output::{Failure, Output, table};
use crate::cli::{clock, installation};
use crate::domain::content::ContentId;
use crate::store::record::{self, ContentRecord};

#[derive(Debug, Subcommand)]
pub(crate) enum ContentCommand {
    /// Add a title under one or more policies.
    Add {
        /// Its content ID: movies/bunny.
        content: ContentId,
        /// Its policies; the first serves tokens that name none.
        #[arg(long, required = true, value_name = "NAME")]
        policy: Vec<String>,
    },
    /// List the titles.
    List,
    /// Show a title and its keys.
    Show {
        /// Its content ID.
        content: ContentId,
    },
}

pub(crate) async fn run(folder: &Folder, command: ContentCommand) -> Result<Output, Failure> {
    match command {
        ContentCommand::Add { content, policy } => add(folder, &content, &policy).await,
        ContentCommand::List => list(folder).await,
        ContentCommand::Show { content } => show(folder, &content).await,
    }
}

async fn add(folder: &Folder, content: &ContentId, policies: &[String]) -> Result<Output, Failure> {
    let loaded = installation::policies(folder)?;
    for (at, name) in policies.iter().enumerate() {
        if !loaded.iter().any(|policy| policy.name == *name) {
            let remedy = format!("write {}", folder.policies().join(name).display());
            return Err(Failure::new(format_args!("there is no policy {name:?}"))
                .remedy(format_args!("{remedy}.toml, or see `reelkey policy list`")));
        }
        if policies.iter().take(at).any(|other| other == name) {
            return Err(Failure::new(format_args!("policy {name:?} is named twice")));
        }
    }
    let store = installation::open_store(folder)?;
    let done = provision::add_content(&*store, content, policies, clock::now()).await?;
    let json = json!({ "content_id": content.as_str(), "policies": policies,
        "created": done == Provisioned::Done });
    let text = match done {
        Provisioned::Done => format!(
            "{content} added under {}.\nnext: reelkey key generate {content} --data {} --track HD",
            policies.join(", "),
            folder.root().display()
        ),
        Provisioned::Already => format!("{content} is there already; nothing was changed."),
    };
    Ok(Output::new(json, text))
}

async fn list(folder: &Folder) -> Result<Output, Failure> {
    let store = installation::open_store(folder)?;
    let contents = record::all::<ContentRecord>(&*store).await?;
    let json = contents.iter().map(content_json).collect();
    if contents.is_empty() {
        let text = "no titles yet.\nnext: reelkey content add movies/bunny --policy default";
        return Ok(Output::new(json, text));
    }
    let mut rows = Vec::new();
    for content in &contents {
        let keys = record::keys_of(&*store, &content.content_id).await?.len();
        rows.push([
            content.content_id.to_string(),
            content.policies.join(", "),
            keys.to_string(),
            clock::show(content.created_at),
        ]);
    }
    Ok(Output::new(json, table(["CONTENT", "POLICIES", "KEYS", "ADDED"], &rows)))
}

async fn show(folder: &Folder, content: &ContentId) -> Result<Output, Failure> {
    let store = installation::open_store(folder)?;
    let record = record::content(&*store, content).await?.ok_or_else(|| {
        Failure::new(format_args!("there is no content {content}"))
            .remedy("see `reelkey content list`")
    })?;
    let keys = record::keys_of(&*store, content).await?;
    let mut json = content_json(&record);
    if let Some(members) = json.as_object_mut() {
        members.insert("keys".into(), keys.iter().map(super::key::key_json).collect());
    }
    let head = format!("{content} under {}", record.policies.join(", "));
    let text = if keys.is_empty() {
        format!("{head}\nno keys yet.\nnext: reelkey key generate {content} --track HD")
    } else {
        format!("{head}\n\n{}", super::key::key_table(&keys))
    };
    Ok(Output::new(json, text))
}

fn content_json(content: &ContentRecord) -> serde_json::Value {
    json!({ "content_id": content.content_id.as_str(), "policies": content.policies,
        "created_at": content.created_at })
}
