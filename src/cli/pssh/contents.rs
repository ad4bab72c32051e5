//! What is in the boxes that `pssh encode` writes.

use std::collections::BTreeMap;

use clap::ValueEnum;
use reelkey_client::key::{ContentKey, KeyId};
use reelkey_client::pssh::playready::{self, Checksum, Version};
use reelkey_client::pssh::{ProtectionScheme, SystemId, boxed, common_fields, fairplay, widevine};

use crate::cli::terminal::output::Failure;

/// A DRM system whose boxes are written here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(super) enum System {
    /// Widevine.
    Widevine,
    /// PlayReady.
    Playready,
    /// The Common system, whose box lists KIDs for every system.
    Common,
    /// ClearKey, with a box like that of the Common system.
    Clearkey,
    /// FairPlay, with an empty box.
    Fairplay,
}

impl System {
    pub(super) fn id(self) -> SystemId {
        match self {
            Self::Widevine => SystemId::WIDEVINE,
            Self::Playready => SystemId::PLAYREADY,
            Self::Common => SystemId::COMMON,
            Self::Clearkey => SystemId::CLEAR_KEY,
            Self::Fairplay => SystemId::FAIRPLAY,
        }
    }
}

/// A box, and the bytes that tools want which write the box themselves.
pub(super) struct Written {
    pub(super) whole: Vec<u8>,
    /// The data, or what follows the SystemID where the box lists KIDs.
    pub(super) payload: Vec<u8>,
}

/// Everything that boxes say. Each system takes its part of it.
#[derive(Default)]
pub(super) struct Said {
    pub(super) kids: Vec<KeyId>,
    pub(super) keys: BTreeMap<KeyId, ContentKey>,
    pub(super) scheme: Option<ProtectionScheme>,
    pub(super) provider: Option<String>,
    pub(super) content_id: Option<Vec<u8>>,
    pub(super) policy: Option<String>,
    pub(super) crypto_period_index: Option<u32>,
    pub(super) crypto_period_seconds: Option<u32>,
    pub(super) playready_version: Option<Version>,
    pub(super) la_url: Option<String>,
    pub(super) lui_url: Option<String>,
}

impl Said {
    /// Writes the box of a system.
    ///
    /// # Errors
    /// The box would be too long, or the PlayReady header cannot say all of it.
    pub(super) fn write(&self, system: System) -> Result<Written, Failure> {
        let id = system.id();
        match system {
            System::Widevine => {
                let payload = self.widevine().payload();
                Ok(Written { whole: boxed(id, None, &payload)?, payload })
            }
            System::Playready => {
                let payload = self.playready()?;
                Ok(Written { whole: boxed(id, None, &payload)?, payload })
            }
            System::Common | System::Clearkey => Ok(Written {
                whole: boxed(id, Some(&self.kids), &[])?,
                payload: common_fields(&self.kids)?,
            }),
            System::Fairplay => Ok(Written { whole: fairplay(), payload: Vec::new() }),
        }
    }

    fn widevine(&self) -> widevine::Header<'_> {
        widevine::Header {
            kids: &self.kids,
            provider: self.provider.as_deref(),
            content_id: self.content_id.as_deref(),
            policy: self.policy.as_deref(),
            crypto_period_index: self.crypto_period_index,
            scheme: self.scheme,
            crypto_period_seconds: self.crypto_period_seconds,
        }
    }

    fn playready(&self) -> Result<Vec<u8>, Failure> {
        let checksum = |kid: KeyId| self.keys.get(&kid).map(|key| Checksum::of(kid, key));
        let keys: Vec<_> = self.kids.iter().map(|kid| (*kid, checksum(*kid))).collect();
        let header = playready::Header {
            version: self.playready_version,
            keys: &keys,
            scheme: self.scheme,
            la_url: self.la_url.as_deref(),
            lui_url: self.lui_url.as_deref(),
            ds_id: None,
        };
        header.object().map_err(|error| {
            Failure::from(error)
                .remedy("leave --playready-version out to get the lowest version that can say it")
        })
    }
}
