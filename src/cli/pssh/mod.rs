//! `reelkey pssh`: what a `pssh` box says, and writing one.
//!
//! `decode` shows boxes and `input` finds them in whatever somebody has; `encode` writes them, and `contents` puts together
//! what is in them. Deliberately absent: the form of the boxes, which the client crate knows.

mod contents;
mod decode;
mod encode;
mod input;

use clap::Subcommand;

use crate::cli::folder::paths::Folder;
use crate::cli::pssh::decode::{DecodeArgs, decode};
use crate::cli::pssh::encode::{EncodeArgs, encode};
use crate::cli::terminal::output::{Failure, Output};

/// The commands of `reelkey pssh`.
#[derive(Debug, Subcommand)]
pub(crate) enum PsshCommand {
    /// Show what pssh boxes say: KIDs, content, scheme, license URLs, checksums.
    Decode(DecodeArgs),
    /// Write pssh boxes for Widevine, PlayReady, the Common system, ClearKey and FairPlay.
    Encode(Box<EncodeArgs>),
}

impl PsshCommand {
    /// Whether the command reads the store.
    pub(crate) fn needs_folder(&self) -> bool {
        match self {
            Self::Decode(_) => false,
            Self::Encode(args) => args.needs_folder(),
        }
    }
}

/// Runs a command of `reelkey pssh`. `as_json` is for bytes, which have no place in a document.
pub(crate) async fn run(
    folder: &Folder,
    command: PsshCommand,
    as_json: bool,
) -> Result<Output, Failure> {
    match command {
        PsshCommand::Decode(args) => decode(&args),
        PsshCommand::Encode(args) => encode(folder, *args, as_json).await,
    }
}
