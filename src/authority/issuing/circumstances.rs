//! What surrounds a request, whatever it asks for.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use reelkey_client::time::UnixTime;

/// What surrounds a request, whatever it asks for and however its sender proves who it is.
#[derive(Clone, Copy)]
pub struct Circumstances<'a> {
    /// When it came: all of it is judged by this one time.
    pub now: UnixTime,
    /// Names it in the log and in the answer.
    pub request_id: &'a (dyn fmt::Display + Sync),
    /// Who sent it, where that is known.
    pub client: Option<IpAddr>,
    /// How long ago it came.
    pub age: &'a (dyn Fn() -> Duration + Sync),
}

impl fmt::Debug for Circumstances<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Circumstances({}, {})", self.now.as_secs(), self.request_id)
    }
}
