//! `reelkey decrypt`: a Common Encryption file with known keys.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use reelkey_client::cenc::{Init, Keys};
use reelkey_client::key::{ContentKey, KeyId};
use serde_json::json;

use crate::cli::config::write_whole;
use crate::cli::output::{Failure, Output};
use crate::cli::secret_argument::SecretArgument;

#[derive(Debug, Args)]
pub(crate) struct DecryptArgs {
    /// A key: KID:KEY in hexadecimal digits, or @FILE with one such pair a line. May be repeated.
    #[arg(long = "key", value_name = "KID:KEY", required = true)]
    keys: Vec<SecretArgument>,
    /// The initialization segment, if the input holds media segments only.
    #[arg(long, value_name = "FILE")]
    init: Option<PathBuf>,
    /// The encrypted file.
    input: PathBuf,
    /// Where to write the clear one.
    output: PathBuf,
}

pub(crate) fn decrypt(args: &DecryptArgs) -> Result<Output, Failure> {
    let keys = read_keys(&args.keys)?;
    let mut media = read(&args.input)?;
    let init_segment = args.init.as_deref().map(read).transpose()?;
    let during = |error| Failure::new(error).during(args.input.display());

    let init =
        Init::parse(init_segment.as_ref().unwrap_or(&media)).map_err(|e| during(e.into()))?;
    let plan = init.plan(&media).map_err(during)?;
    plan.decrypt(&keys, &mut media).map_err(during)?;
    let whole = match init_segment {
        // A media segment is of no use without its initialization segment, so both come out.
        Some(mut whole) => {
            init.clear(&mut whole);
            whole.extend_from_slice(&media);
            whole
        }
        None => {
            init.clear(&mut media);
            media
        }
    };
    write_whole(&args.output, &whole)?;
    let samples = plan.samples().count();
    let output = args.output.display();
    let json = json!({ "output": args.output, "samples": samples, "bytes": whole.len() });
    Ok(Output::new(json, format!("{output}: {samples} samples, {} bytes.", whole.len())))
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    fs::read(path).map_err(|error| Failure::from(error).during(path.display()))
}

fn read_keys(arguments: &[SecretArgument]) -> Result<Keys, Failure> {
    let mut keys = Keys::default();
    for argument in arguments {
        let text = argument.read()?;
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let (kid, key) = read_pair(line).ok_or_else(|| {
                Failure::new("a key is KID:KEY, both of 32 hexadecimal digits").during(argument)
            })?;
            keys.insert(kid, key);
        }
    }
    Ok(keys)
}

fn read_pair(line: &str) -> Option<(KeyId, ContentKey)> {
    let (kid, key) = line.split_once(':')?;
    Some((kid.parse().ok()?, ContentKey::parse_hex(key).ok()?))
}
