//! How many requests there are at once: those that wait for their body, and those that are worked on.
//!
//! Every request is counted from its head on, for the whole service and for its client. One that waits for its body
//! loses its place to a new one when there are too many. A slot for work is taken once the body is there, so bodies
//! that never come keep nobody from being answered.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::domain::refusal::Refusal;
use crate::http::frame::address::Client;
use crate::http::frame::crowd::{Crowd, Full, Member};
use crate::http::frame::limits::Limits;

/// How many requests are worked on at once; the next is told to come back. A license takes a millisecond, so there
/// are as many only when something else is wrong.
const AT_ONCE_MAX: usize = 512;

/// Admits requests.
#[derive(Clone, Debug)]
pub(crate) struct Door {
    open: Arc<Crowd>,
    slots: Arc<Semaphore>,
    body: Duration,
}

impl Door {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            open: Crowd::new(limits.requests, limits.requests_per_peer),
            slots: Arc::new(Semaphore::new(AT_ONCE_MAX)),
            body: limits.body,
        }
    }

    /// Counts one more request of this client until the admission is dropped.
    pub(crate) fn admit(&self, client: Client) -> Result<Admission, Refusal> {
        let member = self.open.enter(client.counted()).map_err(|full| match full {
            Full::Neighbour => Refusal::RateLimited,
            Full::All => Refusal::Unavailable,
        })?;
        Ok(Admission { member, slots: Arc::clone(&self.slots), body: self.body })
    }
}

/// One open request, in its extensions as an `Arc`.
#[derive(Debug)]
pub(crate) struct Admission {
    member: Member,
    slots: Arc<Semaphore>,
    body: Duration,
}

impl Admission {
    /// Waits until the body has arrived, in time and as long as there is room for those that wait.
    pub(crate) async fn arrival<T>(&self, body: impl Future<Output = T>) -> Result<T, Refusal> {
        self.member.wait();
        let arrived = tokio::select! {
            biased;
            arrived = tokio::time::timeout(self.body, body) => arrived,
            () = self.member.dismissed() => return Err(Refusal::Unavailable),
        };
        self.member.work();
        arrived.map_err(|_| Refusal::Timeout)
    }

    /// A slot for work, held until it is dropped.
    pub(crate) fn slot(&self) -> Result<OwnedSemaphorePermit, Refusal> {
        Arc::clone(&self.slots).try_acquire_owned().map_err(|_| Refusal::Unavailable)
    }
}
