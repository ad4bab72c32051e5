//! The circumstances of a request: they do not depend on what it asks for.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use reelkey_client::time::UnixTime;

/// The circumstances of a request. They do not depend on what it asks for or how the sender authenticates.
#[derive(Clone, Copy)]
pub struct Circumstances<'a> {
    /// When it arrived. All times in it are judged against this one.
    pub now: UnixTime,
    /// The request ID, in the log and in the response.
    pub request_id: &'a (dyn fmt::Display + Sync),
    /// The address of the client that sent it, if it is known.
    pub client: Option<IpAddr>,
    /// The time since it arrived.
    pub age: &'a (dyn Fn() -> Duration + Sync),
}

impl fmt::Debug for Circumstances<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Circumstances({}, {})", self.now.as_secs(), self.request_id)
    }
}
