//! Where an issuer's keys are fetched: by the address that the operator names, or by the issuer's own description
//! (OpenID Connect Discovery 1.0, RFC 8414). What is fetched here is judged as the service would judge it.

use std::path::Path;

use reelkey_client::strict::json;
use serde::Deserialize;

use crate::authority::fetched_keys::{KeySet, Source};
use crate::cli::clock;
use crate::cli::folder::issuer_entry::CA_BYTES_MAX;
use crate::cli::source;
use crate::cli::terminal::output::Failure;
use crate::crypto::issuer_key::Algorithm;
use crate::crypto::trust::Trust;
use crate::domain::key_refresh::{Fetched, fresh_secs};
use crate::domain::key_url::KeyUrl;
use crate::http::fetch::{self, fetch};

/// Where an OpenID provider describes itself (OpenID Connect Discovery 1.0, section 4).
const OPENID: &str = "/.well-known/openid-configuration";

/// Where any OAuth server does (RFC 8414, section 3).
const OAUTH: &str = "/.well-known/oauth-authorization-server";

/// The description that an issuer publishes of itself.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Discovered {
    /// Where it says so.
    pub(crate) at: KeyUrl,
    /// Where its keys are.
    pub(crate) jwks_url: KeyUrl,
    /// What it signs with, of that which this service knows.
    pub(crate) algorithms: Vec<Algorithm>,
}

#[derive(Deserialize)]
struct Metadata {
    issuer: String,
    jwks_uri: Option<String>,
    #[serde(default)]
    id_token_signing_alg_values_supported: Vec<String>,
}

/// Reads the certificate authorities of a file.
pub(crate) fn read_ca(path: &Path) -> Result<(Vec<u8>, Trust), Failure> {
    let during = |failure: Failure| failure.during(path.display());
    let pem = source::read(path, CA_BYTES_MAX).map_err(|error| during(error.into()))?;
    if pem.len() > CA_BYTES_MAX {
        return Err(during(Failure::new("too long for certificates")));
    }
    let trust = Trust::own(&pem).map_err(|error| during(error.into()))?;
    Ok((pem, trust))
}

/// Fetches an issuer's keys now, and refuses what the service would refuse.
pub(crate) async fn fetch_set(
    source: &Source,
    algorithms: &[Algorithm],
) -> Result<KeySet, Failure> {
    let during = |failure: Failure| failure.during(&source.url);
    let document = fetch(&source.url, &source.trust).await.map_err(|error| during(error.into()))?;
    let fresh_secs = fresh_secs(document.cache_control.as_deref());
    let fetched = Fetched { at: clock::now(), fresh_secs };
    KeySet::read(document.bytes, algorithms, fetched).map_err(|unfit| during(unfit.into()))
}

/// Asks the issuer for its description.
pub(crate) async fn discover(iss: &str, trust: &Trust) -> Result<Discovered, Failure> {
    let [openid, oauth] = descriptions(iss)?;
    let (at, document) = match fetch(&openid, trust).await {
        Err(fetch::Error::Status(404)) => {
            let document = fetch(&oauth, trust).await;
            (oauth, document)
        }
        document => (openid, document),
    };
    let during = |failure: Failure| failure.during(&at);
    let document = document.map_err(|error| {
        during(error.into()).remedy("name the address of its keys with --jwks-url")
    })?;
    read(&document.bytes, iss, at.clone()).map_err(during)
}

/// Where the issuer may describe itself, the first place first.
fn descriptions(iss: &str) -> Result<[KeyUrl; 2], Failure> {
    let wrong = || {
        Failure::new(format_args!(
            "{iss} is no address to ask: an issuer that describes itself is https://HOST/PATH"
        ))
        .remedy("name the address of its keys with --jwks-url")
    };
    let plain = iss.strip_suffix('/').unwrap_or(iss);
    if plain.contains('?') {
        return Err(wrong());
    }
    plain.parse::<KeyUrl>().map_err(|_| wrong())?;
    let host_at = plain.find("://").map_or(0, |at| at.saturating_add(3));
    let after_host = plain.get(host_at..).and_then(|rest| rest.find('/'));
    let path_at = after_host.map_or(plain.len(), |at| host_at.saturating_add(at));
    let (host, path) = plain.split_at_checked(path_at).ok_or_else(wrong)?;
    let parse = |text: String| text.parse::<KeyUrl>().map_err(|_| wrong());
    Ok([parse(format!("{plain}{OPENID}"))?, parse(format!("{host}{OAUTH}{path}"))?])
}

/// Reads the description that was found at `at`. Its `issuer` is `iss` byte by byte (section 4.3 of the one, 3.3 of the
/// other): otherwise it speaks for somebody else.
fn read(bytes: &[u8], iss: &str, at: KeyUrl) -> Result<Discovered, Failure> {
    let metadata: Metadata = json::read(bytes)?;
    if metadata.issuer != iss {
        let what = format_args!("it describes the issuer {:?}", metadata.issuer);
        return Err(Failure::new(what).remedy("give the name exactly as in iss of its tokens"));
    }
    let jwks_uri = metadata.jwks_uri.ok_or_else(|| Failure::new("it names no jwks_uri"))?;
    let jwks_url = jwks_uri.parse().map_err(|error| Failure::from(error).during(jwks_uri))?;
    let named = metadata.id_token_signing_alg_values_supported;
    let mut algorithms: Vec<Algorithm> = Vec::new();
    for algorithm in named.iter().filter_map(|name| name.parse::<Algorithm>().ok()) {
        if !algorithm.is_symmetric() && !algorithms.contains(&algorithm) {
            algorithms.push(algorithm);
        }
    }
    Ok(Discovered { at, jwks_url, algorithms })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(iss: &str) -> [String; 2] {
        descriptions(iss).unwrap().map(|url| url.to_string())
    }

    #[test]
    fn an_issuer_describes_itself_in_two_places() {
        assert_eq!(
            places("https://auth.example"),
            [
                "https://auth.example/.well-known/openid-configuration",
                "https://auth.example/.well-known/oauth-authorization-server"
            ]
        );
        assert_eq!(
            places("https://tenant.eu.auth0.com/")[0],
            "https://tenant.eu.auth0.com/.well-known/openid-configuration"
        );
        assert_eq!(
            places("https://sso.example/realms/tv"),
            [
                "https://sso.example/realms/tv/.well-known/openid-configuration",
                "https://sso.example/.well-known/oauth-authorization-server/realms/tv"
            ]
        );
        for wrong in ["auth", "http://auth.example", "https://auth.example/?a=b", "urn:x:y"] {
            assert!(descriptions(wrong).is_err(), "{wrong}");
        }
    }

    fn described(text: &str) -> Result<Discovered, String> {
        let at = "https://auth.example/x".parse().unwrap();
        read(text.as_bytes(), "https://auth.example", at).map_err(|failure| failure.to_string())
    }

    #[test]
    fn a_description_names_keys_and_algorithms() {
        let found = described(
            r#"{"issuer":"https://auth.example","jwks_uri":"https://keys.example/jwks","x":[1],
                "id_token_signing_alg_values_supported":["none","HS256","RS512","RS256","EdDSA","Ed25519","ES256"]}"#,
        )
        .unwrap();
        assert_eq!(found.jwks_url.as_str(), "https://keys.example/jwks");
        assert_eq!(found.algorithms, [Algorithm::Rs256, Algorithm::EdDsa, Algorithm::Es256]);
        let bare = r#"{"issuer":"https://auth.example","jwks_uri":"https://keys.example/jwks"}"#;
        assert_eq!(described(bare).unwrap().algorithms, []);
    }

    #[test]
    fn a_description_of_somebody_else_is_refused() {
        for (text, why) in [
            (
                r#"{"issuer":"https://auth.example/","jwks_uri":"https://a/"}"#,
                "describes the issuer",
            ),
            (
                r#"{"issuer":"https://evil.example","jwks_uri":"https://a/"}"#,
                "describes the issuer",
            ),
            (r#"{"issuer":"https://auth.example"}"#, "no jwks_uri"),
            (r#"{"issuer":"https://auth.example","jwks_uri":"http://a/"}"#, "https://HOST"),
            (
                r#"{"issuer":"https://auth.example","jwks_uri":"file:///etc/passwd"}"#,
                "https://HOST",
            ),
            (r#"{"issuer":"https://auth.example","issuer":"x","jwks_uri":"https://a/"}"#, "strict"),
            (r#"{"jwks_uri":"https://a/"}"#, "missing"),
            ("<html>", "strict"),
            ("[]", "object"),
        ] {
            let said = described(text).unwrap_err();
            assert!(said.contains(why), "{text}: {said}");
        }
    }
}
