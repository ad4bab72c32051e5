//! Makes text that somebody else wrote harmless for a terminal: claims of a token, names of files, what a client sent.
//!
//! A terminal obeys control characters, and direction marks show text in another order than it has. Every text that a
//! command or the log writes goes through here, whoever wrote it.

use serde_json::Value;

/// Whether a character is invisible or changes how others are shown: controls (C0 and C1), marks of direction, line
/// separators, tags.
pub(super) fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(c, '\u{2060}'..='\u{2069}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
        || matches!(c, '\u{e0000}'..='\u{e007f}')
}

/// Appends `text` with hidden characters as `\u{..}`.
pub(super) fn push_plain(line: &mut String, text: &str) {
    for c in text.chars() {
        if is_hidden(c) { line.extend(c.escape_unicode()) } else { line.push(c) }
    }
}

/// Appends the character as JSON writes it: `\u` and four hexadecimal digits, twice for a surrogate pair.
pub(super) fn push_json_escape(line: &mut String, c: char) {
    for unit in c.encode_utf16(&mut [0; 2]) {
        line.push_str(&format!("\\u{unit:04x}"));
    }
}

/// The text of a command. Its line breaks are its own.
pub(crate) fn harmless(text: &str) -> String {
    let mut harmless = String::with_capacity(text.len());
    for (at, line) in text.split('\n').enumerate() {
        if at > 0 {
            harmless.push('\n');
        }
        push_plain(&mut harmless, line);
    }
    harmless
}

/// The value of a table's cell, in one line.
pub(super) fn harmless_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    push_plain(&mut line, text);
    line
}

/// A JSON document in one line. Outside of strings JSON has no hidden character, and in strings it may have escapes.
pub(crate) fn harmless_json(document: &Value) -> String {
    let (text, mut harmless) = (document.to_string(), String::new());
    for c in text.chars() {
        if is_hidden(c) { push_json_escape(&mut harmless, c) } else { harmless.push(c) }
    }
    harmless
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOSTILE: &str =
        "a\u{1b}[2J\r\u{7f}\u{9b}31m\u{202e}x\u{2066}\u{200f}\u{61c}\u{feff}\u{e0041}\té😀";

    #[test]
    fn a_command_keeps_its_lines_and_nothing_else_that_a_terminal_obeys() {
        let shown = harmless(&format!("one\n{HOSTILE}\n"));
        assert!(shown.starts_with("one\na\\u{1b}[2J\\u{d}\\u{7f}\\u{9b}31m\\u{202e}x"), "{shown}");
        assert!(shown.ends_with("é😀\n") && !shown.replace('\n', "").chars().any(is_hidden));
        assert!(!harmless_line("a\nb").contains('\n'));
    }

    #[test]
    fn a_document_says_the_same_without_hidden_characters() {
        let document = serde_json::json!({ HOSTILE: HOSTILE, "n": [1, null] });
        let text = harmless_json(&document);
        assert!(!text.chars().any(is_hidden), "{text}");
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), document);
    }
}
