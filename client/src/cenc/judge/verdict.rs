//! What a sample says about the key, and how much it takes to say it.
//!
//! Deliberately absent: the rules, which each format has for itself.

/// What one decrypted sample says about the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The rules hold, and noise would hardly have kept those of them that encrypted bytes took part in.
    Fits,
    /// An encrypted byte breaks a rule that every right sample keeps.
    Breaks,
    /// Nothing that was encrypted could be judged.
    Silent,
    /// The track is not what its sample entry says, so none of its samples can be judged.
    Unreliable,
}

impl Verdict {
    /// The verdict on a rule: does it hold, and did encrypted bytes take part?
    pub(super) fn of(holds: bool, encrypted: bool) -> Self {
        match (encrypted, holds) {
            (false, _) => Self::Silent,
            (true, true) => Self::Fits,
            (true, false) => Self::Breaks,
        }
    }
}

/// Of 256 samples of noise, one has as much evidence for it.
const ENOUGH_BITS: u32 = 8;

/// How many encrypted bits were as a rule wants them. One such bit is right in half of all noise, so a sample needs several
/// before it speaks for the key.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Evidence(u32);

impl Evidence {
    pub(super) fn add(&mut self, bits: u32) {
        self.0 = self.0.saturating_add(bits);
    }

    /// The verdict on a sample that breaks no rule.
    pub(super) fn verdict(self) -> Verdict {
        if self.0 >= ENOUGH_BITS { Verdict::Fits } else { Verdict::Silent }
    }
}
