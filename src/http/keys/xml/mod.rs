//! XML, as the packagers' protocols need it: small documents of strangers are read strictly into a tree, and trees are written.
//!
//! Deliberately absent: document types and entities, which are refused; comments and processing instructions, which are passed
//! over; text beside elements; schemas.

pub(crate) mod element;
pub(crate) mod reader;
pub(crate) mod writer;
