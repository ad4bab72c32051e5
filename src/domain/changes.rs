//! What a grant, a release or an operator changes in what is remembered.
//!
//! These facts are on disk before the answer is sent. A decision lists them; the caller commits them together, and decides
//! again if another request was faster. Under a policy that needs no memory nothing is listed, and a grant writes nothing.

use crate::domain::past::{Device, License, Slot, Usage};

/// The facts that are to be remembered from now on. Each replaces the one before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Devices: the asking one, and one that it replaces.
    pub devices: Vec<Device>,
    /// The first uses of the content.
    pub usage: Option<Usage>,
    /// The slot that the session takes, keeps or gives back.
    pub slot: Option<Slot>,
    /// Licenses: the granted one, and one that it ends.
    pub licenses: Vec<License>,
}
