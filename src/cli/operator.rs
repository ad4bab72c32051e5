//! Executes an operation: in the running service if there is one, otherwise on the store itself.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::sync::Arc;

use rustix::process::geteuid;
use serde_json::Value;
use tokio::net::UnixStream;
use zeroize::Zeroizing;

use crate::authority::in_force::{Decided, InForce, Snapshot};
use crate::authority::operation::in_force::ShowInForce;
use crate::authority::operation::order::{self, Actor, Desk, Operation};
use crate::authority::vault::open::Vault;
use crate::cli::clock;
use crate::cli::folder::config::Config;
use crate::cli::folder::paths::Folder;
use crate::cli::folder::{anchors, installation, reading};
use crate::cli::terminal::output::Failure;
use crate::http::admin::{LOG_HEALTH, RELOAD, RELOAD_ISSUERS, Refused, path_of};
use crate::http::client::Call;
use crate::http::log_health::LogReport;
use crate::store::owner;

/// The longest accepted answer, in bytes. A list of a hundred thousand keys takes 30 MB.
const ANSWER_BYTES_MAX: usize = 256 * 1024 * 1024;

/// The longest path of a Unix socket, without the final NUL (unix(7)).
const SOCKET_PATH_BYTES_MAX: usize = 107;

/// Where operations are executed.
pub(crate) enum Operator<'a> {
    /// In the service that runs in this folder.
    Service(&'a Folder),
    /// In this process. The store is locked until this value is dropped.
    Store {
        /// The store and the keys to it.
        vault: Vault,
        /// The policies that are in force. Operations need nothing else of the snapshot.
        in_force: InForce,
    },
}

impl<'a> Operator<'a> {
    /// Connects to the running service if there is one, otherwise opens the store.
    pub(crate) async fn reach(folder: &'a Folder) -> Result<Self, Failure> {
        if connect(folder).await?.is_some() {
            return Ok(Self::Service(folder));
        }
        let vault = installation::open(folder).await?;
        // A command about contents and keys needs the policies; an issuer that cannot be read is another command's error.
        let decided = match Config::read(folder)
            .and_then(|config| reading::decided(folder, &config))
        {
            Ok(decided) => decided,
            Err(_) => Decided { policies: installation::policies(folder)?, ..Decided::default() },
        };
        let snapshot = Snapshot::new(decided, Arc::default(), Arc::default());
        Ok(Self::Store { vault, in_force: InForce::new(snapshot) })
    }

    /// Executes `operation` and returns its result.
    pub(crate) async fn execute<O: Operation>(&self, operation: O) -> Result<O::Outcome, Failure> {
        match self {
            Self::Store { vault, in_force } => {
                let actor = Actor::User { uid: geteuid().as_raw() };
                let desk = Desk { vault, in_force, actor, now: clock::now() };
                Ok(order::execute(operation, &desk).await?)
            }
            Self::Service(folder) => {
                let stream = connect(folder).await?.ok_or_else(|| {
                    Failure::new("the service ended").remedy("run the command again")
                })?;
                let body = Zeroizing::new(serde_json::to_vec(&operation)?);
                let answer = send(stream, &path_of::<O>(), body.to_vec()).await?;
                serde_json::from_slice(&Zeroizing::new(answer)).map_err(|_| {
                    // The parser's error could repeat a key.
                    Failure::new("this version does not understand the service's answer")
                        .remedy("use the same version of reelkey for both")
                })
            }
        }
    }
}

/// Executes one operation, in the service or on the store.
pub(crate) async fn execute<O: Operation>(
    folder: &Folder,
    operation: O,
) -> Result<O::Outcome, Failure> {
    Operator::reach(folder).await?.execute(operation).await
}

/// Lets the running service, if there is one, read everything anew. Returns what is in force then.
pub(crate) async fn reload(folder: &Folder) -> Result<Option<Value>, Failure> {
    match connect(folder).await? {
        Some(stream) => {
            let answer = send(stream, RELOAD, Vec::new()).await?;
            Ok(Some(serde_json::from_slice(&answer)?))
        }
        None => Ok(None),
    }
}

/// Of what the things in force in the running service were made; `None` where none runs.
pub(crate) async fn in_force(folder: &Folder) -> Result<Option<BTreeMap<String, String>>, Failure> {
    match connect(folder).await? {
        Some(_) => Operator::Service(folder).execute(ShowInForce {}).await.map(Some),
        None => Ok(None),
    }
}

/// Makes the running service, if there is one, read its issuers again.
pub(crate) async fn reload_issuers(folder: &Folder) -> Result<(), Failure> {
    match connect(folder).await? {
        Some(stream) => send(stream, RELOAD_ISSUERS, Vec::new()).await.map(|_| ()),
        None => Ok(()),
    }
}

/// Whether a service runs with this folder.
pub(crate) async fn is_running(folder: &Folder) -> bool {
    matches!(connect(folder).await, Ok(Some(_)))
}

/// How the log of the running service is doing; `None` where none runs.
pub(crate) async fn log_health(folder: &Folder) -> Result<Option<LogReport>, Failure> {
    match connect(folder).await? {
        Some(stream) => {
            let answer = send(stream, LOG_HEALTH, Vec::new()).await?;
            Ok(Some(serde_json::from_slice(&answer)?))
        }
        None => Ok(None),
    }
}

/// Opens the admin socket for the service. From its first moment on, only the owner may connect.
pub(crate) fn listen(folder: &Folder) -> Result<UnixListener, Failure> {
    let path = folder.admin_socket();
    let aside = folder.root().join("admin.sock.new");
    for path in [&path, &aside] {
        if path.as_os_str().len() > SOCKET_PATH_BYTES_MAX {
            let what = format_args!("{} is too long for a socket", path.display());
            return Err(Failure::new(what).remedy(format_args!(
                "move the data folder: at most {SOCKET_PATH_BYTES_MAX} bytes"
            )));
        }
    }
    // This process holds the store's lock, so the process that made these files has ended.
    for stale in [&path, &aside] {
        match std::fs::remove_file(stale) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
    }
    let listener = UnixListener::bind(&aside)?;
    std::fs::set_permissions(&aside, std::fs::Permissions::from_mode(0o600))?;
    owner::give_path(&aside, folder.root())?;
    std::fs::rename(&aside, &path)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// The user who may connect, besides root: the owner of the folder.
pub(crate) fn owner(folder: &Folder) -> io::Result<u32> {
    Ok(std::fs::metadata(folder.root())?.uid())
}

/// Connects to the running service. Returns `None` if none runs. A socket that others could have put there gets nothing.
async fn connect(folder: &Folder) -> Result<Option<UnixStream>, Failure> {
    anchors::check_root(folder)?;
    match UnixStream::connect(folder.admin_socket()).await {
        Ok(stream) => {
            let uid = stream.peer_cred()?.uid();
            if !anchors::trusts(folder, uid) {
                let socket = folder.admin_socket();
                let what = format_args!(
                    "uid {uid} answers at {}, and is neither root nor the data folder's owner; nothing was sent",
                    socket.display()
                );
                return Err(Failure::new(what).remedy("find out who put it there, and delete it"));
            }
            Ok(Some(stream))
        }
        // There is no socket, or a killed service left it.
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound
                    | io::ErrorKind::ConnectionRefused
                    | io::ErrorKind::InvalidInput
                    | io::ErrorKind::NotADirectory
            ) =>
        {
            Ok(None)
        }
        Err(error) => Err(Failure::from(error).during(folder.admin_socket().display())),
    }
}

async fn send(stream: UnixStream, path: &str, body: Vec<u8>) -> Result<Vec<u8>, Failure> {
    let (method, host, token) = ("POST", "admin", None);
    let call = Call { method, host, path, token, body, answer_bytes_max: ANSWER_BYTES_MAX };
    let answer = call.send(stream).await?;
    if answer.status == 200 {
        return Ok(answer.body);
    }
    Err(match serde_json::from_slice::<Refused>(&answer.body) {
        Ok(Refused { message, remedy: None }) => Failure::new(message),
        Ok(Refused { message, remedy: Some(remedy) }) => Failure::new(message).remedy(remedy),
        Err(_) => Failure::new(format_args!("the service answered {}", answer.status))
            .remedy("use the same version of reelkey for both"),
    })
}
