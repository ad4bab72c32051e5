//! CPIX (DASH-IF, Content Protection Information Exchange), and SPEKE (AWS, Secure Packager and Encoder Key Exchange), whose
//! versions 1 and 2 are requests in CPIX 2.0 and 2.3.
//!
//! A request is a document with KIDs and without keys. The answer is the same document, filled in: nothing that was asked for is
//! taken out. A title that is got without a request is a request that the service writes itself (`title`).
//!
//! Deliberately absent: XML signatures, which SPEKE forbids and no free tool reads; periods as offsets; reading encrypted keys.

pub(crate) mod contract;
pub(crate) mod delivery;
pub(crate) mod document_routes;
pub(crate) mod filling;
pub mod plain_document;
pub(crate) mod query;
pub mod request;
pub(crate) mod signalling;
pub(crate) mod speke_routes;
pub(crate) mod title;
pub(crate) mod vocabulary;
