//! Crypto periods: which keys of a content that changes them are wanted now.

/// The current crypto period of a content, of the periods of its active keys: the second highest, because the highest is
/// the next one. With only one, that one. `None` if the keys have no periods.
#[must_use]
pub fn current(periods: impl IntoIterator<Item = u32>) -> Option<u32> {
    let [mut highest, mut second] = [None, None];
    for period in periods {
        if highest < Some(period) {
            (highest, second) = (Some(period), highest);
        } else if highest > Some(period) {
            second = second.max(Some(period));
        }
    }
    second.or(highest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_current_period_is_the_second_highest() {
        for (periods, expected) in [
            (&[][..], None),
            (&[7], Some(7)),
            (&[7, 7], Some(7)),
            (&[1, 2, 3, 3, 2], Some(2)),
            (&[3, 1, 2], Some(2)),
            (&[u32::MAX, 0], Some(0)),
        ] {
            assert_eq!(current(periods.iter().copied()), expected, "{periods:?}");
        }
    }
}
