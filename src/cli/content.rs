//! `reelkey content`: adds, lists, shows and removes contents.

use std::num::NonZeroU32;

use clap::Subcommand;
use serde_json::json;

use crate::authority::operation::content::{
    AddContent, ContentAdded, ContentRemoved, ContentShown, ContentView, ListContents, PoliciesSet,
    RemoveContent, SetPolicies, ShowContent,
};
use crate::cli::folder::paths::Folder;
use crate::cli::key::key_table;
use crate::cli::terminal::confirm::confirm;
use crate::cli::terminal::output::{Failure, Output};
use crate::cli::terminal::table::table;
use crate::cli::{clock, operator};
use crate::domain::content::ContentId;

#[derive(Debug, Subcommand)]
pub(crate) enum ContentCommand {
    /// Add a content with one or more policies.
    Add {
        /// The content ID, for example movies/bunny.
        content: ContentId,
        /// The policies. The first applies to tokens that name none.
        #[arg(long, required = true, value_name = "NAME")]
        policy: Vec<String>,
        /// Change its keys with the clock: a crypto period lasts so long. Packagers may count periods of their own instead.
        #[arg(long, value_name = "SECONDS")]
        crypto_period_seconds: Option<NonZeroU32>,
    },
    /// List the contents.
    List {
        /// Only contents whose ID begins with this text.
        #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
        prefix: String,
        /// At most this many contents, the first ones.
        #[arg(long, value_name = "NUMBER")]
        limit: Option<usize>,
    },
    /// Replace the policies of a content.
    SetPolicy {
        /// The content ID.
        content: ContentId,
        /// The new policies. The first is for tokens that name none.
        #[arg(long, required = true, value_name = "NAME")]
        policy: Vec<String>,
    },
    /// Show a content and its keys.
    Show {
        /// The content ID.
        content: ContentId,
    },
    /// Remove a content whose keys are all retired, together with these keys. It cannot be undone.
    Remove {
        /// The content ID.
        content: ContentId,
        /// Do not ask for confirmation.
        #[arg(long)]
        yes: bool,
    },
}

pub(crate) async fn run(folder: &Folder, command: ContentCommand) -> Result<Output, Failure> {
    match command {
        ContentCommand::Add { content: content_id, policy: policies, crypto_period_seconds } => {
            let operation = AddContent { content_id, policies, crypto_period_seconds };
            let added = operator::execute(folder, operation).await?;
            Ok(show_added(folder, &added))
        }
        ContentCommand::List { prefix, limit } => {
            Ok(list(&operator::execute(folder, ListContents { prefix, limit }).await?))
        }
        ContentCommand::SetPolicy { content: content_id, policy: policies } => {
            Ok(set(&operator::execute(folder, SetPolicies { content_id, policies }).await?))
        }
        ContentCommand::Remove { content, yes } => {
            confirm(&format!("Remove {content} and its keys for good?"), yes)?;
            remove(folder, content).await
        }
        ContentCommand::Show { content: content_id } => {
            Ok(show(&operator::execute(folder, ShowContent { content_id }).await?))
        }
    }
}

fn show(shown: &ContentShown) -> Output {
    let ContentShown { content, keys } = shown;
    let ContentView { content_id, policies, .. } = content;
    let mut head = format!("{content_id} under {}", policies.join(", "));
    if let Some(seconds) = content.crypto_period_seconds {
        head.push_str(&format!("\nits keys change every {seconds} s"));
    }
    if !content.crypto_period_tracks.is_empty() {
        let tracks = content.crypto_period_tracks.join(", ");
        head.push_str(&format!("\nkeys of crypto periods are derived for {tracks}"));
    }
    let text = match keys.len() {
        0 if !content.crypto_period_tracks.is_empty() => head,
        0 => format!("{head}\nno keys yet.\nnext: reelkey key generate {content_id} --track HD"),
        _ => format!("{head}\n\n{}", key_table(keys)),
    };
    let json = json!({ "content_id": content_id, "policies": policies,
        "created_at": content.created_at, "keys": keys,
        "crypto_period_seconds": content.crypto_period_seconds,
        "crypto_period_tracks": content.crypto_period_tracks });
    Output::new(json, text)
}

fn show_added(folder: &Folder, added: &ContentAdded) -> Output {
    let ContentAdded { content: ContentView { content_id, policies, .. }, created } = added;
    let json = json!({ "content_id": content_id, "policies": policies, "created": created });
    let text = if *created {
        format!(
            "{content_id} added under {}.\n\
             next: reelkey key generate {content_id} --data {} --track HD",
            policies.join(", "),
            folder.root().display()
        )
    } else {
        format!("{content_id} exists already; nothing was changed.")
    };
    Output::new(json, text)
}

fn set(set: &PoliciesSet) -> Output {
    let PoliciesSet { content: ContentView { content_id, policies, .. }, changed } = set;
    let json = json!({ "content_id": content_id, "policies": policies, "changed": changed });
    let names = policies.join(", ");
    let text = match changed {
        true => format!("{content_id} is under {names} from now on."),
        false => format!("{content_id} is under {names} already; nothing was changed."),
    };
    Output::new(json, text)
}

fn list(contents: &[ContentView]) -> Output {
    let json = json!(contents);
    if contents.is_empty() {
        let text = "no contents yet.\nnext: reelkey content add movies/bunny --policy default";
        return Output::new(json, text);
    }
    let row = |content: &ContentView| {
        [
            content.content_id.clone(),
            content.policies.join(", "),
            content.keys.to_string(),
            clock::show(content.created_at),
        ]
    };
    let rows: Vec<_> = contents.iter().map(row).collect();
    Output::new(json, table(["CONTENT", "POLICIES", "KEYS", "ADDED"], &rows))
}

async fn remove(folder: &Folder, content: ContentId) -> Result<Output, Failure> {
    let operation = RemoveContent { content_id: content.clone() };
    let ContentRemoved { changed, keys, nearest } = operator::execute(folder, operation).await?;
    let json = json!({ "content_id": content, "changed": changed, "keys": keys });
    let text = match (changed, keys) {
        (false, _) => {
            let hint = nearest.map(|near| format!(" Did you mean {near}?")).unwrap_or_default();
            format!("there is no content {content}; nothing was changed.{hint}")
        }
        (true, 0) => format!("{content} removed."),
        (true, _) => format!("{content} removed, together with its {keys} retired keys."),
    };
    Ok(Output::new(json, text))
}
