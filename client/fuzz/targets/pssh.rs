//! Signalling: whatever is read is written again as the same, and nothing that is read makes a reader panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use reelkey_client::pssh::playready::{self, Checksum, KeySeed, Version};
use reelkey_client::pssh::{self, Contents, PlayReady, ProtectionScheme, Pssh, Widevine, widevine};

fuzz_target!(|bytes: &[u8]| {
    if let Some(boxes) = Pssh::parse_all(bytes) {
        let mut written = Vec::new();
        for read in &boxes {
            assert!(read.all_kids().len() >= usize::from(!read.kids.is_empty()));
            let kids = (read.version > 0).then_some(&*read.kids);
            written.extend(pssh::boxed(read.system_id, kids, &read.data).unwrap());
            match read.contents() {
                Some(Contents::Widevine(header)) => again_widevine(&header),
                Some(Contents::PlayReady(header)) => again_playready(&header),
                None => {}
            }
        }
        // Versions above 1 and flags are read, and written as 1 and 0.
        let again = Pssh::parse_all(&written).unwrap();
        assert_eq!(written.len(), bytes.len());
        for (again, read) in again.iter().zip(&boxes) {
            assert_eq!(
                (again.system_id, &again.kids, &again.data),
                (read.system_id, &read.kids, &read.data)
            );
        }
    }
    if let Some(header) = Widevine::parse(bytes) {
        again_widevine(&header);
    }
    if let Some(header) = PlayReady::parse(bytes) {
        again_playready(&header);
    }
    drop(KeySeed::from_bytes(bytes));
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Some(header) = PlayReady::parse_xml(text) {
        again_playready(&header);
    }
    if let Ok(checksum) = text.parse::<Checksum>() {
        assert_eq!(checksum.to_string(), text);
    }
    drop(KeySeed::parse_base64(text));
    _ = text.parse::<Version>();
    _ = text.parse::<ProtectionScheme>();
});

/// What was read of a message, written and read again.
fn again_widevine(read: &Widevine) {
    let number = |number: Option<u64>| number.and_then(|number| u32::try_from(number).ok());
    let scheme = read.protection_scheme.map(u32::from_be_bytes);
    let payload = widevine::Header {
        kids: &read.key_ids,
        provider: read.provider.as_deref(),
        content_id: read.content_id.as_deref(),
        policy: read.policy.as_deref(),
        crypto_period_index: number(read.crypto_period_index),
        scheme: scheme.and_then(ProtectionScheme::from_four_cc),
        crypto_period_seconds: number(read.crypto_period_seconds),
    }
    .payload();
    let again = Widevine::parse(&payload).unwrap();
    assert_eq!((&again.key_ids, &again.provider), (&read.key_ids, &read.provider));
    assert_eq!((&again.content_id, &again.policy), (&read.content_id, &read.policy));
    assert_eq!(number(again.crypto_period_index), number(read.crypto_period_index));
}

/// What was read of a header, written and read again, if a writer can say it.
fn again_playready(read: &PlayReady) {
    let keys: Vec<_> = read.keys.iter().map(|key| (key.kid, key.checksum)).collect();
    let header = playready::Header {
        version: None,
        keys: &keys,
        scheme: None,
        la_url: read.la_url.as_deref(),
        lui_url: read.lui_url.as_deref(),
        ds_id: read.ds_id,
    };
    let Ok(object) = header.object() else { return };
    let again = PlayReady::parse(&object).unwrap();
    let keys_again: Vec<_> = again.keys.iter().map(|key| (key.kid, key.checksum)).collect();
    assert_eq!(keys_again, keys);
    assert_eq!(
        (&again.la_url, &again.lui_url, again.ds_id),
        (&read.la_url, &read.lui_url, read.ds_id)
    );
}
