//! Reads a document of a stranger into a tree, strictly and within limits.
//!
//! `roxmltree` parses; this file alone names it. It refuses document types, so there are no entities but the five of XML
//! itself and numbers of characters, and nothing is fetched. What its own limits leave open is limited here: how long, deep and wide a document is,
//! and how many namespaces it declares. No document makes it work longer than its length allows, or overflow the stack.

use std::borrow::Cow;
use std::sync::Arc;

use roxmltree::{Document, Node, ParsingOptions};

use crate::http::keys::xml::element::{AttributeName, Element, Space};

/// The longest document, in bytes. A request for the keys of 5 tracks in 30 crypto periods has about 100 KB.
pub(crate) const BYTES_MAX: usize = 256 * 1024;

/// The most elements, texts, comments and instructions together.
const NODES_MAX: u32 = 20_000;

/// How deep elements may be in one another. Those of CPIX are 9 deep at most.
const DEPTH_MAX: usize = 24;

/// The most attributes of one element.
const ATTRIBUTES_MAX: usize = 32;

/// The most declarations of namespaces. Each costs as much as there are others.
const DECLARATIONS_MAX: usize = 256;

/// The most equal signs between two elements' beginnings, where all attributes of an element are. The parser compares each
/// attribute with each other.
const EQUAL_SIGNS_MAX: usize = 300;

/// The document cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unreadable {
    /// It is empty.
    #[error("there is no XML document: the body is empty")]
    Empty,
    /// It is longer than [`BYTES_MAX`].
    #[error("the XML document is longer than {BYTES_MAX} bytes")]
    TooLong,
    /// Its encoding is another one.
    #[error("the XML document is not UTF-8 (first wrong byte: {0})")]
    Encoding(usize),
    /// It has a document type.
    #[error("line {0}: the XML document has a document type (DTD), which is refused")]
    DocumentType(u32),
    /// One of the limits is exceeded.
    #[error("line {0}: the XML document has {1}")]
    Limit(u32, String),
    /// It is not well-formed.
    #[error("line {0}: the XML document is not well-formed: {1}")]
    Malformed(u32, String),
}

/// Reads a document in UTF-8 into its root element.
pub(crate) fn read(bytes: &[u8], known: &[&'static str]) -> Result<Element, Unreadable> {
    if bytes.is_empty() {
        return Err(Unreadable::Empty);
    }
    if bytes.len() > BYTES_MAX {
        return Err(Unreadable::TooLong);
    }
    let text =
        std::str::from_utf8(bytes).map_err(|error| Unreadable::Encoding(error.valid_up_to()))?;
    scan(text)?;
    let options = ParsingOptions { allow_dtd: false, nodes_limit: NODES_MAX, ..Default::default() };
    let document = Document::parse_with_options(text, options).map_err(refusal)?;
    let lines = Lines { text, at: 0, line: 1 };
    let mut reading = Reading { lines, known, others: Vec::new() };
    reading.element(document.root_element(), 1)
}

/// Refuses what would keep the parser busy.
fn scan(text: &str) -> Result<(), Unreadable> {
    let line_of = |at| Lines { text, at: 0, line: 1 }.line_of(at);
    let (mut equal_signs, mut declarations) = (0, 0);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'<' => equal_signs = 0,
            b'=' => equal_signs += 1,
            b'x' if text.get(at..).is_some_and(|rest| rest.starts_with("xmlns")) => {
                declarations += 1
            }
            _ => {}
        }
        if equal_signs > EQUAL_SIGNS_MAX {
            let what = format!(
                "an element with more than {ATTRIBUTES_MAX} attributes, or a text with more than {EQUAL_SIGNS_MAX} equal signs"
            );
            return Err(Unreadable::Limit(line_of(at), what));
        }
        if declarations > DECLARATIONS_MAX {
            let what = format!("more than {DECLARATIONS_MAX} declarations of namespaces");
            return Err(Unreadable::Limit(line_of(at), what));
        }
    }
    Ok(())
}

fn refusal(error: roxmltree::Error) -> Unreadable {
    let line = error.pos().row;
    match error {
        roxmltree::Error::DtdDetected => Unreadable::DocumentType(line),
        roxmltree::Error::NodesLimitReached => {
            Unreadable::Limit(line, format!("more than {NODES_MAX} elements and texts"))
        }
        error => Unreadable::Malformed(line, error.to_string()),
    }
}

/// Counts lines from one place to the next one.
struct Lines<'a> {
    text: &'a str,
    at: usize,
    line: u32,
}

impl Lines<'_> {
    /// The line of a place that is not before the last one.
    fn line_of(&mut self, at: usize) -> u32 {
        let passed = self.text.as_bytes().get(self.at..at).unwrap_or_default();
        let breaks = passed.iter().filter(|byte| **byte == b'\n').count();
        self.line = self.line.saturating_add(u32::try_from(breaks).unwrap_or(u32::MAX));
        self.at = at;
        self.line
    }
}

/// A document that becomes a tree.
struct Reading<'a> {
    lines: Lines<'a>,
    known: &'a [&'static str],
    /// Namespaces of the document, so that each is kept once.
    others: Vec<Arc<str>>,
}

impl Reading<'_> {
    /// Calls itself for the elements in it, at most [`DEPTH_MAX`] deep.
    fn element(&mut self, node: Node<'_, '_>, depth: usize) -> Result<Element, Unreadable> {
        let line = self.lines.line_of(node.range().start);
        if depth > DEPTH_MAX {
            let what = format!("elements more than {DEPTH_MAX} deep in one another");
            return Err(Unreadable::Limit(line, what));
        }
        if node.attributes().len() > ATTRIBUTES_MAX {
            let what = format!("an element with more than {ATTRIBUTES_MAX} attributes");
            return Err(Unreadable::Limit(line, what));
        }
        let mut attributes = Vec::with_capacity(node.attributes().len());
        for attribute in node.attributes() {
            let space = self.space(attribute.namespace());
            let name = AttributeName { space, local: Cow::Owned(attribute.name().to_owned()) };
            attributes.push((name, attribute.value().to_owned()));
        }
        let (mut children, mut text) = (Vec::new(), String::new());
        for child in node.children() {
            if child.is_element() {
                children.push(self.element(child, depth + 1)?);
            } else if child.is_text() {
                text.push_str(child.text().unwrap_or_default());
            }
        }
        if !children.is_empty() {
            if !text.trim_matches([' ', '\t', '\n', '\r']).is_empty() {
                let what = "text beside the elements of an element".to_owned();
                return Err(Unreadable::Limit(line, what));
            }
            text.clear();
        }
        let space = self.space(node.tag_name().namespace());
        let local = Cow::Owned(node.tag_name().name().to_owned());
        Ok(Element { space, local, attributes, children, text, line })
    }

    fn space(&mut self, uri: Option<&str>) -> Space {
        let Some(uri) = uri.filter(|uri| !uri.is_empty()) else { return Space::None };
        if let Some(known) = self.known.iter().find(|known| **known == uri) {
            return Space::Known(known);
        }
        if let Some(there) = self.others.iter().find(|there| ***there == *uri) {
            return Space::Other(Arc::clone(there));
        }
        let other: Arc<str> = uri.into();
        self.others.push(Arc::clone(&other));
        Space::Other(other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> Unreadable {
        read(text.as_bytes(), &[]).unwrap_err()
    }

    #[test]
    fn elements_are_named_by_namespace_whatever_their_prefix() {
        let with_prefix =
            "<?xml version='1.0'?>\n<p:a xmlns:p='urn:x'>\n <p:b c='1'>t&amp;&#65;</p:b></p:a>";
        let root = read(with_prefix.as_bytes(), &["urn:x"]).unwrap();
        assert!(root.is("urn:x", "a") && !root.is("urn:y", "a") && !root.is("urn:x", "b"));
        assert_eq!((root.space.clone(), root.line), (Space::Known("urn:x"), 2));
        let b = root.first("urn:x", "b").unwrap();
        assert_eq!((b.attribute("c"), b.text.as_str(), b.line), (Some("1"), "t&A", 3));
        let without = "\u{feff}<a xmlns='urn:x'><b c='1'>t&amp;A</b></a>";
        let other = read(without.as_bytes(), &["urn:x"]).unwrap();
        assert_eq!(other.children[0].text, b.text);
        assert!(
            read(b"<a><!-- x --><?y?><b/></a>", &[]).unwrap().is("urn:x", "a"),
            "of no namespace"
        );
    }

    #[test]
    fn what_is_not_well_formed_is_refused_with_its_line() {
        for (text, line) in [
            ("<a>\n<b>\n</a>", 3),
            ("<a>\n", 1),
            ("<a/><b/>", 1),
            ("\n\n", 1),
            ("no document", 1),
            ("<a>\n<b c='1' c='2'/></a>", 2),
            ("<a>\n\n<p:b/></a>", 3),
            ("<a>&other;</a>", 1),
            ("<a>&#0;</a>", 1),
            ("<a b='<'/>", 1),
            ("<a>\u{1}</a>", 1),
        ] {
            let Unreadable::Malformed(at, _) = refused(text) else {
                panic!("{text:?}: {:?}", refused(text));
            };
            assert_eq!(at, line, "{text:?}: {}", refused(text));
        }
        assert_eq!(refused(""), Unreadable::Empty);
        assert_eq!(read(b"<a>\xff</a>", &[]), Err(Unreadable::Encoding(3)));
        let Unreadable::Limit(2, what) = refused("<a>\n<b>text<c/></b></a>") else { panic!() };
        assert_eq!(what, "text beside the elements of an element");
    }

    /// A bomb of entities, an entity of a file, one of a server, and a harmless document type.
    #[test]
    fn document_types_and_their_entities_are_refused() {
        for text in [
            "<!DOCTYPE a [<!ENTITY b 'bbbbbbbbbb'><!ENTITY c '&b;&b;&b;&b;'>]>\n<a>&c;</a>",
            "<!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]><a>&b;</a>",
            "<!DOCTYPE a [<!ENTITY % b SYSTEM 'http://192.0.2.1/x'>%b;]><a/>",
            "<!DOCTYPE a SYSTEM 'a.dtd'>\n<a/>",
            "<!DOCTYPE a>\n<a/>",
        ] {
            assert_eq!(refused(text), Unreadable::DocumentType(1), "{text}");
        }
    }

    /// Each within the size, and each such that a reader without this limit would work for seconds or end.
    #[test]
    fn every_limit_is_kept() {
        let whole = |body: String| format!("<a>{body}</a>");
        let most = |unit: &str| unit.repeat((BYTES_MAX - 64) / unit.len());
        let nested = |depth: usize| "<b>".repeat(depth) + &"</b>".repeat(depth);
        assert!(read(whole(nested(DEPTH_MAX - 1)).as_bytes(), &[]).is_ok());
        let limits = [
            (whole(nested(DEPTH_MAX)), "24 deep"),
            (whole(nested((BYTES_MAX - 8) / 7)), "more than 20000"),
            (most("<b>"), "more than 20000"),
            (whole(most("<b/>")), "more than 20000"),
            (whole(most("<b/>x")), "more than 20000"),
            (
                format!("<a{}/>", (0..20_000).map(|n| format!(" b{n}=''")).collect::<String>()),
                "32 attributes",
            ),
            (
                format!("<a{}/>", (0..33).map(|n| format!(" b{n}=''")).collect::<String>()),
                "32 attributes",
            ),
            (whole(most("<b xmlns:c='d'/>")), "256 declarations"),
        ];
        for (text, what) in limits {
            assert!(text.len() <= BYTES_MAX, "{what}");
            let Unreadable::Limit(_, found) = refused(&text) else {
                panic!("{:?}", refused(&text))
            };
            assert!(found.contains(what), "{found}, not {what}");
        }
        assert_eq!(refused(&whole(most("<b/>") + &most("x"))), Unreadable::TooLong);
        let text = whole(most("&#65;"));
        assert_eq!(read(text.as_bytes(), &[]).unwrap().text.len(), (BYTES_MAX - 64) / 5);
    }
}
