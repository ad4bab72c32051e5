//! What an operator asks about issuers: how the fetching of their keys goes.

use std::convert::Infallible;

use serde::{Deserialize, Serialize};

use crate::authority::operation::order::{Desk, Operation};
use crate::authority::stop::Stop;

/// Show how the fetching of issuers' keys goes.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShowIssuerKeys {}

/// The fetched keys of one issuer. Times are seconds since 1970.
#[derive(Debug, Serialize, Deserialize)]
pub struct IssuerKeysShown {
    /// The issuer.
    pub iss: String,
    /// Where the keys are fetched.
    pub url: String,
    /// How many there are.
    pub keys: usize,
    /// When they were fetched, if ever.
    pub fetched_at: Option<u64>,
    /// From then on they should be fetched again.
    pub fresh_until: Option<u64>,
    /// From then on they are not used any more.
    pub good_until: Option<u64>,
    /// Whether they may be used now.
    pub usable: bool,
    /// When the last attempt failed, unless it succeeded.
    pub failed_at: Option<u64>,
    /// Why it failed.
    pub why: Option<String>,
}

impl Operation for ShowIssuerKeys {
    const NAME: &'static str = "issuer/keys";
    type Outcome = Vec<IssuerKeysShown>;
    type Refusal = Infallible;

    async fn execute(self, desk: &Desk<'_>) -> Result<Vec<IssuerKeysShown>, Stop<Infallible>> {
        let in_force = desk.in_force.load();
        let shown = in_force.issuers.fetched().map(|(issuer, keys)| {
            let report = keys.report();
            let (failed_at, why) = report.failure.unzip();
            IssuerKeysShown {
                iss: issuer.iss.clone(),
                url: keys.source().url.to_string(),
                keys: report.keys,
                fetched_at: report.fetched.map(|fetched| fetched.at.as_secs()),
                fresh_until: report.fetched.map(|fetched| fetched.fresh_until().as_secs()),
                good_until: report.good_until.map(|until| until.as_secs()),
                usable: keys.usable(desk.now).is_ok(),
                failed_at: failed_at.map(|at| at.as_secs()),
                why,
            }
        });
        Ok(shown.collect())
    }
}
