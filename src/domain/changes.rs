//! What a grant leaves behind.
//!
//! A license, a device's place, a first use and a slot are facts that have to be on disk before the answer leaves. The
//! decision says which; the caller commits them together, and decides anew where somebody else was quicker. No policy of
//! today needs a memory, so there is no kind of change yet and a grant writes nothing.

/// The facts of one grant, to be committed together: a member for each kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Changes {}
