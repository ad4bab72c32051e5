//! Which packager sent a request: HTTP's Basic scheme (RFC 7617), a bearer token (RFC 6750), a client certificate, or, for
//! tools that can set no header, `?token=`.
//!
//! Deliberately absent: signatures. They are in the body, so the protocol that has them checks them.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use base64ct::{Base64, Encoding};
use reelkey_client::time::UnixTime;
use zeroize::Zeroizing;

use crate::authority::packager::{Packager, Packagers};
use crate::http::app::App;
use crate::http::frame::address::ClientCertificates;
use crate::http::frame::exchange::Exchange;

/// The sender of a request, by its header fields, its query and its client certificate.
pub(crate) struct Asker {
    packagers: Arc<Packagers>,
    shown: Shown,
    query_token: Option<Zeroizing<String>>,
    certificates: Option<ClientCertificates>,
    now: UnixTime,
}

/// What the `Authorization` field shows.
enum Shown {
    Nothing,
    Basic {
        name: String,
        secret: Zeroizing<String>,
    },
    Bearer(Zeroizing<String>),
    /// Several fields, another scheme, or none that can be read.
    Unreadable,
}

/// Nobody whom the service knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unauthenticated {
    /// Nothing was shown.
    Nothing,
    /// What was shown is wrong.
    Wrong,
}

impl Asker {
    /// The packager that sent the request.
    pub(crate) fn packager(&self) -> Result<Arc<Packager>, Unauthenticated> {
        self.optional()?.ok_or(Unauthenticated::Nothing)
    }

    /// The packager that sent the request; `None` if nothing was shown.
    pub(crate) fn optional(&self) -> Result<Option<Arc<Packager>>, Unauthenticated> {
        let found = match &self.shown {
            Shown::Basic { name, secret } => {
                let named = self.packagers.find(name);
                named.filter(|packager| packager.has_secret(secret.as_bytes()))
            }
            Shown::Bearer(secret) => self.packagers.by_secret(secret.as_bytes()),
            Shown::Unreadable => None,
            Shown::Nothing => match self.by_certificate() {
                Some(packager) => return Ok(Some(packager)),
                None => return Ok(None),
            },
        };
        found.cloned().map(Some).ok_or(Unauthenticated::Wrong)
    }

    /// As [`Self::packager`]; the secret may also be the query's `token`.
    pub(crate) fn packager_by_query(&self) -> Result<Arc<Packager>, Unauthenticated> {
        match (&self.shown, &self.query_token) {
            (Shown::Nothing, Some(token)) => {
                let found = self.packagers.by_secret(token.as_bytes());
                found.cloned().ok_or(Unauthenticated::Wrong)
            }
            _ => self.packager(),
        }
    }

    /// The packager that says to have signed the request. Whether it has, its signature tells.
    pub(crate) fn signer(&self, name: &str) -> Option<Arc<Packager>> {
        self.packagers.find(name).cloned()
    }

    fn by_certificate(&self) -> Option<Arc<Packager>> {
        let ClientCertificates(chain) = self.certificates.as_ref()?;
        self.packagers.by_certificate(chain, self.now).cloned()
    }
}

impl FromRequestParts<App> for Asker {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Infallible> {
        let mut fields = parts.headers.get_all(AUTHORIZATION).iter();
        let shown = match (fields.next(), fields.next()) {
            (None, _) => Shown::Nothing,
            (Some(value), None) => read(value.to_str().unwrap_or_default()),
            (Some(_), Some(_)) => Shown::Unreadable,
        };
        let query = parts.uri.query().unwrap_or_default();
        let token = query.split('&').find_map(|pair| pair.strip_prefix("token="));
        let now = parts.extensions.get::<Exchange>().map(|exchange| exchange.now);
        Ok(Self {
            packagers: app.authority.in_force().packagers.clone(),
            shown,
            query_token: token.map(|token| Zeroizing::new(token.to_owned())),
            certificates: parts.extensions.get::<ClientCertificates>().cloned(),
            now: now.unwrap_or(UnixTime::from_secs(0)),
        })
    }
}

/// Reads the field. Schemes are compared without regard to case (RFC 9110 section 11.1).
fn read(value: &str) -> Shown {
    let (scheme, credentials) = value.split_once(' ').unwrap_or_default();
    let credentials = credentials.trim_matches(' ');
    if scheme.eq_ignore_ascii_case("bearer") && !credentials.is_empty() {
        return Shown::Bearer(Zeroizing::new(credentials.to_owned()));
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return Shown::Unreadable;
    }
    let decoded = Base64::decode_vec(credentials).map(Zeroizing::new);
    let decoded = decoded.unwrap_or_default();
    let text = std::str::from_utf8(&decoded).unwrap_or_default();
    match text.split_once(':') {
        Some((name, secret)) => {
            Shown::Basic { name: name.to_owned(), secret: Zeroizing::new(secret.to_owned()) }
        }
        None => Shown::Unreadable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn basic_and_bearer_are_read() {
        let basic = |value: &str| match read(value) {
            Shown::Basic { name, secret } => format!("{name} {}", secret.as_str()),
            Shown::Bearer(secret) => format!("bearer {}", secret.as_str()),
            Shown::Nothing | Shown::Unreadable => "-".into(),
        };
        assert_eq!(basic("Basic ZW5jOnM6M2NyZXQ="), "enc s:3cret");
        assert_eq!(basic("bASIC  ZW5jOg=="), "enc ");
        assert_eq!(basic("Bearer abc"), "bearer abc");
        for wrong in ["", "Basic", "Basic ", "Basic ZW5j", "Basic ???", "Bearer ", "Digest a=b"] {
            assert_eq!(basic(wrong), "-", "{wrong}");
        }
    }
}
