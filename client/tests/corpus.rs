//! A corpus of real files from many packagers, each with its keys and the hashes of its clear samples.
//!
//! It is too large to ship. The test runs where the folder is: `REELKEY_CORPUS`, or `shared/corpus`
//! beside the checkout.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test may fail, and say what it saw"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use reelkey_client::cenc::boxes::Boxes;
use reelkey_client::cenc::stream::append_to;
use reelkey_client::cenc::{Init, Keys, Stream};
use reelkey_client::key::ContentKey;
use serde_json::Value;
use sha2::{Digest, Sha256};

fn corpus() -> Option<PathBuf> {
    #[expect(clippy::disallowed_methods, reason = "a test is configured by its environment")]
    let named = std::env::var("REELKEY_CORPUS").map(PathBuf::from);
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpus");
    let folder = named.unwrap_or_else(|_| beside()).join("public");
    folder.join("manifest.json").exists().then_some(folder)
}

/// The whole file by pieces, where it can be read in one go.
fn stream(keys: &Keys, init: Option<Init>, media: &[u8]) -> Option<Vec<u8>> {
    let boxes: Vec<_> = Boxes::of(media).collect::<Result<_, _>>().ok()?;
    let of = |kind: &[u8; 4]| boxes.iter().filter(|this| this.kind.0 == *kind).collect::<Vec<_>>();
    let mut stream = match (init, of(b"moof").is_empty(), of(b"moov").as_slice()) {
        (Some(init), ..) => Stream::with_init(keys, init),
        (None, true, [moov]) => {
            let bodies: Vec<_> = of(b"mdat").iter().map(|mdat| mdat.body_at..mdat.end()).collect();
            Stream::with_table(keys, &media[moov.at..moov.end()], &bodies).ok()??
        }
        _ => Stream::new(keys),
    };
    let mut clear = Vec::new();
    for piece in media.chunks(1000) {
        stream.push(piece, append_to(&mut clear)).ok()?;
    }
    stream.finish(append_to(&mut clear)).ok()?;
    Some(clear)
}

/// The clear samples' hash of each track, or why there is none.
fn decrypt(folder: &Path, entry: &Value) -> Result<BTreeMap<String, String>, String> {
    let mut keys = Keys::default();
    for pair in entry["keys"].as_array().unwrap() {
        let (kid, key) = pair.as_str().unwrap().split_once(':').unwrap();
        if let Ok(kid) = kid.parse() {
            keys.insert(kid, ContentKey::parse_hex(key).unwrap());
        }
    }
    let mut media = fs::read(folder.join(entry["file"].as_str().unwrap())).unwrap();
    let init = entry["init"].as_str().map(|init| fs::read(folder.join(init)).unwrap());
    let init = Init::parse(init.as_deref().unwrap_or(&media)).map_err(|e| e.to_string())?;
    let separate = Some(init.clone()).filter(|_| !entry["init"].is_null());
    let streamed = stream(&keys, separate, &media);
    let plan = init.plan(&media).map_err(|error| error.to_string())?;
    plan.decrypt(&keys, &mut media).map_err(|error| error.to_string())?;

    if entry["init"].is_null() {
        init.clear(&mut media);
        // What came out is a clear file with the same samples at the same places.
        let again = Init::parse(&media).unwrap();
        assert!(again.plan(&media).unwrap().samples().eq(plan.samples()), "{}", entry["file"]);
        again.plan(&media).unwrap().decrypt(&Keys::default(), &mut media.clone()).unwrap();
    }
    if let Some(streamed) = streamed {
        assert!(streamed == media, "{}: a stream comes out otherwise", entry["file"]);
        println!("{}: also as a stream", entry["file"]);
    }
    let mut hashes: BTreeMap<u32, Sha256> = BTreeMap::new();
    for sample in plan.samples() {
        hashes.entry(sample.track_id).or_default().update(&media[sample.bytes]);
    }
    let hex = |hash: Sha256| hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(hashes.into_iter().map(|(track, hash)| (track.to_string(), hex(hash))).collect())
}

fn expected(entry: &Value) -> BTreeMap<String, String> {
    let tracks = entry["tracks"].as_object().into_iter().flatten();
    tracks.map(|(track, facts)| (track.clone(), facts["sha256"].as_str().unwrap().into())).collect()
}

#[test]
fn every_file_decrypts_right_or_ends_in_an_error() {
    let Some(folder) = corpus() else {
        eprintln!("no corpus here; set REELKEY_CORPUS to its folder to run this test");
        return;
    };
    let manifest: Value =
        serde_json::from_slice(&fs::read(folder.join("manifest.json")).unwrap()).unwrap();
    let (mut required, mut right, mut refused) = (0, 0, 0);
    for entry in manifest["files"].as_array().unwrap() {
        let (file, expect) = (entry["file"].as_str().unwrap(), entry["expect"].as_str().unwrap());
        // "quirk": a packager's mistake, which other readers treat in different ways.
        let must = expect == "ok";
        required += usize::from(must);
        match decrypt(&folder, entry) {
            Ok(tracks) if expect == "no-crash" => println!("{file}: {} tracks", tracks.len()),
            Ok(tracks) if expect.starts_with("error") => panic!("{file}: {tracks:?}, not an error"),
            Ok(tracks) => {
                assert_eq!(tracks, expected(entry), "{file}: garbage without an error");
                right += 1;
            }
            Err(error) => {
                assert!(!must, "{file}: {error}");
                println!("{file}: {error}");
                refused += 1;
            }
        }
    }
    println!("{right} right, {refused} refused, {required} required");
    assert_eq!(required, 66, "the corpus has changed");
}
