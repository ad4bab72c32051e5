//! The demo's player: a device, its tokens and the client crate.

use std::net::SocketAddr;

use reelkey_client::cenc::{Init, Keys, decrypt_file};
use reelkey_client::exchange::ask::Ask;
use reelkey_client::exchange::device::DeviceKey;
use reelkey_client::exchange::jwks::Jwks;
use reelkey_client::exchange::pending::License;
use reelkey_client::exchange::problem::Problem;
use reelkey_client::exchange::request::SessionType;
use reelkey_client::strict::base64url;
use serde_json::Value;
use tokio::net::TcpStream;

use crate::cli::clock;
use crate::cli::demo::report::Decrypted;
use crate::cli::demo::setup::{CONTENT, Service};
use crate::cli::terminal::output::Failure;
use crate::crypto::digest::sha256;
use crate::crypto::random::SystemRng;
use crate::http::client::{Answer, Call};

/// The longest accepted answer of the service, in bytes.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;

/// The clip in the clear and under each scheme.
const CLIPS: [(&str, &str, &[u8], &[u8]); 4] = [
    (
        "cenc",
        "video",
        include_bytes!("clip/cenc/video.mp4"),
        include_bytes!("clip/clear/video.mp4"),
    ),
    (
        "cenc",
        "audio",
        include_bytes!("clip/cenc/audio.mp4"),
        include_bytes!("clip/clear/audio.mp4"),
    ),
    (
        "cbcs",
        "video",
        include_bytes!("clip/cbcs/video.mp4"),
        include_bytes!("clip/clear/video.mp4"),
    ),
    (
        "cbcs",
        "audio",
        include_bytes!("clip/cbcs/audio.mp4"),
        include_bytes!("clip/clear/audio.mp4"),
    ),
];

pub(super) struct Player {
    device: DeviceKey,
    thief: DeviceKey,
}

/// One license request.
#[derive(Clone, Copy)]
pub(super) struct Attempt {
    /// The viewer's region in the token.
    pub(super) region: &'static str,
    /// The requested content. The token permits [`CONTENT`].
    pub(super) content: &'static str,
    /// How old the request claims to be, in seconds.
    pub(super) age_secs: u64,
    /// Whether another device uses the token.
    pub(super) steal: bool,
    /// Whether the token's claims were changed.
    pub(super) forge: bool,
}

impl Attempt {
    pub(super) const fn new() -> Self {
        Self { region: "US", content: CONTENT, age_secs: 0, steal: false, forge: false }
    }
}

impl Player {
    /// The thumbprint of the device key.
    pub(super) fn thumbprint(&self) -> String {
        self.device.public_key().thumbprint().to_string()
    }

    pub(super) fn new() -> Result<Self, Failure> {
        let device = DeviceKey::generate(&mut SystemRng)?;
        Ok(Self { device, thief: DeviceKey::generate(&mut SystemRng)? })
    }

    /// Requests a license. A refusal is a normal result.
    pub(super) async fn play(
        &self,
        service: &Service,
        attempt: Attempt,
    ) -> Result<Result<License, Problem>, Failure> {
        let token = self.token(service, attempt).await?;
        let key = if attempt.steal { &self.thief } else { &self.device };
        let ask = Ask {
            service_id: &service.id,
            token: &token,
            kids: &[],
            content_id: Some(attempt.content),
            session_type: SessionType::Temporary,
            iat: clock::now().saturating_sub(attempt.age_secs),
        };
        let (body, pending) = ask.draft(&key.public_key(), None, &mut SystemRng)?.sign(key);
        let address = service.address;
        let answer = send(address, "POST", "/v1/license", Some(&token), body.into_bytes()).await?;
        if answer.status != 200 {
            return Ok(Err(Problem::parse(&answer.body)?));
        }
        let jwks = send(address, "GET", "/.well-known/jwks.json", None, Vec::new()).await?.body;
        Ok(Ok(pending.open(&answer.body, &Jwks::parse(&jwks)?)?))
    }

    /// A token, as the operator's auth service would give it to a viewer who signed in.
    async fn token(&self, service: &Service, attempt: Attempt) -> Result<String, Failure> {
        let jkt = self.thumbprint();
        let mint = ["token", "mint", "--sub", "alice", "--content", CONTENT];
        let mint = [&mint[..], &["--region", attempt.region, "--device", &jkt]].concat();
        let token = service.run(&mint).await?.text;
        if !attempt.forge {
            return Ok(token);
        }
        let forge = || {
            let (header, rest) = token.split_once('.')?;
            let (claims, signature) = rest.split_once('.')?;
            let mut claims: Value =
                serde_json::from_slice(&base64url::decode(claims).ok()?).ok()?;
            claims.as_object_mut()?.insert("content_id".into(), "*".into());
            let claims = base64url::encode(claims.to_string().as_bytes());
            Some(format!("{header}.{claims}.{signature}"))
        };
        forge().ok_or_else(|| Failure::new("the token could not be forged"))
    }
}

/// Lets so many devices that were never seen before ask for the content. A refusal is a normal result.
pub(super) async fn ask_with_new_devices(
    service: &Service,
    token: &str,
    content: &str,
    devices: usize,
) -> Result<(), Failure> {
    for _ in 0..devices {
        let device = DeviceKey::generate(&mut SystemRng)?;
        let ask = Ask {
            service_id: &service.id,
            token,
            kids: &[],
            content_id: Some(content),
            session_type: SessionType::Temporary,
            iat: clock::now(),
        };
        let (body, _) = ask.draft(&device.public_key(), None, &mut SystemRng)?.sign(&device);
        send(service.address, "POST", "/v1/license", Some(token), body.into_bytes()).await?;
    }
    Ok(())
}

/// One HTTP exchange, on a connection of its own.
async fn send(
    address: SocketAddr,
    method: &str,
    path: &str,
    token: Option<&str>,
    body: Vec<u8>,
) -> Result<Answer, Failure> {
    let stream = TcpStream::connect(address).await?;
    let host = &address.to_string();
    let call = Call { method, host, path, token, body, answer_bytes_max: ANSWER_BYTES_MAX };
    Ok(call.send(stream).await?)
}

/// Decrypts every track of the clip and compares it with the original, byte by byte.
pub(super) fn decrypt_clips(license: License) -> Result<Vec<Decrypted>, Failure> {
    let keys: Keys = license.keys.into_iter().collect();
    let mut decrypted = Vec::new();
    for (scheme, track, encrypted, original) in CLIPS {
        let mut film = encrypted.to_vec();
        decrypt_file(&keys, &mut film)?;
        let (samples, media) = read_media(&film)?;
        if media != read_media(original)?.1 || media == read_media(encrypted)?.1 {
            return Err(Failure::new(format_args!("{scheme} {track} is not the original")));
        }
        let bytes = media.len();
        decrypted.push(Decrypted { scheme, track, samples, bytes, sha256: sha256(&media) });
    }
    Ok(decrypted)
}

/// The number of samples, and their bytes one after the other.
fn read_media(film: &[u8]) -> Result<(usize, Vec<u8>), Failure> {
    let plan = Init::parse(film)?.plan(film)?;
    let mut bytes = Vec::new();
    for sample in plan.samples() {
        bytes.extend_from_slice(film.get(sample.bytes).unwrap_or_default());
    }
    Ok((plan.samples().count(), bytes))
}
