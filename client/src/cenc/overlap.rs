//! Samples that share bytes.
//!
//! Deliberately absent: samples that lie outside every `mdat`, which reading them finds.

use alloc::vec::Vec;
use core::ops::Range;

use crate::cenc::fragment;
use crate::cenc::planned::Fragment;

/// Refuses protected samples that share bytes with others: decrypted twice, those would be garbage. Clear samples may
/// share bytes with each other.
pub(super) fn refuse_overlaps(fragments: &[Fragment]) -> Result<(), fragment::Error> {
    let mut end = 0;
    let mut is_next = |range: &Range<usize>| range.start >= core::mem::replace(&mut end, range.end);
    if fragments.iter().all(|fragment| fragment.samples.iter().all(&mut is_next)) {
        return Ok(());
    }
    let of = |fragment: &Fragment| {
        let is_protected = fragment.protected.is_some();
        let ranges = fragment.samples.iter().filter(|range| !range.is_empty());
        ranges.map(|range| (range.clone(), is_protected)).collect::<Vec<_>>()
    };
    let mut sorted: Vec<_> = fragments.iter().flat_map(of).collect();
    sorted.sort_unstable_by_key(|(range, _)| range.start);
    // How far the samples before reach: all of them, and the protected ones.
    let (mut end, mut protected_end) = (0, 0);
    for (range, is_protected) in sorted {
        if range.start < if is_protected { end } else { protected_end } {
            return Err(fragment::Error::Overlap(range.start));
        }
        end = end.max(range.end);
        if is_protected {
            protected_end = protected_end.max(range.end);
        }
    }
    Ok(())
}
