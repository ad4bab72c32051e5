//! The changes that a grant makes.
//!
//! Licenses, device registrations, first uses and session slots must be on disk before the answer is sent. The
//! decision lists these changes. The caller commits them together, and decides again if another request was faster. No
//! current policy needs such a record, so there is no kind of change yet and a grant writes nothing.

/// The changes of one grant, which are committed together. Each kind of change will be a field.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Changes {}
