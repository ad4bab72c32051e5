//! The authorization token in the `Authorization` header (RFC 6750 section 2.1).

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;

use crate::domain::refusal::Refusal;
use crate::http::frame::problem::Problem;

/// Returns the token of the only `Authorization: Bearer` header. The scheme is compared without regard to case (RFC
/// 9110 section 11.1).
pub(crate) fn token(headers: &HeaderMap) -> Result<&str, Problem> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (first, second) = (values.next(), values.next());
    if second.is_some() {
        return Err(Problem::new(
            Refusal::BadRequest,
            "send one Authorization header, not several",
        ));
    }
    let value = first.and_then(|value| value.to_str().ok()).unwrap_or_default();
    let (scheme, token) = value.split_once(' ').unwrap_or_default();
    let token = token.trim_matches(' ');
    if !scheme.eq_ignore_ascii_case("bearer") || token.is_empty() {
        return Err(Refusal::TokenMissing.into());
    }
    Ok(token)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn read(values: &[&'static str]) -> Result<String, &'static str> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, HeaderValue::from_static(value));
        }
        token(&headers).map(Into::into).map_err(|problem| problem.reason())
    }

    #[test]
    fn the_scheme_is_bearer_in_any_case() {
        assert_eq!(read(&["Bearer abc"]), Ok("abc".into()));
        assert_eq!(read(&["bEARER  abc "]), Ok("abc".into()));
    }

    #[test]
    fn another_scheme_is_no_token_and_two_headers_are_a_mistake() {
        for none in [&[][..], &["Basic abc"], &["Bearer"], &["Bearer "], &["abc"], &[""]] {
            assert_eq!(read(none), Err("token-missing"), "{none:?}");
        }
        assert_eq!(read(&["Bearer abc", "Bearer abc"]), Err("bad-request"));
    }
}
