//! The admin socket: the operator's commands, executed by the running service. Each operation is its own route.
//!
//! `listener/connection.rs` has already decided which users may connect, and passes on the user's ID. The status is
//! `409` if a rule refuses the operation, and `500` if it failed. Both responses say why, and what to do.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::thread::Builder;

use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Extension, Json, Router};
use rustix::process::setpriority_process;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use crate::authority::operation::order::{Actor, Operation, causes};
use crate::authority::operation::{
    account, clear_key, content, device, explain, in_force, issuer, kek, key, license, packager,
    root, signer, store, token,
};
use crate::authority::stop::{Remedy, Stop};
use crate::crypto::clean_stack::on_clean_stack;
use crate::http::app::App;
use crate::http::frame::address::LocalPeer;

/// The longest request body, in bytes: more than any operation takes.
const BODY_BYTES_MAX: usize = 1024 * 1024;

/// The niceness of the thread that executes operations. 19 is the lowest priority.
const NICENESS: i32 = 10;

/// Reads files anew, puts what they say in force, and says what became of it.
pub type Reload =
    dyn Fn() -> Pin<Box<dyn Future<Output = Result<Value, Refused>> + Send>> + Send + Sync;

/// What the admin routes share. Configuration is read elsewhere.
#[derive(Clone)]
pub struct AdminApp {
    /// The service.
    pub app: App,
    /// Puts everything in force that the operator decided.
    pub reload: Arc<Reload>,
    /// Puts the issuers in force, and nothing else.
    pub reload_issuers: Arc<Reload>,
}

impl fmt::Debug for AdminApp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AdminApp(..)")
    }
}

/// Why an operation was not done, as the command line receives it.
#[derive(Debug, Serialize, Deserialize)]
pub struct Refused {
    /// What is wrong.
    pub message: String,
    /// The next step.
    pub remedy: Option<String>,
}

/// The path of an operation on the admin socket.
#[must_use]
pub fn path_of<O: Operation>() -> String {
    format!("/admin/v1/{}", O::NAME)
}

/// The path that makes the service read its issuers again.
pub const RELOAD_ISSUERS: &str = "/admin/v1/issuers/reload";

/// Where everything that the operator decided is read anew.
pub const RELOAD: &str = "/admin/v1/reload";

/// Where the log's health is told, as a [`LogReport`](crate::http::log_health::LogReport).
pub const LOG_HEALTH: &str = "/admin/v1/log";

/// The routes of the admin socket.
pub fn admin_router(app: AdminApp) -> Router {
    let router = Router::new()
        .route(RELOAD_ISSUERS, post(issuers_reload_post))
        .route(RELOAD, post(reload_post))
        .route(LOG_HEALTH, post(log_health_post));
    let router = route::<content::AddContent>(router);
    let router = route::<content::SetPolicies>(router);
    let router = route::<content::RemoveContent>(router);
    let router = route::<content::ListContents>(router);
    let router = route::<content::ShowContent>(router);
    let router = route::<key::GenerateKey>(router);
    let router = route::<key::ImportKey>(router);
    let router = route::<clear_key::ImportKeys>(router);
    let router = route::<clear_key::ExportKeys>(router);
    let router = route::<key::ListKeys>(router);
    let router = route::<key::ShowKey>(router);
    let router = route::<key::RotateKeys>(router);
    let router = route::<key::RetireKey>(router);
    let router = route::<in_force::ShowInForce>(router);
    let router = route::<issuer::ShowIssuerKeys>(router);
    let router = route::<kek::ListKeks>(router);
    let router = route::<kek::RotateKek>(router);
    let router = route::<kek::RewrapKek>(router);
    let router = route::<kek::RetireKek>(router);
    let router = route::<root::RotateRoot>(router);
    let router = route::<signer::ListSigners>(router);
    let router = route::<signer::RotateSigner>(router);
    let router = route::<packager::AddPackager>(router);
    let router = route::<packager::ListPackagers>(router);
    let router = route::<packager::RotatePackagerSecret>(router);
    let router = route::<packager::RemovePackager>(router);
    let router = route::<store::CheckStore>(router);
    let router = route::<device::ListDevices>(router);
    let router = route::<device::ShowDevice>(router);
    let router = route::<device::EnrollDevice>(router);
    let router = route::<device::SetDeviceStatus>(router);
    let router = route::<license::ListLicenses>(router);
    let router = route::<license::ShowLicense>(router);
    let router = route::<license::ChangeLicense>(router);
    let router = route::<license::ListSessions>(router);
    let router = route::<account::EraseAccount>(router);
    let router = route::<explain::Explain>(router);
    route::<token::JudgeToken>(router).with_state(app)
}

fn route<O: Operation>(router: Router<AdminApp>) -> Router<AdminApp> {
    router.route(&path_of::<O>(), post(operation_post::<O>))
}

async fn operation_post<O: Operation>(
    State(admin): State<AdminApp>,
    Extension(peer): Extension<LocalPeer>,
    body: Body,
) -> Response {
    let Ok(body) = to_bytes(body, BODY_BYTES_MAX).await else {
        return refused(StatusCode::PAYLOAD_TOO_LARGE, "the operation is too long", None);
    };
    // serde's error could repeat a key, so it is not passed on.
    let Ok(operation) = on_clean_stack(|| serde_json::from_slice::<O>(&body)) else {
        let message = "this version does not know the operation";
        let remedy = "use the same version of reelkey for both";
        return refused(StatusCode::BAD_REQUEST, message, Some(remedy.into()));
    };
    drop(body);
    let (authority, now) = (Arc::clone(&admin.app.authority), (admin.app.clock)());
    let actor = Actor::User { uid: peer.uid };
    let executed = aside(async move { authority.administer(operation, actor, now).await }).await;
    match executed {
        Some(Ok(outcome)) => on_clean_stack(|| Json(outcome).into_response()),
        Some(Err(Stop::Refused(refusal))) => {
            refused(StatusCode::CONFLICT, &refusal.to_string(), refusal.remedy())
        }
        Some(Err(Stop::Failed(fault))) => {
            let remedy = fault.remedy().map(Into::into);
            refused(StatusCode::INTERNAL_SERVER_ERROR, &causes(&fault), remedy)
        }
        None => {
            let remedy = "see the log of the service".into();
            refused(
                StatusCode::INTERNAL_SERVER_ERROR,
                "the operation ended unexpectedly",
                Some(remedy),
            )
        }
    }
}

/// Runs `work` on a thread of its own with a low priority, because some operations open and wrap every secret of the
/// store. If the client disconnects, the operation still runs to its end.
async fn aside<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> Option<T> {
    let (done, answer) = oneshot::channel();
    let runtime = Handle::current();
    let thread = Builder::new().name("operator".into()).spawn(move || {
        // On Linux this sets the niceness of this thread only. If it fails, the work is done all the same.
        setpriority_process(None, NICENESS).ok();
        done.send(runtime.block_on(work)).ok();
    });
    thread.inspect_err(|error| tracing::error!(%error, "no thread for an operation")).ok()?;
    answer.await.ok()
}

async fn issuers_reload_post(
    State(admin): State<AdminApp>,
    Extension(peer): Extension<LocalPeer>,
) -> Response {
    reloaded("issuers/reload", peer, (admin.reload_issuers)().await)
}

async fn reload_post(
    State(admin): State<AdminApp>,
    Extension(peer): Extension<LocalPeer>,
) -> Response {
    reloaded("reload", peer, (admin.reload)().await)
}

fn reloaded(operation: &str, peer: LocalPeer, reloaded: Result<Value, Refused>) -> Response {
    let actor = Actor::User { uid: peer.uid };
    match reloaded {
        Ok(document) => {
            tracing::info!(operation, %actor, "operation done");
            Json(document).into_response()
        }
        Err(Refused { message, remedy }) => {
            tracing::info!(operation, %actor, rule = message, "operation refused");
            refused(StatusCode::CONFLICT, &message, remedy)
        }
    }
}

async fn log_health_post(State(admin): State<AdminApp>) -> Response {
    Json(admin.app.log.report()).into_response()
}

fn refused(status: StatusCode, message: &str, remedy: Option<String>) -> Response {
    (status, Json(Refused { message: message.into(), remedy })).into_response()
}
