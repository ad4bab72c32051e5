//! CPIX and SPEKE by a library in another language, and documents that are imported. The commands and requests are those of
//! docs/packagers.

use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::film::CONTENT;
use crate::film::provisioned;
use crate::installation::{Installation, tool};

/// Names the folder with the schema of CPIX 2.4, which is not the project's to carry: `cpix.xsd` and the three beside it, from
/// the public repository of DASH-IF.
const SCHEMA: &str = "REELKEY_CPIX_SCHEMA";

const NAME: &str = "encoder";
const SECRET: &str = "a-secret-of-the-tests";

/// A packager for all contents, by the command of the guides.
fn packager(installation: &Installation) {
    let secret = installation.write("encoder.secret", SECRET.as_bytes());
    let secret = secret.to_str().unwrap();
    let words =
        ["packager", "add", NAME, "--content", "*", "--policy", "default", "--secret-file", secret];
    installation.succeed(&words);
}

/// Lets the library ask for the keys of a content by every way, and returns them.
fn asked_by_python(url: &str, content: &str) -> Vec<Value> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/playback/cpix_client.py");
    let mut command = Command::new(tool("python/bin/python"));
    command.arg(script).args([url, NAME, SECRET, content]);
    match env::var_os(SCHEMA) {
        Some(folder) => drop(command.arg(Path::new(&folder).join("cpix.xsd"))),
        None => println!(
            "NOT TRIED: answers against the schema of CPIX 2.4, because {SCHEMA} names no folder"
        ),
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice::<Value>(&output.stdout).unwrap().as_array().unwrap().clone()
}

#[test]
fn a_library_reads_documents_and_opens_encrypted_ones() {
    let (installation, keys) = provisioned();
    packager(&installation);
    let service = installation.serve();
    let mut read = asked_by_python(&service.url, CONTENT);
    read.sort_by_key(|key| key["track"].to_string());
    let mut imported: Vec<_> = keys
        .iter()
        .map(|key| json!({ "kid": key.kid, "key": key.key, "track": key.label }))
        .collect();
    imported.sort_by_key(|key| key["track"].to_string());
    assert_eq!(read, imported);
    // A title that nobody has added gets keys of three tracks.
    let made = asked_by_python(&service.url, "movies/made-by-asking");
    let tracks: Vec<_> = made.iter().map(|key| key["track"].as_str().unwrap()).collect();
    assert_eq!(tracks, ["AUDIO", "SD", "HD"]);
}

#[test]
fn a_document_is_got_and_imported_elsewhere() {
    let (installation, keys) = provisioned();
    packager(&installation);
    let service = installation.serve();
    let document = installation.data.path().join("bunny.cpix");
    let (status, text) = service.send("GET", &format!("/v1/keys/cpix/{CONTENT}"), SECRET, "");
    assert_eq!(status, 200, "{text}");
    fs::write(&document, text).unwrap();
    let other = Installation::new();
    let from = document.to_str().unwrap();
    let imported = other.succeed(&["key", "import", "--from", from, "--policy", "default"]);
    assert_eq!(imported, json!({ "stored": 2, "already": 0 }));
    let again = other.succeed(&["key", "import", "--from", from]);
    assert_eq!(again, json!({ "stored": 0, "already": 2 }));
    for key in &keys {
        let shown = other.succeed(&["key", "show", &key.kid]);
        assert_eq!(
            (shown["content_id"].as_str(), shown["track_type"].as_str()),
            (Some(CONTENT), Some(key.label))
        );
    }
    // One that names no content takes it from the command, and only it.
    let text = fs::read_to_string(&document).unwrap();
    let nameless = text.replace(&format!(" contentId=\"{CONTENT}\""), "");
    fs::write(&document, &nameless).unwrap();
    assert!(
        other.fail(&["key", "import", "--from", from]).contains("the document names no contentId")
    );
    let third = Installation::new();
    let words = ["key", "import", "movies/third", "--from", from, "--policy", "default"];
    assert_eq!(third.succeed(&words)["stored"], 2);
    for (wrong, what) in [
        (
            nameless.replace("PlainValue", "EncryptedValue"),
            "the keys of this document are encrypted",
        ),
        (nameless.replace("</cpix:CPIX>", ""), "not well-formed"),
        (nameless.replace("<pskc:PlainValue>", "<pskc:PlainValue>A"), "is not 16 bytes in base64"),
        ("<!DOCTYPE x><x/>".to_owned(), "document type"),
    ] {
        fs::write(&document, wrong).unwrap();
        let told = third.fail(&["key", "import", "movies/third", "--from", from]);
        assert!(told.contains(what), "{told}");
    }
    fs::write(&document, "{}\n").unwrap();
    let told = third.fail(&["key", "import", "movies/third", "--from", from]);
    assert!(told.contains("goes with a CPIX document alone"), "{told}");
}

/// The fenced blocks of a guide: language and text.
fn blocks(guide: &str) -> Vec<(&str, &str)> {
    let parts = guide.split("\n```").enumerate().filter(|(at, _)| at % 2 == 1);
    parts.map(|(_, part)| part.split_once('\n').unwrap()).collect()
}

#[test]
fn the_commands_of_the_guides_work_as_they_are_written() {
    let guides = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/packagers");
    let mut run = 0;
    for name in ["cpix.md", "speke.md"] {
        let guide = fs::read_to_string(guides.join(name)).unwrap();
        let installation = Installation::new();
        let folder = tempfile::tempdir().unwrap();
        let service = installation.serve();
        for (language, block) in blocks(&guide) {
            // The first line of a document says how its file is called.
            if let Some(document) = block.strip_prefix("<!-- ") {
                let (file, _) = document.split_once(" -->").unwrap();
                fs::write(folder.path().join(file), block).unwrap();
            }
            let commands = block.lines().filter_map(|line| line.strip_prefix("$ "));
            for command in commands.filter(|_| language == "console") {
                let mut shell = Command::new("bash");
                let asked = command.replace("https://drm.example", &service.url);
                let binary = Path::new(env!("CARGO_BIN_EXE_reelkey")).parent().unwrap();
                shell.args(["-c", &asked]).current_dir(folder.path());
                shell.env("PATH", format!("{}:/usr/bin:/bin", binary.display()));
                let output = shell.env("REELKEY_DATA", installation.data.path()).output().unwrap();
                assert!(output.status.success(), "{name}: {command}: {output:?}");
                run += 1;
            }
        }
    }
    assert!(run >= 12, "{run} commands");
}
