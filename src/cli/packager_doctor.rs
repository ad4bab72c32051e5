//! What `doctor` says of packagers and of the keys that origins write.

use std::fs;

use crate::authority::key_directory::KeyDirectory;
use crate::authority::operation::content::{ContentView, ListContents};
use crate::authority::operation::packager::ListPackagers;
use crate::cli::finding::{Finding, Verdict};
use crate::cli::folder::config::Config;
use crate::cli::folder::installation;
use crate::cli::folder::paths::Folder;
use crate::cli::operator;
use crate::cli::terminal::output::Failure;
use crate::domain::policy::Policy;

/// Packagers whose secrets travel in the clear, and folders of keys from which nobody can play. Nothing where neither is there.
pub(crate) async fn look_at_packagers(folder: &Folder) -> Vec<Finding> {
    // What is wrong with the configuration is another finding.
    let Ok(config) = Config::read(folder) else { return Vec::new() };
    let mut findings = Vec::new();
    findings.extend(look_at_secrets(folder, &config).await.transpose().map(of("packagers")));
    let directories = config.keys.directories(folder.root());
    if !directories.is_empty() {
        match look_at_directories(folder, &directories).await {
            Ok(found) => findings.extend(found),
            Err(failure) => findings.push(Finding::of(DIRECTORY, Err(failure))),
        }
    }
    findings
}

const DIRECTORY: &str = "key directory";

fn of(part: &'static str) -> impl Fn(Result<Finding, Failure>) -> Finding {
    move |result| result.unwrap_or_else(|failure| Finding::of(part, Err(failure)))
}

/// Whether secrets travel in the clear, if there is a packager.
async fn look_at_secrets(folder: &Folder, config: &Config) -> Result<Option<Finding>, Failure> {
    let packagers = operator::execute(folder, ListPackagers {}).await?;
    let at = config.keys.listen.unwrap_or(config.listen);
    let is_plain = config.tls.is_none() && !at.ip().is_loopback();
    let names: Vec<_> = packagers.iter().map(|packager| packager.name.as_str()).collect();
    let names = names.join(", ");
    let part = "packagers";
    Ok(match (is_plain, config.tls_terminated_by_proxy) {
        (true, false) if config.keys.listen.is_some() => {
            let text = format!(
                "other machines can reach {at} without TLS; name certificate and key under [tls]"
            );
            Some(Finding::new(Verdict::Error, part, text))
        }
        _ if packagers.is_empty() => None,
        (true, _) => {
            let text = format!(
                "{names}: their secrets and keys are in the clear on {at}; let nothing but the proxy with TLS reach it"
            );
            Some(Finding::new(Verdict::Warning, part, text))
        }
        (false, _) => Some(Finding::new(Verdict::Ok, part, format!("{names}; they ask at {at}"))),
    })
}

async fn look_at_directories(
    folder: &Folder,
    directories: &[KeyDirectory],
) -> Result<Vec<Finding>, Failure> {
    let contents = operator::execute(folder, ListContents::default()).await?;
    // What is wrong with a policy is another finding.
    let policies = installation::policies(folder).unwrap_or_default();
    let look = |directory| look_at_directory(directory, &contents, &policies);
    Ok(directories.iter().map(look).collect())
}

fn look_at_directory(
    directory: &KeyDirectory,
    contents: &[ContentView],
    policies: &[Policy],
) -> Finding {
    let KeyDirectory { path, content } = directory;
    let (shown, error) = (path.display(), |text| Finding::new(Verdict::Error, DIRECTORY, text));
    if let Err(cause) = fs::read_dir(path) {
        return error(format!("{shown}: {cause}; make the folder, and let the service read it"));
    }
    let Some(there) = contents.iter().find(|there| there.content_id == content.as_str()) else {
        return error(format!(
            "{shown}: there is no content {content}; run `reelkey content add {content} --policy NAME`"
        ));
    };
    let allows = |name: &String| {
        policies.iter().any(|policy| policy.name == *name && policy.allow_hls_aes128)
    };
    if !there.policies.iter().any(allows) {
        return error(format!(
            "{shown}: no policy of {content} has allow_hls_aes128 = true, so nobody gets a key"
        ));
    }
    Finding::new(Verdict::Ok, DIRECTORY, format!("{shown}: the keys of {content}"))
}
