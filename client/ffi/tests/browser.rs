//! The same interface as WebAssembly: Node.js, whose engine is Chromium's, plays the demonstration's clips with it.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test may fail where its expectation does"
)]

mod built;

use std::fs;
use std::path::Path;
use std::process::Command;

use reelkey_client::cenc::{Keys, decrypt_file};
use reelkey_client::key::ContentKey;

const KID: &str = "5ee1ce7a0d3b4c5d8e6f708192a3b4c5";
const KEY: &str = "0f1e2d3c4b5a69788796a5b4c3d2e1f0";

#[test]
fn a_page_plays_what_the_client_plays() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let node = root.join("../../target/tools/bin/node");
    assert!(node.exists(), "{} is missing; run tests/tools/install", node.display());
    let target = "wasm32-unknown-unknown";
    let rustup =
        Command::new("rustup").args(["--quiet", "target", "add", target]).status().unwrap();
    assert!(rustup.success(), "rustup cannot add {target}");
    let library = built::library(&["--no-default-features", "--target", target], "reelkey_c.wasm");
    let folder = tempfile::tempdir().unwrap();
    let (streamed, placed) = (folder.path().join("streamed"), folder.path().join("placed"));
    for scheme in ["cenc", "cbcs"] {
        let film = root.join("../../src/cli/demo/clip").join(scheme).join("video.mp4");
        let play = |pairs: &[String]| {
            let mut player = Command::new(&node);
            player.arg(root.join("tests/play.mjs")).arg(&library).arg(&film);
            let played = player.arg(&streamed).arg(&placed).args(pairs).output().unwrap();
            assert!(played.status.success(), "{}", String::from_utf8_lossy(&played.stderr));
            [&streamed, &placed].map(|path| fs::read(path).unwrap())
        };
        let keys: Keys =
            [(KID.parse().unwrap(), ContentKey::parse_hex(KEY).unwrap())].into_iter().collect();
        let mut clear = fs::read(&film).unwrap();
        decrypt_file(&keys, &mut clear).unwrap();
        assert!(play(&[format!("{KID}:{KEY}")]) == [clear.clone(), clear], "{scheme}");

        let error = decrypt_file(&Keys::default(), &mut fs::read(&film).unwrap()).unwrap_err();
        let words = format!("error: {error}").into_bytes();
        assert!(play(&[]) == [words.clone(), words], "{scheme} without the key");
    }
}
