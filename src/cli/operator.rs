//! Getting an operation executed: by the running service if there is one, else on the store itself.

use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;

use rustix::process::geteuid;
use tokio::net::UnixStream;
use zeroize::Zeroizing;

use crate::authority::in_force::{InForce, Policies, Snapshot};
use crate::authority::operation::order::{self, Actor, Desk, Operation};
use crate::authority::vault::open::Vault;
use crate::cli::clock;
use crate::cli::folder::installation;
use crate::cli::folder::paths::Folder;
use crate::cli::terminal::output::Failure;
use crate::http::admin::{RELOAD_ISSUERS, Refused, path_of};
use crate::http::client::Call;

/// More than any answer: a hundred thousand keys are listed in 30 MB.
const ANSWER_BYTES_MAX: usize = 256 * 1024 * 1024;

/// The longest path of a Unix socket, its final NUL left out (unix(7)).
const SOCKET_PATH_BYTES_MAX: usize = 107;

/// Where operations are executed.
pub(crate) enum Operator<'a> {
    /// By the service that runs in this folder.
    Service(&'a Folder),
    /// Here: the store is held until this is dropped.
    Store {
        /// The store and what opens it.
        vault: Vault,
        /// What is in force: the policies. Nobody else is asked for here.
        in_force: InForce,
    },
}

impl<'a> Operator<'a> {
    /// The running service if there is one, else the store itself.
    pub(crate) async fn reach(folder: &'a Folder) -> Result<Self, Failure> {
        if connect(folder).await?.is_some() {
            return Ok(Self::Service(folder));
        }
        let vault = installation::open(folder).await?;
        let policies = installation::policies(folder)?;
        let policies: Policies =
            policies.into_iter().map(|policy| (policy.name.clone(), policy)).collect();
        let snapshot = Snapshot { policies: policies.into(), ..Snapshot::default() };
        Ok(Self::Store { vault, in_force: InForce::new(snapshot) })
    }

    /// Executes `operation` and returns what came of it.
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
                    // What the parser says could repeat a key.
                    Failure::new("the service's answer is none that this version knows")
                        .remedy("use the same version of reelkey for both")
                })
            }
        }
    }
}

/// Executes one operation, wherever that is.
pub(crate) async fn execute<O: Operation>(
    folder: &Folder,
    operation: O,
) -> Result<O::Outcome, Failure> {
    Operator::reach(folder).await?.execute(operation).await
}

/// Lets the running service, if there is one, read its issuers anew.
pub(crate) async fn reload_issuers(folder: &Folder) -> Result<(), Failure> {
    match connect(folder).await? {
        Some(stream) => send(stream, RELOAD_ISSUERS, Vec::new()).await.map(|_| ()),
        None => Ok(()),
    }
}

/// A listener for the service, at a path that only the owner may open from its first moment on.
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
    // The store's lock is held, so whoever left these is gone.
    for stale in [&path, &aside] {
        match std::fs::remove_file(stale) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
    }
    let listener = UnixListener::bind(&aside)?;
    std::fs::set_permissions(&aside, std::fs::Permissions::from_mode(0o600))?;
    std::fs::rename(&aside, &path)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Who may connect to it, besides root: the folder's owner.
pub(crate) fn owner(folder: &Folder) -> io::Result<u32> {
    Ok(std::fs::metadata(folder.root())?.uid())
}

/// A connection to the running service; `None` where none runs.
async fn connect(folder: &Folder) -> Result<Option<UnixStream>, Failure> {
    match UnixStream::connect(folder.admin_socket()).await {
        Ok(stream) => Ok(Some(stream)),
        // No socket, or one that a killed service left.
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
