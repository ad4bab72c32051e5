//! The state that handlers share.

use std::fmt;
use std::sync::Arc;

use reelkey_client::time::UnixTime;

use crate::authority::service::Authority;
use crate::http::log_health::LogHealth;

/// The state that handlers share.
#[derive(Clone)]
pub struct App {
    /// The use cases.
    pub authority: Arc<Authority>,
    /// Returns the current time. It is called once for each request.
    pub clock: Arc<dyn Fn() -> UnixTime + Send + Sync>,
    /// How the log is doing.
    pub log: LogHealth,
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("App(..)")
    }
}
