//! Is a key wrong? The verdicts on the first samples of a track, taken together.
//!
//! Deliberately absent: which key it is, and what to tell whom.

use crate::cenc::judge::form::Form;
use crate::cenc::judge::verdict::Verdict;

/// So many samples are judged. A wrong key shows in the first few of them.
const SAMPLES_MAX: u8 = 32;

/// The verdicts on the first samples of one track that one key decrypted.
#[derive(Clone, Debug)]
pub(crate) struct Tally {
    /// How many samples have to be judged before any of them counts.
    least: u8,
    seen: u8,
    judged: u8,
    broken: u8,
    /// Whether no verdict counts.
    is_spoiled: bool,
}

/// So many samples that fit are enough, and so many that do not.
const FITTING_ENOUGH: u8 = 2;
const BROKEN_ENOUGH: u8 = 8;

impl Tally {
    /// For samples of this form. One of them is enough, but for AAC, whose frames are judged by fewer bits.
    pub(crate) fn new(form: &Form) -> Self {
        let least = if *form == Form::Aac { 8 } else { 1 };
        Self { least, seen: 0, judged: 0, broken: 0, is_spoiled: false }
    }

    /// Whether further samples would change nothing.
    pub(crate) fn is_full(&self) -> bool {
        let fitting = self.judged.saturating_sub(self.broken);
        let is_clear = match self.broken {
            0 => fitting >= FITTING_ENOUGH,
            broken => fitting == 0 && broken >= BROKEN_ENOUGH,
        };
        self.is_spoiled || self.seen >= SAMPLES_MAX || is_clear && self.judged >= self.least
    }

    /// Takes the verdict on a sample.
    pub(crate) fn count(&mut self, verdict: Verdict) {
        if self.is_full() {
            return;
        }
        self.is_spoiled = verdict == Verdict::Unreliable;
        let is_judged = matches!(verdict, Verdict::Fits | Verdict::Breaks);
        self.seen = self.seen.saturating_add(1);
        self.judged = self.judged.saturating_add(u8::from(is_judged));
        self.broken = self.broken.saturating_add(u8::from(verdict == Verdict::Breaks));
    }

    /// Whether the key is wrong: most of the samples that were judged break a rule, and more than a few of all samples do.
    /// Damage to a sample or two is not the key's fault.
    pub(crate) fn is_wrong(&self) -> bool {
        let [seen, judged, broken] = [self.seen, self.judged, self.broken].map(u16::from);
        !self.is_spoiled && self.judged >= self.least && broken * 2 > judged && broken * 8 >= seen
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Verdict::{Breaks, Fits, Silent, Unreliable};

    fn is_wrong(form: &Form, verdicts: &[(Verdict, usize)]) -> bool {
        let mut tally = Tally::new(form);
        for (verdict, times) in verdicts {
            (0..*times).for_each(|_| tally.count(*verdict));
        }
        tally.is_wrong()
    }

    #[test]
    fn one_broken_sample_is_enough_but_not_of_aac() {
        assert!(is_wrong(&Form::Xml, &[(Breaks, 1)]));
        assert!(!is_wrong(&Form::Aac, &[(Breaks, 7)]));
        assert!(is_wrong(&Form::Aac, &[(Breaks, 8)]));
    }

    #[test]
    fn a_few_broken_samples_among_right_or_silent_ones_are_damage() {
        assert!(!is_wrong(&Form::Xml, &[]));
        assert!(!is_wrong(&Form::Xml, &[(Breaks, 3), (Fits, 3)]));
        assert!(is_wrong(&Form::Xml, &[(Breaks, 4), (Fits, 3)]));
        assert!(!is_wrong(&Form::Xml, &[(Silent, 29), (Breaks, 3)]));
        assert!(is_wrong(&Form::Xml, &[(Silent, 28), (Breaks, 4)]));
    }

    #[test]
    fn later_samples_are_not_counted() {
        assert!(!is_wrong(&Form::Xml, &[(Fits, 3), (Breaks, 1000)]));
        assert!(!is_wrong(&Form::Xml, &[(Unreliable, 1), (Breaks, 1000)]));
        let mut tally = Tally::new(&Form::Xml);
        (0..32).for_each(|_| tally.count(Silent));
        assert!(tally.is_full() && !tally.is_wrong());
    }
}
