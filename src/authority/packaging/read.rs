//! Gives a packager keys that there are, by their KIDs: to decrypt.

use std::collections::{BTreeMap, BTreeSet};

use reelkey_client::key::KeyId;

use crate::authority::packager::Packager;
use crate::authority::packaging::ask::{Asked, KEYS_MAX, PackagedKey, Refused, turn};
use crate::authority::packaging::issue::result;
use crate::authority::provision::periods::{self, Derived};
use crate::authority::service::Authority;
use crate::authority::stop::Stop;
use crate::domain::content::ContentId;
use crate::domain::packager::Permission;
use crate::store::record::key::KeyState;
use crate::store::record::title;

impl Authority {
    /// The active keys of these KIDs that the packager may read, in the order of the KIDs. Unknown KIDs are left out, and
    /// those of contents that are none of the packager's business too. One line of the log says who asked for what.
    ///
    /// # Errors
    /// [`Refused::NotAllowed`] without the permission, [`Refused::TooMany`], [`Refused::Busy`]; or a failure.
    pub async fn read_keys(
        &self,
        packager: &Packager,
        kids: &[KeyId],
        asked: Asked<'_>,
    ) -> Result<Vec<PackagedKey>, Stop<Refused>> {
        let done = self.read(packager, kids).await;
        let (id, protocol) = (asked.circumstances.request_id, asked.protocol);
        let (packager, wanted) = (&packager.name, kids.len());
        match &done {
            Ok(keys) => {
                let contents: BTreeSet<_> = keys.iter().map(|key| key.content.as_str()).collect();
                let content = contents.into_iter().collect::<Vec<_>>().join(", ");
                tracing::info!(request.id = %id, %packager, protocol, content.id = content, keys = wanted,
                    keys.found = keys.len(), "keys read");
            }
            Err(Stop::Refused(rule)) => {
                tracing::info!(request.id = %id, %packager, protocol, keys = wanted, %rule, "keys refused");
            }
            // The caller logs the fault.
            Err(Stop::Failed(_)) => {}
        }
        self.counters.packager(packager.as_str(), Permission::Read.as_str(), result(&done));
        done
    }

    async fn read(
        &self,
        packager: &Packager,
        kids: &[KeyId],
    ) -> Result<Vec<PackagedKey>, Stop<Refused>> {
        if !packager.rights.allow.contains(&Permission::Read) {
            return Err(Refused::NotAllowed.into());
        }
        if kids.len() > KEYS_MAX {
            return Err(Refused::TooMany.into());
        }
        let _turn = turn(&packager.turns).await?;
        let (store, seed) = (self.vault.store(), self.vault.period_seed());
        let wanted = kids.iter().copied().collect();
        let contents = periods::contents_of(&*store, seed, &wanted).await?;
        let mut by_content: BTreeMap<ContentId, Vec<KeyId>> = BTreeMap::new();
        for (kid, content) in contents {
            if packager.may(Permission::Read, &content) {
                by_content.entry(content).or_default().push(kid);
            }
        }
        let mut keys = BTreeMap::new();
        for (content, kids) in by_content {
            let Some(title) = title::title(&*store, &content).await? else { continue };
            // Taken after the records were read, so that it can open them.
            let keyring = self.vault.keyring();
            for kid in kids {
                let key = match title.keys.iter().find(|key| key.kid == kid) {
                    Some(record) if record.state == KeyState::Retired => continue,
                    Some(record) => PackagedKey {
                        kid,
                        key: keyring.content_key(record)?,
                        content: content.clone(),
                        track: record.track_type,
                        period: record.crypto_period_index,
                    },
                    None => match Derived::by_kid(seed, &title.content, kid) {
                        Some(derived) => PackagedKey {
                            kid,
                            key: derived.content_key(seed, &content)?,
                            content: content.clone(),
                            track: derived.track,
                            period: Some(derived.period),
                        },
                        None => continue,
                    },
                };
                keys.insert(kid, key);
            }
        }
        Ok(kids.iter().filter_map(|kid| keys.remove(kid)).collect())
    }
}
