//! Defines what an operation is and who may ask for it, and executes it.

use std::error::Error;
use std::fmt;

use reelkey_client::time::UnixTime;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::authority::counters::OperationResult;
use crate::authority::in_force::InForce;
use crate::authority::service::Authority;
use crate::authority::stop::{Remedy, Stop};
use crate::authority::vault::fault::Fault;
use crate::authority::vault::open::Vault;

/// An operation that an operator can ask for. Its serialized form is the request on the admin socket.
pub trait Operation: Serialize + DeserializeOwned + Send + 'static {
    /// Its name in routes and logs, for example `content/add`.
    const NAME: &'static str;

    /// Which other operations may run at the same time.
    const GATE: Gate = Gate::Shared;

    /// The result. Its serialized form is the answer on the admin socket.
    type Outcome: Serialize + DeserializeOwned + Send + 'static;

    /// Why it may be refused.
    type Refusal: Remedy;

    /// Executes it.
    fn execute(
        self,
        desk: &Desk<'_>,
    ) -> impl Future<Output = Result<Self::Outcome, Stop<Self::Refusal>>> + Send;
}

/// Which other operations may run at the same time as this one. Licenses are never delayed by an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// Other shared operations may run. This one does not change the KEKs or the root key.
    Shared,
    /// No other operation may run, because this one changes the KEKs or the root key.
    Exclusive,
}

/// The person or program that asks for an operation. Packagers ask for keys and for no operation
/// ([`packaging`](crate::authority::packaging)); other nodes will be added here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Actor {
    /// A user of this machine.
    User {
        /// The user ID.
        uid: u32,
    },
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::User { uid } = self;
        write!(f, "uid {uid}")
    }
}

/// Everything that an operation works with.
#[derive(Debug)]
pub struct Desk<'a> {
    /// The store and the keys to it.
    pub vault: &'a Vault,
    /// The configuration and signing keys that are in force.
    pub in_force: &'a InForce,
    /// The person or program that asked for the operation.
    pub actor: Actor,
    /// The current time.
    pub now: UnixTime,
}

/// Executes an operation. Before the answer is sent, one line of the log says who asked for what, and the result.
///
/// # Errors
/// [`Stop`]: it was refused and nothing was changed, or it failed.
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

/// The text of a fault with all its causes.
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
    /// Executes an operation at `now`. Its changes are in force when this returns.
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
        let done = execute(operation, &desk).await;
        self.counters.operation(O::NAME, result(&done));
        done
    }
}

fn result<T, R>(done: &Result<T, Stop<R>>) -> OperationResult {
    match done {
        Ok(_) => OperationResult::Done,
        Err(Stop::Refused(_)) => OperationResult::Refused,
        Err(Stop::Failed(_)) => OperationResult::Failed,
    }
}
