//! The keys of `--key`, in the notations that people have them in: as arguments or in files, one a line.
//!
//! | notation | is a key for |
//! |---|---|
//! | `KID:KEY`, `KID=KEY`, `KID KEY` | this KID |
//! | `TRACK:KEY` | this track ID, a decimal number |
//! | `KEY` | the only KID of the film |
//! | `{"kid": KID, "key": KEY, ..}` | this KID: a line of `key export` |
//!
//! KIDs and keys are hexadecimal, with or without `0x`, with or without hyphens. In a file, `#` begins a comment.

use std::collections::BTreeMap;

use reelkey_client::cenc::Keys;
use reelkey_client::key::{ContentKey, KeyId};
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::cli::secret_argument::SecretArgument;
use crate::cli::terminal::output::Failure;

/// What a line says, without the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum For {
    Kid(KeyId),
    Track(u32),
    OnlyKid,
}

/// The keys of a command line.
pub(super) struct GivenKeys {
    pub(super) keys: Keys,
    /// Whether one of them is for the only KID of the film, whichever that is.
    pub(super) has_bare_key: bool,
}

/// Reads the keys of every argument.
///
/// # Errors
/// [`Failure`], which names the argument and the line and repeats nothing of either.
pub(super) fn read_keys(arguments: &[SecretArgument]) -> Result<GivenKeys, Failure> {
    let mut given = GivenKeys { keys: Keys::default(), has_bare_key: false };
    each_key(arguments, |whose, key| {
        match whose {
            For::Kid(kid) => given.keys.insert(kid, key),
            For::Track(track) => given.keys.insert_for_track(track, key),
            For::OnlyKid if given.has_bare_key => {
                let what = "two keys without a KID: say for which KID each of them is";
                return Err(Failure::new(what));
            }
            For::OnlyKid => {
                given.has_bare_key = true;
                given.keys.insert_only(key);
            }
        }
        Ok(())
    })?;
    Ok(given)
}

/// Reads the keys of every argument where each has to name its KID.
///
/// # Errors
/// As [`read_keys`], or a key names no KID.
pub(crate) fn read_pairs(
    arguments: &[SecretArgument],
) -> Result<BTreeMap<KeyId, ContentKey>, Failure> {
    let mut pairs = BTreeMap::new();
    each_key(arguments, |whose, key| match whose {
        For::Kid(kid) => {
            pairs.insert(kid, key);
            Ok(())
        }
        For::Track(_) | For::OnlyKid => {
            Err(Failure::new("the key does not say which KID it is for").remedy("write KID:KEY"))
        }
    })?;
    Ok(pairs)
}

/// Calls `take` with each key of every argument, and says where it was if `take` refuses it.
fn each_key(
    arguments: &[SecretArgument],
    mut take: impl FnMut(For, ContentKey) -> Result<(), Failure>,
) -> Result<(), Failure> {
    for argument in arguments {
        let text = argument.read()?;
        let mut is_empty = true;
        for (at, line) in text.lines().enumerate() {
            let line = line.split_once('#').map_or(line, |(line, _comment)| line).trim();
            if line.is_empty() {
                continue;
            }
            is_empty = false;
            let place = || match argument {
                SecretArgument::File(name) => format!("{name}, line {}", at.saturating_add(1)),
                SecretArgument::Value(_) => "--key".to_owned(),
            };
            let (whose, key) = read_line(line).ok_or_else(|| malformed().during(place()))?;
            take(whose, key).map_err(|failure| failure.during(place()))?;
        }
        if is_empty {
            return Err(Failure::new("there is no key in it").during(argument));
        }
    }
    Ok(())
}

fn malformed() -> Failure {
    Failure::new("a key is KID:KEY, TRACK:KEY or KEY, with KID and KEY of 32 hexadecimal digits")
        .remedy("reelkey inspect shows which KIDs a film needs; name a file of keys as @FILE")
}

fn read_line(line: &str) -> Option<(For, ContentKey)> {
    if line.starts_with('{') {
        return read_json(line);
    }
    let is_separator = |c: char| matches!(c, ':' | '=') || c.is_whitespace();
    let Some((whose, key)) = line.split_once(is_separator) else {
        return Some((For::OnlyKid, read_key(line)?));
    };
    let key = read_key(key.trim_start_matches(is_separator))?;
    let whose = whose.trim();
    // A track ID has at most ten digits, a KID has 32.
    if whose.len() <= 10
        && let Ok(track) = whose.parse()
    {
        return Some((For::Track(track), key));
    }
    Some((For::Kid(digits(whose).parse().ok()?), key))
}

/// A line of `key export`. Its other members are of no use here.
fn read_json(line: &str) -> Option<(For, ContentKey)> {
    #[derive(Deserialize)]
    struct Line {
        kid: String,
        key: Zeroizing<String>,
    }
    let Line { kid, key } = serde_json::from_str(line).ok()?;
    Some((For::Kid(digits(&kid).parse().ok()?), read_key(&key)?))
}

fn read_key(text: &str) -> Option<ContentKey> {
    ContentKey::parse_hex(&digits(text.trim())).ok()
}

/// The digits alone, without `0x` and hyphens.
fn digits(text: &str) -> Zeroizing<String> {
    let text = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).unwrap_or(text);
    // As long as it can become, so that it is never moved and left behind.
    let mut digits = Zeroizing::new(String::with_capacity(text.len()));
    digits.extend(text.chars().filter(|c| *c != '-'));
    digits
}

#[cfg(test)]
mod tests {
    use super::*;

    const KID: &str = "5ee1ce7a-0d3b-4c5d-8e6f-708192a3b4c5";
    const KEY: &str = "0f1e2d3c4b5a69788796a5b4c3d2e1f0";

    fn is_read_as(line: &str) -> Option<For> {
        let (whose, key) = read_line(line)?;
        (*key.to_hex() == *KEY).then_some(whose)
    }

    #[test]
    fn keys_are_read_in_every_notation() {
        let plain = KID.replace('-', "");
        for line in [
            format!("{KID}:{KEY}"),
            format!("{plain}:{KEY}"),
            format!("{plain}={KEY}"),
            format!("{}:{}", plain.to_uppercase(), KEY.to_uppercase()),
            format!("0x{plain}:0x{KEY}"),
            format!("{plain} {KEY}"),
            format!("{plain} : {KEY}"),
            format!("{plain}\t{KEY}"),
            format!("{plain}:0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0"),
            format!(r#"{{"content_id":"x","kid":"{KID}","key":"{KEY}","track_type":"HD"}}"#),
        ] {
            assert_eq!(is_read_as(&line), Some(For::Kid(KID.parse().unwrap())), "{line}");
        }
        for (line, track) in [(format!("1:{KEY}"), 1), (format!("4294967295={KEY}"), u32::MAX)] {
            assert_eq!(is_read_as(&line), Some(For::Track(track)), "{line}");
        }
        for line in [KEY.to_owned(), format!("0x{KEY}"), KEY.to_uppercase()] {
            assert_eq!(is_read_as(&line), Some(For::OnlyKid), "{line}");
        }
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let short = &KEY[1..];
        for line in [
            short.to_owned(),
            format!("{KID}:{short}"),
            format!("{KID}:"),
            format!(":{KEY}"),
            format!("-1:{KEY}"),
            format!("4294967296:{KEY}"),
            format!("{KID}:{KEY}:{KEY}"),
            format!("{KID}:{KEY} {KEY}"),
            "{}".to_owned(),
            format!(r#"{{"kid":"{KID}"}}"#),
            format!("{KEY}é"),
        ] {
            assert_eq!(is_read_as(&line), None, "{line}");
        }
    }

    #[test]
    fn a_file_may_have_comments_and_two_bare_keys_are_an_error() {
        let value = |text: String| SecretArgument::Value(Zeroizing::new(text));
        let text = format!("# the keys\n\n{KID}:{KEY} # video\n1:{KEY}\n");
        assert!(!read_keys(&[value(text)]).unwrap().has_bare_key);
        assert!(read_keys(&[value(KEY.into())]).unwrap().has_bare_key);
        let said = read_keys(&[value(KEY.into()), value(KEY.into())]).err().unwrap().to_string();
        assert!(said.contains("two keys") && !said.contains(KEY), "{said}");
        assert!(read_keys(&[value("# nothing".into())]).is_err());
    }
}
