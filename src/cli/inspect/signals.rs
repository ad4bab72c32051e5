//! What a `pssh` box says, for people and for programs. `inspect` and `pssh decode` show the same.
//!
//! Deliberately absent: reading boxes, which the client crate does, and where in a film a box is.

use reelkey_client::key::KeyId;
use reelkey_client::pssh::{Contents, HeaderKey, PlayReady, Pssh, Widevine};
use serde_json::{Value, json};

/// The name of the box's system, or its identifier if it has none here.
pub(crate) fn system_name(pssh: &Pssh) -> String {
    pssh.system_id.name().map_or_else(|| pssh.system_id.to_string(), Into::into)
}

/// What the data of the box says besides KIDs, each fact with its name.
pub(crate) fn facts(pssh: &Pssh) -> Vec<(&'static str, String)> {
    match pssh.contents() {
        Some(Contents::Widevine(header)) => of_widevine(header),
        Some(Contents::PlayReady(header)) => of_playready(header),
        None => Vec::new(),
    }
}

fn of_widevine(header: Widevine) -> Vec<(&'static str, String)> {
    [
        ("provider", header.provider),
        ("content ID", header.content_id.map(|id| id_text(&id))),
        ("policy", header.policy),
        ("crypto period", header.crypto_period_index.map(|index| index.to_string())),
        ("scheme", header.protection_scheme.map(|scheme| scheme.escape_ascii().to_string())),
        ("seconds of a period", header.crypto_period_seconds.map(|seconds| seconds.to_string())),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name, value?)))
    .collect()
}

fn of_playready(header: PlayReady) -> Vec<(&'static str, String)> {
    [
        ("header", header.version),
        ("licenses at", header.la_url),
        ("more at", header.lui_url),
        ("domain service", header.ds_id.map(|id| id.to_string())),
        ("decryptor", header.decryptor_setup),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name, value?)))
    .collect()
}

/// An ID as text if it is text, in hexadecimal digits otherwise.
fn id_text(id: &[u8]) -> String {
    match std::str::from_utf8(id) {
        Ok(text) if !text.contains(char::is_control) => text.into(),
        _ => hex(id),
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The box as the document of `--json` has it. Its names are stable; `docs/OPERATIONS.md` lists them.
pub(crate) fn document(pssh: &Pssh) -> Value {
    let (mut widevine, mut playready) = (None, None);
    match pssh.contents() {
        Some(Contents::Widevine(header)) => {
            let id = header.content_id.as_deref();
            widevine = Some(json!({
                "kids": kids(&header.key_ids),
                "provider": header.provider,
                "content_id": id.and_then(|id| std::str::from_utf8(id).ok()),
                "content_id_hex": id.map(hex),
                "policy": header.policy,
                "crypto_period_index": header.crypto_period_index,
                "crypto_period_seconds": header.crypto_period_seconds,
                "protection_scheme": header.protection_scheme.map(|four| four.escape_ascii().to_string()),
            }));
        }
        Some(Contents::PlayReady(header)) => {
            let key = |key: &HeaderKey| {
                json!({
                    "kid": key.kid.to_string(),
                    "algorithm": key.algorithm,
                    "checksum": key.checksum.map(|checksum| checksum.to_string()),
                })
            };
            playready = Some(json!({
                "version": header.version,
                "kids": header.kids().map(|kid| kid.to_string()).collect::<Vec<_>>(),
                "keys": header.keys.iter().map(key).collect::<Vec<_>>(),
                "la_url": header.la_url,
                "lui_url": header.lui_url,
                "ds_id": header.ds_id.map(|id| id.to_string()),
                "decryptor_setup": header.decryptor_setup,
            }));
        }
        None => {}
    }
    json!({
        "system_id": pssh.system_id.to_string(),
        "system": pssh.system_id.name(),
        "version": pssh.version,
        "kids": kids(&pssh.kids),
        "data_size": pssh.data.len(),
        "widevine": widevine,
        "playready": playready,
    })
}

fn kids(kids: &[KeyId]) -> Vec<String> {
    kids.iter().map(KeyId::to_string).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_text_where_it_is_text() {
        assert_eq!(id_text("movie é".as_bytes()), "movie é");
        assert_eq!(id_text(b"a\x1b"), "611b");
        assert_eq!(id_text(&[0xff, 1]), "ff01");
    }
}
