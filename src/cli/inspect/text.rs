//! A film as a person reads it: a line about the film, tables of its tracks, keys and DRM systems, and the next step.

use std::path::Path;

use reelkey_client::cenc::inspect::{
    Film, FilmKind, FilmTrack, FoundPssh, LeftOut, NeededKey, SampleEntry, SampleGroup,
};
use reelkey_client::key::KeyId;

use crate::cli::inspect::signals::{facts, system_name};
use crate::cli::inspect::terms::{iv_text, media_name, pattern_text, scheme_name};
use crate::cli::terminal::table::table;

/// A table shows so many rows. Live films have thousands of keys.
const ROWS_MAX: usize = 50;

/// Everything about a film that was in `file`, and the next step if there is one.
pub(super) fn text(film: &Film, file: &Path, next_step: Option<String>) -> String {
    let mut parts = vec![film_line(film, file)];
    let rows: Vec<_> = film.tracks.iter().flat_map(track_rows).collect();
    parts.extend(section(TRACK_HEADINGS, rows));
    parts.extend(section(KEY_HEADINGS, key_rows(film)));
    parts.extend(section(GROUP_HEADINGS, film.tracks.iter().flat_map(group_rows).collect()));
    parts.extend(section(PSSH_HEADINGS, film.pssh.iter().map(pssh_row).collect()));
    parts.extend(remarks(film));
    parts.extend(next_step);
    parts.join("\n\n")
}

/// A table, unless it has no rows.
fn section<const N: usize>(headings: [&str; N], rows: Vec<[String; N]>) -> Option<String> {
    let shown = rows.get(..ROWS_MAX).unwrap_or(&rows);
    let mut text = table(headings, shown);
    if rows.len() > shown.len() {
        text.push_str(&format!("\n{} more with --json.", rows.len() - shown.len()));
    }
    (!rows.is_empty()).then_some(text)
}

fn film_line(film: &Film, file: &Path) -> String {
    let kind = match film.kind {
        FilmKind::InitializationSegment => "initialization segment",
        FilmKind::MediaSegment => "media segment",
        FilmKind::Fragmented => "fragmented film",
        FilmKind::Progressive => "progressive film",
    };
    let mut facts = vec![kind.to_owned()];
    facts.extend(film.duration_ms.map(seconds));
    facts.push(counted(film.tracks.len(), "track"));
    if film.fragments > 0 {
        facts.push(counted(film.fragments, "fragment"));
    }
    facts.extend(film.major_brand.map(|brand| format!("brand {}", brand.to_string().trim_end())));
    if !film.compatible_brands.is_empty() {
        let brands = film.compatible_brands.iter().map(|brand| brand.to_string());
        let brands: Vec<_> = brands.map(|brand| brand.trim_end().to_owned()).collect();
        facts.push(format!("compatible with {}", brands.join(" ")));
    }
    // A name is one line, whatever is in it.
    let name = file.display().to_string().replace('\n', "\\n");
    format!("{name}: {}", facts.join(", "))
}

fn counted<N: TryInto<u64> + Copy + std::fmt::Display>(count: N, noun: &str) -> String {
    let plural = if count.try_into().ok() == Some(1) { "" } else { "s" };
    format!("{count} {noun}{plural}")
}

/// A duration in seconds, with hours and minutes where it has any.
fn seconds(ms: u64) -> String {
    let (rest, ms) = (ms / 1000, ms % 1000);
    match (rest / 3600, rest / 60 % 60, rest % 60) {
        (0, 0, s) => format!("{s}.{ms:03} s"),
        (h, m, s) => format!("{h}:{m:02}:{s:02}.{ms:03}"),
    }
}

const TRACK_HEADINGS: [&str; 9] =
    ["TRACK", "KIND", "CODEC", "MEDIA", "LANG", "TIME", "SAMPLES", "SCHEME", "IV"];

/// A row for each sample entry, and one for each further protection of it.
fn track_rows(track: &FilmTrack) -> Vec<[String; 9]> {
    let row = |codec: &str, media: String, scheme: String, iv: String| {
        [
            track.id.to_string(),
            media_name(track),
            codec.into(),
            media,
            track.language.clone().unwrap_or_default(),
            track.duration_ms.map(seconds).unwrap_or_default(),
            track.samples.to_string(),
            scheme,
            iv,
        ]
    };
    let mut rows = Vec::new();
    for entry in &track.entries {
        if entry.protections.is_empty() {
            rows.push(row(&entry.codec, media_of(entry), "clear".into(), String::new()));
        }
        for by in &entry.protections {
            let (iv, pattern) = match &by.default {
                Some(default) => (iv_text(default), pattern_text(default)),
                None => ("unknown".into(), String::new()),
            };
            let scheme = [scheme_name(by), pattern].join(" ").trim_end().into();
            rows.push(row(&entry.codec, media_of(entry), scheme, iv));
        }
    }
    if rows.is_empty() {
        let scheme = if track.has_auxiliary_information { "encrypted" } else { "" };
        rows.push(row("", String::new(), scheme.into(), String::new()));
    }
    rows
}

fn media_of(entry: &SampleEntry) -> String {
    match (entry.dimensions, entry.channels, entry.sample_rate) {
        (Some((width, height)), ..) => format!("{width}x{height}"),
        (None, Some(channels), Some(rate)) => format!("{channels} ch, {rate} Hz"),
        _ => String::new(),
    }
}

const KEY_HEADINGS: [&str; 3] = ["KEY NEEDED (KID)", "TRACKS", "SAMPLES"];

fn key_rows(film: &Film) -> Vec<[String; 3]> {
    let row = |key: &NeededKey| {
        let tracks: Vec<_> = key.tracks.iter().map(u32::to_string).collect();
        let samples = if key.samples == 0 { String::new() } else { key.samples.to_string() };
        [key.kid.to_string(), tracks.join(", "), samples]
    };
    film.keys.iter().map(row).collect()
}

const GROUP_HEADINGS: [&str; 5] = ["SAMPLE GROUP (KID)", "TRACK", "SAMPLES", "IV", "IN"];

fn group_rows(track: &FilmTrack) -> Vec<[String; 5]> {
    let row = |group: &SampleGroup| {
        let kids: Vec<_> = group.described.needed().collect();
        [
            if kids.is_empty() { "none: clear samples".into() } else { kid_list(&kids) },
            track.id.to_string(),
            group.samples.to_string(),
            [iv_text(&group.described), pattern_text(&group.described)].join(" ").trim_end().into(),
            place(group.in_moov, group.fragments),
        ]
    };
    track.groups.iter().map(row).collect()
}

/// A cell shows so many KIDs.
const KIDS_MAX: usize = 4;

fn kid_list(kids: &[KeyId]) -> String {
    let shown: Vec<_> = kids.iter().take(KIDS_MAX).map(KeyId::to_string).collect();
    match kids.len() - shown.len() {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// Where in a film a box is.
pub(crate) fn place(in_moov: bool, fragments: u64) -> String {
    match (in_moov, fragments) {
        (true, 0) => "moov".into(),
        (false, _) => counted(fragments, "moof"),
        (true, _) => format!("moov, {}", counted(fragments, "moof")),
    }
}

const PSSH_HEADINGS: [&str; 5] = ["DRM SYSTEM (PSSH)", "VERSION", "IN", "DATA BYTES", "SAYS"];

fn pssh_row(found: &FoundPssh) -> [String; 5] {
    let pssh = &found.pssh;
    let kids: Vec<KeyId> = pssh.all_kids().into_iter().collect();
    let facts = facts(pssh);
    let mut says: Vec<_> = facts.iter().map(|(name, value)| format!("{name} {value}")).collect();
    if !kids.is_empty() {
        says.insert(0, format!("KID {}", kid_list(&kids)));
    }
    let (version, bytes) = (pssh.version.to_string(), pssh.data.len().to_string());
    [system_name(pssh), version, place(found.in_moov, found.fragments), bytes, says.join("; ")]
}

/// What the tables do not show.
fn remarks(film: &Film) -> Vec<String> {
    let LeftOut { tracks, entries, keys, groups, pssh, .. } = film.left_out;
    let left_out = [
        (tracks, "tracks"),
        (entries, "sample entries"),
        (keys, "keys"),
        (groups, "sample groups"),
        (pssh, "pssh boxes"),
    ];
    let more = left_out.into_iter().filter(|(count, _)| *count > 0);
    let mut remarks: Vec<_> = more
        .map(|(count, what)| {
            format!(
                "the first {what} are remembered, at most 4096; {count} further mentions are not."
            )
        })
        .collect();
    if film.pssh_unreadable > 0 {
        remarks.push(format!("pssh boxes whose fields cannot be read: {}.", film.pssh_unreadable));
    }
    if film.trailing_bytes > 0 {
        let bytes = counted(film.trailing_bytes, "byte");
        remarks.push(format!("{bytes} behind the last box belong to no box."));
    }
    remarks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_at_a_glance() {
        let shown = [0, 3_040, 59_999, 60_000, 7_384_005].map(seconds);
        assert_eq!(shown, ["0.000 s", "3.040 s", "59.999 s", "0:01:00.000", "2:03:04.005"]);
    }
}
