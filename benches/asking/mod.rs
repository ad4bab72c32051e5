//! A request that is sent over a connection that stays open, and how long its license took.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// Sends a request, and returns how long the license took.
pub(crate) fn ask(stream: &mut TcpStream, request: &str) -> Duration {
    let begun = Instant::now();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = vec![0; 16 * 1024];
    let mut length = 0;
    loop {
        length += stream.read(&mut answer[length..]).unwrap();
        let text = std::str::from_utf8(&answer[..length]).unwrap();
        assert!(text.starts_with("HTTP/1.1 200"), "{text}");
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let declared = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        if declared.unwrap().parse::<usize>().unwrap() == body.len() {
            return begun.elapsed();
        }
    }
}
