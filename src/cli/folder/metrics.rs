//! `[metrics]` of `reelkey.toml`: where the service tells what it counts.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;

use serde::Deserialize;

use crate::cli::terminal::output::Failure;

/// `[metrics]`. Without the table nothing is told.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MetricsTable {
    #[serde(default = "listen_default")]
    listen: SocketAddr,
    #[serde(default)]
    allow_remote: bool,
}

const fn listen_default() -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 7421)
}

impl MetricsTable {
    /// Where to listen: this machine's own addresses, unless the operator has allowed others. `config` is the file that
    /// says so.
    pub(crate) fn address(&self, config: &Path) -> Result<SocketAddr, Failure> {
        if self.allow_remote || self.listen.ip().to_canonical().is_loopback() {
            return Ok(self.listen);
        }
        let what = format_args!(
            "[metrics] listen = \"{}\" is not a loopback address, and metrics have neither TLS nor a password",
            self.listen
        );
        Err(Failure::new(what).remedy(format_args!(
            "listen on 127.0.0.1:7421, or set allow_remote = true under [metrics] in {}, where only your own network \
             reaches that address",
            config.display()
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Result<SocketAddr, Failure> {
        toml::from_str::<MetricsTable>(text).unwrap().address(Path::new("reelkey.toml"))
    }

    #[test]
    fn an_address_for_others_has_to_be_allowed() {
        assert_eq!(address("").unwrap(), listen_default());
        for own in ["127.0.0.9:1", "[::1]:1", "[::ffff:127.0.0.1]:1"] {
            assert!(address(&format!("listen = {own:?}")).is_ok(), "{own}");
        }
        for others in ["0.0.0.0:1", "[::]:1", "192.0.2.1:1", "[::ffff:192.0.2.1]:1"] {
            let listen = format!("listen = {others:?}");
            let refused = address(&listen).unwrap_err();
            assert!(format!("{refused:?}").contains("allow_remote"), "{refused:?}");
            assert!(address(&format!("{listen}\nallow_remote = true")).is_ok());
        }
    }
}
