//! `[limits]` and `[proxies]` of `reelkey.toml`: what players may cost, and by whom the service is told who they are.

use std::time;

use serde::Deserialize;

use crate::domain::duration::{Duration, InvalidDuration};
use crate::domain::network::{InvalidNetwork, Network};
use crate::http::frame::address::{Proxies, ProxyHeader, UnknownHeader};
use crate::http::frame::limits::Limits;

/// `[limits]`. What is not there has its default.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LimitsTable {
    connections: Option<Count>,
    connections_per_peer: Option<Count>,
    requests: Option<Count>,
    requests_per_peer: Option<Count>,
    head: Option<Time>,
    body: Option<Time>,
    idle: Option<Time>,
    shutdown: Option<Time>,
}

impl LimitsTable {
    pub(crate) fn limits(&self) -> Limits {
        let default = Limits::default();
        let count = |count: &Option<Count>, or: usize| count.as_ref().map_or(or, |count| count.0);
        let time =
            |time: &Option<Time>, or: time::Duration| time.as_ref().map_or(or, |time| time.0);
        Limits {
            connections: count(&self.connections, default.connections),
            connections_per_peer: count(&self.connections_per_peer, default.connections_per_peer),
            requests: count(&self.requests, default.requests),
            requests_per_peer: count(&self.requests_per_peer, default.requests_per_peer),
            head: time(&self.head, default.head),
            body: time(&self.body, default.body),
            idle: time(&self.idle, default.idle),
            shutdown: time(&self.shutdown, default.shutdown),
        }
    }
}

/// The most connections or requests that can be configured.
const COUNT_MAX: u32 = 1_000_000;

/// How many there may be.
#[derive(Debug, Deserialize)]
#[serde(try_from = "i64")]
struct Count(usize);

/// The number is too small or too large.
#[derive(Debug, thiserror::Error)]
#[error(
    "a limit is a whole number from 1 to {COUNT_MAX}, not {0}; without the line it has its default"
)]
struct NoCount(i64);

impl TryFrom<i64> for Count {
    type Error = NoCount;

    fn try_from(number: i64) -> Result<Self, NoCount> {
        let count = u32::try_from(number).ok().filter(|count| (1..=COUNT_MAX).contains(count));
        let count = count.and_then(|count| usize::try_from(count).ok());
        count.map(Self).ok_or(NoCount(number))
    }
}

/// The longest time that can be configured.
const SECS_MAX: u64 = 3600;

/// How long something may take.
#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
struct Time(time::Duration);

/// The text is no time that a limit can have.
#[derive(Debug, thiserror::Error)]
enum NoTime {
    #[error(transparent)]
    Form(#[from] InvalidDuration),
    #[error("a limit is from \"1s\" to \"1h\", not {0:?}; without the line it has its default")]
    Range(String),
}

impl TryFrom<String> for Time {
    type Error = NoTime;

    fn try_from(text: String) -> Result<Self, NoTime> {
        let secs = text.parse::<Duration>()?.as_secs();
        let fits = (1..=SECS_MAX).contains(&secs);
        fits.then(|| Self(time::Duration::from_secs(secs))).ok_or(NoTime::Range(text))
    }
}

/// `[proxies]`.
#[derive(Debug, Default, Deserialize)]
#[serde(try_from = "Fields")]
pub(crate) struct ProxiesTable(Fields);

/// The fields of `[proxies]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    #[serde(default)]
    trusted: Vec<Range>,
    #[serde(default)]
    header: Header,
    protocol: Option<ProxyProtocol>,
}

/// What the proxies' connections begin with.
#[derive(Clone, Copy, Debug, Deserialize)]
enum ProxyProtocol {
    /// A header of the PROXY protocol, version 2.
    #[serde(rename = "v2")]
    V2,
}

impl TryFrom<Fields> for ProxiesTable {
    type Error = &'static str;

    fn try_from(fields: Fields) -> Result<Self, &'static str> {
        match fields.protocol {
            Some(ProxyProtocol::V2) if fields.trusted.is_empty() => Err(
                "protocol = \"v2\" is read from trusted proxies only; write trusted = [\"10.0.0.0/8\"] with their addresses, \
                 or remove the line",
            ),
            _ => Ok(Self(fields)),
        }
    }
}

impl ProxiesTable {
    /// Whether the proxies' connections begin with a header of the PROXY protocol, version 2.
    pub(crate) fn speak_proxy_protocol(&self) -> bool {
        self.0.protocol.is_some()
    }

    pub(crate) fn proxies(&self) -> Proxies {
        let trusted = self.0.trusted.iter().map(|range| range.0).collect();
        Proxies { trusted, header: self.0.header.0 }
    }
}

/// A [`Network`] in TOML.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Range(pub(crate) Network);

impl TryFrom<String> for Range {
    type Error = InvalidNetwork;

    fn try_from(text: String) -> Result<Self, InvalidNetwork> {
        text.parse().map(Self)
    }
}

/// A [`ProxyHeader`] in TOML.
#[derive(Debug, Default, Deserialize)]
#[serde(try_from = "String")]
struct Header(ProxyHeader);

impl TryFrom<String> for Header {
    type Error = UnknownHeader;

    fn try_from(text: String) -> Result<Self, UnknownHeader> {
        text.parse().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::folder::config::{Config, FRESH};

    fn read(tables: &str) -> Result<Config, String> {
        toml::from_str(tables).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_configured_counts_and_the_rest_has_its_default() {
        let config = read("[limits]\nconnections = 7\nidle = \"2m\"").unwrap().rules();
        let default = Limits::default();
        assert_eq!(config.limits.connections, 7);
        assert_eq!(config.limits.idle, time::Duration::from_secs(120));
        assert_eq!(config.limits.requests, default.requests);
        assert_eq!(config.limits.head, default.head);
        let config = read("[proxies]\ntrusted = [\"10.0.0.0/8\"]\nheader = \"forwarded\"").unwrap();
        let proxies = config.rules().proxies;
        assert_eq!(proxies.header, ProxyHeader::Forwarded);
        assert!(proxies.trusts([10, 1, 1, 1].into()) && !proxies.trusts([11, 1, 1, 1].into()));
        let proxies = read("").unwrap().rules().proxies;
        assert!(proxies.trusted.is_empty() && proxies.header == ProxyHeader::XForwardedFor);
        let speaks = |text: &str| read(text).unwrap().rules().proxy_protocol;
        assert!(speaks("[proxies]\ntrusted = [\"10.0.0.1\"]\nprotocol = \"v2\""));
        assert!(!speaks("[proxies]\ntrusted = [\"10.0.0.1\"]"));
    }

    #[test]
    fn the_configuration_that_init_writes_names_the_defaults() {
        let tables: String = FRESH
            .lines()
            .skip_while(|line| *line != "# [limits]")
            .take_while(|line| line.starts_with("# "))
            .map(|line| format!("{}\n", &line[2..]))
            .collect();
        let limits = read(&tables).unwrap().rules().limits;
        assert_eq!(format!("{limits:?}"), format!("{:?}", Limits::default()));
        assert_eq!(tables.lines().count(), 9, "every limit is named: {tables}");
    }

    #[test]
    fn a_wrong_value_is_named_with_its_line_and_what_to_write() {
        for (tables, line, remedy) in [
            ("[limits]\nconnections = 0", 2, "from 1 to 1000000"),
            ("[limits]\nrequests = -5", 2, "from 1 to 1000000"),
            ("[limits]\nrequests_per_peer = 1000001", 2, "from 1 to 1000000"),
            ("[limits]\n\nidle = \"0s\"", 3, "from \"1s\" to \"1h\""),
            ("[limits]\nbody = \"2h\"", 2, "from \"1s\" to \"1h\""),
            ("[limits]\nhead = \"ten\"", 2, "a duration is"),
            ("[limits]\nhaed = \"10s\"", 2, "unknown field"),
            ("[proxies]\ntrusted = [\"10.0.0.1/8\"]", 2, "write \"10.0.0.0/8\""),
            ("[proxies]\ntrusted = [\"proxy.example\"]", 2, "like \"10.0.0.0/8\""),
            ("[proxies]\nprotocol = \"v2\"", 1, "write trusted = "),
            ("[proxies]\ntrusted = [\"10.0.0.1\"]\nprotocol = \"v1\"", 3, "expected `v2`"),
            ("[proxies]\nhexder = \"X\"", 2, "unknown field"),
            ("[proxies]\nheader = \"X-Real-IP\"", 2, "\"X-Forwarded-For\" or \"Forwarded\""),
        ] {
            let said = read(tables).unwrap_err();
            assert!(said.contains(&format!("line {line}")) && said.contains(remedy), "{said}");
        }
    }
}
