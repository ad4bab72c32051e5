//! What follows the last box and is none, and what looks like it but has fragments behind it.
//!
//! Servers and downloads append bytes to a file: a newline, padding, part of a page. They are kept as they are. Bytes in
//! the middle are another matter: if a reader took them for such a tail, the fragments behind would be copied encrypted.

use super::check::Case;
use super::films::{SCHEMES, film, title};
use super::movie::Made;
use crate::film::keys;

/// Bytes that are no box: their size and their type make no sense.
fn junk(length: usize) -> Vec<u8> {
    (0..length).map(|n| (n * 89 + 201) as u8).collect()
}

/// Names and bytes of tails.
fn tails() -> Vec<(String, Vec<u8>)> {
    let mut tails = Vec::new();
    for length in [1, 2, 3, 4, 5, 6, 7, 8, 9, 15, 16, 17, 100] {
        tails.push((format!("{length} bytes of junk"), junk(length)));
        tails.push((format!("{length} zeros"), vec![0; length]));
    }
    tails.push(("5000 zeros".to_owned(), vec![0; 5000]));
    tails.push(("a newline".to_owned(), b"\r\n".to_vec()));
    // As a size these are 3 and 7: smaller than any header.
    tails.push(("a size of 3".to_owned(), vec![0, 0, 0, 3, 0xfe, 0xed, 0xff, 1, 2]));
    tails.push(("a size of 7".to_owned(), vec![0, 0, 0, 7, 0xfe, 0xed, 0xff, 1, 2]));
    tails
}

/// Films with a tail.
pub(crate) fn behind() -> Vec<Case> {
    let mut cases = Vec::new();
    for scheme in SCHEMES {
        for is_fragmented in [true, false] {
            for (name, tail) in tails() {
                let mut movie = film(scheme, is_fragmented);
                movie.tail = tail;
                cases.push(Case::new(
                    format!("{name} behind, {}", title(scheme, is_fragmented)),
                    &movie,
                ));
            }
        }
    }
    cases
}

/// Puts bytes before the last fragment.
fn with_middle(mut made: Made, middle: &[u8]) -> Made {
    let at = made.moofs[1];
    made.file.splice(at..at, middle.iter().copied());
    for sample in made.samples.iter_mut().filter(|sample| sample.at.start >= at) {
        sample.at = sample.at.start + middle.len()..sample.at.end + middle.len();
    }
    made.moofs[1] += middle.len();
    made
}

/// A box in the middle that lies about its size, with a fragment behind it.
pub(crate) fn damaged_middle() -> Vec<Case> {
    let mut cases = Vec::new();
    for scheme in SCHEMES {
        let made = film(scheme, true).make();
        let mut add = |name: &str, made: Made| {
            let name = format!("{name} in the middle, {}", title(scheme, true));
            cases.push(Case { name, made, keys: keys() });
        };
        for length in [1, 2, 3, 4, 5, 6, 7, 8, 9, 100] {
            add(&format!("{length} bytes of junk"), with_middle(made.clone(), &junk(length)));
        }
        add("a size of 3", with_middle(made.clone(), &[0, 0, 0, 3, 0xfe, 0xed, 0xff, 1]));
        add("a free box that is too long", with_middle(made.clone(), b"\x7f\0\0\0free1234"));
        add(
            "a long size of a free box",
            with_middle(made.clone(), b"\0\0\0\x01free\x7f\0\0\0\0\0\0\0"),
        );
        for (name, size) in
            [("a moof too long", 0x7f00_0000_u32), ("a moof of 7", 7), ("a moof of 2", 2)]
        {
            let mut made = made.clone();
            let at = made.moofs[0];
            made.file[at..at + 4].copy_from_slice(&size.to_be_bytes());
            add(name, made);
        }
        for (name, size) in [("an mdat too long", 0x7f00_0000_u32), ("an mdat of 7", 7)] {
            let mut made = made.clone();
            let mdat = made.file.windows(4).position(|window| window == b"mdat").unwrap() - 4;
            made.file[mdat..mdat + 4].copy_from_slice(&size.to_be_bytes());
            add(name, made);
        }
    }
    cases
}

/// Zeros in the middle: as a box they go on to the end of the file.
pub(crate) fn zeros_in_the_middle() -> Vec<Case> {
    let mut cases = Vec::new();
    for scheme in SCHEMES {
        let made = film(scheme, true).make();
        for length in [1, 4, 7, 8, 16, 100] {
            let made = with_middle(made.clone(), &vec![0; length]);
            let name = format!("{length} zeros in the middle, {}", title(scheme, true));
            cases.push(Case { name, made, keys: keys() });
        }
    }
    cases
}
