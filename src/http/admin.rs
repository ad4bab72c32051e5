//! The admin socket: the operator's commands, executed by the running service.
//!
//! Who may connect was decided when the connection was accepted (see [`crate::http::owner`]), so there
//! is nothing to authenticate here. A refused operation is `409` with what is wrong.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::thread::Builder;

use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use rustix::process::setpriority_process;
use serde_json::json;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use crate::authority::issuer::Issuers;
use crate::authority::operation::Operation;
use crate::http::app::App;

/// More than any operation takes.
const BODY_BYTES_MAX: usize = 1024 * 1024;

/// Of the thread that executes operations: 19 yields most.
const NICENESS: i32 = 10;

/// Reads the configured issuers anew.
pub type ReadIssuers = dyn Fn() -> Result<Issuers, String> + Send + Sync;

/// What the admin routes share.
#[derive(Clone)]
pub struct AdminApp {
    /// The service.
    pub app: App,
    /// Configuration is read elsewhere.
    pub read_issuers: Arc<ReadIssuers>,
}

impl fmt::Debug for AdminApp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AdminApp(..)")
    }
}

/// The routes of the admin socket.
pub fn admin_router(app: AdminApp) -> Router {
    Router::new()
        .route("/admin/v1/operation", post(operation_post))
        .route("/admin/v1/issuers/reload", post(issuers_reload_post))
        .with_state(app)
}

async fn operation_post(State(admin): State<AdminApp>, body: Body) -> Response {
    let Ok(body) = to_bytes(body, BODY_BYTES_MAX).await else {
        return refused(StatusCode::PAYLOAD_TOO_LARGE, "the operation is too long");
    };
    // What serde says could repeat a key, so it is not passed on.
    let Ok(operation) = serde_json::from_slice::<Operation>(&body) else {
        return refused(StatusCode::BAD_REQUEST, "not an operation that this version knows");
    };
    let (authority, now) = (Arc::clone(&admin.app.authority), (admin.app.clock)());
    let executed = aside(async move { authority.administer(operation, now).await }).await;
    let Some(executed) = executed else {
        return refused(StatusCode::INTERNAL_SERVER_ERROR, "the operation failed; see the log");
    };
    match executed {
        Ok(outcome) => Json(outcome).into_response(),
        Err(error) => {
            tracing::info!(rule = %error, "operation refused");
            refused(StatusCode::CONFLICT, &error.to_string())
        }
    }
}

/// Does `work` on a thread of its own, which yields to those that answer players: some operations open and wrap every
/// secret there is. Who hangs up in the middle does not stop it in the middle.
async fn aside<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> Option<T> {
    let (done, answer) = oneshot::channel();
    let runtime = Handle::current();
    let thread = Builder::new().name("operator".into()).spawn(move || {
        // On Linux this is the thread's own niceness. Without it the work is done all the same.
        setpriority_process(None, NICENESS).ok();
        done.send(runtime.block_on(work)).ok();
    });
    thread.inspect_err(|error| tracing::error!(%error, "no thread for an operation")).ok()?;
    answer.await.ok()
}

async fn issuers_reload_post(State(admin): State<AdminApp>) -> Response {
    match admin.app.authority.replace_issuers(|| (admin.read_issuers)()).await {
        Ok(()) => {
            tracing::info!("issuers read anew");
            Json(json!({})).into_response()
        }
        Err(why) => refused(StatusCode::CONFLICT, &why),
    }
}

fn refused(status: StatusCode, message: &str) -> Response {
    (status, Json(json!({ "message": message }))).into_response()
}
