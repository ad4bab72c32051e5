//! `GET` and `POST /v1/keys/cpix/<content_id>`: CPIX documents.

use axum::body::Body;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use reelkey_client::time::UnixTime;
use zeroize::Zeroizing;

use crate::authority::packager::Packager;
use crate::authority::packaging::ask::{Order, Wanted};
use crate::authority::packaging::known::KnownTitle;
use crate::domain::content::ContentId;
use crate::domain::refusal::Refusal;
use crate::domain::track::TrackType;
use crate::http::keys::call::Call;
use crate::http::keys::cpix::delivery;
use crate::http::keys::cpix::filling::{self, Manner, Unanswered};
use crate::http::keys::cpix::query::{self, TitleQuery, WrongQuery};
use crate::http::keys::cpix::request::{Dialect, Request};
use crate::http::keys::cpix::title;
use crate::http::keys::cpix::vocabulary::Malformed;
use crate::http::keys::refusal::{Refuse, base_url};
use crate::http::keys::xml::reader::BYTES_MAX;

/// The name of the protocol in the log.
const PROTOCOL: &str = "cpix";

/// The tracks of a title that has no keys yet.
const USUAL: [Option<TrackType>; 3] =
    [Some(TrackType::Audio), Some(TrackType::Sd), Some(TrackType::Hd)];

/// `GET`: all keys of a title.
pub(crate) async fn get(call: Call, Path(content): Path<String>) -> Result<Response, Refuse> {
    let _slot = call.slot()?;
    let packager = call.asker.packager()?;
    let content = content_of(&content)?;
    let query = TitleQuery::read(|name| call.parameter(name))?;
    let base = base(&call)?;
    let manner = manner(&call, &base)?;
    let known = call.app().authority.known_title(&packager, &content).await;
    let known = known.map_err(|stop| Refuse::of(stop, &call.exchange))?;
    let wanted = wanted(&query, &known, call.now());
    let order = Order { content: content.clone(), wanted, crypto_period_seconds: None };
    let keys = call.issue(PROTOCOL, &packager, &order).await;
    let keys = keys.map_err(|stop| Refuse::of(stop, &call.exchange))?;
    let root = title::request(&content, &keys, known.crypto_period_seconds, &query);
    Ok(document(filling::answer(Request::of(root, Dialect::Cpix)?, &keys, manner)?))
}

/// The keys of a title that a query wants: a key for each track type, or for each of them in each crypto period.
fn wanted(query: &TitleQuery, known: &KnownTitle, now: UnixTime) -> Vec<Wanted> {
    let around_now = |seconds: u32| {
        let now = now.as_secs().checked_div(seconds.into()).unwrap_or_default();
        let now = u32::try_from(now).unwrap_or(u32::MAX);
        now..=now.saturating_add(1)
    };
    let periods = match &query.periods {
        _ if query.for_shaka => None,
        Some(periods) => Some(periods.clone()),
        None => known.crypto_period_seconds.map(around_now),
    };
    let there = if periods.is_some() { &known.period_tracks } else { &known.tracks };
    let mut tracks = if query.tracks.is_empty() { there } else { &query.tracks }.clone();
    if tracks.is_empty() {
        tracks.extend(USUAL);
    }
    if query.for_shaka && tracks.len() > 1 {
        // It has no rule for the tracks that no other rule is for.
        tracks.remove(&None);
    }
    let periods: Vec<_> = periods.map_or_else(|| vec![None], |range| range.map(Some).collect());
    let of_period = |period: &Option<u32>| {
        let period = *period;
        tracks.iter().map(move |track| Wanted { track: *track, period, kid: None })
    };
    periods.iter().flat_map(of_period).collect()
}

/// `POST`: the keys that a document asks for.
pub(crate) async fn post(
    call: Call,
    Path(content): Path<String>,
    body: Body,
) -> Result<Response, Refuse> {
    let packager = call.asker.packager()?;
    let body = call.body(body, BYTES_MAX).await?;
    let _slot = call.slot()?;
    let content = Some(content_of(&content)?);
    let asked = Document { body: &body, dialect: Dialect::Cpix, protocol: PROTOCOL, content };
    answer(&call, &packager, asked).await
}

/// A document that came.
pub(crate) struct Document<'a> {
    pub(crate) body: &'a [u8],
    pub(crate) dialect: Dialect,
    /// The name of the protocol in the log.
    pub(crate) protocol: &'static str,
    /// The content that the path names.
    pub(crate) content: Option<ContentId>,
}

/// Answers a document.
pub(crate) async fn answer(
    call: &Call,
    packager: &Packager,
    asked: Document<'_>,
) -> Result<Response, Refuse> {
    let Document { body, dialect, protocol, content } = asked;
    let request = Request::parse(body, dialect)?;
    let content = match (content, request.content()?) {
        (Some(path), Some(named)) if path != named => {
            let what = format!("the document names the content {named}, and the path {path}");
            return Err(Refuse::malformed(what));
        }
        (Some(content), _) | (None, Some(content)) => content,
        (None, None) => return Err(Refuse::malformed("the document names no content")),
    };
    let seconds = call.period_seconds(packager, &content).await;
    let seconds = seconds.map_err(|stop| Refuse::of(stop, &call.exchange))?;
    let order = request.order(content, seconds)?;
    let base = base(call)?;
    let manner = manner(call, &base)?;
    // Before keys are made.
    delivery::recipients(&request.root)?;
    let keys = call.issue(protocol, packager, &order).await;
    let keys = keys.map_err(|stop| Refuse::of(stop, &call.exchange))?;
    Ok(document(filling::answer(request, &keys, manner)?))
}

fn content_of(path: &str) -> Result<ContentId, Refuse> {
    path.parse().map_err(|why| Refuse::malformed(format!("{why}")))
}

/// What URLs in the answer begin with: `?base=`, or the address that was asked. Empty if a request names no host; then nothing
/// can be said that has a URL.
fn base(call: &Call) -> Result<String, Refuse> {
    let Some(base) = call.parameter("base") else { return Ok(call.origin().unwrap_or_default()) };
    Ok(base_url(&query::decoded(base))?.to_owned())
}

fn manner<'a>(call: &Call, base: &'a str) -> Result<Manner<'a>, Refuse> {
    let (mac, values) = query::delivery(|name| call.parameter(name))?;
    Ok(Manner { base, mac, values })
}

fn document(text: Zeroizing<String>) -> Response {
    let headers = [(CONTENT_TYPE, "application/xml"), (CACHE_CONTROL, "no-store")];
    (headers, text.as_bytes().to_vec()).into_response()
}

impl From<Malformed> for Refuse {
    fn from(malformed: Malformed) -> Self {
        Self::malformed(malformed.to_string())
    }
}

impl From<WrongQuery> for Refuse {
    fn from(wrong: WrongQuery) -> Self {
        Self::malformed(wrong.to_string())
    }
}

impl From<Unanswered> for Refuse {
    fn from(unanswered: Unanswered) -> Self {
        match unanswered {
            Unanswered::Malformed(malformed) => malformed.into(),
            Unanswered::NotDelivered(_) | Unanswered::NoKey(_) => {
                let text = unanswered.to_string();
                Self {
                    status: StatusCode::INTERNAL_SERVER_ERROR,
                    text,
                    problem: Refusal::Internal.into(),
                }
            }
        }
    }
}
