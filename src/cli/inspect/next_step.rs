//! What a person does next with a film that was inspected.

use std::path::Path;

use reelkey_client::cenc::inspect::{Film, FilmKind};

use crate::cli::inspect::terms::{is_encrypted, refusal};

/// With more keys than this a file of them is easier to write than arguments.
const KEYS_AS_ARGUMENTS: usize = 4;

/// The last line of the output: how to decrypt the film, or why it cannot be, or that it need not be.
pub(super) fn next_step(film: &Film, file: &Path, init: Option<&Path>) -> String {
    let has_entries = film.tracks.iter().any(|track| !track.entries.is_empty());
    let file = quoted(file);
    if !is_encrypted(film) {
        return match has_entries {
            true => "nothing is encrypted.".into(),
            false => format!(
                "nothing in it says that it is encrypted. Its initialization segment may: reelkey inspect --init INIT {file}"
            ),
        };
    }
    if !has_entries {
        return format!(
            "it is encrypted. Its initialization segment names the keys: reelkey inspect --init INIT {file}"
        );
    }
    if let Some(rule) = refusal(film) {
        return format!("reelkey decrypt refuses it: {rule}.");
    }
    let mut entries = film.tracks.iter().flat_map(|track| &track.entries);
    if entries.all(|entry| entry.protections.is_empty()) {
        return "its samples are encrypted, but its moov names no key: that may be another film's."
            .into();
    }
    if film.keys.is_empty() {
        return "no sample needs a key.".into();
    }
    let keys = match film.keys.len() {
        1..=KEYS_AS_ARGUMENTS => {
            let keys = film.keys.iter().map(|key| format!("--key {}:KEY", key.kid));
            keys.collect::<Vec<_>>().join(" ")
        }
        _ => "--key @FILE_OF_KID:KEY_LINES".into(),
    };
    match (film.kind, init) {
        (FilmKind::InitializationSegment, _) => {
            format!("decrypt its segments with: reelkey decrypt {keys} --init {file} SEGMENT OUT")
        }
        (_, Some(init)) => {
            let init = quoted(init);
            format!("decrypt it with: reelkey decrypt {keys} --init {init} {file} OUT")
        }
        (_, None) => format!("decrypt it with: reelkey decrypt {keys} {file} OUT"),
    }
}

/// A path as a shell takes it.
fn quoted(path: &Path) -> String {
    // A line break would look like the end of the output.
    let text = path.display().to_string().replace('\n', "\\n");
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+=:,@%".contains(c);
    match !text.is_empty() && text.chars().all(is_plain) {
        true => text,
        false => format!("'{}'", text.replace('\'', "'\\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_quoted_where_a_shell_would_take_it_apart() {
        let shown = ["a/b-1.mp4", "a b", "it's", "$(x)"].map(|path| quoted(Path::new(path)));
        assert_eq!(shown, ["a/b-1.mp4", "'a b'", "'it'\\''s'", "'$(x)'"]);
    }
}
