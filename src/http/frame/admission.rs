//! How many requests there are at once: those that wait for their body, and those that are worked on.
//!
//! Every request is counted from its head on, for the whole service and for its client. One that waits for its body
//! loses its place to a new one when there are too many. A slot for work is taken once the body is there, so bodies
//! that never come keep nobody from being answered.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::authority::counters::Attendance;
use crate::domain::refusal::Refusal;
use crate::http::frame::address::Client;
use crate::http::frame::crowd::{Crowd, Full, Member};
use crate::http::frame::limits::Limits;

/// How many requests are worked on at once; the next is told to come back. A license takes a millisecond, so there
/// are as many only when something else is wrong.
const AT_ONCE_MAX: usize = 512;

/// The same of packagers, whose requests may wait for the disk and for each other: they keep no slot from a player.
const PACKAGERS_AT_ONCE_MAX: usize = 128;

/// Admits requests.
#[derive(Clone, Debug)]
pub(crate) struct Door {
    open: Arc<Crowd>,
    slots: Arc<Semaphore>,
    packagers: Arc<Semaphore>,
    body: Duration,
}

impl Door {
    pub(crate) fn new(limits: Limits, attendance: Attendance) -> Self {
        let (requests, per_client) = limits.open_requests();
        Self {
            open: Crowd::counted(requests, per_client, attendance),
            slots: Arc::new(Semaphore::new(AT_ONCE_MAX)),
            packagers: Arc::new(Semaphore::new(PACKAGERS_AT_ONCE_MAX)),
            body: limits.body,
        }
    }

    /// Counts one more request of this client until the admission is dropped.
    pub(crate) fn admit(&self, client: Client) -> Result<Admission, Refusal> {
        let member = self.open.enter(client.counted()).map_err(|full| match full {
            Full::Neighbour => Refusal::RateLimited,
            Full::All => Refusal::Unavailable,
        })?;
        let (slots, packagers) = (Arc::clone(&self.slots), Arc::clone(&self.packagers));
        Ok(Admission { member, slots, packagers, body: self.body })
    }
}

/// One open request, in its extensions as an `Arc`.
#[derive(Debug)]
pub(crate) struct Admission {
    member: Member,
    slots: Arc<Semaphore>,
    packagers: Arc<Semaphore>,
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

    /// A packager's slot for work, held until it is dropped.
    pub(crate) fn packager_slot(&self) -> Result<OwnedSemaphorePermit, Refusal> {
        Arc::clone(&self.packagers).try_acquire_owned().map_err(|_| Refusal::Unavailable)
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;

    fn client(last: u8) -> Client {
        Client::Known([192, 0, 2, last].into())
    }

    fn door(requests: usize, requests_per_peer: usize) -> Door {
        let body = Duration::from_millis(1);
        let limits = Limits { requests, requests_per_peer, body, ..Limits::default() };
        Door::new(limits, Attendance::default())
    }

    #[test]
    fn requests_are_limited_by_client_and_altogether() {
        let door = door(3, 2);
        let held = [door.admit(client(1)).unwrap(), door.admit(client(1)).unwrap()];
        assert_eq!(door.admit(client(1)).unwrap_err(), Refusal::RateLimited);
        let other = door.admit(Client::Unknown).unwrap();
        assert_eq!(door.admit(client(2)).unwrap_err(), Refusal::Unavailable);
        drop(held);
        // Nobody is limited by address who has none, or this machine's.
        let local = Client::Known([127, 0, 0, 1].into());
        let _held = [door.admit(local).unwrap(), door.admit(local).unwrap()];
        drop(other);
        assert!(door.admit(local).is_ok());
    }

    #[tokio::test]
    async fn a_body_comes_in_time_or_the_request_is_over() {
        let door = door(9, 1);
        let waiting = door.admit(client(1)).unwrap();
        assert_eq!(waiting.arrival(pending::<()>()).await, Err(Refusal::Timeout));
        assert_eq!(waiting.arrival(ready(7)).await, Ok(7));
        let door = Door { body: Duration::from_secs(600), ..door };
        drop(waiting);
        let waiting = door.admit(client(1)).unwrap();
        let sent_away = async {
            let refused = waiting.arrival(pending::<()>()).await;
            assert_eq!(refused, Err(Refusal::Unavailable));
        };
        let new = async { drop(door.admit(client(1)).unwrap()) };
        tokio::join!(biased; sent_away, new);
    }

    #[test]
    fn a_slot_is_for_work() {
        let door = door(9, 9);
        let (one, other) = (door.admit(client(1)).unwrap(), door.admit(client(2)).unwrap());
        let slots: Vec<_> = (0..AT_ONCE_MAX).map(|_| one.slot().unwrap()).collect();
        assert_eq!(other.slot().unwrap_err(), Refusal::Unavailable);
        drop(slots);
        assert!(other.slot().is_ok());
    }

    #[test]
    fn packagers_that_wait_keep_no_slot_from_a_player() {
        let one = door(9, 9).admit(client(1)).unwrap();
        let slots: Vec<_> =
            (0..PACKAGERS_AT_ONCE_MAX).map(|_| one.packager_slot().unwrap()).collect();
        assert_eq!(one.packager_slot().unwrap_err(), Refusal::Unavailable);
        assert!(one.slot().is_ok());
        drop(slots);
        assert!(one.packager_slot().is_ok());
    }
}
