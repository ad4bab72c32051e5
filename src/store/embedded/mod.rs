//! The embedded engine, on sled 0.34.
//!
//! The folder of a store holds `lock` and one numbered folder with sled's files. A successor is made in `2.new`. When
//! all of it is on disk, it is renamed to `2`. The highest number is the store, so that rename is the moment of the
//! change. The predecessor keeps its path, so its readers can still read it. It is deleted last. A second database, for facts
//! that no rotation has to copy, is in `facts` beside the numbers, under the same lock.
//!
//! sled is fast and small, but has known defects. The guards against them are in this folder. Each defect was measured
//! before its guard was written:
//!
//! - If sled is killed while it writes a snapshot, `snap.*.generating` is left and no later open succeeds. So such a
//!   file is removed first, under our own lock.
//! - If sled is killed while it makes its files, it cannot open some of them later. So they are made in `.new`.
//! - sled takes a missing or empty file for a new store. For us that is damage, and the store is not opened.
//! - Its log keeps overwritten data. Only a successor is free of it.
//! - `flush` alone does not survive power loss. So the committer syncs the file after it.
//! - A damaged file makes sled panic. So it runs under a guard, and a panic is damage.
//! - After a disk error, closing panics and a flush may wait for ever. So a failed store is not closed, and a commit
//!   has a time limit.
//! - Its cache would grow to 1 GiB. So it is limited.
//! - A short record costs it as much as a long one. So facts that change together share one entry ([`row`]).

mod committer;
pub mod facts;
pub mod guard;
mod place;
mod reading;
pub mod row;
pub mod store;
pub mod successor;
mod view;
