//! The device's half of Reelkey: obtain a license, then decrypt the media it covers.
//!
//! A film in Common Encryption is an MP4 file whose samples are encrypted and whose boxes say how (ISO/IEC 23001-7).
//! With its keys at hand it takes one call:
//!
//! ```
//! use reelkey_client::cenc::{Keys, decrypt_file};
//! use reelkey_client::key::ContentKey;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../src/cli/demo/clip/cenc/video.mp4");
//! let mut film = std::fs::read(path)?;
//!
//! let mut keys = Keys::default();
//! let kid = "5ee1ce7a-0d3b-4c5d-8e6f-708192a3b4c5".parse()?;
//! keys.insert(kid, ContentKey::parse_hex("0f1e2d3c4b5a69788796a5b4c3d2e1f0")?);
//!
//! decrypt_file(&keys, &mut film)?; // in place: it plays now, and no byte has moved
//! # assert!(!film.windows(4).any(|window| window == b"encv"));
//! # Ok(())
//! # }
//! ```
//!
//! # Which way in
//!
//! | what there is | what to take |
//! |---|---|
//! | a whole file in memory | [`cenc::decrypt_file`] |
//! | an initialization segment, then media segments | [`cenc::Init::parse`], [`cenc::Init::plan`], [`cenc::Plan::decrypt`] |
//! | a reader: a file, a socket or a pipe | [`cenc::Reader`], an `io::Read` of clear bytes |
//! | bytes as they come, without the standard library | [`cenc::Stream`] |
//! | a long file whose `moov` lists its samples | [`cenc::Stream::with_table`] |
//! | files of any size, on a command line | `reelkey decrypt` |
//! | a program in C, or a web page | `client/ffi`, `reelkey.h` |
//! | a film of which nothing is known | [`cenc::inspect::Inspector`], or `reelkey inspect` |
//! | no keys yet | [`cenc::Init::kids`], [`exchange::Ask`], then [`exchange::Pending`] |
//! | a device key to save, to load or to register | [`exchange::DeviceKey`], [`exchange::Register`] |
//! | a license that ends soon, or that nobody needs any more | [`exchange::License::schedule`], [`exchange::Renew`], [`exchange::Release`] |
//! | a license to keep, and to play without a connection | [`exchange::KeptLicense`] |
//! | a request that the device stored | [`exchange::Pending::resume`] |
//!
//! The ways to decrypt share one reader of boxes and one cipher, so they agree. Every error in a file is found before the
//! first byte of the part at fault is changed; it names the box, its position and the clause of the standard.
//!
//! # A license
//!
//! Keys come in a license. The device asks for it with a signed request; the service signs the license and seals its
//! keys to a key in that request. This crate writes the request and opens the license. The player supplies HTTP,
//! randomness and the time.
//!
//! ```
//! # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/exchange/service.rs"));
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use getrandom::SysRng; // or any other `TryCryptoRng`
//! use reelkey_client::cenc::{Keys, decrypt_file};
//! use reelkey_client::exchange::{Ask, DeviceKey, Jwks, SessionType};
//! use reelkey_client::time::UnixTime;
//!
//! # let service = service::Service::new();
//! # let post = |_: &str, body: &str| service.license(body).into_bytes();
//! # let get = |_: &str| service.jwks().into_bytes();
//! # let (token, now) = ("token", UnixTime::from_secs(1_700_000_000));
//! # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../src/cli/demo/clip/cenc/video.mp4");
//! # let mut film = std::fs::read(path)?;
//! let device = DeviceKey::generate(&mut SysRng)?; // once per device: `to_pkcs8_der` saves it
//!
//! let ask = Ask {
//!     service_id: "reelkey",
//!     token, // from the operator's auth service
//!     kids: &[],
//!     content_id: Some("movies/bunny"),
//!     session_type: SessionType::Temporary,
//!     iat: now,
//! };
//! let (body, pending) = ask.draft(&device.public_key(), None, &mut SysRng)?.sign(&device);
//! let answer = post("/v1/license", &body); // with `Authorization: Bearer <token>`
//! let jwks = Jwks::parse(&get("/.well-known/jwks.json"))?;
//! let license = pending.open(&answer, &jwks)?;
//!
//! let mut keys = Keys::default();
//! for (kid, key) in license.keys {
//!     keys.insert(kid, key);
//! }
//! decrypt_file(&keys, &mut film)?;
//! # assert!(!film.windows(4).any(|window| window == b"encv"));
//! # Ok(())
//! # }
//! ```
//!
//! # The modules
//!
//! - [`exchange`] writes and signs a license request, then verifies and opens the license that answers it, renews it, keeps it
//!   for playback without a connection, and returns it;
//! - [`cenc`] reads and decrypts media in Common Encryption;
//! - [`strict`] accepts one form only of JSON and compact JOSE objects, so that two readers cannot disagree. The server
//!   reads its input with the same code;
//! - [`pssh`] decodes what a film says to DRM systems;
//! - [`key`] and [`time`] hold the types that all of them share.
//!
//! None of them opens a socket, reads a clock or draws randomness by itself, and none has unsafe code.
//!
//! # Where it runs
//!
//! Without the feature `std` (on by default) the crate needs `alloc` and nothing else: it is built for a Cortex-M4 and
//! for WebAssembly in every test run, and tested on 64-bit ARM. With `std` it asks an x86-64 CPU for VAES and uses it.
//!
//! # What it is held to
//!
//! Memory: a stream holds one fragment at most, and where its samples are in order no more than part of one. Nothing is
//! allocated on the word of a size in a file. Time: linear in the input. Secrets: keys are zeroed when they are dropped,
//! and print nothing. Errors: typed, one variant per broken rule; no input makes it panic, which fuzzing and a corpus of
//! defects try all the time.
#![no_std]

extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

pub mod cenc;
pub mod exchange;
pub mod key;
pub mod pssh;
pub mod strict;
pub mod time;
