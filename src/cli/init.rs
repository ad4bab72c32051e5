//! `reelkey init`: makes a data folder with which the service can run.
//!
//! Each step finds and completes what an earlier run left. So an interrupted run is simply repeated. The root key is
//! written before the store that it wraps, and is never replaced.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;

use serde_json::json;

use crate::authority::vault::install::first_records;
use crate::authority::vault::root_key_file;
use crate::cli::clock;
use crate::cli::folder::paths::Folder;
use crate::cli::folder::{anchors, config, installation};
use crate::cli::terminal::output::{Failure, Output};
use crate::crypto::root_key::RootKey;
use crate::store::open;

/// The policies of a new data folder.
const POLICIES: [(&str, &str); 2] = [
    ("default.toml", include_str!("../../policies/default.toml")),
    ("premium-movie.toml", include_str!("../../policies/premium-movie.toml")),
];

pub(crate) async fn init(folder: &Folder) -> Result<Output, Failure> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder.root())
        .map_err(|error| Failure::from(error).during(folder.root().display()))?;
    // Said now, before there is anything: no later command would accept the folder.
    anchors::check(folder)?;
    let exists = open::exists(&folder.store());
    let policies = folder.policies();
    // Only if there is no store yet: a policy that the operator removed later stays removed.
    for (name, text) in POLICIES {
        let path = policies.join(name);
        if !exists && !path.exists() {
            config::write_whole(&path, text.as_bytes())?;
        }
    }
    if !folder.config().exists() {
        config::write_whole(folder.config(), config::FRESH.as_bytes())?;
    }
    let root = match root_key_file::read(&folder.root_key()) {
        Err(root_key_file::Error::Missing(_)) if exists => {
            return Err(Failure::new("there is a store, but not the root key that opens it")
                .remedy(format_args!("put it back as {}", folder.root_key().display())));
        }
        Err(root_key_file::Error::Missing(path)) => {
            let root = RootKey::generate()?;
            root_key_file::write(&path, &root)?;
            root
        }
        root => root?,
    };
    let created = !exists;
    if created {
        let first = first_records(&root, clock::now()).map_err(Failure::fault)?;
        open::create(&folder.store(), first).await?;
    } else {
        // An existing store is opened, never made again. If it lacks something, that is damage.
        installation::open(folder).await?;
    }
    Ok(report(folder, created))
}

fn report(folder: &Folder, created: bool) -> Output {
    let data = folder.root().display();
    let json = json!({ "data": folder.root(), "created": created });
    let text = match created {
        false => format!("{data} exists already; nothing was changed."),
        true => format!(
            "{data} is ready:\n\
             \x20 reelkey.toml    what the service is called and where it listens\n\
             \x20 policies/       who may play what; start from premium-movie.toml\n\
             \x20 keys/root.key   opens the store. Keep a copy elsewhere: without it every key is lost\n\
             \x20 store/          the sealed keys\n\n\
             next: say who signs your tokens, add a title and its keys, then serve\n\
             \x20 reelkey issuer add https://auth.example --data {data} --dev --content 'movies/*'\n\
             \x20 reelkey content add movies/bunny --data {data} --policy premium-movie\n\
             \x20 reelkey key generate movies/bunny --data {data} --track HD\n\
             \x20 reelkey serve --data {data}"
        ),
    };
    Output::new(json, text)
}
