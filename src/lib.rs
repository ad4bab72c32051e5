//! Reelkey: a self-hosted DRM license and key service.
//!
//! The floors, top to bottom; an import may only point down:
//! [`cli`] > [`http`] > [`authority`] > [`store`] > [`domain`] and [`crypto`] > `reelkey-client`.
//! `docs/ARCHITECTURE.md` walks a license request through them.

pub mod authority;
pub mod cli;
pub mod crypto;
pub mod domain;
pub mod http;
pub mod store;
