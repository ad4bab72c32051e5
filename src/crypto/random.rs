//! Randomness from the operating system, by ring.

use reelkey_client::exchange::device::TryCryptoRng;
use reelkey_client::exchange::device::TryRng;
use ring::rand::{SecureRandom, SystemRandom};

/// The operating system gave no randomness. Nothing can be done without it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the operating system gives no randomness")]
pub struct RandomnessFailed;

/// Fills `bytes` with random bytes.
///
/// # Errors
/// [`RandomnessFailed`].
pub fn fill(bytes: &mut [u8]) -> Result<(), RandomnessFailed> {
    SystemRandom::new().fill(bytes).map_err(|_| RandomnessFailed)
}

/// Returns `N` random bytes.
///
/// # Errors
/// [`RandomnessFailed`].
pub fn bytes<const N: usize>() -> Result<[u8; N], RandomnessFailed> {
    let mut bytes = [0; N];
    fill(&mut bytes)?;
    Ok(bytes)
}

/// The operating system's randomness, as the client crate takes it.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemRng;

impl TryRng for SystemRng {
    type Error = RandomnessFailed;

    fn try_next_u32(&mut self) -> Result<u32, RandomnessFailed> {
        bytes().map(u32::from_ne_bytes)
    }

    fn try_next_u64(&mut self) -> Result<u64, RandomnessFailed> {
        bytes().map(u64::from_ne_bytes)
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), RandomnessFailed> {
        fill(bytes)
    }
}

impl TryCryptoRng for SystemRng {}
