//! Contents and their keys: adding, importing, generating, rotating, retiring, removing.
//!
//! Repeating a change that is already done changes nothing and succeeds. A change that contradicts the existing state
//! is refused. Keys of crypto periods, and keys that a packager asks for, will be added here.

pub mod contents;
pub mod keys;
pub mod periods;
pub mod refusal;
