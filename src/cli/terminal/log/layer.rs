//! From an event to its line, as JSON or as text.
//!
//! Deliberately absent: spans. Nothing of ours opens one; a line says everything by itself.

use std::fmt::{self, Write};
use std::sync::Arc;

use clap::ValueEnum;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use crate::cli::clock;
use crate::cli::terminal::foreign::push_plain;
use crate::cli::terminal::log::queue::{Loss, Queue};
use crate::cli::terminal::log::value::{Capped, push_json, push_value};

/// How a line looks.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}

/// How a line looks here: a terminal shows text in colours.
#[derive(Clone, Copy)]
pub(super) struct Look {
    pub(super) format: LogFormat,
    pub(super) colours: bool,
}

/// Makes lines of events and puts them into the queue.
pub(super) struct Lines {
    pub(super) queue: Arc<Queue>,
    pub(super) look: Look,
}

impl<S: Subscriber> Layer<S> for Lines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let metadata = event.metadata();
        self.queue.put(self.look.line(*metadata.level(), metadata.target(), &fields));
    }
}

/// The fields of an event.
#[derive(Default)]
struct Fields {
    message: String,
    /// Of what was logged through the crate `log`.
    target: Option<String>,
    others: Vec<(&'static str, Value)>,
}

enum Value {
    /// A number or a truth value, as it is written.
    Bare(String),
    Text(String),
}

impl Fields {
    fn take(&mut self, field: &Field, value: Value) {
        match (field.name(), value) {
            ("message", Value::Text(text)) => self.message = text,
            ("log.target", Value::Text(text)) => self.target = Some(text),
            ("log.module_path" | "log.file" | "log.line", _) => {}
            (name, value) => self.others.push((name, value)),
        }
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let mut text = Capped::new(field.name());
        write!(text, "{value:?}").ok();
        self.take(field, Value::Text(text.finish()));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        let mut text = Capped::new(field.name());
        text.write_str(value).ok();
        self.take(field, Value::Text(text.finish()));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.take(field, Value::Bare(value.to_string()));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.take(field, Value::Bare(value.to_string()));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.take(field, Value::Bare(value.to_string()));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        let text = value.to_string();
        // JSON has no infinity.
        let value = if value.is_finite() { Value::Bare(text) } else { Value::Text(text) };
        self.take(field, value);
    }
}

impl Look {
    /// The line that says how many lines were lost.
    pub(super) fn loss(self, loss: Loss) -> Vec<u8> {
        let others = vec![
            ("lost_lines", Value::Bare(loss.lines.to_string())),
            ("since", Value::Text(clock::show(loss.since.as_secs()))),
        ];
        let message = "lines of the log were lost".into();
        let fields = Fields { message, target: None, others };
        self.line(Level::WARN, env!("CARGO_PKG_NAME"), &fields)
    }

    fn line(self, level: Level, target: &str, fields: &Fields) -> Vec<u8> {
        let target = fields.target.as_deref().unwrap_or(target);
        let line = match self.format {
            LogFormat::Json => json(level, target, fields),
            LogFormat::Text => text(level, target, fields, self.colours),
        };
        line.into_bytes()
    }
}

fn json(level: Level, target: &str, fields: &Fields) -> String {
    let time = clock::show_precisely();
    let mut line = format!("{{\"timestamp\":\"{time}\",\"level\":\"{level}\",\"message\":");
    push_json(&mut line, &fields.message);
    for (name, value) in &fields.others {
        line.push(',');
        push_json(&mut line, name);
        line.push(':');
        match value {
            Value::Bare(value) => line.push_str(value),
            Value::Text(value) => push_json(&mut line, value),
        }
    }
    line.push_str(",\"target\":");
    push_json(&mut line, target);
    line.push_str("}\n");
    line
}

fn text(level: Level, target: &str, fields: &Fields, colours: bool) -> String {
    let (start, end) = match (colours, level) {
        (false, _) => ("", ""),
        (true, Level::ERROR) => ("\x1b[31m", "\x1b[0m"),
        (true, Level::WARN) => ("\x1b[33m", "\x1b[0m"),
        (true, Level::INFO) => ("\x1b[32m", "\x1b[0m"),
        (true, _) => ("\x1b[2m", "\x1b[0m"),
    };
    let mut line = format!("{} {start}{level:>5}{end} ", clock::show_precisely());
    push_plain(&mut line, target);
    line.push_str(": ");
    push_plain(&mut line, &fields.message);
    for (name, value) in &fields.others {
        line.push_str(&format!(" {name}="));
        match value {
            Value::Bare(value) => line.push_str(value),
            Value::Text(value) => push_value(&mut line, value),
        }
    }
    line.push('\n');
    line
}
