//! Boxes in boxes, and the `moov`: every box that is read lies within the bytes that are there, and the KIDs of tracks are
//! those of the `moov`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use reelkey_client::cenc::Init;
use reelkey_client::cenc::boxes::Boxes;

fuzz_target!(|bytes: &[u8]| {
    walk(bytes, Boxes::of(bytes), 0);
    if let Ok(init) = Init::parse(bytes) {
        let kids = init.kids();
        for track in init.tracks() {
            assert!(track.kids().iter().chain(&track.default_kid()).all(|kid| kids.contains(kid)));
        }
        let mut clear = bytes.to_vec();
        init.clear(&mut clear);
        assert_eq!(clear.len(), bytes.len());
        // Behind fields that are no longer skipped, other bytes of an entry may look like a sinf: that is refused again.
        let looks_protected = clear.windows(4).any(|kind| kind == b"sinf");
        let again = Init::parse(&clear);
        assert!(again.is_ok() || looks_protected, "what was cleared is no moov: {again:?}");
    }
});

fn walk(bytes: &[u8], boxes: Boxes<'_>, depth: u8) {
    for this in boxes {
        let Ok(this) = this else { return };
        assert_eq!(bytes.get(this.body_at..this.end()), Some(this.body));
        let mut fields = this.fields();
        while fields.u16().is_ok() {}
        assert!(fields.remaining() < 2);
        if let (true, Ok(children)) = (depth < 20, this.children(usize::from(depth) * 4)) {
            walk(bytes, children, depth + 1);
        }
    }
}
