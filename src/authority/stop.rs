//! Why something was not done: it was refused, which is an answer, or it failed, which is our fault.

use std::convert::Infallible;
use std::error::Error;

use crate::authority::vault::fault::Fault;

/// Why something was not done.
#[derive(Debug)]
pub enum Stop<R> {
    /// A rule refuses it. Nothing was changed.
    Refused(R),
    /// It could not be done.
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

/// Of what is never refused.
impl Remedy for Infallible {
    fn remedy(&self) -> Option<String> {
        None
    }
}
