//! Taking connections from a socket until it is told to stop. No error of `accept` ends it, and none makes it spin.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::http::frame::crowd::Crowd;

/// How many connections that were told to leave may still be there when the next one is accepted.
const LEAVING_MAX: usize = 8;

/// The first pause after an error, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(1));

/// How often the same thing is logged.
const LOG_PAUSE: Duration = Duration::from_secs(10);

/// A socket that listens.
pub(super) trait Listen {
    /// A connection, and what is known of its other end.
    type Connection;

    fn accept(&self) -> impl Future<Output = io::Result<Self::Connection>> + Send;
}

impl Listen for TcpListener {
    type Connection = (TcpStream, SocketAddr);

    async fn accept(&self) -> io::Result<Self::Connection> {
        self.accept().await
    }
}

impl Listen for UnixListener {
    type Connection = UnixStream;

    async fn accept(&self) -> io::Result<UnixStream> {
        self.accept().await.map(|(stream, _)| stream)
    }
}

/// Accepts connections and keeps each with what `keep` returns for it, until `stop` completes. Then closes the socket,
/// tells the connections that are open through `stopping`, and waits for them at most `patience`.
pub(super) async fn run<L: Listen, K>(
    listener: L,
    keep: impl Fn(L::Connection) -> Option<K>,
    crowd: &Crowd,
    stop: impl Future<Output = ()>,
    stopping: watch::Sender<()>,
    patience: Duration,
) where
    K: Future<Output = ()> + Send + 'static,
{
    let mut connections = JoinSet::new();
    let mut trouble = Trouble::default();
    let mut stop = pin!(stop);
    loop {
        let next = async {
            crowd.settled(LEAVING_MAX).await;
            listener.accept().await
        };
        tokio::select! {
            () = &mut stop => break,
            Some(_) = connections.join_next() => {}
            accepted = next => match accepted {
                Ok(stream) => {
                    trouble.is_over();
                    if let Some(connection) = keep(stream) {
                        connections.spawn(connection);
                    }
                }
                Err(error) => {
                    let pause = trouble.pause(&error);
                    if !pause.is_zero() {
                        // It may be descriptors that are missing.
                        crowd.dismiss_one();
                    }
                    tokio::select! {
                        () = &mut stop => break,
                        () = sleep(pause) => {}
                    }
                }
            },
        }
    }
    drop(listener);
    stopping.send(()).ok();
    timeout(patience, async { while connections.join_next().await.is_some() {} }).await.ok();
}

/// Errors of `accept`, one after the other.
#[derive(Debug, Default)]
struct Trouble {
    pause: Option<Duration>,
    log: Seldom,
}

impl Trouble {
    fn is_over(&mut self) {
        self.pause = None;
    }

    /// Logs the error and says how long to wait before the next attempt.
    fn pause(&mut self, error: &io::Error) -> Duration {
        // These are about one connection, which is gone: the next attempt is about another.
        if matches!(
            error.kind(),
            io::ErrorKind::ConnectionAborted
                | io::ErrorKind::ConnectionReset
                | io::ErrorKind::Interrupted
                | io::ErrorKind::PermissionDenied
        ) {
            tracing::debug!(%error, "a connection was gone before it was accepted");
            return Duration::ZERO;
        }
        let pause = self.pause.map_or(PAUSES.0, |pause| (pause * 2).min(PAUSES.1));
        self.pause = Some(pause);
        if let Some(others) = self.log.turn(Instant::now()) {
            tracing::error!(%error, others, "no connection can be accepted now; trying again");
        }
        pause
    }
}

/// Lets one through every [`LOG_PAUSE`] and counts the others.
#[derive(Debug, Default)]
pub(super) struct Seldom(Mutex<(Option<Instant>, u64)>);

impl Seldom {
    /// Whether it is time again: how many there were since the last time, this one not counted.
    pub(super) fn turn(&self, now: Instant) -> Option<u64> {
        let (last, others) = &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if last.is_some_and(|last| now.duration_since(last) < LOG_PAUSE) {
            *others += 1;
            return None;
        }
        *last = Some(now);
        Some(std::mem::take(others))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_waited_out_longer_each_time_until_one_is_accepted() {
        let mut trouble = Trouble::default();
        let exhausted = io::Error::from_raw_os_error(24);
        let pauses: Vec<_> = (0..9).map(|_| trouble.pause(&exhausted)).collect();
        assert_eq!((pauses[0], pauses[1], pauses[8]), (PAUSES.0, PAUSES.0 * 2, PAUSES.1));
        let gone = io::ErrorKind::ConnectionAborted.into();
        assert_eq!(trouble.pause(&gone), Duration::ZERO);
        trouble.is_over();
        assert_eq!(trouble.pause(&exhausted), PAUSES.0);
    }

    #[test]
    fn what_happens_often_is_logged_seldom_and_counted() {
        let (seldom, now) = (Seldom::default(), Instant::now());
        assert_eq!(seldom.turn(now), Some(0));
        assert_eq!((seldom.turn(now), seldom.turn(now)), (None, None));
        let later = now + LOG_PAUSE;
        assert_eq!((seldom.turn(later), seldom.turn(later)), (Some(2), None));
    }
}
