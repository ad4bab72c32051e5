//! Writes a tree as a document. All namespaces are declared at its root.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::http::keys::xml::element::{Element, Space};

/// The namespace that needs no declaration.
const XML: &str = "http://www.w3.org/XML/1998/namespace";

/// The document with this root, in UTF-8. `prefixes` has those of namespaces; others get one.
pub(crate) fn write(root: &Element, prefixes: &[(&'static str, &'static str)]) -> String {
    let mut named = BTreeMap::new();
    name_spaces(root, prefixes, &mut named);
    let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    Writing { named: &named, text: &mut text }.element(root, true);
    text.push('\n');
    text
}

/// Gives each namespace of the tree a prefix.
fn name_spaces(
    element: &Element,
    prefixes: &[(&'static str, &'static str)],
    named: &mut BTreeMap<Space, String>,
) {
    let spaces = element.attributes.iter().map(|(name, _)| &name.space);
    for space in spaces.chain([&element.space]) {
        if *space == Space::None || named.contains_key(space) {
            continue;
        }
        let known = prefixes.iter().find(|(uri, _)| *uri == space.uri());
        let prefix = match known {
            _ if space.uri() == XML => "xml".to_owned(),
            Some((_, prefix)) => (*prefix).to_owned(),
            None => format!("ns{}", named.len()),
        };
        named.insert(space.clone(), prefix);
    }
    for child in &element.children {
        name_spaces(child, prefixes, named);
    }
}

struct Writing<'a> {
    named: &'a BTreeMap<Space, String>,
    text: &'a mut String,
}

impl Writing<'_> {
    fn element(&mut self, element: &Element, is_root: bool) {
        self.text.push('<');
        self.name(&element.space, &element.local);
        if is_root {
            for (space, prefix) in self.named.iter().filter(|(space, _)| space.uri() != XML) {
                write!(self.text, " xmlns:{prefix}=\"").unwrap_or(());
                escape(self.text, space.uri(), true);
                self.text.push('"');
            }
        }
        for (name, value) in &element.attributes {
            self.text.push(' ');
            self.name(&name.space, &name.local);
            self.text.push_str("=\"");
            escape(self.text, value, true);
            self.text.push('"');
        }
        if element.children.is_empty() && element.text.is_empty() {
            self.text.push_str("/>");
            return;
        }
        self.text.push('>');
        escape(self.text, &element.text, false);
        for child in &element.children {
            self.element(child, false);
        }
        self.text.push_str("</");
        self.name(&element.space, &element.local);
        self.text.push('>');
    }

    fn name(&mut self, space: &Space, local: &str) {
        if let Some(prefix) = self.named.get(space) {
            self.text.push_str(prefix);
            self.text.push(':');
        }
        self.text.push_str(local);
    }
}

/// Writes text so that it is read as it is here: what a parser would take for markup or normalize is escaped.
fn escape(to: &mut String, text: &str, in_attribute: bool) {
    for c in text.chars() {
        match c {
            '&' => to.push_str("&amp;"),
            '<' => to.push_str("&lt;"),
            '>' => to.push_str("&gt;"),
            '\r' => to.push_str("&#13;"),
            '"' if in_attribute => to.push_str("&quot;"),
            '\t' if in_attribute => to.push_str("&#9;"),
            '\n' if in_attribute => to.push_str("&#10;"),
            c => to.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::keys::xml::reader::read;
    use proptest::prelude::{Strategy, any, prop, proptest};

    const KNOWN: &[&str] = &["urn:x", "urn:y"];
    const PREFIXES: &[(&str, &str)] = &[("urn:x", "x"), ("urn:y", "y")];

    #[test]
    fn what_was_read_is_written_with_prefixes_of_its_own() {
        let text = "<a xmlns='urn:x' xmlns:o='urn:other' o:n='1' xml:lang='en'><b t='&lt;\"&#10;'/><o:c>]]&gt;&#13;</o:c></a>";
        let root = read(text.as_bytes(), KNOWN).unwrap();
        let written = write(&root, PREFIXES);
        assert_eq!(
            written,
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
             <x:a xmlns:x=\"urn:x\" xmlns:ns0=\"urn:other\" ns0:n=\"1\" xml:lang=\"en\">\
             <x:b t=\"&lt;&quot;&#10;\"/><ns0:c>]]&gt;&#13;</ns0:c></x:a>\n"
        );
        assert_eq!(without_lines(read(written.as_bytes(), KNOWN).unwrap()), without_lines(root));
    }

    fn without_lines(mut element: Element) -> Element {
        element.line = 0;
        element.children = element.children.into_iter().map(without_lines).collect();
        element
    }

    fn texts() -> impl Strategy<Value = String> {
        // What XML can say.
        let is_char = |c: &char| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'..);
        prop::collection::vec(any::<char>().prop_filter("of XML", is_char), 0..12)
            .prop_map(|all| all.into_iter().collect())
    }

    fn trees() -> impl Strategy<Value = Element> {
        let leaf = (0..2_usize, texts(), texts()).prop_map(|(space, value, text)| {
            Element::new(KNOWN[space], "leaf").with("v", value).with_text(text)
        });
        leaf.prop_recursive(6, 40, 4, |inner| {
            (texts(), prop::collection::vec(inner, 0..4)).prop_map(|(value, children)| {
                let node = Element::new(KNOWN[0], "node").with("v", value);
                children.into_iter().fold(node, Element::with_child)
            })
        })
    }

    proptest! {
        #[test]
        fn whatever_is_written_is_read_as_the_same(tree in trees()) {
            let written = write(&tree, PREFIXES);
            assert_eq!(without_lines(read(written.as_bytes(), KNOWN).unwrap()), tree);
        }
    }
}
