//! The operator's Unix socket: for one user and root, each connection with the user and process at its other end.

use std::io;

use tokio::net::UnixStream;

use crate::http::frame::address::LocalPeer;

/// Who is at the other end, if that is `owner` or root. Anybody else is logged, and the connection is to be closed
/// before a byte is read.
pub(super) fn peer(stream: &UnixStream, owner: u32) -> io::Result<LocalPeer> {
    let peer = stream.peer_cred().inspect_err(|error| {
        tracing::warn!(%error, "the user at the admin socket is not known; the connection is closed");
    })?;
    let (uid, pid) = (peer.uid(), peer.pid());
    if uid != owner && uid != 0 {
        tracing::warn!(uid, pid, "another user at the admin socket; the connection is closed");
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    Ok(LocalPeer { uid, pid })
}
