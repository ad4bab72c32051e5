//! The demo's page for a stream of one's own: what it needs, and what it serves of the stream's folder.
//!
//! Absent: what the page plays, which `tests/browser/guides.mjs` watches.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::symlink;
use std::process::Command;

use crate::installation::{Installation, REELKEY, free_port};

/// A request to the page, and the whole answer.
fn ask(port: &str, request: &str) -> String {
    let mut stream = TcpStream::connect(format!("127.0.0.1:{port}")).unwrap();
    let lines = request.replace('\n', "\r\n");
    write!(stream, "{lines}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn the_page_says_what_it_is_missing() {
    let installation = Installation::new();
    let port = free_port();
    let [film, clip, player] = ["film.mpd", "clip.mp4", "player.js"]
        .map(|name| installation.write(name, b"anything").display().to_string());
    let begin = ["demo", "--serve", "--port", &port, "--content", "movies/film", "--stream"];
    let page = |more: &[&str]| installation.fail(&[&begin[..], more].concat());
    assert!(page(&["nowhere.mpd"]).contains("nowhere.mpd: "), "the file");
    assert!(page(&[&clip]).contains(".mpd or .m3u8"), "no stream");
    let said = page(&[&film, "--player", "nowhere.js"]);
    assert!(said.contains("nowhere.js") && said.contains("npm install"), "{said}");
    let said = page(&[&film, "--player", &player, "--issuer", "https://other.example"]);
    assert!(said.contains("name one with --issuer"), "{said}");
    let said = page(&[&film, "--player", &player]);
    let line = format!("add \"http://localhost:{port}\" to allowed_origins of [cors]");
    assert!(said.contains(&line) && said.contains("reelkey reload"), "{said}");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let more = ["--content", "movies/film", "--player", &player, "--stream", &film];
    let said = installation.fail(&[&["demo", "--serve", "--port", &port][..], &more].concat());
    assert!(said.contains(&port) && said.contains("--port"), "{said}");
    let unread = |words: &[&str], what: &str| {
        let output = installation.run(words);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(2) && said.contains(what), "{words:?}: {said}");
    };
    unread(&[&begin[..], &[&film, "--service", "drm.example"]].concat(), "https://HOST");
    unread(&["demo", "--serve", "--stream", &film], "--content");
    unread(&["demo", "--stream", &film, "--content", "movies/film"], "--serve");
}

#[test]
fn the_page_serves_media_and_nothing_else_and_only_to_who_knows_its_secret() {
    let installation = Installation::new();
    let port = free_port();
    installation.configure(&format!("[cors]\nallowed_origins = [\"http://localhost:{port}\"]\n"));
    // The worst folder: the one that has the service's own keys.
    let film = installation.write("film.mpd", b"<MPD/>").display().to_string();
    installation.write("a b.mp4", b"0123456789");
    let links = [("key.mp4", "keys/root.key"), ("out.mp4", "/etc/hostname"), ("in.mp4", "a b.mp4")];
    for (name, target) in links {
        symlink(target, installation.data.path().join(name)).unwrap();
    }
    let player = installation.write("player.js", b"// a player").display().to_string();
    let words = ["demo", "--serve", "--port", &port, "--content", "movies/film"];
    let mut command = Command::new(REELKEY);
    command.args(words).args(["--stream", &film, "--player", &player]);
    let service = installation.start_as(command);
    let (page, secret) = service.url.split_once('#').unwrap();
    assert_eq!(page, format!("http://localhost:{port}/"));
    let get = |path: &str| ask(&port, &format!("GET {path} HTTP/1.1\nHost: localhost:{port}"));
    assert!(get("/").contains("Your stream"));
    assert!(get("/player.js").ends_with("// a player"));
    let media = |name: &str| get(&format!("/stream/{secret}/{name}"));
    let answer = media("film.mpd");
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("<MPD/>"), "{answer}");
    assert!(answer.contains("cross-origin-resource-policy: same-origin"), "{answer}");
    let range = "HTTP/1.1\nRange: bytes=2-4";
    let range = format!("GET /stream/{secret}/a%20b.mp4 {range}\nHost: localhost:{port}");
    let answer = ask(&port, &range);
    assert!(answer.starts_with("HTTP/1.1 206") && answer.ends_with("234"), "{answer}");
    assert!(media("in.mp4").ends_with("0123456789"), "a link within the folder");
    for name in [
        "reelkey.toml",
        "keys/root.key",
        "keys/root.key?a.mp4",
        "keys%2Froot.key",
        "../film.mpd",
        "%2e%2e/film.mpd",
        "key.mp4",
        "out.mp4",
        "keys",
        "",
        "none.mp4",
        "a%00.mp4",
    ] {
        let answer = media(name);
        assert!(answer.starts_with("HTTP/1.1 404"), "{name}: {answer}");
    }
    for path in ["/stream/film.mpd", "/stream/AAAAAAAAAAAAAAAAAAAAAA/film.mpd", "/stream/"] {
        assert!(get(path).starts_with("HTTP/1.1 404"), "{path}");
    }
    let own = |action: &str, origin: &str, secret: &str| {
        let head = format!("Host: localhost:{port}\nOrigin: {origin}\nX-Demo-Secret: {secret}");
        ask(&port, &format!("POST /api/{action} HTTP/1.1\n{head}\nContent-Length: 0"))
    };
    let origin = format!("http://localhost:{port}");
    let act = |action: &str| own(action, &origin, secret);
    for answer in [
        own("token", &origin, "AAAAAAAAAAAAAAAAAAAAAA"),
        own("token", &origin, ""),
        own("token", "https://evil.example", secret),
        ask(&port, "GET / HTTP/1.1\nHost: evil.example"),
    ] {
        assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
    }
    assert!(act("start").contains("\"name\":\"film.mpd\""), "{}", act("start"));
    let token = act("token?region=US&jkt=NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
    assert!(token.contains("\"region\":\"US\"") && token.contains("movies/film"), "{token}");
    // What the page sends is a value, whatever it looks like.
    assert!(act("token?region=--data%3D/tmp").starts_with("HTTP/1.1 400"));
    assert!(act("rotate").starts_with("HTTP/1.1 400"));
    service.terminate();
}
