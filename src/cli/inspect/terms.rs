//! The words for what a film says of protection, which both forms of the output share.

use reelkey_client::cenc::inspect::{
    Described, Film, FilmKind, FilmTrack, IvLength, SampleProtection,
};

/// Whether anything in the film says that samples are encrypted.
pub(super) fn is_encrypted(film: &Film) -> bool {
    let entries = || film.tracks.iter().flat_map(|track| &track.entries);
    !film.keys.is_empty()
        || entries().flat_map(|entry| &entry.protections).any(may_encrypt)
        || film.tracks.iter().any(|track| track.has_auxiliary_information)
}

/// Whether samples of an entry with this protection may be encrypted.
fn may_encrypt(by: &SampleProtection) -> bool {
    by.default.as_ref().is_none_or(|default| default.is_protected != 0)
}

/// Why `reelkey decrypt` refuses a film that is encrypted; `None` if it does not.
pub(super) fn refusal(film: &Film) -> Option<String> {
    let mut groups = film.tracks.iter().flat_map(|track| &track.groups);
    if groups.any(|group| group.described.is_multi_key) {
        return Some("some samples may have several keys (ISO/IEC 23001-7, 6)".into());
    }
    film.refusal.filter(|_| is_encrypted(film)).map(|rule| rule.to_string())
}

/// The kind of the file as the document names it.
pub(super) fn kind_name(kind: FilmKind) -> &'static str {
    match kind {
        FilmKind::InitializationSegment => "initialization_segment",
        FilmKind::MediaSegment => "media_segment",
        FilmKind::Fragmented => "fragmented_film",
        FilmKind::Progressive => "progressive_film",
    }
}

/// The kind of a track's media, in a word where there is one.
pub(super) fn media_name(track: &FilmTrack) -> String {
    let Some(handler) = track.handler else { return "unknown".into() };
    match &handler.0 {
        b"vide" => "video".into(),
        b"soun" => "audio".into(),
        b"text" | b"subt" | b"sbtl" | b"clcp" => "text".into(),
        b"meta" => "metadata".into(),
        _ => handler.to_string(),
    }
}

/// PIFF's AlgorithmID as the scheme whose cipher it has.
pub(super) fn piff_cipher(algorithm: u32) -> &'static str {
    match algorithm {
        0 => "clear",
        1 => "cenc",
        2 => "cbc1",
        _ => "unknown",
    }
}

/// The scheme of a protection, with the cipher where the scheme does not say it.
pub(super) fn scheme_name(by: &SampleProtection) -> String {
    let scheme = by.scheme.map_or_else(|| "unknown".into(), |scheme| scheme.to_string());
    match by.piff_algorithm {
        Some(algorithm) => format!("{scheme} ({})", piff_cipher(algorithm)),
        None => scheme,
    }
}

/// The lengths of the IVs in bytes.
pub(super) fn iv_text(described: &Described) -> String {
    if described.is_protected == 0 {
        return "clear".into();
    }
    let text = |iv| match iv {
        IvLength::PerSample(bytes) => bytes.to_string(),
        IvLength::Constant(bytes) => format!("{bytes} const"),
    };
    let mut all: Vec<_> = described.keys.iter().map(|key| text(key.iv)).collect();
    all.dedup();
    all.join(", ")
}

/// The pattern, where there is one.
pub(super) fn pattern_text(described: &Described) -> String {
    match (described.crypt, described.skip) {
        (0, 0) => String::new(),
        (crypt, skip) => format!("{crypt}:{skip}"),
    }
}
