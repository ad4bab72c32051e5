//! The routes of packagers and origins: a file or folder for each protocol, which translates to the one use case
//! ([`packaging`](crate::authority::packaging)) and answers in the protocol's own form.

pub(crate) mod asker;
pub(crate) mod call;
pub mod cpix;
pub(crate) mod ffmpeg;
pub(crate) mod nginx_vod;
pub mod playready;
pub(crate) mod refusal;
pub(crate) mod skm;
pub mod widevine;
pub(crate) mod xml;
