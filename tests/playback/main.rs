//! The binary as people run it: real processes, real HTTP, real packagers, files and kills.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may fail where its expectation does, and says what it has tried"
)]

mod certified;
mod commands;
mod cpix;
mod decryption;
mod drills;
mod exports;
mod film;
mod guides;
mod independent;
mod inspect;
mod installation;
mod issuers;
mod kept;
mod key_server;
mod killpoints;
mod kills;
mod leaks;
mod log;
mod memory;
mod metrics;
mod migration;
mod native;
mod network;
mod openid;
mod operator;
mod origins;
mod own_stream;
mod places;
mod power;
mod program;
mod provisioning;
mod pssh;
mod reload;
mod remembered;
mod rotations;
mod shaka;
mod storm;
mod studio;
mod task_films;
mod tasks;
mod terminal;
mod trust;
mod viewers;
