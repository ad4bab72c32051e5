//! The demo's page for a stream of one's own: what it needs, and what it serves of the stream's folder.
//!
//! Absent: what the page plays, which `tests/browser/guides.mjs` watches.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;

use crate::installation::{Installation, REELKEY};

/// A request to the page, and the whole answer.
fn ask(port: &str, request: &str) -> String {
    let mut stream = TcpStream::connect(format!("127.0.0.1:{port}")).unwrap();
    let lines = request.replace('\n', "\r\n");
    write!(stream, "{lines}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

fn get(port: &str, path: &str) -> String {
    ask(port, &format!("GET {path} HTTP/1.1\nHost: localhost:{port}"))
}

fn free_port() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string()
}

#[test]
fn the_page_says_what_it_is_missing() {
    let installation = Installation::new();
    let port = free_port();
    let [film, clip] = ["film.mpd", "clip.mp4"]
        .map(|name| installation.write(name, b"anything").display().to_string());
    let begin = ["demo", "--serve", "--port", &port, "--content", "movies/film", "--stream"];
    let page = |more: &[&str]| installation.fail(&[&begin[..], more].concat());
    assert!(page(&["nowhere.mpd"]).contains("nowhere.mpd: "), "the file");
    let said = page(&[&film, "--player", "nowhere.js"]);
    assert!(said.contains("nowhere.js") && said.contains("npm install shaka-player"), "{said}");
    let said = page(&[&clip]);
    let line = format!("allowed_origins = [\"http://localhost:{port}\"]");
    assert!(said.contains(&line) && said.contains("reelkey reload"), "{said}");
    let unread = |words: &[&str], what: &str| {
        let output = installation.run(words);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(2) && said.contains(what), "{words:?}: {said}");
    };
    unread(&[&begin[..], &[&clip, "--service", "drm.example"]].concat(), "https://HOST");
    unread(&["demo", "--serve", "--stream", &clip], "--content");
    unread(&["demo", "--stream", &clip, "--content", "movies/film"], "--serve");
}

#[test]
fn the_page_serves_media_and_nothing_else_of_its_folder() {
    let installation = Installation::new();
    let port = free_port();
    installation.configure(&format!("[cors]\nallowed_origins = [\"http://localhost:{port}\"]\n"));
    // The worst folder: the one that has the service's own keys.
    let film = installation.write("film.mpd", b"<MPD/>").display().to_string();
    installation.write("a.mp4", b"0123456789");
    let player = installation.write("player.js", b"// a player").display().to_string();
    let words = ["demo", "--serve", "--port", &port, "--content", "movies/film"];
    let more = ["--stream", &film, "--player", &player];
    let mut command = Command::new(REELKEY);
    command.args(words).args(more);
    let service = installation.start_as(command);
    assert!(get(&port, "/").contains("Your stream"));
    assert!(get(&port, "/player.js").ends_with("// a player"));
    let answer = get(&port, "/stream/film.mpd");
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("<MPD/>"), "{answer}");
    let range = format!("GET /stream/a.mp4 HTTP/1.1\nHost: localhost:{port}\nRange: bytes=2-4");
    let answer = ask(&port, &range);
    assert!(answer.starts_with("HTTP/1.1 206") && answer.ends_with("234"), "{answer}");
    for path in [
        "/stream/reelkey.toml",
        "/stream/keys/root.key",
        "/stream/keys/root.key?a.mp4",
        "/stream/keys%2Froot.key",
        "/stream/../film.mpd",
        "/stream/%2e%2e/film.mpd",
        "/stream/keys",
        "/stream/",
        "/stream",
        "/stream/none.mp4",
    ] {
        let answer = get(&port, path);
        assert!(answer.starts_with("HTTP/1.1 404"), "{path}: {answer}");
    }
    for request in [
        "GET /stream/film.mpd HTTP/1.1\nHost: evil.example".to_owned(),
        format!("POST /api/token HTTP/1.1\nHost: localhost:{port}\nContent-Length: 0"),
        format!(
            "POST /api/token HTTP/1.1\nHost: localhost:{port}\nOrigin: https://evil.example\nContent-Length: 0"
        ),
    ] {
        let answer = ask(&port, &request);
        assert!(answer.starts_with("HTTP/1.1 403"), "{request}: {answer}");
    }
    let own = |action: &str| {
        let origin = format!("Host: localhost:{port}\nOrigin: http://localhost:{port}");
        ask(&port, &format!("POST /api/{action} HTTP/1.1\n{origin}\nContent-Length: 0"))
    };
    assert!(own("start").contains("\"media\":\"stream/film.mpd\""), "{}", own("start"));
    let token = own("token?region=US&jkt=NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
    assert!(token.contains("\"region\":\"US\"") && token.contains("movies/film"), "{token}");
    // What the page sends is a value, whatever it looks like.
    let answer = own("token?region=--data%3D/tmp");
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    assert!(own("rotate").starts_with("HTTP/1.1 400"));
    service.terminate();
}
