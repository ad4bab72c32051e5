//! What `serve` says once it answers: the line that it is ready, and what it serves.

use std::net::SocketAddr;

use reelkey_client::time::UnixTime;
use serde_json::json;

use crate::authority::service::Authority;
use crate::authority::vault::fault::Fault;
use crate::cli::clock;
use crate::cli::folder::config::Config;
use crate::cli::folder::paths::Folder;
use crate::cli::terminal::foreign::{harmless, harmless_json};

/// How many names of a list are shown.
const NAMES_MAX: usize = 8;

/// Everything that is announced.
pub(crate) struct Announcement<'a> {
    /// The configuration.
    pub(crate) config: &'a Config,
    /// The data folder.
    pub(crate) folder: &'a Folder,
    /// Where players are answered.
    pub(crate) address: SocketAddr,
    /// Where packagers are answered, if not there too.
    pub(crate) packagers: Option<SocketAddr>,
    /// When the certificate ends, if there is one.
    pub(crate) certificate_ends: Option<UnixTime>,
    /// Where metrics are answered.
    pub(crate) metrics: Option<SocketAddr>,
}

impl Announcement<'_> {
    /// As text for people, the line that the service is ready first; or as one document.
    ///
    /// # Errors
    /// The store cannot be read.
    pub(crate) async fn compose(&self, authority: &Authority, json: bool) -> Result<String, Fault> {
        let Self { config, folder, address, packagers, certificate_ends, metrics } = self;
        let stock = authority.stock().await?;
        let id = &config.service_id.0;
        let scheme = if certificate_ends.is_some() { "https" } else { "http" };
        let url = format!("{scheme}://{address}");
        let keys_url = packagers.map(|address| format!("{scheme}://{address}/v1/keys/"));
        let metrics = metrics.map(|address| format!("http://{address}/metrics"));
        let issuers: Vec<&str> = config.issuers.iter().map(|issuer| &*issuer.iss).collect();
        let in_force = authority.in_force();
        let policies: Vec<&str> = in_force.policies.keys().map(String::as_str).collect();
        let store = folder.store_files();
        let warnings = self.warnings(stock.active_keys);
        if json {
            let document = json!({ "ready": true, "url": url, "service_id": id, "metrics_url": metrics, "keys_url": keys_url,
                "certificate_expires": certificate_ends.map(|at| at.as_secs()), "store": store,
                "contents": stock.contents, "active_keys": stock.active_keys, "issuers": issuers,
                "policies": policies, "warnings": warnings });
            return Ok(harmless_json(&document));
        }
        let tls = certificate_ends.map_or_else(
            || "none".into(),
            |at| format!("certificate valid until {}", clock::show(at.as_secs())),
        );
        let keys = format!("{} active keys of {} contents", stock.active_keys, stock.contents);
        let mut lines = vec![
            ("TLS", tls),
            ("store", store.display().to_string()),
            ("keys", keys),
            ("issuers", names(&issuers)),
            ("policies", names(&policies)),
            ("metrics", metrics.unwrap_or_else(|| "none".into())),
        ];
        lines.extend(keys_url.map(|url| ("packagers", url)));
        lines.extend(warnings.into_iter().map(|warning| ("warning", warning)));
        let lines = lines.into_iter().map(|(of, text)| format!("\n  {of:10}{text}"));
        Ok(harmless(&format!("reelkey is ready on {url} as {id:?}{}", lines.collect::<String>())))
    }

    fn warnings(&self, active_keys: usize) -> Vec<String> {
        let Self { config, address, packagers, certificate_ends, .. } = self;
        let development = config.issuers.iter().filter(|issuer| issuer.development).map(|issuer| {
            format!("{} is for development: its private key is in the data folder", issuer.iss)
        });
        let mut warnings: Vec<_> = development.collect();
        if config.issuers.is_empty() {
            warnings.push(
                "no token is accepted: there are no issuers, see `reelkey issuer add`".into(),
            );
        }
        if active_keys == 0 {
            warnings.push("there are no keys, see `reelkey key generate` and `key import`".into());
        }
        let is_open = |address: &SocketAddr| !address.ip().is_loopback();
        if [Some(*address), *packagers].iter().flatten().any(is_open) && certificate_ends.is_none()
        {
            warnings.push(
                "without TLS: only the proxy in front of it should reach this address".into(),
            );
        }
        warnings
    }
}

fn names(names: &[&str]) -> String {
    let shown = names.iter().take(NAMES_MAX).copied().collect::<Vec<_>>().join(", ");
    match names.len() {
        0 => "none".into(),
        all if all > NAMES_MAX => format!("{shown} and {} more", all - NAMES_MAX),
        _ => shown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_list_of_names_is_cut() {
        assert_eq!(names(&[]), "none");
        assert_eq!(names(&["a", "b"]), "a, b");
        assert_eq!(names(&["x"; 10]), "x, x, x, x, x, x, x, x and 2 more");
    }
}
