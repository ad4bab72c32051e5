//! Contents and their keys: adding, importing, generating, rotating, retiring, removing.
//!
//! Repeating what is done already changes nothing and says so; contradicting it is refused and changes nothing. Keys of
//! crypto periods, and keys that a packager asks for, enter here.

pub mod contents;
pub mod keys;
pub mod refusal;
