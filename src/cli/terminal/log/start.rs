//! Starts the log, and ends it with the process.

use std::io::{self, IsTerminal};
use std::sync::Arc;

use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::cli::hygiene;
use crate::cli::terminal::log::descriptor::write_all;
use crate::cli::terminal::log::filter::Filter;
use crate::cli::terminal::log::layer::{Lines, LogFormat, Look};
use crate::cli::terminal::log::queue::Queue;
use crate::cli::terminal::output::Failure;
use crate::http::log_health::LogHealth;

/// The running log.
pub(crate) struct Log(Arc<Queue>);

/// Starts logging to standard error what `filter` lets through, panics included.
pub(crate) fn start(filter: &Filter, format: LogFormat) -> Result<Log, Failure> {
    let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let look = Look { format, colours: io::stderr().is_terminal() && !no_colour };
    let queue = Queue::start(io::stderr(), move |loss| look.loss(loss))?;
    let lines = Lines { queue: Arc::clone(&queue), look };
    tracing_subscriber::registry()
        .with(filter.build()?)
        .with(lines)
        .try_init()
        .map_err(Failure::new)?;
    hygiene::log_panics();
    Ok(Log(queue))
}

impl Log {
    /// How the log is doing.
    pub(crate) fn health(&self) -> LogHealth {
        self.0.health()
    }

    /// Waits until what was logged is written, for a second at most.
    pub(crate) fn close(self) {
        self.0.close();
    }
}

/// Writes a line to standard output without waiting for whoever reads it.
pub(crate) fn announce(line: String) -> io::Result<()> {
    let write = move || {
        if let Err(error) = write_all(&io::stdout(), &mut format!("{line}\n").as_bytes()) {
            tracing::warn!(%error, "standard output cannot be written; the service is ready all the same");
        }
    };
    std::thread::Builder::new().name("announce".into()).spawn(write).map(drop)
}
