//! As much XML as headers need: tags and attributes to read, and text in both directions.
//!
//! Deliberately absent: a reader of XML documents. Nothing here checks that tags match.

use alloc::string::String;

/// A tag and the text behind it, up to the next one.
pub(super) struct Tag<'a> {
    /// With a slash before it if the tag ends an element.
    pub(super) name: &'a str,
    pub(super) attributes: &'a str,
    pub(super) text: &'a str,
}

pub(super) fn tags(xml: &str) -> impl Iterator<Item = Tag<'_>> {
    xml.split('<').skip(1).map(|part| {
        let (tag, text) = part.split_once('>').unwrap_or((part, ""));
        let end = tag.find(|c: char| c.is_whitespace()).unwrap_or(tag.len());
        let (name, attributes) = tag.split_at_checked(end).unwrap_or((tag, ""));
        let name = if attributes.is_empty() { name.trim_end_matches('/') } else { name };
        Tag { name, attributes: if tag.ends_with('/') { tag } else { attributes }, text }
    })
}

/// The value of an attribute, in either kind of quotes.
pub(super) fn attribute<'a>(attributes: &'a str, name: &str) -> Option<&'a str> {
    let mut rest = attributes;
    loop {
        let (before, after) = rest.split_once('=')?;
        let after = after.trim_start();
        let quote = after.chars().next().filter(|c| matches!(c, '"' | '\''))?;
        let (value, following) = after.get(1..)?.split_once(quote)?;
        if before.split_whitespace().next_back() == Some(name) {
            return Some(value);
        }
        rest = following;
    }
}

/// Writes text as the content of an element.
pub(super) fn push_escaped(xml: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '&' => xml.push_str("&amp;"),
            '<' => xml.push_str("&lt;"),
            '>' => xml.push_str("&gt;"),
            c => xml.push(c),
        }
    }
}

/// Reads the entities that XML itself defines and references by number. What is neither stays as it is.
pub(super) fn unescape(text: &str) -> String {
    let mut read = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        read.push_str(before);
        match after.split_once(';').and_then(|(name, after)| Some((entity(name)?, after))) {
            Some((c, after)) => {
                read.push(c);
                rest = after;
            }
            None => {
                read.push('&');
                rest = after;
            }
        }
    }
    read.push_str(rest);
    read
}

fn entity(name: &str) -> Option<char> {
    match name {
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        "amp" => Some('&'),
        _ => {
            let number = name.strip_prefix('#')?;
            let number = match number.strip_prefix('x') {
                Some(hex) => u32::from_str_radix(hex, 16),
                None => number.parse(),
            };
            char::from_u32(number.ok()?)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entities_and_numbers_are_read_once_and_the_rest_is_kept() {
        let text = "a&amp;lt;b &lt;&#38;&#x3e; &copy; & &#xd800; &";
        assert_eq!(unescape(text), "a&lt;b <&> &copy; & &#xd800; &");
        let mut escaped = String::new();
        push_escaped(&mut escaped, "<a href=\"?b&c\">");
        assert_eq!(escaped, "&lt;a href=\"?b&amp;c\"&gt;");
        assert_eq!(unescape(&escaped), "<a href=\"?b&c\">");
    }
}
