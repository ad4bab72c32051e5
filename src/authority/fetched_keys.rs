//! An issuer's keys that are fetched from a URL: the last good ones, and how the fetching goes.
//!
//! The verification of tokens reads the keys without waiting. One task fetches them (`cli/key_fetching.rs`), and what it brings
//! replaces them as a whole. What cannot be used never replaces anything.
//!
//! Deliberately absent: the network, the disk, the clock.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwapOption;
use reelkey_client::time::UnixTime;

use crate::crypto::issuer_key::{self, Algorithm};
use crate::crypto::issuer_keys::IssuerKeys;
use crate::crypto::trust::Trust;
use crate::domain::duration::Duration;
use crate::domain::key_refresh::{Fetched, Refresh};
use crate::domain::key_url::KeyUrl;

/// Where keys are fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The address.
    pub url: KeyUrl,
    /// Which servers are believed.
    pub trust: Trust,
}

/// Keys that were fetched, all of them checked.
#[derive(Clone, Debug)]
pub struct KeySet {
    /// The keys.
    pub keys: IssuerKeys,
    /// The document that they were read from.
    pub document: Vec<u8>,
    /// When it was fetched.
    pub fetched: Fetched,
}

/// A document holds no keys for an issuer.
#[derive(Debug, thiserror::Error)]
pub enum Unfit {
    /// It is no JWK Set, or one that must not be trusted.
    #[error(transparent)]
    Keys(#[from] issuer_key::Error),
    /// No key of it fits an algorithm that the issuer may use.
    #[error("its keys are for {}, and this issuer may sign with {}", names(.found), names(.allowed))]
    Algorithms {
        /// What the keys are good for.
        found: Vec<Algorithm>,
        /// The algorithms that the issuer may use.
        allowed: Vec<Algorithm>,
    },
}

fn names(algorithms: &[Algorithm]) -> String {
    algorithms.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

impl KeySet {
    /// Reads a JWK Set that has at least one key for these algorithms.
    ///
    /// # Errors
    /// [`Unfit`].
    pub fn read(
        document: Vec<u8>,
        algorithms: &[Algorithm],
        fetched: Fetched,
    ) -> Result<Self, Unfit> {
        let keys = IssuerKeys::parse(&document)?;
        if !algorithms.iter().any(|algorithm| keys.has(*algorithm, None)) {
            let (found, allowed) = (keys.algorithms(), algorithms.to_vec());
            return Err(Unfit::Algorithms { found, allowed });
        }
        Ok(Self { keys, document, fetched })
    }
}

/// Why there are no keys to verify with. The token may be right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// None were ever fetched.
    #[error("the issuer's keys were not fetched yet{}", because(.why))]
    Never {
        /// What the last attempt said.
        why: Option<String>,
    },
    /// The last ones are too old.
    #[error("the issuer's keys were last fetched at {at}, and are too old now{}", because(.why))]
    TooOld {
        /// When they were fetched, in seconds since 1970.
        at: UnixTime,
        /// What the last attempt said.
        why: Option<String>,
    },
}

fn because(why: &Option<String>) -> String {
    why.as_ref().map_or_else(String::new, |why| format!("; the last attempt: {why}"))
}

/// The keys of one issuer, and how the fetching goes. Clones share both.
#[derive(Clone, Debug)]
pub struct FetchedKeys {
    source: Arc<Source>,
    /// For how long the last keys serve that are not fresh any more.
    kept: Duration,
    state: Arc<State>,
}

#[derive(Debug, Default)]
struct State {
    current: ArcSwapOption<KeySet>,
    progress: Mutex<Progress>,
}

#[derive(Debug, Default)]
struct Progress {
    refresh: Refresh,
    /// Why the last attempt failed, and when. `None` after one that did not.
    failure: Option<(UnixTime, String)>,
}

impl State {
    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How the fetching of an issuer's keys goes, for those who tell it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// How many keys there are.
    pub keys: usize,
    /// When they were fetched, if ever.
    pub fetched: Option<Fetched>,
    /// From then on they are not used any more.
    pub good_until: Option<UnixTime>,
    /// Why the last attempt failed, and when, unless it succeeded.
    pub failure: Option<(UnixTime, String)>,
}

impl FetchedKeys {
    /// Begins with the keys that were kept from before, if there are any.
    #[must_use]
    pub fn new(source: Source, kept: Duration, set: Option<KeySet>) -> Self {
        let refresh = Refresh::resumed(set.as_ref().map(|set| set.fetched));
        let progress = Mutex::new(Progress { refresh, failure: None });
        let current = ArcSwapOption::from(set.map(Arc::new));
        Self { source: Arc::new(source), kept, state: Arc::new(State { current, progress }) }
    }

    /// Where the keys are fetched.
    #[must_use]
    pub fn source(&self) -> &Arc<Source> {
        &self.source
    }

    /// The keys, if there are any that may be used at `now`.
    ///
    /// # Errors
    /// [`Unusable`].
    pub fn usable(&self, now: UnixTime) -> Result<IssuerKeysInUse, Unusable> {
        let why = || self.state.progress().failure.clone().map(|(_, why)| why);
        let Some(set) = self.state.current.load_full() else {
            return Err(Unusable::Never { why: why() });
        };
        if set.fetched.good_until(self.kept) <= now {
            return Err(Unusable::TooOld { at: set.fetched.at, why: why() });
        }
        Ok(IssuerKeysInUse(set))
    }

    /// A token needs other keys than these.
    pub fn want(&self) {
        self.state.progress().refresh.want();
    }

    /// Whether an attempt should begin at `now`; then it has begun.
    #[must_use]
    pub fn begins(&self, now: UnixTime) -> bool {
        let refresh = &mut self.state.progress().refresh;
        let is_due = refresh.is_due(now);
        if is_due {
            refresh.begin(now);
        }
        is_due
    }

    /// The attempt brought these keys, which are in force from now on. Returns whether the document has changed.
    pub fn succeeded(&self, set: Arc<KeySet>) -> bool {
        let mut progress = self.state.progress();
        progress.refresh.succeeded(set.fetched);
        progress.failure = None;
        let document = set.document.clone();
        let before = self.state.current.swap(Some(set));
        before.is_none_or(|before| before.document != document)
    }

    /// The attempt failed.
    pub fn failed(&self, now: UnixTime, why: String) {
        let mut progress = self.state.progress();
        progress.refresh.failed();
        progress.failure = Some((now, why));
    }

    /// Shares the state of `old`, if the keys come from the same place. The later keys of both stay.
    pub(in crate::authority) fn go_on_from(&mut self, old: &Self) {
        if self.source != old.source {
            return;
        }
        let own = self.state.current.load_full();
        self.state = Arc::clone(&old.state);
        let mut progress = self.state.progress();
        if let Some(own) = own
            && progress.refresh.learn(own.fetched)
        {
            progress.failure = None;
            self.state.current.store(Some(own));
        }
    }

    /// How it goes.
    #[must_use]
    pub fn report(&self) -> Report {
        let current = self.state.current.load();
        let fetched = current.as_ref().map(|set| set.fetched);
        Report {
            keys: current.as_ref().map_or(0, |set| set.keys.count()),
            fetched,
            good_until: fetched.map(|fetched| fetched.good_until(self.kept)),
            failure: self.state.progress().failure.clone(),
        }
    }
}

/// Keys that may be used now.
#[derive(Clone, Debug)]
pub struct IssuerKeysInUse(Arc<KeySet>);

impl std::ops::Deref for IssuerKeysInUse {
    type Target = IssuerKeys;

    fn deref(&self) -> &IssuerKeys {
        &self.0.keys
    }
}
