//! What manifests and playlists say of keys: `ContentProtection` elements of DASH, `EXT-X-KEY` tags of HLS.
//!
//! The one place where these texts are written: for `reelkey manifest`, and for the answers to packagers. Deliberately absent:
//! `pssh` boxes and PlayReady objects, which the client crate writes; they come in as bytes.

pub mod dash;
pub mod hls;
pub mod manifest_url;
