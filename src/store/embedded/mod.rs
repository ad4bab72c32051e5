//! The embedded engine, on sled 0.34.
//!
//! A store's folder holds `lock` and one numbered folder of sled's. A successor is made in `2.new` and, once
//! all of it is on disk, named `2`: the highest number is the store, and that rename is the instant of the
//! change. The predecessor keeps its path, so its readers go on reading, and it is deleted last. A second database,
//! for facts that no rotation has to copy, has room in a folder of its own beside the numbers, under the same lock.
//!
//! sled is quick and small, and has known traps; the guards against them are here. Each was measured before it was
//! written:
//!
//! - a kill while sled writes a snapshot leaves `snap.*.generating`, and no later open succeeds: such a
//!   file is removed first, under our own lock;
//! - a kill while sled makes its files leaves some that it cannot open: hence `.new`;
//! - it takes a missing or empty file for a new store: that is damage, and is not opened;
//! - its log keeps what was overwritten: only a successor is free of it;
//! - `flush` alone does not survive power loss: the committer syncs the file after it;
//! - a damaged file makes sled panic: its work runs under a guard, and a panic is damage;
//! - where the disk fails, closing it panics, and a flush may wait for ever: a failed store is left as it is, and a
//!   commit has a time limit;
//! - its cache would grow to 1 GiB: it is bounded.

mod committer;
pub mod guard;
mod place;
pub mod store;
pub mod successor;
