//! Challenges of PlayReady's AcquirePackagingData: the one identifier that is read is a content ID, and stands there.
#![no_main]

use libfuzzer_sys::fuzz_target;
use reelkey::http::keys::playready::soap::asked;

fuzz_target!(|bytes: &[u8]| {
    let Ok(content) = asked(bytes) else { return };
    let text = std::str::from_utf8(bytes).expect("what is read is text");
    assert!(text.contains(content.as_str()));
    assert!(!text.contains("<!"));
    assert_eq!(text.matches("<ProgramIdentifier>").count(), 1);
});
