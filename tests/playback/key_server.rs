//! A server of an issuer's keys that answers as a test says: well, badly, or not at all.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use reelkey::crypto::tls::ServerConfig;
use reelkey_client::exchange::device::DeviceKey;
use reelkey_client::strict::base64url;
use serde_json::{Value, json};

use crate::film::{device, now};

/// What every request is answered with.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// 200 and this document.
    Document(String),
    /// This JWK Set, and one more key that is another one each time.
    Rotating(Vec<Value>),
    /// This status.
    Status(u16),
    /// A redirect to the same server.
    Redirect,
    /// So many bytes.
    Long(usize),
    /// The head, half of a body, and the end.
    HangUp,
    /// One byte a second.
    Trickle,
    /// Nothing, until the client goes.
    Silent,
}

/// The server. Its thread ends with the process.
pub(crate) struct KeyServer {
    pub(crate) url: String,
    answer: Arc<Mutex<Answer>>,
    asked: Arc<AtomicUsize>,
}

impl KeyServer {
    pub(crate) fn start(answer: Answer) -> Self {
        Self::start_by("http", answer, respond)
    }

    /// With TLS, as this identity.
    pub(crate) fn start_tls(answer: Answer, config: Arc<ServerConfig>) -> Self {
        Self::start_by("https", answer, move |stream, answer| {
            let connection = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
            respond(rustls::StreamOwned::new(connection, stream), answer);
        })
    }

    fn start_by(
        scheme: &str,
        answer: Answer,
        respond: impl Fn(TcpStream, Answer) + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("{scheme}://{}", listener.local_addr().unwrap());
        let new = Self { url, answer: Arc::new(Mutex::new(answer)), asked: Arc::default() };
        let (answer, asked) = (Arc::clone(&new.answer), Arc::clone(&new.asked));
        let respond = Arc::new(respond);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                asked.fetch_add(1, Ordering::SeqCst);
                let (respond, answer) = (Arc::clone(&respond), answer.lock().unwrap().clone());
                thread::spawn(move || respond(stream, answer));
            }
        });
        new
    }

    pub(crate) fn jwks_url(&self) -> String {
        format!("{}/jwks", self.url)
    }

    pub(crate) fn set(&self, answer: Answer) {
        *self.answer.lock().unwrap() = answer;
    }

    /// How often somebody has connected.
    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

/// Answers one request. That the client goes earlier is nobody's fault.
fn respond(mut stream: impl Read + Write, answer: Answer) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        match stream.read(&mut byte) {
            Ok(1) => head.extend(byte),
            _ => return,
        }
    }
    let ok =
        |body: &str| format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    let whole = match answer {
        Answer::Document(document) => ok(&document),
        Answer::Rotating(mut keys) => {
            keys.push(jwk("another", &device()));
            ok(&json!({ "keys": keys }).to_string())
        }
        Answer::Status(status) => format!("HTTP/1.1 {status} x\r\nContent-Length: 0\r\n\r\n"),
        Answer::Redirect => {
            "HTTP/1.1 302 Found\r\nLocation: /other\r\nContent-Length: 0\r\n\r\n".into()
        }
        Answer::Long(bytes) => ok(&" ".repeat(bytes)),
        Answer::HangUp => "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{\"keys\":[".into(),
        Answer::Trickle => {
            for byte in ok(&" ".repeat(1000)).bytes() {
                if stream.write_all(&[byte]).and_then(|()| stream.flush()).is_err() {
                    return;
                }
                thread::sleep(Duration::from_secs(1));
            }
            return;
        }
        Answer::Silent => {
            stream.read_exact(&mut [0]).ok();
            return;
        }
    };
    stream.write_all(whole.as_bytes()).and_then(|()| stream.flush()).ok();
}

/// A public key with its name.
pub(crate) fn jwk(kid: &str, key: &DeviceKey) -> Value {
    let mut jwk = key.public_key().to_jwk();
    (jwk["kid"], jwk["use"]) = (kid.into(), "sig".into());
    jwk
}

/// A JWK Set of these keys.
pub(crate) fn jwks(keys: &[(&str, &DeviceKey)]) -> Answer {
    let keys: Vec<_> = keys.iter().map(|(kid, key)| jwk(kid, key)).collect();
    Answer::Document(json!({ "keys": keys }).to_string())
}

/// A token for movies/bunny.
pub(crate) fn token(iss: &str, kid: &str, key: &DeviceKey) -> String {
    let iat = now().as_secs();
    let header = json!({ "alg": "ES256", "typ": "JWT", "kid": kid });
    let claims = json!({ "iss": iss, "sub": "alice", "aud": "reelkey", "iat": iat, "exp": iat + 3600,
        "content_id": "movies/bunny" });
    let part = |value: &Value| base64url::encode(value.to_string().as_bytes());
    let input = format!("{}.{}", part(&header), part(&claims));
    let signature = base64url::encode(key.sign(input.as_bytes()).as_bytes());
    format!("{input}.{signature}")
}
