//! `POST /v1/keys/widevine`, with any path behind it: Bento4 puts the provider's name there.
//!
//! A request is signed by a packager, or its head says which packager sent it. A signature that is wrong is refused whatever the
//! head says. What a client did wrong is answered with status 200 and a name in the answer, because clients look there; only
//! who shows nothing is answered with 401, because some send the password of their URL only then.

use std::sync::Arc;

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use reelkey_client::key::KeyId;
use reelkey_client::pssh::ProtectionScheme;
use reelkey_client::pssh::widevine::Header;
use zeroize::Zeroizing;

use crate::authority::packager::Packager;
use crate::authority::packaging::ask::{self, Order, PackagedKey, Refused};
use crate::authority::stop::Stop;
use crate::domain::refusal::Refusal;
use crate::http::frame::exchange::Exchange;
use crate::http::frame::problem::Problem;
use crate::http::keys::asker::Asker;
use crate::http::keys::call::Call;
use crate::http::keys::refusal::in_own_form;
use crate::http::keys::widevine::answer::{self, TrackKey};
use crate::http::keys::widevine::asked::{
    self, Asked, BYTES_MAX, Issued, Scheme, Signature, Track, Wanted,
};
use crate::http::keys::widevine::signature::is_signed;
use crate::http::keys::widevine::status::Status;

/// The name of this protocol in the log.
const PROTOCOL: &str = "widevine";

pub(crate) async fn widevine_post(call: Call, body: Body) -> Result<Response, Refuse> {
    let body = call.body(body, BYTES_MAX).await?;
    let _slot = call.slot()?;
    let (packager, request) = authenticated(&call.asker, &body)?;
    let Asked { keys, has_pssh } = asked::asked(&request)?;
    let answer = match keys {
        Wanted::Issued(issued) => issue(&call, &packager, &issued, has_pssh).await?,
        Wanted::Read(kids) => {
            let keys = call.read(PROTOCOL, &packager, &kids).await;
            read(&keys.map_err(|stop| Refuse::of(stop, &call.exchange))?, has_pssh)?
        }
    };
    Ok(json(answer).into_response())
}

/// Who asks, and the bytes of what is asked.
fn authenticated(asker: &Asker, body: &[u8]) -> Result<(Arc<Packager>, Vec<u8>), Refuse> {
    let shown = asker.optional();
    let envelope = match (asked::envelope(body), &shown) {
        (Ok(envelope), _) => envelope,
        (Err(status), Ok(Some(_))) => return Err(status.into()),
        (Err(_), _) => return Err(Refuse::unauthenticated()),
    };
    let Some(Signature { signer, bytes }) = envelope.signature else {
        let packager = shown.ok().flatten().ok_or_else(Refuse::unauthenticated)?;
        return Ok((packager, envelope.request));
    };
    let signer = asker.signer(&signer).filter(|packager| {
        let key = packager.rights.signing.as_ref();
        key.is_some_and(|key| is_signed(key, &envelope.request, &bytes))
    });
    let signer = signer.ok_or(Status::SignatureFailed)?;
    match shown.map_err(|_| Refuse::unauthenticated())? {
        Some(other) if other.name != signer.name => Err(Status::AccessDenied.into()),
        _ => Ok((signer, envelope.request)),
    }
}

/// Keys of a content, to encrypt it.
async fn issue(
    call: &Call,
    packager: &Packager,
    issued: &Issued,
    has_pssh: bool,
) -> Result<Zeroizing<Vec<u8>>, Refuse> {
    // `policy` and `group_id` name things of Widevine's own service. The operator says which policies a content has.
    let keys = call.issue(PROTOCOL, packager, &order(issued)).await;
    Ok(granted(issued, &keys.map_err(|stop| Refuse::of(stop, &call.exchange))?, has_pssh))
}

/// The periods in their order, and in each one its tracks.
fn each(issued: &Issued) -> impl Iterator<Item = (Option<u32>, &Track)> {
    let indices: Vec<_> = match issued.periods {
        Some(periods) => (periods.first..=periods.last).map(Some).collect(),
        None => vec![None],
    };
    indices.into_iter().flat_map(|period| issued.tracks.iter().map(move |track| (period, track)))
}

fn order(issued: &Issued) -> Order {
    let is_one_key = issued.scheme == Scheme::WholeSegments;
    let wanted = each(issued).map(|(period, track)| ask::Wanted {
        track: track.kind.filter(|_| !is_one_key),
        period,
        kid: None,
    });
    Order {
        content: issued.content.clone(),
        wanted: wanted.collect(),
        crypto_period_seconds: issued.periods.and_then(|periods| periods.seconds),
    }
}

fn granted(issued: &Issued, keys: &[PackagedKey], has_pssh: bool) -> Zeroizing<Vec<u8>> {
    let scheme = match issued.scheme {
        Scheme::Common(scheme) => scheme,
        Scheme::WholeSegments => None,
    };
    let seconds = issued.periods.and_then(|periods| periods.seconds);
    let tracks = keys.iter().zip(each(issued)).map(|(key, (period, track))| TrackKey {
        label: &track.label,
        kid: key.kid,
        key: &key.key,
        pssh: has_pssh.then(|| payload(key, scheme, period, seconds)),
        period,
    });
    answer::granted(tracks.collect())
}

/// Keys of KIDs, to decrypt.
fn read(keys: &[PackagedKey], has_pssh: bool) -> Result<Zeroizing<Vec<u8>>, Status> {
    if keys.is_empty() {
        return Err(Status::AssetNotFound);
    }
    let labels = labels(keys);
    let tracks = keys.iter().zip(&labels).map(|(key, label)| TrackKey {
        label,
        kid: key.kid,
        key: &key.key,
        pssh: has_pssh.then(|| payload(key, None, key.period, None)),
        period: None,
    });
    Ok(answer::granted(tracks.collect()))
}

/// A name for each key. Shaka Packager keeps one key of each name, so no name comes twice.
fn labels(keys: &[PackagedKey]) -> Vec<String> {
    let mut labels: Vec<String> = Vec::with_capacity(keys.len());
    for (at, key) in keys.iter().enumerate() {
        let name = key.track.map_or("ALL", |track| track.as_str());
        let is_taken = labels.iter().any(|label| label == name);
        labels.push(if is_taken { format!("{name}-{at}") } else { name.to_owned() });
    }
    labels
}

/// Widevine's signalling of one key.
fn payload(
    key: &PackagedKey,
    scheme: Option<ProtectionScheme>,
    period: Option<u32>,
    seconds: Option<u32>,
) -> Vec<u8> {
    let kids: [KeyId; 1] = [key.kid];
    Header {
        kids: &kids,
        content_id: Some(key.content.as_str().as_bytes()),
        scheme,
        crypto_period_index: period,
        crypto_period_seconds: seconds.filter(|_| period.is_some()),
        ..Header::default()
    }
    .payload()
}

/// A refusal in the form of this protocol.
pub(crate) struct Refuse {
    status: StatusCode,
    outcome: Status,
    problem: Problem,
}

impl Refuse {
    fn unauthenticated() -> Self {
        let problem = Problem::from(Refusal::NotAuthorized);
        Self { status: StatusCode::UNAUTHORIZED, outcome: Status::AccessDenied, problem }
    }

    /// What the use case says. It has logged a refusal already; a fault is logged here.
    fn of(stop: Stop<Refused>, exchange: &Exchange) -> Self {
        let outcome = match stop {
            Stop::Refused(refused) => outcome(&refused),
            Stop::Failed(fault) => {
                let problem = Problem::fault(exchange, &fault);
                return Self { problem, ..Status::InternalError.into() };
            }
        };
        let refuse = Self::from(outcome);
        Self { problem: refuse.problem.logged(), ..refuse }
    }
}

fn outcome(refused: &Refused) -> Status {
    match refused {
        Refused::NotAllowed => Status::AccessDenied,
        Refused::NoContent(_) => Status::AssetNotFound,
        Refused::OtherContent(_) => Status::ContentIdMismatch,
        Refused::OtherUse(_) => Status::KeyIdMismatch,
        Refused::Retired(_) => Status::AssetMissingKey,
        Refused::TooMany => Status::MalformedRequest,
        Refused::Provision(_) => Status::PolicyUnknown,
        // The one status after which clients try again.
        Refused::Busy => Status::InternalError,
    }
}

impl From<Status> for Refuse {
    fn from(outcome: Status) -> Self {
        let refusal = match outcome {
            Status::SignatureFailed | Status::AccessDenied => Refusal::NotAuthorized,
            Status::AssetNotFound => Refusal::NotFound,
            Status::AssetMissingKey => Refusal::KeyNotFound,
            Status::InternalError => Refusal::Unavailable,
            _ => Refusal::BadRequest,
        };
        Self { status: StatusCode::OK, outcome, problem: refusal.into() }
    }
}

impl From<Problem> for Refuse {
    fn from(problem: Problem) -> Self {
        let status = problem.status();
        let is_theirs = status.is_client_error();
        let outcome = if is_theirs { Status::MalformedRequest } else { Status::InternalError };
        Self { status, outcome, problem }
    }
}

impl From<Refusal> for Refuse {
    fn from(refusal: Refusal) -> Self {
        Problem::from(refusal).into()
    }
}

impl IntoResponse for Refuse {
    fn into_response(self) -> Response {
        in_own_form((self.status, json(answer::refused(self.outcome))), self.problem)
    }
}

fn json(mut answer: Zeroizing<Vec<u8>>) -> impl IntoResponse {
    (
        [
            (CONTENT_TYPE, HeaderValue::from_static("application/json")),
            (CACHE_CONTROL, HeaderValue::from_static("no-store")),
        ],
        std::mem::take(&mut *answer),
    )
}
