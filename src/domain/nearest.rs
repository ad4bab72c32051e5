//! Finds the name that was probably meant, for error messages.

/// The one of `names` that is most similar to `wanted`, if at most one character in four differs.
pub fn nearest<'a>(wanted: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let most = (wanted.chars().count() / 4).max(1);
    let distances = names.into_iter().map(|name| (strsim::osa_distance(wanted, name), name));
    let near = distances.filter(|(distance, _)| *distance <= most);
    near.min_by_key(|(distance, _)| *distance).map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_much_alike_is_found_and_no_other() {
        let names = ["movies/bunny", "movies/sintel", "premium-movie"];
        for (wanted, expected) in [
            ("movies/buny", Some("movies/bunny")),
            ("movie/bunny", Some("movies/bunny")),
            ("movies/Sintel", Some("movies/sintel")),
            ("premium-moive", Some("premium-movie")),
            ("movies/none", None),
            ("x", None),
            ("", None),
        ] {
            assert_eq!(nearest(wanted, names), expected, "{wanted}");
        }
        assert_eq!(nearest("movies/bunny", []), None);
    }
}
