//! The service as its players meet it: every rule of the exchange through the real routes, at a time
//! that the test chooses, over a real store.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::as_conversions,
    reason = "a test may fail where its expectation does"
)]

mod answers;
mod attested;
mod certified;
mod chains;
mod clear_keys;
mod contract;
mod cpix;
mod cpix_refusals;
mod fetched_keys;
mod grants;
mod hostile;
mod network;
mod origins;
mod packaged;
mod packager;
mod packagers;
mod periods;
mod places;
mod playready;
mod proxied;
mod refusals;
mod rights;
mod rights_limits;
mod rights_many;
mod rights_races;
mod rights_streams;
mod rights_sweep;
mod rotations;
mod secrets;
mod speke;
mod streams;
mod tokens;
mod widevine;
mod wire;
mod world;
