//! Listening, and ending in order.

use std::future::Future;
use std::io;

use axum::Router;
use axum::serve::Listener;

/// Answers requests until `shutdown` completes, then finishes those that it began.
///
/// # Errors
/// What the listener says when it can no longer accept.
pub async fn serve<L>(
    listener: L,
    router: Router,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()>
where
    L: Listener,
    L::Addr: std::fmt::Debug,
{
    axum::serve(listener, router).with_graceful_shutdown(shutdown).await
}
