//! A film as the document of `--json`. Its names are stable; `docs/OPERATIONS.md` lists them.

use reelkey_client::cenc::boxes::FourCc;
use reelkey_client::cenc::inspect::{
    Described, DescribedKey, Film, FilmTrack, FoundPssh, IvLength, LeftOut, NeededKey, SampleEntry,
    SampleGroup, SampleProtection,
};
use serde_json::{Value, json};

use crate::cli::inspect::signals;
use crate::cli::inspect::terms::{is_encrypted, kind_name, piff_cipher, refusal};

/// The document about a film in the file of this name. `error` is the damage that ended the inspection, or null.
pub(super) fn document(film: &Film, name: &str, error: Value) -> Value {
    let key = |key: &NeededKey| json!({ "kid": key.kid.to_string(), "tracks": key.tracks, "samples": key.samples });
    let LeftOut { tracks, entries, keys, groups, pssh, .. } = film.left_out;
    json!({
        "file": name,
        "kind": kind_name(film.kind),
        "major_brand": film.major_brand.map(four),
        "compatible_brands": film.compatible_brands.iter().copied().map(four).collect::<Vec<_>>(),
        "duration_ms": film.duration_ms,
        "fragments": film.fragments,
        "is_encrypted": is_encrypted(film),
        "tracks": film.tracks.iter().map(track).collect::<Vec<_>>(),
        "keys_needed": film.keys.iter().map(key).collect::<Vec<_>>(),
        "pssh": film.pssh.iter().map(system).collect::<Vec<_>>(),
        "pssh_unreadable": film.pssh_unreadable,
        "decrypt_refuses": refusal(film),
        "trailing_bytes": film.trailing_bytes,
        "left_out": {
            "tracks": tracks, "entries": entries, "keys": keys, "groups": groups, "pssh": pssh,
        },
        "error": error,
    })
}

fn four(four: FourCc) -> String {
    four.to_string()
}

fn track(track: &FilmTrack) -> Value {
    json!({
        "id": track.id,
        "handler": track.handler.map(four),
        "language": track.language,
        "timescale": track.timescale,
        "duration_ms": track.duration_ms,
        "samples": track.samples,
        "has_auxiliary_information": track.has_auxiliary_information,
        "entries": track.entries.iter().map(entry).collect::<Vec<_>>(),
        "groups": track.groups.iter().map(group).collect::<Vec<_>>(),
    })
}

fn entry(entry: &SampleEntry) -> Value {
    json!({
        "type": four(entry.kind),
        "format": four(entry.format),
        "codec": entry.codec,
        "width": entry.dimensions.map(|(width, _)| width),
        "height": entry.dimensions.map(|(_, height)| height),
        "channels": entry.channels,
        "sample_rate": entry.sample_rate,
        "protections": entry.protections.iter().map(protection).collect::<Vec<_>>(),
    })
}

fn protection(by: &SampleProtection) -> Value {
    let default = by.default.as_ref();
    let key = default.and_then(|default| default.keys.first());
    json!({
        "scheme": by.scheme.map(four),
        "piff_algorithm": by.piff_algorithm.map(piff_cipher),
        "is_protected": default.map(|default| default.is_protected),
        "default_kid": key.map(|key| key.kid.to_string()),
        "per_sample_iv_size": key.map(|key| per_sample(key.iv)),
        "constant_iv_size": key.and_then(|key| constant(key.iv)),
        "crypt_byte_block": default.map(|default| default.crypt),
        "skip_byte_block": default.map(|default| default.skip),
    })
}

fn per_sample(iv: IvLength) -> u8 {
    match iv {
        IvLength::PerSample(bytes) => bytes,
        IvLength::Constant(_) => 0,
    }
}

fn constant(iv: IvLength) -> Option<u8> {
    match iv {
        IvLength::PerSample(_) => None,
        IvLength::Constant(bytes) => Some(bytes),
    }
}

fn group(group: &SampleGroup) -> Value {
    let Described { is_protected, crypt, skip, is_multi_key, keys, .. } = &group.described;
    let key = |key: &DescribedKey| {
        json!({
            "kid": key.kid.to_string(),
            "per_sample_iv_size": per_sample(key.iv),
            "constant_iv_size": constant(key.iv),
        })
    };
    json!({
        "is_protected": is_protected,
        "is_multi_key": is_multi_key,
        "keys": keys.iter().map(key).collect::<Vec<_>>(),
        "crypt_byte_block": crypt,
        "skip_byte_block": skip,
        "in_moov": group.in_moov,
        "fragments": group.fragments,
        "samples": group.samples,
    })
}

/// A `pssh` box and where it is.
pub(crate) fn system(found: &FoundPssh) -> Value {
    let mut document = signals::document(&found.pssh);
    if let Some(members) = document.as_object_mut() {
        members.insert("in_moov".into(), found.in_moov.into());
        members.insert("fragments".into(), found.fragments.into());
    }
    document
}
