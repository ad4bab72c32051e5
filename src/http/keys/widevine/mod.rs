//! The Widevine Common Encryption API, as Shaka Packager, Bento4 and pycpix speak it: `POST /v1/keys/widevine`.
//!
//! From top to bottom: `post` is the route, [`asked`] reads a request, [`signature`] checks who signed it, [`answer`] writes
//! what is answered, [`status`] has the outcomes and [`message`] reads
//! JSON as protobuf writes it.
//!
//! Deliberately absent: Widevine licenses and entitlement keys, which need the vendor; `group_id` and `video_feature`, which
//! are of use to a license server only.

pub mod answer;
pub mod asked;
pub mod message;
pub(crate) mod post;
pub mod signature;
pub mod status;
