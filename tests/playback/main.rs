//! The binary as people run it: real processes, real HTTP, real packagers, files and kills.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test may fail where its expectation does"
)]

mod commands;
mod film;
mod independent;
mod installation;
mod killpoints;
mod kills;
mod leaks;
mod memory;
mod operator;
mod power;
