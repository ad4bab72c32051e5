//! A tree of elements.
//!
//! An element has elements in it, or text, never both. Names are compared by namespace and local name; prefixes are not kept.

use std::borrow::Cow;
use std::sync::Arc;

/// The namespace of a name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Space {
    /// No namespace.
    None,
    /// A namespace that the protocols name here.
    Known(&'static str),
    /// Another one.
    Other(Arc<str>),
}

impl Space {
    /// The URI of the namespace; empty if there is none.
    pub(crate) fn uri(&self) -> &str {
        match self {
            Self::None => "",
            Self::Known(uri) => uri,
            Self::Other(uri) => uri,
        }
    }
}

/// The name of an attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AttributeName {
    /// Its namespace, mostly none.
    pub(crate) space: Space,
    /// Its local name.
    pub(crate) local: Cow<'static, str>,
}

/// An element.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Element {
    /// Its namespace.
    pub(crate) space: Space,
    /// Its local name.
    pub(crate) local: Cow<'static, str>,
    /// Its attributes, without declarations of namespaces.
    pub(crate) attributes: Vec<(AttributeName, String)>,
    /// The elements in it.
    pub(crate) children: Vec<Self>,
    /// Its text, if it has no elements in it.
    pub(crate) text: String,
    /// The line of the document that it begins in; 0 if it was made here.
    pub(crate) line: u32,
}

impl Element {
    /// An empty element.
    pub(crate) fn new(namespace: &'static str, local: &'static str) -> Self {
        Self {
            space: Space::Known(namespace),
            local: local.into(),
            attributes: Vec::new(),
            children: Vec::new(),
            text: String::new(),
            line: 0,
        }
    }

    /// The element with this attribute.
    #[must_use]
    pub(crate) fn with(mut self, local: &'static str, value: impl Into<String>) -> Self {
        self.set(local, value);
        self
    }

    /// The element with this text.
    #[must_use]
    pub(crate) fn with_text(mut self, text: impl Into<String>) -> Self {
        self.text = text.into();
        self
    }

    /// The element with this one at the end of it.
    #[must_use]
    pub(crate) fn with_child(mut self, child: Self) -> Self {
        self.children.push(child);
        self
    }

    /// Whether it has this name. An element of no namespace is taken for one of any.
    pub(crate) fn is(&self, namespace: &str, local: &str) -> bool {
        self.local == local && (self.space == Space::None || self.space.uri() == namespace)
    }

    /// The value of an attribute of no namespace.
    pub(crate) fn attribute(&self, local: &str) -> Option<&str> {
        let found = self.attributes.iter().find(|(name, _)| is_attribute(name, local));
        found.map(|(_, value)| value.as_str())
    }

    /// Sets the value of an attribute of no namespace.
    pub(crate) fn set(&mut self, local: &'static str, value: impl Into<String>) {
        match self.attributes.iter_mut().find(|(name, _)| is_attribute(name, local)) {
            Some((_, there)) => *there = value.into(),
            None => {
                let name = AttributeName { space: Space::None, local: local.into() };
                self.attributes.push((name, value.into()));
            }
        }
    }

    /// The elements in it that have this name.
    pub(crate) fn all<'a>(
        &'a self,
        namespace: &'a str,
        local: &'a str,
    ) -> impl Iterator<Item = &'a Self> {
        self.children.iter().filter(move |child| child.is(namespace, local))
    }

    /// The first element in it that has this name.
    pub(crate) fn first(&self, namespace: &str, local: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.is(namespace, local))
    }

    /// The text without white space before and after it.
    pub(crate) fn trimmed(&self) -> &str {
        self.text.trim_matches([' ', '\t', '\n', '\r'])
    }
}

fn is_attribute(name: &AttributeName, local: &str) -> bool {
    name.space == Space::None && name.local == local
}
