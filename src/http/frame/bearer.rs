//! The authorization token of a request: in the `Authorization` header (RFC 6750 section 2.1), and where the operator
//! allows it in a header of another name or in the query, for players that can set no `Authorization` header.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, Uri};

use crate::domain::refusal::Refusal;
use crate::http::frame::problem::Problem;

/// Where a token may be, besides the `Authorization` header.
#[derive(Clone, Debug, Default)]
pub struct TokenPlaces {
    /// A header that has the bare token.
    pub(crate) header: Option<HeaderName>,
    /// Whether the query may have it: `?token=`. Proxies log queries, so this is off unless it is needed.
    query: bool,
}

/// Fields with a meaning of their own, which cannot have a token.
const TAKEN: [&str; 22] = [
    "authorization",
    "cache-control",
    "connection",
    "cookie",
    "date",
    "dnt",
    "expect",
    "forwarded",
    "host",
    "keep-alive",
    "origin",
    "pragma",
    "priority",
    "range",
    "referer",
    "te",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "via",
    "x-real-ip",
    "x-request-id",
];

/// Beginnings of the names of such fields.
const TAKEN_BEGINNINGS: [&str; 7] =
    ["accept", "access-control-", "content-", "if-", "proxy-", "sec-", "x-forwarded-"];

impl TokenPlaces {
    /// A header of this name, if there is one, and the query, if it may have tokens.
    ///
    /// # Errors
    /// The name is none of a header, or the header has a meaning of its own.
    pub fn new(header: Option<&str>, query: bool) -> Result<Self, &'static str> {
        let wrong =
            "header is the name of a header that nothing else uses, such as \"X-Reelkey-Token\"";
        let header =
            header.map(|name| name.parse::<HeaderName>().map_err(|_| wrong)).transpose()?;
        let is_taken = |name: &HeaderName| {
            let begins = |beginning: &&str| name.as_str().starts_with(*beginning);
            TAKEN.contains(&name.as_str()) || TAKEN_BEGINNINGS.iter().any(begins)
        };
        if header.as_ref().is_some_and(is_taken) {
            return Err(wrong);
        }
        Ok(Self { header, query })
    }

    /// The one token of a request.
    fn token<'a>(&self, headers: &'a HeaderMap, uri: &'a Uri) -> Result<&'a str, Problem> {
        let bearer = headers.get_all(AUTHORIZATION).iter().map(|value| {
            let value = value.to_str().unwrap_or_default();
            let (scheme, token) = value.split_once(' ').unwrap_or_default();
            // The scheme is compared without regard to case (RFC 9110 section 11.1).
            if scheme.eq_ignore_ascii_case("bearer") { token.trim_matches(' ') } else { "" }
        });
        let named = self.header.iter().flat_map(|name| headers.get_all(name));
        let named = named.map(|value| value.to_str().unwrap_or_default().trim_matches(' '));
        let query = uri.query().filter(|_| self.query).unwrap_or_default();
        // A token has no character that a query would escape.
        let query = query.split('&').filter_map(|pair| pair.strip_prefix("token="));
        // Another scheme, of a proxy in between for example, is no token.
        let mut tokens = bearer.chain(named).chain(query).filter(|token| !token.is_empty());
        match (tokens.next(), tokens.next()) {
            (_, Some(_)) => {
                Err(Problem::new(Refusal::BadRequest, "send the token once, not several times"))
            }
            (Some(token), None) => Ok(token),
            (None, None) => Err(Refusal::TokenMissing.into()),
        }
    }
}

/// The token that came with a request. Whether there is one is asked later, after the cheaper checks. It has no `Debug`,
/// so that no token is ever printed.
pub(crate) struct Presented(Result<String, Problem>);

impl Presented {
    /// The token.
    pub(crate) fn token(self) -> Result<String, Problem> {
        self.0
    }
}

impl<S: Sync> FromRequestParts<S> for Presented {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let places = parts.extensions.get::<TokenPlaces>().cloned().unwrap_or_default();
        Ok(Self(places.token(&parts.headers, &parts.uri).map(Into::into)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn read(places: &TokenPlaces, fields: &[(&'static str, &'static str)], uri: &str) -> String {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, HeaderValue::from_static(value));
        }
        let uri = uri.parse().unwrap();
        let token = places.token(&headers, &uri);
        token.map_or_else(|problem| problem.reason().into(), Into::into)
    }

    #[test]
    fn the_scheme_is_bearer_in_any_case_and_another_is_no_token() {
        let read = |values: &[&'static str]| {
            let fields: Vec<_> = values.iter().map(|value| ("authorization", *value)).collect();
            read(&TokenPlaces::default(), &fields, "/v1/license?token=xyz")
        };
        assert_eq!(read(&["Bearer abc"]), "abc");
        assert_eq!(read(&["bEARER  abc "]), "abc");
        for none in [&[][..], &["Basic abc"], &["Bearer"], &["Bearer "], &["abc"], &[""]] {
            assert_eq!(read(none), "token-missing", "{none:?}");
        }
        assert_eq!(read(&["Bearer abc", "Bearer abc"]), "bad-request");
    }

    #[test]
    fn other_places_count_where_they_are_allowed_and_two_tokens_are_a_mistake() {
        let both = TokenPlaces::new(Some("X-Reelkey-Token"), true).unwrap();
        let custom = ("x-reelkey-token", "abc");
        let bearer = ("authorization", "Bearer abc");
        assert_eq!(read(&both, &[custom], "/"), "abc");
        assert_eq!(read(&both, &[], "/a?x=1&token=abc"), "abc");
        assert_eq!(read(&both, &[], "/a?token="), "token-missing");
        assert_eq!(read(&both, &[], "/a?token=abc&token="), "abc");
        let basic = ("authorization", "Basic Zm9vOmJhcg==");
        assert_eq!(read(&both, &[basic, custom], "/"), "abc");
        assert_eq!(read(&both, &[basic], "/?token=abc"), "abc");
        for (fields, uri) in [
            (&[custom, bearer][..], "/"),
            (&[custom], "/?token=abc"),
            (&[bearer], "/?token=abc"),
            (&[custom, custom], "/"),
            (&[], "/?token=abc&token=abc"),
        ] {
            assert_eq!(read(&both, fields, uri), "bad-request", "{fields:?} {uri}");
        }
        for taken in
            ["Authorization", "cookie", "a b", "", "User-Agent", "Accept", "Sec-Fetch-Mode"]
        {
            assert!(TokenPlaces::new(Some(taken), false).is_err(), "{taken}");
        }
        let none = TokenPlaces::default();
        assert_eq!(read(&none, &[custom], "/?token=abc"), "token-missing");
        assert_eq!(read(&none, &[custom, bearer], "/?token=xyz"), "abc");
    }
}
