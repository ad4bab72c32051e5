//! What every operation is, who asked for it, and how it is carried out.

use std::error::Error;
use std::fmt;

use reelkey_client::time::UnixTime;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::authority::in_force::InForce;
use crate::authority::service::Authority;
use crate::authority::stop::{Remedy, Stop};
use crate::authority::vault::fault::Fault;
use crate::authority::vault::open::Vault;

/// Something that an operator asks for. It is its own request on the admin socket.
pub trait Operation: Serialize + DeserializeOwned + Send + 'static {
    /// What it is called in routes and logs: `content/add`.
    const NAME: &'static str;

    /// What may happen beside it.
    const GATE: Gate = Gate::Shared;

    /// What came of it. It is the answer on the admin socket.
    type Outcome: Serialize + DeserializeOwned + Send + 'static;

    /// Why it may be refused.
    type Refusal: Remedy;

    /// Does it.
    fn execute(
        self,
        desk: &Desk<'_>,
    ) -> impl Future<Output = Result<Self::Outcome, Stop<Self::Refusal>>> + Send;
}

/// What may happen beside an operation. No license waits for any of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// Other operations that do not change what secrets are wrapped under.
    Shared,
    /// Nothing: it changes what secrets are wrapped under.
    Exclusive,
}

/// Who asks for an operation. A packager, or another node, will be further kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Actor {
    /// A user of this machine.
    User {
        /// The user's id.
        uid: u32,
    },
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::User { uid } = self;
        write!(f, "uid {uid}")
    }
}

/// What an operation works with.
#[derive(Debug)]
pub struct Desk<'a> {
    /// The store and what opens it.
    pub vault: &'a Vault,
    /// What is in force.
    pub in_force: &'a InForce,
    /// Who asks.
    pub actor: Actor,
    /// When.
    pub now: UnixTime,
}

/// Carries out an operation. One line of the log says who asked for what and what came of it, before the answer leaves.
///
/// # Errors
/// [`Stop`]: refused, and nothing was changed, or failed.
pub async fn execute<O: Operation>(
    operation: O,
    desk: &Desk<'_>,
) -> Result<O::Outcome, Stop<O::Refusal>> {
    let done = match O::GATE {
        Gate::Shared => {
            let _with_others = desk.vault.shared().await;
            operation.execute(desk).await
        }
        Gate::Exclusive => {
            let _alone = desk.vault.exclusive().await;
            operation.execute(desk).await
        }
    };
    let (name, actor) = (O::NAME, desk.actor);
    match &done {
        Ok(_) => tracing::info!(operation = name, %actor, "operation done"),
        Err(Stop::Refused(rule)) => {
            tracing::info!(operation = name, %actor, %rule, "operation refused");
        }
        Err(Stop::Failed(fault)) => {
            tracing::error!(operation = name, %actor, causes = causes(fault), "operation failed");
        }
    }
    done
}

/// A fault with everything that led to it.
#[must_use]
pub fn causes(fault: &Fault) -> String {
    let mut text = fault.to_string();
    let mut cause = fault.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.contains(&next) {
            text.push_str(": ");
            text.push_str(&next);
        }
        cause = error.source();
    }
    text
}

impl Authority {
    /// Carries out an operation at `now`. What it changes is in force when this returns.
    ///
    /// # Errors
    /// As [`execute`].
    pub async fn administer<O: Operation>(
        &self,
        operation: O,
        actor: Actor,
        now: UnixTime,
    ) -> Result<O::Outcome, Stop<O::Refusal>> {
        let desk = Desk { vault: &self.vault, in_force: &self.in_force, actor, now };
        execute(operation, &desk).await
    }
}
