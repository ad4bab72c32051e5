//! The name that somebody may have meant.

/// The one of `names` that is most like `wanted`, if any is like it at all.
pub(crate) fn nearest<'a>(
    wanted: &str,
    names: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let most = wanted.chars().count().div_ceil(3);
    let near = names.into_iter().map(|name| (distance(wanted, name), name));
    near.filter(|(edits, _)| *edits <= most).min().map(|(_, name)| name)
}

/// How many characters have to be put in, taken out or replaced (Levenshtein).
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (number, c) in (1..).zip(one.chars()) {
        let mut diagonal = number - 1;
        let mut left = number;
        for (cell, d) in row.iter_mut().skip(1).zip(&other) {
            let replaced = diagonal + usize::from(c != *d);
            diagonal = *cell;
            left = replaced.min(diagonal + 1).min(left + 1);
            *cell = left;
        }
        if let Some(first) = row.first_mut() {
            *first = number;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_found_and_none_where_all_are_far() {
        let names = ["https://auth.example", "https://own.example"];
        assert_eq!(nearest("https://auht.example", names), Some(names[0]));
        assert_eq!(nearest("https://own.exampl", names), Some(names[1]));
        assert_eq!(nearest("x", names), None);
        assert_eq!(
            (distance("kitten", "sitting"), distance("", "ab"), distance("ab", "")),
            (3, 2, 2)
        );
    }
}
