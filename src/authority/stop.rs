//! Why something was not done: either a rule refused it, which is a normal answer, or it failed, which is our fault.

use std::convert::Infallible;
use std::error::Error;

use crate::authority::vault::fault::Fault;

/// Why something was not done.
#[derive(Debug)]
pub enum Stop<R> {
    /// A rule refuses it. Nothing was changed.
    Refused(R),
    /// It failed.
    Failed(Fault),
}

impl<R, E: Into<Fault>> From<E> for Stop<R> {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

/// Why an operation was refused, and what to do about it.
pub trait Remedy: Error + Send + Sync + 'static {
    /// The next step: an imperative sentence without a full stop.
    fn remedy(&self) -> Option<String>;
}

/// The remedy of operations that are never refused.
impl Remedy for Infallible {
    fn remedy(&self) -> Option<String> {
        None
    }
}
