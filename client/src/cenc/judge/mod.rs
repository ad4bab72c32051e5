//! Does a decrypted sample parse? A key that does not fit turns samples into noise, and noise breaks the rules of its
//! format at once.
//!
//! [`Form::read`] finds out from a sample entry what the samples of a track look like, [`Form::judge`] gives the
//! verdict on one sample, and a [`Tally`] of verdicts on the first samples of a track says whether the key is wrong.
//!
//! A false alarm is worse than silence. What was not encrypted proves nothing about a key; what real files are known to do
//! against a standard is not held against them; and damage to a few samples does not make a key wrong. At most 16 KiB of a
//! sample are looked at, and no input makes these functions panic.
//!
//! Deliberately absent: keys, and formats whose samples have no structure to speak of: Opus, ALAC, PCM.

mod aac;
mod audio;
mod bits;
mod decrypted;
mod form;
mod h264;
mod nal;
mod obu;
mod tally;
#[cfg(test)]
mod testing;
mod text;
mod verdict;

pub(super) use crate::cenc::judge::decrypted::LOOKED_AT_BYTES;
pub(super) use crate::cenc::judge::form::Form;
pub(super) use crate::cenc::judge::tally::Tally;
