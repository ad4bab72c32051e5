//! The decision, without a service: laws over random policies and pasts, and every rule at its boundaries.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test may fail where its expectation does"
)]

mod account;
mod devices;
mod laws;
mod licenses;
mod random;
mod regions;
mod renewal;
mod streams;
mod windows;
