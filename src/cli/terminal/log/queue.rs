//! Lines that wait for being written, and the thread that writes them.
//!
//! To put a line in never waits: the lock is held for moments only, never during a write. A line that finds no room, or
//! whose first byte cannot be written, is lost and counted; one line says so once writing works again. A line that was
//! begun is finished before another one begins.

use std::collections::VecDeque;
use std::io;
use std::os::fd::AsFd;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use reelkey_client::time::UnixTime;

use crate::cli::clock;
use crate::cli::terminal::log::descriptor::write_all;
use crate::http::log_health::LogHealth;

/// The most bytes that wait.
const BYTES_MAX: usize = 1024 * 1024;

/// The first pause after a failed write, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

/// How long the end of the process waits for what is queued.
const FAREWELL: Duration = Duration::from_secs(1);

/// Lines that were lost and not yet told.
#[derive(Clone, Copy, Debug)]
pub(super) struct Loss {
    pub(super) lines: u64,
    /// When the first one was lost.
    pub(super) since: UnixTime,
}

#[derive(Default)]
struct State {
    lines: VecDeque<Vec<u8>>,
    /// Of the lines that wait and the one that is being written.
    bytes: usize,
    loss: Option<Loss>,
    is_closing: bool,
    /// Whether nothing will be written any more.
    is_over: bool,
}

impl State {
    fn lose(&mut self, more: Loss) {
        let lines = more.lines + self.loss.map_or(0, |loss| loss.lines);
        let since = self.loss.map_or(more.since, |loss| loss.since.min(more.since));
        self.loss = Some(Loss { lines, since });
    }
}

/// The queue, shared between those who log and the thread that writes.
pub(super) struct Queue {
    state: Mutex<State>,
    changed: Condvar,
    health: LogHealth,
}

/// What is written next.
enum Next {
    Line(Vec<u8>),
    Report(Loss),
}

impl Queue {
    /// A queue whose lines are written to `out`. `report` makes a line about lines that were lost.
    ///
    /// # Errors
    /// There is no thread to be had.
    pub(super) fn start(
        out: impl AsFd + Send + 'static,
        report: impl Fn(Loss) -> Vec<u8> + Send + 'static,
    ) -> io::Result<Arc<Self>> {
        let (state, changed, health) = Default::default();
        let queue = Arc::new(Self { state, changed, health });
        let writer = Arc::clone(&queue);
        let work = move || {
            writer.write_lines(&out, report);
            writer.lock().is_over = true;
            writer.changed.notify_all();
        };
        thread::Builder::new().name("log".into()).spawn(work)?;
        Ok(queue)
    }

    /// Puts a line in, or counts it as lost.
    pub(super) fn put(&self, line: Vec<u8>) {
        let mut state = self.lock();
        if state.bytes + line.len() > BYTES_MAX {
            self.lose_one(&mut state);
        } else {
            state.bytes += line.len();
            state.lines.push_back(line);
            drop(state);
            self.changed.notify_all();
        }
    }

    /// Waits until everything is written, as far as that can be and for a second at most. What is put in later may be
    /// lost.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.is_closing = true;
        self.changed.notify_all();
        drop(self.changed.wait_timeout_while(state, FAREWELL, |state| !state.is_over));
    }

    /// How many lines were lost.
    pub(super) fn health(&self) -> LogHealth {
        self.health.clone()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lose_one(&self, state: &mut State) {
        state.lose(Loss { lines: 1, since: clock::now() });
        self.health.lose_line();
    }

    /// The writing thread, until the queue is closed and empty or nothing can be written.
    fn write_lines(&self, out: &impl AsFd, report: impl Fn(Loss) -> Vec<u8>) {
        let mut pause = None;
        while let Some(next) = self.next(pause.is_some()) {
            let line = match &next {
                Next::Line(line) => line,
                Next::Report(loss) => &report(*loss),
            };
            let mut rest = line.as_slice();
            while write_all(out, &mut rest).is_err() {
                self.health.set_failing(true);
                let is_begun = rest.len() < line.len();
                if !is_begun {
                    self.give_up(&next);
                }
                let longer = pause.map_or(PAUSES.0, |pause: Duration| (pause * 2).min(PAUSES.1));
                pause = Some(longer);
                if !self.rest(longer) {
                    return;
                }
                if !is_begun {
                    break;
                }
            }
            if rest.is_empty() {
                (pause, _) = (None, self.health.set_failing(false));
            }
            if let Next::Line(line) = &next {
                self.lock().bytes -= line.len();
            }
        }
    }

    /// Waits for something to write. Where writing failed, the report of what is lost is tried first: if that fails too,
    /// no further line is lost.
    fn next(&self, has_failed: bool) -> Option<Next> {
        let is_idle =
            |state: &mut State| state.lines.is_empty() && state.loss.is_none() && !state.is_closing;
        let state = self.lock();
        let state = self.changed.wait_while(state, is_idle);
        let mut state = state.unwrap_or_else(PoisonError::into_inner);
        let is_due = |loss: &Loss| has_failed || loss.since < clock::now();
        let is_report_next = state.lines.is_empty() || state.loss.as_ref().is_some_and(is_due);
        if is_report_next && let Some(loss) = state.loss.take() {
            return Some(Next::Report(loss));
        }
        state.lines.pop_front().map(Next::Line)
    }

    /// A line is lost; what is lost without it is still to be told.
    fn give_up(&self, next: &Next) {
        let mut state = self.lock();
        match next {
            Next::Line(_) => self.lose_one(&mut state),
            Next::Report(loss) => state.lose(*loss),
        }
    }

    /// Waits before the next attempt, but not where the process is about to end: one attempt is made then, and `false`
    /// says that it was the last.
    fn rest(&self, pause: Duration) -> bool {
        let state = self.lock();
        if state.is_closing {
            return false;
        }
        drop(self.changed.wait_timeout_while(state, pause, |state| !state.is_closing));
        true
    }
}
