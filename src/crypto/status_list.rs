//! The status list of Android's attestation keys, as Google publishes it:
//! `{"entries": {SERIAL: {"status": "REVOKED" | "SUSPENDED"}}}`, serial numbers in lower-case hexadecimal.

use std::collections::BTreeMap;

use serde::Deserialize;

/// A status list. Members that nobody asks for are ignored: the list is the maker's.
#[derive(Deserialize)]
struct StatusList {
    entries: BTreeMap<String, Status>,
}

#[derive(Deserialize)]
struct Status {
    #[serde(rename = "status")]
    _status: RevokedStatus,
}

#[derive(Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum RevokedStatus {
    Revoked,
    Suspended,
}

/// The serial numbers on the list, in lower-case hexadecimal without leading zeros.
pub(super) fn serials(list: &[u8]) -> Result<Vec<String>, serde_json::Error> {
    let list: StatusList = serde_json::from_slice(list)?;
    let plain = |serial: String| serial.trim_start_matches('0').to_ascii_lowercase();
    Ok(list.entries.into_keys().map(plain).collect())
}
