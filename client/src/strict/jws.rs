//! Splits and decodes a compact JWS (RFC 7515 section 7.1), before its signature is verified.
//!
//! Nothing that is read here can be trusted yet. The caller verifies [`Compact::signature`] over
//! [`Compact::signing_input`], and only then reads [`Compact::payload`].
//!
//! Deliberately absent: verification, and the JSON serialization of JWS.

use alloc::string::String;
use alloc::vec::Vec;
use serde_json::{Map, Value};

use crate::strict::{base64url, json};

/// The longest protected header, in decoded bytes.
pub const HEADER_BYTES_MAX: usize = 1024;

/// The longest protected header with a certificate chain (`x5c`), in decoded bytes.
pub const CHAIN_HEADER_BYTES_MAX: usize = 8 * 1024;

/// Header members that change the meaning of the rest (RFC 7515 section 4.1, RFC 7797, RFC 7516
/// section 4.1.3). None of them is supported, so all are refused: a reader that ignores `b64`
/// verifies another text than the one that was signed, and `jku` and `x5u` make a reader fetch.
const REFUSED: [&str; 5] = ["crit", "b64", "zip", "jku", "x5u"];

/// Header members with which a sender supplies its own key.
const OWN_KEY: [&str; 2] = ["jwk", "x5c"];

/// The rules for a compact JWS at the place where it is read.
#[derive(Clone, Copy, Debug)]
pub struct Expect<'a> {
    /// The greatest length of the text, in bytes.
    pub bytes_max: usize,
    /// The accepted values of `typ`, without `application/`; compared without case (RFC 7515 section
    /// 4.1.9).
    pub typ: &'a [&'a str],
    /// Whether `typ` may be absent.
    pub typ_optional: bool,
    /// Whether the header may have the sender's own key in `jwk` or `x5c`.
    pub own_key: bool,
}

/// The three parts of a compact JWS, decoded, their form checked. **Not verified.**
///
/// ```
/// use reelkey_client::strict::jws::{Compact, Expect};
///
/// // RFC 7515 appendix A.3.
/// let text = "eyJhbGciOiJFUzI1NiJ9\
///     .eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ\
///     .DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
/// let expect = Expect { bytes_max: 8192, typ: &["JWT"], typ_optional: true, own_key: false };
/// let jws = Compact::parse(text.as_bytes(), expect)?;
/// assert_eq!(jws.alg, "ES256"); // compare it with an allow-list, then verify the signature
/// assert_eq!(jws.signature.len(), 64);
/// # Ok::<(), reelkey_client::strict::jws::Error>(())
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct Compact<'a> {
    /// The text before the second period: what was signed, byte for byte.
    pub signing_input: &'a str,
    /// The text after the second period: the signature in base64url.
    pub signature_text: &'a str,
    /// `alg`. Compare it with an allow-list; never choose the algorithm by it.
    pub alg: String,
    /// `kid`, printable ASCII. Use it to look up a key in a map, never as a path, URL or query.
    pub kid: Option<String>,
    /// The protected header's members.
    pub header: Map<String, Value>,
    /// The payload's bytes. **Not verified.**
    pub payload: Vec<u8>,
    /// The signature's bytes.
    pub signature: Vec<u8>,
}

/// The text is not a compact JWS of the expected kind. The message repeats nothing of it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Longer than [`Expect::bytes_max`].
    #[error("longer than {bytes_max} bytes")]
    TooLong {
        /// The greatest length that is accepted.
        bytes_max: usize,
    },
    /// Not three parts with two periods between them (RFC 7515 section 7.1). A JWE has five parts.
    #[error("not three base64url parts separated by two periods (RFC 7515, 7.1)")]
    Parts,
    /// A part is not canonical base64url.
    #[error("a part is not canonical unpadded base64url (RFC 7515, 2)")]
    Encoding,
    /// The protected header is longer than [`HEADER_BYTES_MAX`], or with `x5c` than
    /// [`CHAIN_HEADER_BYTES_MAX`].
    #[error("the protected header is longer than 1024 bytes, or 8192 with x5c")]
    HeaderTooLong,
    /// The protected header is not strict JSON.
    #[error("the protected header: {0}")]
    Header(#[source] json::Error),
    /// `alg` is missing or not a string (RFC 7515 section 4.1.1).
    #[error("the header has no alg (RFC 7515, 4.1.1)")]
    Alg,
    /// `kid` is not 1 to 256 printable ASCII characters.
    #[error("the header's kid is not 1 to 256 printable ASCII characters")]
    Kid,
    /// The header has a member that is not accepted here, such as `crit`.
    #[error("the header member {0} is not accepted here")]
    RefusedMember(&'static str),
    /// `typ` is missing or not one of [`Expect::typ`] (RFC 8725 section 3.11).
    #[error("the header's typ is not the expected one (RFC 8725, 3.11)")]
    Typ,
}

impl<'a> Compact<'a> {
    /// Splits and decodes `text`, and checks its form against `expect`.
    ///
    /// # Errors
    /// [`Error`], one variant per broken rule.
    pub fn parse(text: &'a [u8], expect: Expect<'_>) -> Result<Self, Error> {
        if text.len() > expect.bytes_max {
            return Err(Error::TooLong { bytes_max: expect.bytes_max });
        }
        let text = core::str::from_utf8(text).map_err(|_| Error::Encoding)?;
        let (signing_input, signature_text) = text.rsplit_once('.').ok_or(Error::Parts)?;
        let (header, payload) = signing_input.split_once('.').ok_or(Error::Parts)?;
        if payload.contains('.') {
            return Err(Error::Parts);
        }
        let decode = |part| base64url::decode(part).map_err(|_| Error::Encoding);
        let header = decode(header)?;
        let (is_long, most) = (
            header.len() > HEADER_BYTES_MAX,
            match expect.own_key {
                true => CHAIN_HEADER_BYTES_MAX,
                false => HEADER_BYTES_MAX,
            },
        );
        if header.len() > most {
            return Err(Error::HeaderTooLong);
        }
        let header: Map<String, Value> = json::read(&header).map_err(Error::Header)?;
        if is_long && !header.contains_key("x5c") {
            return Err(Error::HeaderTooLong);
        }
        refuse_members(&header, expect.own_key)?;
        match header.get("typ") {
            None if expect.typ_optional => {}
            Some(Value::String(typ)) if is_one_of(typ, expect.typ) => {}
            _ => return Err(Error::Typ),
        }
        Ok(Self {
            signing_input,
            signature_text,
            alg: header.get("alg").and_then(Value::as_str).ok_or(Error::Alg)?.into(),
            kid: kid(&header)?,
            payload: decode(payload)?,
            signature: decode(signature_text)?,
            header,
        })
    }
}

fn refuse_members(header: &Map<String, Value>, own_key: bool) -> Result<(), Error> {
    let refused = REFUSED.iter().chain(if own_key { &[][..] } else { &OWN_KEY[..] });
    for name in refused {
        if header.contains_key(*name) {
            return Err(Error::RefusedMember(name));
        }
    }
    Ok(())
}

/// RFC 7515 section 4.1.9: `application/` may be omitted if the rest has no `/`, and media types are
/// compared without case.
fn is_one_of(typ: &str, accepted: &[&str]) -> bool {
    const PREFIX: &str = "application/";
    let bare = match typ.get(..PREFIX.len()) {
        Some(prefix) if prefix.eq_ignore_ascii_case(PREFIX) => typ.get(PREFIX.len()..),
        _ => Some(typ),
    };
    bare.is_some_and(|bare| accepted.iter().any(|one| bare.eq_ignore_ascii_case(one)))
}

fn kid(header: &Map<String, Value>) -> Result<Option<String>, Error> {
    match header.get("kid") {
        None => Ok(None),
        Some(Value::String(kid))
            if (1..=256).contains(&kid.len()) && kid.bytes().all(|b| (0x20..0x7f).contains(&b)) =>
        {
            Ok(Some(kid.clone()))
        }
        Some(_) => Err(Error::Kid),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    const TOKEN: Expect<'_> =
        Expect { bytes_max: 8192, typ: &["JWT", "at+jwt"], typ_optional: true, own_key: false };

    fn parse(header: &str) -> Result<Option<String>, Error> {
        let text = format!("{}.e30.AA", base64url::encode(header.as_bytes()));
        Compact::parse(text.as_bytes(), TOKEN).map(|compact| compact.kid)
    }

    #[test]
    fn the_first_example_of_rfc_7515_is_split_and_decoded() {
        // RFC 7515 appendix A.1.1.
        let text = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.\
            eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.\
            dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        let compact = Compact::parse(text.as_bytes(), TOKEN).unwrap();
        assert_eq!(compact.alg, "HS256");
        assert!(compact.payload.starts_with(b"{\"iss\":\"joe\","));
        assert_eq!(compact.signature.first(), Some(&116));
        assert_eq!(format!("{}.{}", compact.signing_input, compact.signature_text), text);
    }

    #[test]
    fn another_number_of_parts_and_another_encoding_are_refused() {
        for wrong in ["", ".", "e30.e30", "e30.e30.e30.e30", "e30.e30.e30.e30.e30"] {
            assert!(matches!(
                Compact::parse(wrong.as_bytes(), TOKEN),
                Err(Error::Parts | Error::Alg)
            ));
        }
        let header = base64url::encode(br#"{"alg":"ES256"}"#);
        for tail in ["e30=.AA", "e30.AB", "e30.AA=", " e30.AA", "e30.A A", "e30.A\u{e9}"] {
            let text = format!("{header}.{tail}");
            assert!(
                matches!(Compact::parse(text.as_bytes(), TOKEN), Err(Error::Encoding)),
                "{tail}"
            );
        }
        assert!(matches!(Compact::parse(b"\xff.e30.AA", TOKEN), Err(Error::Encoding)));
    }

    #[test]
    fn members_that_change_the_meaning_are_refused_with_any_value() {
        for name in ["crit", "b64", "zip", "jku", "x5u", "jwk", "x5c"] {
            for value in ["null", "[]", "true", "\"x\""] {
                let header = format!(r#"{{"alg":"ES256","{name}":{value}}}"#);
                assert!(matches!(parse(&header), Err(Error::RefusedMember(_))), "{header}");
            }
        }
        assert!(parse(r#"{"alg":"ES256","x5t":"AA","new":1}"#).is_ok());
    }

    #[test]
    fn a_typ_of_another_use_is_refused() {
        for fine in ["JWT", "jwt", "application/at+jwt", "APPLICATION/AT+JWT"] {
            assert!(parse(&format!(r#"{{"alg":"ES256","typ":"{fine}"}}"#)).is_ok(), "{fine}");
        }
        for wrong in ["license+jwt", "", "application/", "application/application/jwt", "dpop+jwt"]
        {
            let header = format!(r#"{{"alg":"ES256","typ":"{wrong}"}}"#);
            assert!(matches!(parse(&header), Err(Error::Typ)), "{wrong}");
        }
        assert!(matches!(parse(r#"{"alg":"ES256","typ":1}"#), Err(Error::Typ)));
        let required = Expect { typ_optional: false, ..TOKEN };
        let text = format!("{}.e30.AA", base64url::encode(br#"{"alg":"ES256"}"#));
        assert!(matches!(Compact::parse(text.as_bytes(), required), Err(Error::Typ)));
    }

    #[test]
    fn an_oversized_header_and_an_oversized_kid_are_refused() {
        let kid = |length| format!(r#"{{"alg":"ES256","kid":"{}"}}"#, "k".repeat(length));
        assert_eq!(parse(&kid(256)).unwrap().map(|kid| kid.len()), Some(256));
        assert!(matches!(parse(&kid(257)), Err(Error::Kid)));
        assert!(matches!(parse(&kid(0)), Err(Error::Kid)));
        assert!(matches!(parse(&kid(100_000)), Err(Error::TooLong { .. })));
        assert!(matches!(parse(&kid(2000)), Err(Error::HeaderTooLong)));
        assert!(matches!(parse(r#"{"alg":"ES256","kid":"a\nb"}"#), Err(Error::Kid)));
        assert!(matches!(parse(r#"{"alg":["ES256"]}"#), Err(Error::Alg)));
        assert!(matches!(parse(r#"{"alg":"ES256","alg":"none"}"#), Err(Error::Header(_))));
    }
}
