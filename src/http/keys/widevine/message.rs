//! A message of Protocol Buffers in JSON, read with the leniency that its specification asks of a reader
//! (<https://protobuf.dev/programming-guides/json>): a member has its own name or that name in camel case, a number may be
//! text, base64 has either alphabet and any padding, and what is absent, `null` or empty has its default.
//!
//! Stricter in one point, like every reader of JSON here: no member stands twice, and nesting has a limit.

use base64ct::{Base64Unpadded, Encoding};
use reelkey_client::strict::json;
use serde_json::{Map, Value};

/// It is no message, or a member has another type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

/// A message.
#[derive(Debug)]
pub struct Message(Map<String, Value>);

/// The value of an enumeration: the clients write its name or its number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// The name, and it is no number.
    Named(String),
    /// The number.
    Numbered(u32),
}

impl Message {
    /// Reads one message.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn read(bytes: &[u8]) -> Result<Self, Malformed> {
        json::read(bytes).map(Self).map_err(|_| Malformed)
    }

    /// The member of this name in snake case, unless it is `null`.
    fn member(&self, name: &str) -> Result<Option<&Value>, Malformed> {
        let camel = camel_case(name);
        let named = [name, &camel].map(|name| self.0.get(name));
        match named {
            // One of two spellings would have to win.
            [Some(_), Some(_)] if camel != name => Err(Malformed),
            [one, other] => Ok(one.or(other).filter(|value| !value.is_null())),
        }
    }

    /// A text that is not empty.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn text(&self, name: &str) -> Result<Option<&str>, Malformed> {
        let value = self.member(name)?.map(|value| value.as_str().ok_or(Malformed)).transpose()?;
        Ok(value.filter(|text| !text.is_empty()))
    }

    /// Bytes, of which there is at least one.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn bytes(&self, name: &str) -> Result<Option<Vec<u8>>, Malformed> {
        self.text(name)?.map(base64).transpose()
    }

    /// A number of 32 bits without a sign.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn number(&self, name: &str) -> Result<Option<u32>, Malformed> {
        self.member(name)?.map(|value| number(value).ok_or(Malformed)).transpose()
    }

    /// The value of an enumeration.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn choice(&self, name: &str) -> Result<Option<Choice>, Malformed> {
        self.member(name)?.map(choice).transpose()
    }

    /// Values of an enumeration.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn choices(&self, name: &str) -> Result<Vec<Choice>, Malformed> {
        self.array(name)?.iter().map(choice).collect()
    }

    /// Messages inside this one.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn messages(&self, name: &str) -> Result<Vec<Self>, Malformed> {
        let members = |value: &Value| Some(Self(value.as_object()?.clone()));
        self.array(name)?.iter().map(|value| members(value).ok_or(Malformed)).collect()
    }

    fn array(&self, name: &str) -> Result<&[Value], Malformed> {
        let Some(value) = self.member(name)? else { return Ok(&[]) };
        value.as_array().map(Vec::as_slice).ok_or(Malformed)
    }
}

/// `crypto_period_count` as `cryptoPeriodCount`.
fn camel_case(name: &str) -> String {
    let mut words = name.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |mut camel, word| {
        let mut letters = word.chars();
        camel.extend(letters.next().map(|letter| letter.to_ascii_uppercase()));
        camel.push_str(letters.as_str());
        camel
    })
}

fn number(value: &Value) -> Option<u32> {
    let value = match value {
        // Text of a number is one, and no other text.
        Value::String(text) => &serde_json::from_str::<Value>(text).ok()?,
        other => other,
    };
    if let Some(number) = value.as_u64() {
        return u32::try_from(number).ok();
    }
    // Protocol Buffers write 10 as 1e1 or 10.0 too.
    let number = value.as_f64()?;
    let is_whole = number.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(&number);
    is_whole.then(|| format!("{number:.0}").parse().ok()).flatten()
}

fn choice(value: &Value) -> Result<Choice, Malformed> {
    match (number(value), value.as_str()) {
        (Some(number), _) => Ok(Choice::Numbered(number)),
        (None, Some(name)) => Ok(Choice::Named(name.to_owned())),
        (None, None) => Err(Malformed),
    }
}

fn base64(text: &str) -> Result<Vec<u8>, Malformed> {
    let letters = text.trim_end_matches('=').chars();
    let standard = letters.map(|letter| match letter {
        '-' => '+',
        '_' => '/',
        letter => letter,
    });
    let bytes = Base64Unpadded::decode_vec(&standard.collect::<String>()).map_err(|_| Malformed)?;
    // Padding alone is no value, and not an empty one either.
    if bytes.is_empty() { Err(Malformed) } else { Ok(bytes) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: &str) -> Message {
        Message::read(text.as_bytes()).unwrap()
    }

    #[test]
    fn a_number_is_read_in_every_form_and_nothing_else_is_one() {
        for (form, number) in [
            ("10", 10),
            ("\"10\"", 10),
            ("10.0", 10),
            ("1e1", 10),
            ("\"1.0e1\"", 10),
            ("0", 0),
            ("4294967295", u32::MAX),
            ("\"4294967295\"", u32::MAX),
        ] {
            assert_eq!(
                message(&format!("{{\"n\":{form}}}")).number("n"),
                Ok(Some(number)),
                "{form}"
            );
        }
        for wrong in [
            "-1",
            "4294967296",
            "1.5",
            "1e99",
            "\"\"",
            "\"ten\"",
            "true",
            "[]",
            "{}",
            "\"-1\"",
            "\"[1]\"",
        ] {
            assert_eq!(
                message(&format!("{{\"n\":{wrong}}}")).number("n"),
                Err(Malformed),
                "{wrong}"
            );
        }
        assert_eq!(message("{\"n\":null}").number("n"), Ok(None));
    }

    #[test]
    fn names_are_read_in_both_cases_but_not_both_at_once() {
        let both = r#"{"crypto_period_count":1,"cryptoPeriodCount":1}"#;
        assert_eq!(message(both).number("crypto_period_count"), Err(Malformed));
        for one in [r#"{"crypto_period_count":1}"#, r#"{"cryptoPeriodCount":1,"x":[{}]}"#] {
            assert_eq!(message(one).number("crypto_period_count"), Ok(Some(1)));
        }
        assert!(Message::read(br#"{"a":1,"a":1}"#).is_err());
        assert!(Message::read(b"[]").is_err());
        assert!(Message::read(b"{} {}").is_err());
        assert!(Message::read(format!("{}{}", "[".repeat(64), "]".repeat(64)).as_bytes()).is_err());
    }

    #[test]
    fn base64_has_either_alphabet_and_any_padding() {
        for form in ["+/8=", "-_8=", "-_8", "+_8"] {
            let read = message(&format!("{{\"b\":\"{form}\"}}")).bytes("b");
            assert_eq!(read, Ok(Some(vec![0xfb, 0xff])), "{form}");
        }
        for wrong in ["+", "+/9", "a b=", "é", "=", "=="] {
            let read = message(&format!("{{\"b\":\"{wrong}\"}}")).bytes("b");
            assert_eq!(read, Err(Malformed), "{wrong}");
        }
        assert_eq!(message("{\"b\":\"\"}").bytes("b"), Ok(None));
    }

    #[test]
    fn an_enumeration_is_a_name_or_a_number() {
        let named = |name: &str| Ok(Some(Choice::Named(name.into())));
        assert_eq!(message(r#"{"e":"CBCS"}"#).choice("e"), named("CBCS"));
        for form in ["7", "\"7\"", "7.0"] {
            let read = message(&format!("{{\"e\":{form}}}")).choice("e");
            assert_eq!(read, Ok(Some(Choice::Numbered(7))), "{form}");
        }
        assert_eq!(message(r#"{"e":[]}"#).choice("e"), Err(Malformed));
        assert_eq!(message(r#"{"e":-7}"#).choice("e"), Err(Malformed));
        let many = message(r#"{"e":["A",1]}"#).choices("e");
        assert_eq!(many, Ok(vec![Choice::Named("A".into()), Choice::Numbered(1)]));
        assert_eq!(message(r#"{"e":"A"}"#).choices("e"), Err(Malformed));
    }
}
