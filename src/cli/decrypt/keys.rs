//! The keys of `--key`: pairs of KID and key, as arguments or in files.

use reelkey_client::cenc::Keys;
use reelkey_client::key::{ContentKey, KeyId};

use crate::cli::secret_argument::SecretArgument;
use crate::cli::terminal::output::Failure;

/// Reads the pairs of every argument, one a line.
pub(super) fn read_keys(arguments: &[SecretArgument]) -> Result<Keys, Failure> {
    let mut keys = Keys::default();
    for argument in arguments {
        let text = argument.read()?;
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let (kid, content_key) = read_pair(line).ok_or_else(|| {
                Failure::new("a key is KID:KEY, both of 32 hexadecimal digits").during(argument)
            })?;
            keys.insert(kid, content_key);
        }
    }
    Ok(keys)
}

fn read_pair(line: &str) -> Option<(KeyId, ContentKey)> {
    let (kid, content_key) = line.split_once(':')?;
    Some((kid.parse().ok()?, ContentKey::parse_hex(content_key).ok()?))
}
