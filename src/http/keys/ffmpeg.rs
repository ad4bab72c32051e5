//! ffmpeg's key info file (`-hls_key_info_file URL`) and the key that it names.
//!
//! The file has two lines: the URI for the playlist, and where ffmpeg itself gets the key. Without a third line the
//! initialization vector of a segment is its sequence number (RFC 8216 section 5.2), so none is used twice with a key. With `-hls_flags periodic_rekey` ffmpeg reads both again for every segment. It has no credentials for the second line, so
//! that one carries a ticket: it is bound to the packager and the KID, and to nothing else. ffmpeg sends what its URL has
//! only after a challenge.

use std::sync::Arc;

use axum::extract::Path;
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use reelkey_client::key::KeyId;
use reelkey_client::strict::base64url;

use crate::authority::packager::Packager;
use crate::authority::packaging::ask::{Order, PackagedKey, Refused, Wanted};
use crate::authority::stop::Stop;
use crate::crypto::clean_stack::on_clean_stack;
use crate::crypto::{digest, seal};
use crate::domain::content::ContentId;
use crate::domain::packager::track_type;
use crate::domain::refusal::Refusal;
use crate::http::keys::asker::Unauthenticated;
use crate::http::keys::call::Call;
use crate::http::keys::refusal::{Refuse, base_url};

/// The name of the protocol in the log.
const PROTOCOL: &str = "ffmpeg";

/// How long a ticket counts, in seconds: ffmpeg fetches the key within milliseconds.
const TICKET_SECS: u64 = 300;

/// `GET /v1/keys/ffmpeg/<content_id>/<TRACK>.keyinfo` and `.key`.
pub(crate) async fn get(call: Call, Path(path): Path<String>) -> Result<Response, Refuse> {
    let _slot = call.slot()?;
    let (content, file) = path.rsplit_once('/').ok_or_else(no_such_file)?;
    let content = content.parse::<ContentId>().map_err(|why| Refuse::malformed(why.to_string()))?;
    match file.rsplit_once('.') {
        Some((track, "keyinfo")) => key_info(&call, content, track).await,
        Some((track, "key")) => key(&call, content, track).await,
        _ => Err(no_such_file()),
    }
}

async fn key_info(call: &Call, content: ContentId, track: &str) -> Result<Response, Refuse> {
    let packager = call.asker.packager()?;
    let order = order(call, content, track).await?;
    let key = one(call.issue(PROTOCOL, &packager, &order).await, call)?;
    let origin = call.origin().ok_or_else(|| {
        Refuse::malformed("the request has no Host, and the key's URL has to begin with it")
    })?;
    let (kid, content) = (key.kid, &key.content);
    let until = call.now().as_secs().saturating_add(TICKET_SECS);
    let ticket = call.app().authority.ticket(&packager.name, kid, until);
    let ticket =
        base64url::encode(&ticket.map_err(|fault| Refuse::of(fault.into(), &call.exchange))?);
    let base = base(call)?;
    let info = format!(
        "{base}/v1/hls/{content}/{kid}.key\n\
         {origin}/v1/keys/ffmpeg/{content}/{track}.key?kid={kid}&packager={}&until={until}&ticket={ticket}\n",
        packager.name,
    );
    Ok(([(CONTENT_TYPE, "text/plain"), (CACHE_CONTROL, "no-store")], info).into_response())
}

async fn key(call: &Call, content: ContentId, track: &str) -> Result<Response, Refuse> {
    let (packager, order) = match call.parameter("ticket") {
        Some(ticket) => {
            let (packager, kid) = ticket_holder(call, ticket).ok_or(Unauthenticated::Wrong)?;
            // The KID was given with the ticket, so there is this key.
            let wanted = Wanted { track: None, period: None, kid: Some(kid) };
            (packager, Order { content, wanted: vec![wanted], crypto_period_seconds: None })
        }
        None => (call.asker.packager()?, order(call, content, track).await?),
    };
    let key = one(call.issue(PROTOCOL, &packager, &order).await, call)?;
    let bytes = on_clean_stack(|| seal::bare(&key.key)).to_vec();
    let headers = [(CONTENT_TYPE, "application/octet-stream"), (CACHE_CONTROL, "no-store")];
    Ok((headers, bytes).into_response())
}

/// What is asked for: the key of the track, or that of the current crypto period.
async fn order(call: &Call, content: ContentId, track: &str) -> Result<Order, Refuse> {
    let packager = call.asker.packager()?;
    let track = track_type(track)
        .ok_or_else(|| Refuse::malformed("a track is one of AUDIO, SD, HD, UHD1, UHD2 and ALL"))?;
    let asked = call.parameter("crypto_period_seconds");
    let asked = asked.map(|text| text.parse::<u32>().ok().filter(|seconds| *seconds > 0));
    let seconds = match asked {
        Some(None) => return Err(Refuse::malformed("crypto_period_seconds is a number from 1 on")),
        Some(seconds) => seconds,
        None => {
            let own = call.period_seconds(&packager, &content).await;
            own.map_err(|stop| Refuse::of(stop, &call.exchange))?
        }
    };
    let period = seconds.and_then(|seconds| call.now().as_secs().checked_div(seconds.into()));
    let period = period.map(|period| u32::try_from(period).unwrap_or(u32::MAX));
    let wanted = vec![Wanted { track, period, kid: None }];
    Ok(Order { content, wanted, crypto_period_seconds: seconds })
}

/// The packager and the KID of a ticket that counts.
fn ticket_holder(call: &Call, ticket: &str) -> Option<(Arc<Packager>, KeyId)> {
    let kid = call.parameter("kid")?.parse().ok()?;
    let until = call.parameter("until")?.parse::<u64>().ok()?;
    let packager = call.asker.signer(call.parameter("packager")?)?;
    let authority = &call.app().authority;
    let expected = authority.ticket(&packager.name, kid, until).ok()?;
    let shown = base64url::decode_array::<32>(ticket).ok()?;
    let counts = digest::is_same(&expected, &shown) && call.now().as_secs() < until;
    counts.then_some((packager, kid))
}

fn one(keys: Result<Vec<PackagedKey>, Stop<Refused>>, call: &Call) -> Result<PackagedKey, Refuse> {
    let keys = keys.map_err(|stop| Refuse::of(stop, &call.exchange))?;
    keys.into_iter().next().ok_or_else(|| Refusal::Internal.into())
}

/// What the URI of the playlist begins with: nothing, or the address of this service as players know it.
fn base(call: &Call) -> Result<&str, Refuse> {
    call.parameter("base").map_or(Ok(""), base_url)
}

fn no_such_file() -> Refuse {
    Refuse {
        status: StatusCode::NOT_FOUND,
        text: "ask for <content_id>/<TRACK>.keyinfo".into(),
        problem: Refusal::NotFound.into(),
    }
}
