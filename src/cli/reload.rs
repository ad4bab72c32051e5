//! `reelkey reload`, SIGHUP and what `issuer` commands ask for: reading what the operator decided anew, while the service
//! runs. All of it is valid and in force, or nothing changes and the answer says why.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::authority::service::{Authority, ISSUER};
use crate::cli::folder::paths::Folder;
use crate::cli::folder::reading::{self, POLICY, Reading};
use crate::cli::operator;
use crate::cli::terminal::output::{Failure, Output};
use crate::http::admin::{Refused, Reload};
use crate::http::listener::tls::Tls;

/// What is in force after a reload.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Reloaded {
    policies: Vec<String>,
    issuers: Vec<String>,
    /// When the certificate ends, seconds since 1970.
    certificate_expires: Option<u64>,
    /// Settings that have changed and count from the next start.
    waits_for_restart: Vec<String>,
}

/// Reads for a running service.
pub(crate) struct Reloader {
    folder: Folder,
    authority: Arc<Authority>,
    /// The certificate of each listener, where the service has one.
    tls: Vec<Tls>,
    /// What counted at the start, and counts until the next one.
    at_start: BTreeMap<&'static str, String>,
}

impl Reloader {
    pub(crate) fn new(
        folder: &Folder,
        authority: Arc<Authority>,
        tls: Vec<Tls>,
        at_start: BTreeMap<&'static str, String>,
    ) -> Arc<Self> {
        Arc::new(Self { folder: folder.clone(), authority, tls, at_start })
    }

    /// Puts certificate, policies, issuers and origins in force as the files have them now.
    pub(crate) async fn reload(&self) -> Result<Reloaded, Failure> {
        let change = self.authority.change().await;
        let Reading { decided, identity, at_start } = reading::read(&self.folder)?;
        let made_of = decided.made_of.clone();
        self.authority.put(change, decided).await?;
        let certificate_expires = identity.as_ref().map(|identity| identity.expires.as_secs());
        if let Some(identity) = identity.filter(|_| !self.tls.is_empty()) {
            self.authority.counters().certificate_ends(identity.expires);
            self.tls.iter().for_each(|tls| tls.replace(Arc::clone(&identity.config)));
        }
        let named = |start: &str| -> Vec<_> {
            made_of.keys().filter_map(|name| name.strip_prefix(start).map(str::to_owned)).collect()
        };
        let differs = |name: &&&str| self.at_start.get(**name) != at_start.get(**name);
        let waits = at_start.keys().filter(differs).map(|name| (*name).to_owned());
        Ok(Reloaded {
            policies: named(POLICY),
            issuers: named(ISSUER),
            certificate_expires,
            waits_for_restart: waits.collect(),
        })
    }

    /// Puts the issuers in force, and nothing else.
    async fn reload_issuers(&self) -> Result<(), Failure> {
        let change = self.authority.change().await;
        let Reading { decided, .. } = reading::read(&self.folder)?;
        self.authority.put_issuers(change, decided);
        Ok(())
    }

    /// For the admin socket.
    pub(crate) fn as_routes(self: &Arc<Self>) -> (Arc<Reload>, Arc<Reload>) {
        let refused = |failure: Failure| Refused {
            message: failure.to_string(),
            remedy: failure.next_step().map(Into::into),
        };
        let (all, issuers) = (Arc::clone(self), Arc::clone(self));
        (
            Arc::new(move || {
                let reloader = Arc::clone(&all);
                Box::pin(async move {
                    let reloaded = reloader.reload().await.map_err(refused)?;
                    serde_json::to_value(reloaded).map_err(|error| refused(error.into()))
                })
            }),
            Arc::new(move || {
                let reloader = Arc::clone(&issuers);
                Box::pin(async move {
                    reloader.reload_issuers().await.map_err(refused)?;
                    Ok(json!({}))
                })
            }),
        )
    }
}

/// `reelkey reload`.
pub(crate) async fn run(folder: &Folder) -> Result<Output, Failure> {
    let Some(document) = operator::reload(folder).await? else {
        let what = format_args!("no service runs on {}", folder.root().display());
        return Err(Failure::new(what).remedy("start it: it reads its files at every start"));
    };
    let Reloaded { policies, issuers, waits_for_restart, .. } =
        serde_json::from_value(document.clone())?;
    let mut text = format!(
        "in force now:\n\x20 policies  {}\n\x20 issuers   {}",
        policies.join(", "),
        issuers.join(", ")
    );
    if !waits_for_restart.is_empty() {
        text += &format!("\nwaits for a restart: {}", waits_for_restart.join(", "));
    }
    Ok(Output::new(document, text))
}
