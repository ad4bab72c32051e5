//! Keys for packagers and origins: one use case, whichever protocol asks.

pub mod ask;
pub mod issue;
pub mod known;
pub mod plan;
pub mod read;
