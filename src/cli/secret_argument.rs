//! Secrets on the command line: the name of a file or, for experiments, the secret itself.
//!
//! Every user of the machine can see the arguments of a process. So `@FILE` should be used. `@-` reads standard input.

use std::convert::Infallible;
use std::fmt;
use std::io::Read;
use std::path::Path;
use std::str::FromStr;

use zeroize::Zeroizing;

use crate::cli::source;
use crate::cli::terminal::output::Failure;

/// Much more than any file of keys, in bytes.
const BYTES_MAX: u64 = 1024 * 1024;

/// The file of a secret, or the secret itself. `Debug` does not print the secret.
#[derive(Clone)]
pub(crate) enum SecretArgument {
    /// In a file; `-` is standard input.
    File(String),
    /// The secret itself.
    Value(Zeroizing<String>),
}

impl SecretArgument {
    /// Reads the secret, without white space around it.
    pub(crate) fn read(&self) -> Result<Zeroizing<String>, Failure> {
        let mut text = Zeroizing::new(String::with_capacity(4096));
        let read = match self {
            Self::Value(value) => {
                text.push_str(value);
                Ok(0)
            }
            Self::File(name) => source::open(Path::new(name))
                .and_then(|input| input.take(BYTES_MAX).read_to_string(&mut text)),
        };
        read.map_err(|error| Failure::from(error).during(self))?;
        Ok(Zeroizing::new(text.trim().to_owned()))
    }
}

impl FromStr for SecretArgument {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(match text.strip_prefix('@') {
            Some(name) => Self::File(name.to_owned()),
            None => Self::Value(Zeroizing::new(text.to_owned())),
        })
    }
}

impl fmt::Display for SecretArgument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(name) => f.write_str(name),
            Self::Value(_) => f.write_str("a secret argument"),
        }
    }
}

impl fmt::Debug for SecretArgument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretArgument({self})")
    }
}
