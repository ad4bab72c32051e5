//! Takes the decisions out of the log as they are made: the page shows what an operator would read.

use std::fmt;
use std::sync::Arc;

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

use crate::cli::clock;
use crate::http::demo::Decisions;

/// Hands every decision of this process to `decisions` from now on.
///
/// # Errors
/// The process has a log already.
pub(super) fn install(
    decisions: Arc<Decisions>,
) -> Result<(), tracing_subscriber::util::TryInitError> {
    tracing_subscriber::registry().with(Tap { decisions }).try_init()
}

struct Tap {
    decisions: Arc<Decisions>,
}

impl<S: Subscriber> Layer<S> for Tap {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let message = fields.0.get("message").and_then(Value::as_str);
        let decision = match message {
            Some("license granted") => "grant",
            Some("license refused") => "refuse",
            _ => return,
        };
        fields.0.insert("decision".into(), decision.into());
        fields.0.insert("at".into(), clock::now().as_secs().into());
        self.decisions.add(Value::Object(fields.0));
    }
}

#[derive(Default)]
struct Fields(Map<String, Value>);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name().into(), format!("{value:?}").into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().into(), value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.insert(field.name().into(), value.into());
    }
}
