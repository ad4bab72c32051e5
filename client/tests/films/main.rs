//! Decryption, tried on films of our own making: right ones, by its laws, and broken ones, each by its defect.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::as_conversions,
    reason = "a test may fail where its expectation does"
)]

mod defects;
mod film;
mod inspect;
mod pieces;
mod properties;
mod reports;
mod tracks;
