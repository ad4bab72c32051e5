//! Inspection: however a film comes in, and whether its media is left out or not, it is shown the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use reelkey_client::cenc::inspect::Inspector;
use reelkey_client::pssh::Pssh;

/// What is shown of a film that comes in pieces of this size, and how it ended.
fn inspect(film: &[u8], piece: usize, skips: bool) -> String {
    let (mut inspector, mut rest) = (Inspector::new().holding_at_most(1 << 20), film);
    let mut pushed = Ok(());
    while pushed.is_ok() && !rest.is_empty() {
        let (piece, following) = rest.split_at(piece.min(rest.len()));
        pushed = inspector.push(piece);
        let skipped = if skips { inspector.skip(following.len() as u64) } else { 0 };
        rest = &following[skipped as usize..];
    }
    let ended = pushed.and_then(|()| inspector.finish());
    format!("{ended:?} {:?}", inspector.film())
}

fuzz_target!(|bytes: &[u8]| {
    let whole = inspect(bytes, usize::MAX, false);
    assert_eq!(inspect(bytes, 7, false), whole);
    assert_eq!(inspect(bytes, 100, true), whole);
    if let Some(pssh) = Pssh::parse_body(bytes) {
        drop(pssh.contents());
    }
});
