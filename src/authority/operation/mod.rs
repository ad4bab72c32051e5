//! The operator's operations: one type for each, with its result, its handler and its views in the same file.
//!
//! [`order`] defines what an operation is and executes it. Each noun has a file. The running service executes
//! operations for the command line over its admin socket, with one route for each. If no service runs, the command
//! executes them on the store itself. Both call [`order::execute`], so the answer is the same. A new operation needs a
//! type here, a line in `http/admin.rs` and a command.
//!
//! Deliberately absent: HTTP, and how results look at a terminal.

pub mod account;
pub mod clear_key;
pub mod content;
pub mod device;
pub mod explain;
pub mod in_force;
pub mod issuer;
pub mod kek;
pub mod key;
pub mod license;
pub mod order;
pub mod packager;
pub mod root;
pub mod signer;
pub mod store;
pub mod token;
