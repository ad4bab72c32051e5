//! JSON that every reader understands the same way: one object, no repeated member, limited depth.
//!
//! RFC 8259 section 4 leaves repeated names to the reader, and a reader that takes the last `region`
//! of a token disagrees with one that takes the first.
//!
//! JOSE objects and claims are JSON objects (RFC 7519 section 7.2, RFC 7517 section 4). serde also
//! accepts an array for a struct and takes its elements as the members in their order. [`read`]
//! refuses an array in place of the whole; [`object`], [`object_or_null`] and [`objects`], used as
//! `deserialize_with` of a member, refuse it in place of that member.
//!
//! Deliberately absent: limits on length, which the callers check, and on numbers, which the type
//! that is read has. The types of this crate take integers only.

use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::marker::PhantomData;
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor,
};

/// How deep objects and arrays may be nested.
pub const DEPTH_MAX: u8 = 8;

/// The bytes are not strict JSON of the expected shape.
///
/// The message has the rule and the position, never a value: a rejected token is still a secret.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Not JSON, a repeated member in one object, or nested deeper than [`DEPTH_MAX`].
    #[error(
        "not strict JSON at line {line}, column {column}: a syntax error, a repeated member, or nesting deeper than 8"
    )]
    Form {
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
    },
    /// JSON, but not an object, or a member is missing or has another type.
    #[error(
        "not an object, or a member is missing, has another type or is out of range at column {column}"
    )]
    Shape {
        /// From 1.
        column: usize,
    },
}

/// Reads exactly one JSON object as `T`. Members that `T` does not have are ignored.
///
/// ```
/// use reelkey_client::strict::json;
/// use serde::Deserialize;
///
/// #[derive(Deserialize)]
/// struct Token {
///     region: String,
///     #[serde(deserialize_with = "json::object")]
///     cnf: Confirmation,
/// }
///
/// #[derive(Deserialize)]
/// struct Confirmation {
///     jkt: String,
/// }
///
/// let token: Token = json::read(br#"{"region":"US","cnf":{"jkt":"0ZcO"}}"#)?;
/// assert_eq!((token.region.as_str(), token.cnf.jkt.as_str()), ("US", "0ZcO"));
///
/// let twice = br#"{"region":"US","cnf":{"jkt":"0ZcO"},"region":"DE"}"#;
/// assert!(matches!(json::read::<Token>(twice), Err(json::Error::Form { .. })));
/// # Ok::<(), json::Error>(())
/// ```
///
/// # Errors
/// [`Error`].
pub fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Error> {
    let mut form = serde_json::Deserializer::from_slice(bytes);
    Strict { depth_left: DEPTH_MAX }
        .deserialize(&mut form)
        .and_then(|()| form.end())
        .map_err(|error| Error::Form { line: error.line(), column: error.column() })?;
    object(&mut serde_json::Deserializer::from_slice(bytes))
        .map_err(|error| Error::Shape { column: error.column() })
}

/// Reads a member that has to be an object. Use it as `#[serde(deserialize_with = "json::object")]`.
///
/// # Errors
/// The error of the deserializer.
pub fn object<'de, T: Deserialize<'de>, D: Deserializer<'de>>(from: D) -> Result<T, D::Error> {
    from.deserialize_map(Members(PhantomData))
}

/// Reads a member that has to be an object or `null`. Add `default` if it may be missing.
///
/// # Errors
/// The error of the deserializer.
pub fn object_or_null<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    from: D,
) -> Result<Option<T>, D::Error> {
    Ok(Option::<Object<T>>::deserialize(from)?.map(|Object(it)| it))
}

/// Reads a member that has to be an array of objects.
///
/// # Errors
/// The error of the deserializer.
pub fn objects<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    from: D,
) -> Result<Vec<T>, D::Error> {
    Ok(Vec::<Object<T>>::deserialize(from)?.into_iter().map(|Object(it)| it).collect())
}

#[derive(Deserialize)]
#[serde(transparent, bound = "T: Deserialize<'de>")]
struct Object<T>(#[serde(deserialize_with = "object")] T);

struct Members<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Members<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map))
    }
}

/// Visits a value to check its form, and builds nothing.
#[derive(Clone, Copy)]
struct Strict {
    depth_left: u8,
}

impl Strict {
    fn deeper<E: serde::de::Error>(self) -> Result<Self, E> {
        let depth_left = self.depth_left.checked_sub(1).ok_or_else(|| E::custom("too deep"))?;
        Ok(Self { depth_left })
    }
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let deeper = self.deeper()?;
        let mut seen = BTreeSet::new();
        while let Some(name) = map.next_key::<String>()? {
            if !seen.insert(name) {
                return Err(A::Error::custom("repeated member"));
            }
            map.next_value_seed(deeper)?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let deeper = self.deeper()?;
        while seq.next_element_seed(deeper)?.is_some() {}
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeMap;
    use alloc::format;
    use serde_json::Value;

    fn form(text: &str) -> Result<Value, Error> {
        read::<Value>(text.as_bytes())
    }

    #[test]
    fn a_repeated_member_is_refused_however_it_is_spelled() {
        assert!(form(r#"{"region":"US","inner":{"region":"DE"}}"#).is_ok());
        for twice in [
            r#"{"region":"US","region":"DE"}"#,
            r#"{"region":"US","\u0072egion":"DE"}"#,
            r#"{"a":[{"b":{"c":1,"c":1}}]}"#,
        ] {
            assert!(matches!(form(twice), Err(Error::Form { .. })), "{twice}");
        }
    }

    #[test]
    fn nesting_deeper_than_the_limit_is_refused() {
        let nested =
            |depth: usize| format!("{{\"a\":{}1{}}}", "[".repeat(depth - 1), "]".repeat(depth - 1));
        assert!(form(&nested(8)).is_ok());
        assert!(form(&nested(9)).is_err());
        assert!(form(&nested(200)).is_err());
        assert!(form(&"[".repeat(100_000)).is_err());
    }

    #[test]
    fn a_second_value_and_lenient_syntax_are_refused() {
        for wrong in ["", "{} {}", "{}x", "{\"a\":01}", "{'a':1}", "\u{feff}{}", "{\"a\":1,}"] {
            assert!(form(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn an_array_in_place_of_an_object_is_refused() {
        #[derive(Deserialize)]
        struct Inner {
            _jkt: String,
        }
        #[derive(Deserialize)]
        struct Outer {
            #[serde(deserialize_with = "object")]
            _one: Inner,
            #[serde(default, deserialize_with = "object_or_null")]
            _maybe: Option<Inner>,
            #[serde(default, deserialize_with = "objects")]
            _many: Vec<Inner>,
        }
        let is_read = |text: &str| read::<Outer>(text.as_bytes()).is_ok();
        for right in [
            r#"{"_one":{"_jkt":"x"}}"#,
            r#"{"_one":{"_jkt":"x"},"_maybe":null,"_many":[{"_jkt":"x"}]}"#,
            r#"{"_one":{"_jkt":"x"},"_maybe":{"_jkt":"x"},"_many":[]}"#,
        ] {
            assert!(is_read(right), "{right}");
        }
        for wrong in [
            r#"[{"_jkt":"x"}]"#,
            r#"{"_one":["x"]}"#,
            r#"{"_one":null}"#,
            r#"{"_one":{"_jkt":"x"},"_maybe":["x"]}"#,
            r#"{"_one":{"_jkt":"x"},"_many":[["x"]]}"#,
            r#"{"_one":{"_jkt":"x"},"_many":{"_jkt":"x"}}"#,
        ] {
            assert!(!is_read(wrong), "{wrong}");
        }
    }

    #[test]
    fn a_time_that_is_no_integer_in_range_is_refused() {
        for wrong in ["1.0", "1e3", "-1", "\"1\"", "18446744073709551616", "1e300", "null"] {
            let text = format!("{{\"exp\":{wrong}}}");
            assert!(read::<BTreeMap<String, u64>>(text.as_bytes()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_error_repeats_nothing_of_what_was_read() {
        let secret = r#"{"eyJhbGciOi":"eyJhbGciOi","n":{}}"#;
        let error = read::<BTreeMap<String, String>>(secret.as_bytes()).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("eyJ"));
    }
}
