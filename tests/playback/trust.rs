//! What the service trusts: whose keys are whose, where files lie, who may write them, and who answers at the socket.

use std::fs::{self, Permissions};
use std::io::Read;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::film::{CONTENT, obtain, provisioned};
use crate::installation::{Installation, REELKEY};

/// A user that owns nothing else.
const OTHER: u32 = 65534;

fn is_root() -> bool {
    let root = fs::metadata("/proc/self").unwrap().uid() == 0;
    if !root {
        println!("not tried: this needs root");
    }
    root
}

fn config(installation: &Installation) -> String {
    fs::read_to_string(installation.data.path().join("reelkey.toml")).unwrap()
}

fn entry(listed: &Value, iss: &str) -> Value {
    let entries = listed.as_array().unwrap().iter();
    entries.into_iter().find(|entry| entry["iss"] == iss).unwrap().clone()
}

/// Everything in a folder, with whom it belongs to.
fn all_below(folder: &Path) -> Vec<(PathBuf, u32, u32)> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let found = fs::symlink_metadata(&path).unwrap();
        all.push((path.clone(), found.uid(), found.gid()));
        if found.is_dir() {
            all.extend(all_below(&path));
        }
    }
    all
}

#[test]
fn no_name_of_an_issuer_is_cut_and_no_file_written_over() {
    let installation = Installation::new();
    let keys = installation.data.path().join("keys/issuers");
    let iss = "https://long.example/".to_owned() + &"a".repeat(200);
    installation.succeed(&["issuer", "add", &iss, "--dev", "--content", "*"]);
    let jwks = entry(&installation.succeed(&["issuer", "list"]), &iss)["jwks"].clone();
    let file = installation.data.path().join(jwks.as_str().unwrap());
    let stem = file.file_name().unwrap().to_str().unwrap();
    let hash = stem.trim_end_matches(".jwks.json").rsplit('-').next().unwrap();
    assert_eq!(hash.len(), 64, "the whole SHA-256: {stem}");
    let own = fs::read(&file).unwrap();

    // Another issuer's configuration names the file that this one's copy would get.
    installation.succeed(&["issuer", "remove", &iss]);
    fs::write(&file, &own).unwrap();
    let other = "[[issuer]]\niss = \"https://other.example\"\njwks = \"";
    let more = "\"\nalgorithms = [\"ES256\"]\ncontent = [\"*\"]\n";
    installation.configure(&format!("{other}{}{more}", jwks.as_str().unwrap()));
    installation.succeed(&["issuer", "add", &iss, "--dev", "--content", "*"]);
    assert_eq!(fs::read(&file).unwrap(), own, "the other's keys are what they were");
    let listed = installation.succeed(&["issuer", "list"]);
    assert_ne!(entry(&listed, &iss)["jwks"], jwks);
    installation.succeed(&["issuer", "remove", &iss]);
    assert_eq!(fs::read(&file).unwrap(), own);

    // A file that nobody names is no less somebody's.
    installation.succeed(&["issuer", "remove", "https://other.example"]);
    assert_eq!(fs::read_dir(&keys).unwrap().count(), 1, "the development issuer's");
    fs::write(&file, "a note").unwrap();
    installation.succeed(&["issuer", "add", &iss, "--dev", "--content", "*"]);
    assert_eq!(fs::read(&file).unwrap(), b"a note");
    installation.mint(&["--issuer", &iss, "--content", "movies/x"]);
}

/// Renames an issuer's files to what earlier versions called them.
fn with_earlier_names(installation: &Installation) -> String {
    let data = installation.data.path();
    let listed = installation.succeed(&["issuer", "list"]);
    let jwks = listed[0]["jwks"].as_str().unwrap();
    let stem = Path::new(jwks).file_name().unwrap().to_str().unwrap();
    let stem = stem.trim_end_matches(".jwks.json");
    let (readable, hash) = stem.rsplit_once('-').unwrap();
    let earlier = format!("{readable}-{}", &hash[..8]);
    fs::rename(data.join(jwks), data.join(format!("keys/issuers/{earlier}.jwks.json"))).unwrap();
    let dev = |stem: &str| data.join(format!("keys/dev/{stem}.jwk.json"));
    fs::rename(dev(stem), dev(&earlier)).unwrap();
    let text = config(installation).replace(stem, &earlier);
    fs::write(data.join("reelkey.toml"), text).unwrap();
    earlier
}

#[test]
fn the_files_of_earlier_versions_are_found_by_whom_they_belong_to() {
    let installation = Installation::new();
    let earlier = with_earlier_names(&installation);
    let dev = installation.data.path().join(format!("keys/dev/{earlier}.jwk.json"));
    installation.mint(&["--content", "movies/bunny"]);
    let add = ["issuer", "add", "https://auth.example", "--dev", "--content", "movies/*"];
    assert_eq!(installation.succeed(&add)["created"], false);

    // Under that name may be a key of another issuer, whose hash begins alike.
    let other = Installation::new();
    let name = with_earlier_names(&other);
    let own = fs::read(&dev).unwrap();
    fs::copy(other.data.path().join(format!("keys/dev/{name}.jwk.json")), &dev).unwrap();
    let said = installation.fail(&["token", "mint", "--sub", "a", "--content", "movies/bunny"]);
    assert!(said.contains("--dev"), "{said}");
    installation.succeed(&["issuer", "remove", "https://auth.example"]);
    assert!(dev.exists(), "another issuer's key is not deleted");
    fs::write(&dev, own).unwrap();
}

#[test]
fn a_file_outside_the_folder_is_neither_read_nor_deleted() {
    let installation = Installation::new();
    let outside = tempfile::tempdir().unwrap();
    let victim = outside.path().join("victim");
    fs::write(&victim, "not yours").unwrap();
    let data = installation.data.path();
    symlink(outside.path(), data.join("keys/issuers/link")).unwrap();
    symlink(data.join("nowhere"), data.join("keys/issuers/dangling")).unwrap();
    let before = config(&installation);
    let up = "../".repeat(12);
    for file in [
        victim.to_str().unwrap().to_owned(),
        format!("keys/issuers/{up}{}", victim.strip_prefix("/").unwrap().display()),
        "keys/issuers/link/victim".to_owned(),
        "keys/issuers/dangling".to_owned(),
        String::new(),
    ] {
        for table in [
            format!(
                "[[issuer]]\niss = \"x\"\njwks = \"{file}\"\nalgorithms = [\"ES256\"]\ncontent = [\"*\"]\n"
            ),
            format!(
                "[[issuer]]\niss = \"x\"\nsecret_file = \"{file}\"\nalgorithms = [\"HS256\"]\ncontent = [\"*\"]\n"
            ),
            format!("[tls]\ncertificate = \"{file}\"\nkey = \"keys/root.key\"\n"),
            format!("[tls]\ncertificate = \"keys/root.key\"\nkey = \"{file}\"\n"),
        ] {
            installation.configure(&table);
            for words in [&["issuer", "remove", "x"][..], &["serve", "--listen", "127.0.0.1:0"]] {
                let said = installation.fail(words);
                assert!(said.contains("not in the data folder"), "{table}: {said}");
            }
            fs::write(data.join("reelkey.toml"), &before).unwrap();
        }
    }
    assert_eq!(fs::read(&victim).unwrap(), b"not yours");
}

#[test]
fn what_others_may_write_is_refused_at_start_at_reload_and_by_the_doctor() {
    let (installation, _) = provisioned();
    let data = installation.data.path().to_owned();
    let dev = fs::read_dir(data.join("keys/dev")).unwrap().next().unwrap().unwrap().path();
    let jwks = fs::read_dir(data.join("keys/issuers")).unwrap().next().unwrap().unwrap().path();
    let policy = data.join("policies/default.toml");
    let service = installation.serve();
    let add = ["issuer", "add", "https://auth.example", "--dev", "--content", "movies/*"];
    for path in [
        data.clone(),
        data.join("reelkey.toml"),
        data.join("policies"),
        policy.clone(),
        data.join("keys"),
        data.join("keys/root.key"),
        data.join("store"),
        jwks,
        dev,
    ] {
        let before = fs::metadata(&path).unwrap().permissions();
        for mode in [before.mode() | 0o020, before.mode() | 0o002] {
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            let shown = format!("chmod go-w {}", path.display());
            let mode = format!("{:04o}", mode & 0o7777);
            for words in [&["serve", "--listen", "127.0.0.1:0"][..], &add] {
                let said = installation.fail(words);
                assert!(said.contains(&shown) && said.contains(&mode), "{words:?}: {said}");
            }
            let output = installation.run(&["doctor"]);
            assert!(!output.status.success());
            assert!(String::from_utf8_lossy(&output.stdout).contains(&shown), "{output:?}");
        }
        fs::set_permissions(&path, before).unwrap();
    }
    installation.succeed(&add);
    if is_root() {
        chown(&policy, Some(OTHER), None).unwrap();
        let said = installation.fail(&["serve", "--listen", "127.0.0.1:0"]);
        assert!(said.contains("belongs to uid 65534") && said.contains("chown"), "{said}");
        chown(&policy, Some(0), None).unwrap();
    }
    service.terminate();
}

#[test]
fn no_umask_and_no_group_above_stands_in_the_way() {
    let above = tempfile::tempdir().unwrap();
    let data = above.path().join("data");
    if is_root() {
        chown(above.path(), Some(OTHER), Some(OTHER)).unwrap();
    }
    let careless = |words: &[&str]| {
        let mut command = Command::new("sh");
        command.args(["-c", "umask 000; exec \"$@\"", "sh", REELKEY]).args(words).env_clear();
        if words != ["demo"] {
            command.arg("--data").arg(&data);
        }
        command.output().unwrap()
    };
    fs::set_permissions(above.path(), Permissions::from_mode(0o775)).unwrap();
    for words in [
        &["init"][..],
        &["issuer", "add", "https://auth.example", "--dev", "--content", "movies/*"],
        &["content", "add", CONTENT, "--policy", "default"],
        &["key", "generate", CONTENT, "--track", "SD"],
        &["root", "rotate"],
        &["doctor"],
        &["demo"],
    ] {
        let output = careless(words);
        assert!(output.status.success(), "{words:?}: {output:?}");
    }
    for (path, ..) in all_below(&data) {
        let mode = fs::symlink_metadata(&path).unwrap().mode();
        assert_eq!(mode & 0o022, 0, "{} {mode:o}", path.display());
    }
    fs::set_permissions(above.path(), Permissions::from_mode(0o777)).unwrap();
    let output = careless(&["serve", "--listen", "127.0.0.1:0"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains(&format!("chmod go-w {}", above.path().display())), "{said}");
    // Before anything is made in it.
    let new = above.path().join("new");
    fs::create_dir(&new).unwrap();
    let output = Command::new(REELKEY).args(["init", "--data"]).arg(&new).output().unwrap();
    assert!(!output.status.success() && fs::read_dir(&new).unwrap().next().is_none());
}

#[test]
fn a_false_admin_socket_gets_no_key() {
    if !is_root() {
        return;
    }
    let (installation, _) = provisioned();
    let socket = installation.data.path().join("admin.sock");
    let open = |mode| {
        fs::set_permissions(installation.data.path(), Permissions::from_mode(mode)).unwrap();
    };
    let import = ["key", "import", CONTENT, "--kid", "4d97930a-3d7b-5000-8000-5c7bda1f0b22"];
    let import = [&import[..], &["--key", "000102030405060708090a0b0c0d0e0f"]].concat();
    // Another user listens there: a process of their own, as nobody can listen in another's name.
    open(0o777);
    let script = "use Socket; $| = 1; socket(S, PF_UNIX, SOCK_STREAM, 0) or die;\n\
        bind(S, sockaddr_un($ARGV[0])) or die; listen(S, 5) or die; print qq(ready\\n);\n\
        accept(C, S); print sysread(C, $heard, 1 << 20);";
    let mut other = Command::new("/usr/bin/perl");
    other.args(["-e", script]).arg(&socket).uid(OTHER).gid(OTHER);
    let mut other = other.stdout(std::process::Stdio::piped()).spawn().unwrap();
    let mut ready = [0; 6];
    other.stdout.as_mut().unwrap().read_exact(&mut ready).unwrap();
    let said = installation.fail(&import);
    assert!(said.contains("chmod go-w"), "a folder that others may write: {said}");
    open(0o700);
    let said = installation.fail(&import);
    assert!(said.contains("uid 65534 answers") && said.contains("nothing was sent"), "{said}");
    let mut heard = String::new();
    other.stdout.take().unwrap().read_to_string(&mut heard).unwrap();
    assert_eq!(heard.trim(), "0", "not a byte");
    other.wait().unwrap();
    // One that nobody answers any more is passed over.
    fs::remove_file(&socket).unwrap();
    drop(UnixListener::bind(&socket).unwrap());
    installation.succeed(&["key", "list"]);
}

#[test]
fn what_root_makes_belongs_to_the_folders_owner() {
    if !is_root() {
        return;
    }
    let (installation, _) = provisioned();
    let data = installation.data.path();
    chown(data, Some(OTHER), Some(OTHER)).unwrap();
    for (path, ..) in all_below(data) {
        std::os::unix::fs::lchown(path, Some(OTHER), Some(OTHER)).unwrap();
    }
    // Where the other user may execute it.
    let bin = tempfile::tempdir().unwrap();
    fs::set_permissions(bin.path(), Permissions::from_mode(0o755)).unwrap();
    let reelkey = bin.path().join("reelkey");
    fs::copy(REELKEY, &reelkey).unwrap();
    let serve = || {
        let mut command = Command::new(&reelkey);
        command.env_clear().uid(OTHER).gid(OTHER);
        installation.start_by(command, "127.0.0.1:0", "info")
    };
    let is_theirs = |after: &str| {
        for (path, uid, gid) in all_below(data) {
            // The files that the test itself has put there.
            if path.ends_with("service.log") || path.ends_with("secret") {
                continue;
            }
            assert_eq!((uid, gid), (OTHER, OTHER), "{} after {after}", path.display());
        }
    };
    let secret = installation.write("secret", "s".repeat(40).as_bytes());
    fs::set_permissions(&secret, Permissions::from_mode(0o600)).unwrap();
    let secret = secret.to_str().unwrap();
    for running in [false, true] {
        let service = running.then(serve);
        let [dev, own] =
            [format!("https://dev{running}.example"), format!("https://own{running}.example")];
        for words in [
            &["init"][..],
            &["issuer", "add", &dev, "--dev", "--content", "*"],
            &["issuer", "add", &own, "--secret-file", secret, "--content", "*"],
            &["issuer", "update", &own, "--content", "movies/*"],
            &["key", "generate", CONTENT, "--track", "SD"],
            &["kek", "rotate"],
            &["signer", "rotate", "--now"],
            &["root", "rotate"],
            &["content", "list"],
        ] {
            // `init` opens the store, which the service holds.
            if running && words == ["init"] {
                continue;
            }
            installation.succeed(words);
            is_theirs(&words.join(" "));
        }
        if let Some(service) = service {
            service.terminate();
        }
        let token = installation.mint(&["--issuer", "https://auth.example", "--content", CONTENT]);
        let service = serve();
        assert!(
            !obtain(&service, &token).keys.is_empty(),
            "the service reads what root has written"
        );
        service.terminate();
    }
    // Served by root itself, it is the same.
    installation.serve().terminate();
    is_theirs("serve");
}

#[test]
fn an_issuer_gets_new_keys_in_one_step() {
    let (installation, _) = provisioned();
    let service = installation.serve();
    let iss = "https://auth.example";
    let before = entry(&installation.succeed(&["issuer", "list"]), iss);
    let old = installation.mint(&["--content", CONTENT]);
    assert!(!obtain(&service, &old).keys.is_empty());

    // Another installation's issuer of the same name has keys of its own.
    let other = Installation::new();
    let jwks = entry(&other.succeed(&["issuer", "list"]), iss)["jwks"].as_str().unwrap().to_owned();
    let jwks = other.data.path().join(jwks);
    let new = other.mint(&["--content", CONTENT]);
    let refused = |token: &str| service.send("POST", "/v1/license", token, "x").1;
    assert!(refused(&new).contains("token-invalid"));
    let text = config(&installation)
        .replace("content = [\"movies/*\"]", "content = [\"movies/*\"] # ours");
    fs::write(installation.data.path().join("reelkey.toml"), text).unwrap();
    let update = ["issuer", "update", iss, "--jwks", jwks.to_str().unwrap()];
    assert_eq!(installation.succeed(&update)["changed"], true);
    assert!(!obtain(&service, &new).keys.is_empty(), "in force before the command answers");
    assert!(refused(&old).contains("token-invalid"));
    assert_eq!(installation.succeed(&update)["changed"], false);
    let after = entry(&installation.succeed(&["issuer", "list"]), iss);
    for name in ["algorithms", "content", "audience", "longest_token_life"] {
        assert_eq!(after[name], before[name], "{name} was not named, so it stays");
    }
    assert!(config(&installation).contains("# ours"), "comments stay");
    let copies =
        |folder: &str| fs::read_dir(installation.data.path().join(folder)).unwrap().count();
    assert_eq!((copies("keys/issuers"), copies("keys/dev")), (1, 0), "the old files are gone");

    let update = ["issuer", "update", iss, "--content", "series/*", "--longest-token-life", "2h"];
    installation.succeed(&update);
    assert!(refused(&new).contains("not-authorized") || refused(&new).contains("bad-request"));
    let after = entry(&installation.succeed(&["issuer", "list"]), iss);
    assert_eq!(
        (&after["content"], &after["longest_token_life"]),
        (&json!(["series/*"]), &7200.into())
    );

    let said = installation.fail(&["issuer", "update", "https://auht.example", "--content", "*"]);
    assert!(said.contains("no issuer") && said.contains(iss), "{said}");
    let bad = installation.write("bad.jwks", br#"{"keys":[]}"#);
    let unchanged = config(&installation);
    installation.fail(&["issuer", "update", iss, "--jwks", bad.to_str().unwrap()]);
    installation.fail(&["issuer", "update", iss, "--alg", "HS256"]);
    assert_eq!(config(&installation), unchanged);
    assert_eq!(copies("keys/issuers"), 1);
    assert_eq!(installation.run(&["issuer", "update", iss]).status.code(), Some(2));
    service.terminate();
}

#[test]
fn a_public_key_or_a_line_break_is_no_secret() {
    let installation = Installation::new();
    let pem =
        format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", "QUJD".repeat(20));
    let jwk = json!({ "kty": "oct", "k": "A".repeat(43) }).to_string();
    let thirty_one = "x".repeat(31);
    for (text, part) in [
        (pem.clone(), "PEM"),
        (format!("\n\n  {pem}"), "PEM"),
        (jwk.clone(), "JWK"),
        (format!("\u{feff}{jwk}"), "JWK"),
        (format!("ssh-ed25519 {}", "A".repeat(60)), "SSH"),
        (format!("{thirty_one}\n"), "this one has 31"),
        (format!("{thirty_one}\r\n"), "this one has 31"),
        (format!("{thirty_one}\r\n\r\n\n"), "this one has 31"),
        ("\r\n".repeat(40), "this one has 0"),
        (" ".repeat(40), "white space"),
    ] {
        let file = installation.write("secret", text.as_bytes());
        fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
        let file = file.to_str().unwrap();
        let add = ["issuer", "add", "https://own.example", "--content", "*", "--secret-file", file];
        let said = installation.fail(&add);
        assert!(said.contains(part), "{text:?}: {said}");
    }
}
