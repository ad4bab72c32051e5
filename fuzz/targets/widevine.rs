//! Requests of the Widevine Common Encryption API: what is read is within its limits and is what a plain reader of JSON sees.
#![no_main]

use base64ct::{Base64, Encoding};
use libfuzzer_sys::fuzz_target;
use reelkey::http::keys::widevine::asked::{Asked, Wanted, asked, envelope};
use serde_json::{Value, json};

fuzz_target!(|bytes: &[u8]| {
    // The inner message alone, and both as they come.
    let inner = asked(bytes);
    let body = json!({ "request": Base64::encode_string(bytes), "signer": "a" }).to_string();
    match envelope(body.as_bytes()) {
        Ok(envelope) => {
            assert_eq!(envelope.request, bytes);
            assert!(envelope.signature.is_none());
        }
        Err(_) => assert!(bytes.is_empty()),
    }
    if let Ok(envelope) = envelope(bytes) {
        assert!(!envelope.request.is_empty());
        drop(asked(&envelope.request));
    }
    let Ok(Asked { keys, .. }) = inner else { return };
    let plain: Value = serde_json::from_slice(bytes).expect("what is read is JSON");
    assert!(plain.is_object());
    match keys {
        Wanted::Issued(issued) => {
            assert!((1..=32).contains(&issued.tracks.len()));
            let named = plain["tracks"].as_array().expect("tracks have one spelling");
            for (track, named) in issued.tracks.iter().zip(named) {
                assert_eq!(named["type"], track.label);
            }
            if let Some(periods) = issued.periods {
                assert!(periods.last - periods.first < 128);
                assert_ne!(periods.seconds, Some(0));
            }
            assert!(!issued.content.as_str().is_empty());
        }
        Wanted::Read(kids) => assert!((1..=64).contains(&kids.len())),
    }
});
