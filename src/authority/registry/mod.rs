//! What is remembered of accounts, read and changed for those who ask: viewers through their tokens, operators through their
//! commands.
//!
//! [`devices`], [`licenses`] and [`sessions`] change one thing by conditional writes; [`accounts`] forgets an account, and
//! [`sweep`] what ended long ago. `held` is one license with what belongs to it. Deliberately absent: granting, which `issuing` does.

pub mod accounts;
pub mod devices;
pub(in crate::authority) mod held;
pub mod licenses;
pub mod sessions;
pub mod sweep;
