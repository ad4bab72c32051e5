//! PlayReady's `AcquirePackagingData`: `post` is the route, [`soap`] reads and writes its messages.

pub(crate) mod post;
pub mod soap;
