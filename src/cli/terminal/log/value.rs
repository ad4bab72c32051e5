//! The text of one field: capped, and without a character that a terminal or a reader could take for something else.
//!
//! This is the one place through which every value of the log goes, whoever chose it.

use std::fmt::{self, Write};

use crate::cli::terminal::foreign::{is_hidden, push_json_escape, push_plain};

/// The most bytes of a value, the sign that it was cut included.
const BYTES_MAX: usize = 256;

/// The same for what no client writes: the causes of a fault.
const CAUSES_BYTES_MAX: usize = 2048;

/// Says that something was cut.
const CUT: char = '…';

/// A value as far as there is room for it.
pub(super) struct Capped {
    text: String,
    max: usize,
    is_cut: bool,
}

impl Capped {
    /// For the field of this name.
    pub(super) fn new(field: &str) -> Self {
        let max = if field == "causes" { CAUSES_BYTES_MAX } else { BYTES_MAX };
        Self { text: String::new(), max, is_cut: false }
    }

    /// The text, with an ellipsis where it was cut.
    pub(super) fn finish(mut self) -> String {
        if self.is_cut {
            self.text.truncate(boundary(&self.text, self.max - CUT.len_utf8()));
            self.text.push(CUT);
        }
        self.text
    }
}

/// Takes any amount and keeps what fits; never an error, so that no implementation of `Display` meets one.
impl Write for Capped {
    fn write_str(&mut self, more: &str) -> fmt::Result {
        let room = self.max - self.text.len();
        let kept = more.get(..boundary(more, room)).unwrap_or_default();
        if !self.is_cut {
            self.text.push_str(kept);
            self.is_cut = kept.len() < more.len();
        }
        Ok(())
    }
}

/// The last boundary of characters that is not after `max`.
fn boundary(text: &str, max: usize) -> usize {
    (0..=max.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

/// Appends `text` as a JSON string.
pub(super) fn push_json(line: &mut String, text: &str) {
    line.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => line.extend(['\\', c]),
            '\n' => line.push_str("\\n"),
            c if is_hidden(c) => push_json_escape(line, c),
            c => line.push(c),
        }
    }
    line.push('"');
}

/// Appends `text` as a value: in quotes where it would not be clear where it ends.
pub(super) fn push_value(line: &mut String, text: &str) {
    let is_clear = |c: char| !c.is_whitespace() && !is_hidden(c) && !"\"=\\".contains(c);
    if !text.is_empty() && text.chars().all(is_clear) {
        return line.push_str(text);
    }
    line.push('"');
    push_plain(line, &text.replace('\\', "\\\\").replace('"', "\\\""));
    line.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn capped(field: &str, parts: &[&str]) -> String {
        let mut capped = Capped::new(field);
        for part in parts {
            capped.write_str(part).unwrap();
        }
        capped.finish()
    }

    #[test]
    fn a_value_is_cut_between_characters_and_shows_it() {
        assert_eq!(capped("x", &["a".repeat(256).as_str()]), "a".repeat(256));
        assert_eq!(capped("x", &["a".repeat(257).as_str()]), "a".repeat(253) + "…");
        assert_eq!(capped("x", &["a".repeat(200).as_str(), &"b".repeat(99)]).len(), 256);
        // After a cut nothing follows, even where it would fit.
        let cut = capped("x", &["a".repeat(255).as_str(), "ü", "b"]);
        assert_eq!(cut, "a".repeat(253) + "…");
        let wide = capped("x", &["😀".repeat(100).as_str()]);
        assert_eq!(wide, "😀".repeat(63) + "…");
        assert_eq!(capped("causes", &["a".repeat(9999).as_str()]).len(), 2048);
    }

    #[test]
    fn nothing_hidden_reaches_a_line_and_nothing_is_changed_by_it() {
        let text = "a\"\\\n\r\u{1b}[2J\u{7f}\u{9b}31m\u{202e}x\u{2066}\u{200f}\u{61c}\u{e0041}é😀";
        let mut json = String::new();
        push_json(&mut json, text);
        assert!(!json.chars().any(is_hidden), "{json}");
        assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
        let mut plain = String::new();
        push_value(&mut plain, text);
        assert!(!plain.chars().any(is_hidden), "{plain}");
        assert!(plain.starts_with("\"a\\\"\\\\\\u{a}") && plain.contains("\\u{202e}x"), "{plain}");
    }

    #[test]
    fn a_value_forges_no_other_field() {
        let mut line = String::new();
        for value in ["plain", "", "x reason=granted", "a=b"] {
            push_value(&mut line, value);
            line.push(' ');
        }
        assert_eq!(line, r#"plain "" "x reason=granted" "a=b" "#);
    }
}
