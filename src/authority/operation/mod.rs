//! What an operator asks for: one type per operation, with what it returns, its handler and its views beside it.
//!
//! [`order`] says what every operation is and carries it out; a noun has a file. The running service executes operations
//! for the command line over its admin socket, a route each; where none runs, the command executes them on the store
//! itself. Both call [`order::execute`], so the answer is the same. A new operation is a type here, a line in
//! `http/admin.rs` and a command.
//!
//! Deliberately absent: HTTP, and how anything looks at a terminal.

pub mod content;
pub mod kek;
pub mod key;
pub mod order;
pub mod root;
pub mod signer;
pub mod store;
