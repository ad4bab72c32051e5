//! What `doctor` says of the keys that are fetched for issuers: through the service if one runs, otherwise of those that are
//! kept.

use crate::authority::operation::issuer::{IssuerKeysShown, ShowIssuerKeys};
use crate::cli::folder::paths::Folder;
use crate::cli::terminal::output::Failure;
use crate::cli::{clock, operator};

/// Whether all is well with an issuer's keys, and what there is to say.
pub(crate) struct Found {
    pub(crate) is_well: bool,
    pub(crate) text: String,
}

/// One for each issuer whose keys are fetched.
pub(crate) async fn look_at_fetched_keys(folder: &Folder) -> Result<Vec<Found>, Failure> {
    let shown = operator::execute(folder, ShowIssuerKeys {}).await?;
    Ok(shown.iter().map(look_at).collect())
}

fn look_at(issuer: &IssuerKeysShown) -> Found {
    let IssuerKeysShown { iss, url, keys, fetched_at, good_until, .. } = issuer;
    let mut text = match (fetched_at, good_until) {
        (Some(at), Some(until)) => {
            let age = clock::now().as_secs().saturating_sub(*at);
            let until = clock::show(*until);
            format!("{iss}: {keys} keys from {url}, fetched {} ago, good until {until}", about(age))
        }
        _ => format!("{iss}: no keys from {url} yet, so its tokens are refused"),
    };
    if !issuer.usable && fetched_at.is_some() {
        text += "; they are too old, so its tokens are refused";
    }
    if let (Some(at), Some(why)) = (issuer.failed_at, &issuer.why) {
        text += &format!("; the last attempt failed at {}: {why}", clock::show(at));
    }
    Found { is_well: issuer.usable && issuer.why.is_none(), text }
}

/// A length of time in its largest unit.
fn about(secs: u64) -> String {
    let units = [(86_400, "d"), (3600, "h"), (60, "min")];
    let unit = units.into_iter().find(|(unit, _)| secs >= *unit);
    unit.map_or_else(|| format!("{secs} s"), |(unit, name)| format!("{} {name}", secs / unit))
}
