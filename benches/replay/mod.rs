//! A service that answers at once: it passes a request on the first time, and later repeats the answer.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// The answer to each request: the key is the request's body.
type Answers = Arc<Mutex<HashMap<Vec<u8>, Vec<u8>>>>;

/// Serves, in threads of this process, for as long as it runs. Returns its address.
pub(crate) fn replay(service: &str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (service, answers) = (service.to_owned(), Answers::default());
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (service, answers) = (service.clone(), Arc::clone(&answers));
            thread::spawn(move || connection(stream.unwrap(), &service, &answers));
        }
    });
    address
}

/// Requests of one connection, in chunks, as Shaka Packager sends them.
fn connection(mut stream: TcpStream, service: &str, answers: &Answers) {
    stream.set_nodelay(true).unwrap();
    while let Some(request) = message(&mut stream, |head, body| {
        assert!(head.to_lowercase().contains("transfer-encoding: chunked"), "{head}");
        body.ends_with(b"0\r\n\r\n")
    }) {
        let head = request.windows(4).position(|end| end == b"\r\n\r\n").unwrap();
        let body = request[head..].to_vec();
        let known = answers.lock().unwrap().get(&body).cloned();
        let answer = known.unwrap_or_else(|| {
            let mut upstream = TcpStream::connect(service).unwrap();
            upstream.write_all(&request).unwrap();
            let answer = message(&mut upstream, |head, body| {
                let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
                length.unwrap().parse::<usize>().unwrap() == body.len()
            });
            let answer = answer.unwrap();
            answers.lock().unwrap().insert(body, answer.clone());
            answer
        });
        stream.write_all(&answer).unwrap();
    }
}

/// Reads a message until head and body are complete; `None` at the end of the connection.
fn message(stream: &mut TcpStream, is_complete: impl Fn(&str, &[u8]) -> bool) -> Option<Vec<u8>> {
    let (mut bytes, mut part) = (Vec::new(), vec![0; 16 * 1024]);
    loop {
        match stream.read(&mut part).unwrap() {
            0 => return None,
            length => bytes.extend_from_slice(&part[..length]),
        }
        let Some(head) = bytes.windows(4).position(|end| end == b"\r\n\r\n") else { continue };
        if is_complete(std::str::from_utf8(&bytes[..head]).unwrap(), &bytes[head + 4..]) {
            return Some(bytes);
        }
    }
}
