//! The tracks and crypto periods of a title, for packagers that ask for all its keys and name none.

use std::collections::BTreeSet;

use crate::authority::packager::Packager;
use crate::authority::packaging::ask::Refused;
use crate::authority::service::Authority;
use crate::authority::stop::Stop;
use crate::domain::content::ContentId;
use crate::domain::packager::Permission;
use crate::domain::track::TrackType;
use crate::store::record::key::KeyState;
use crate::store::record::title;

/// The tracks and crypto periods of a title.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KnownTitle {
    /// The track types that have an active key without a crypto period; `None` is a key for all tracks.
    pub tracks: BTreeSet<Option<TrackType>>,
    /// The track types that have keys of crypto periods.
    pub period_tracks: BTreeSet<Option<TrackType>>,
    /// How long a crypto period lasts, if periods are counted by the clock.
    pub crypto_period_seconds: Option<u32>,
}

impl Authority {
    /// The tracks and crypto periods of this title; none if it does not exist.
    ///
    /// # Errors
    /// [`Refused::NotAllowed`] if the packager may not ask for its keys; or a failure.
    pub async fn known_title(
        &self,
        packager: &Packager,
        content: &ContentId,
    ) -> Result<KnownTitle, Stop<Refused>> {
        if !packager.may(Permission::Issue, content) {
            return Err(Refused::NotAllowed.into());
        }
        let Some(title) = title::title(&*self.vault.store(), content).await? else {
            return Ok(KnownTitle::default());
        };
        let mut known = KnownTitle::default();
        for key in title.keys.iter().filter(|key| key.state == KeyState::Active) {
            match key.crypto_period_index {
                None => known.tracks.insert(key.track_type),
                Some(_) => known.period_tracks.insert(key.track_type),
            };
        }
        if let Some(periods) = &title.content.crypto_periods {
            known.period_tracks.extend(&periods.tracks);
            known.crypto_period_seconds = periods.seconds;
        }
        Ok(known)
    }
}
