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

/// A policy of a new data folder.
struct Shipped {
    file: &'static str,
    text: &'static str,
    /// What it fits.
    purpose: &'static str,
}

const POLICIES: [Shipped; 6] = [
    Shipped {
        file: "default.toml",
        text: include_str!("../../policies/default.toml"),
        purpose: "plays anywhere, on any device: for trying it out",
    },
    Shipped {
        file: "premium-movie.toml",
        text: include_str!("../../policies/premium-movie.toml"),
        purpose: "a film with rights in some countries, 4K on secure devices only",
    },
    Shipped {
        file: "rental.toml",
        text: include_str!("../../policies/rental.toml"),
        purpose: "a rented film: 30 days to start, 48 hours to finish, one stream",
    },
    Shipped {
        file: "live-event.toml",
        text: include_str!("../../policies/live-event.toml"),
        purpose: "a live event: short licenses, two streams for each account",
    },
    Shipped {
        file: "offline.toml",
        text: include_str!("../../policies/offline.toml"),
        purpose: "downloads: kept for 7 days, on up to five devices",
    },
    Shipped {
        file: "kiosk.toml",
        text: include_str!("../../policies/kiosk.toml"),
        purpose: "screens of an intranet, on a ship or a campus",
    },
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
    for Shipped { file, text, .. } in POLICIES {
        let path = policies.join(file);
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
    let policies = POLICIES.map(|Shipped { file, purpose, .. }| {
        format!("    {:<16}{purpose}\n", file.trim_end_matches(".toml"))
    });
    let policies = policies.concat();
    let text = match created {
        false => format!("{data} exists already; nothing was changed."),
        true => format!(
            "{data} is ready:\n\
             \x20 reelkey.toml    what the service is called and where it listens\n\
             \x20 policies/       who may play what; start from the one that fits:\n{policies}\
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

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use reelkey_client::time::UnixTime;

    use super::*;
    use crate::domain::policy_file;
    use crate::domain::policy_warning::warnings;

    #[test]
    fn every_policy_of_the_repository_is_shipped() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies");
        let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
        let mut names: Vec<_> = names.map(|name| name.into_string().unwrap()).collect();
        names.sort();
        let mut shipped = POLICIES.map(|policy| policy.file);
        shipped.sort_unstable();
        assert_eq!(names, shipped);
    }

    /// They name no date, so they are as good in a hundred years.
    #[test]
    fn the_shipped_policies_play_and_are_not_warned_of() {
        for Shipped { file, text, .. } in POLICIES {
            let policy = policy_file::parse(file.trim_end_matches(".toml"), text);
            let policy = policy.unwrap_or_else(|error| panic!("{file}: {error}"));
            assert!(policy.can_play, "{file}");
            assert_eq!((policy.available_from, policy.available_until), (None, None), "{file}");
            let blackouts = policy.region.as_ref().map_or(0, |rule| rule.blackouts.len());
            assert_eq!(blackouts, 0, "{file}");
            for now in [0, 4_102_444_800] {
                assert_eq!(warnings(&policy, None, UnixTime::from_secs(now)), [], "{file}");
            }
        }
    }
}
