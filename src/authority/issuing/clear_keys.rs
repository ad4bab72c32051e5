//! Keys in the clear, for players that cannot take a license: the W3C ClearKey system of browsers, and HLS with
//! AES-128 (RFC 8216 section 4.3.2.4).
//!
//! The decision is that of a license, and the policy has to allow it. Such a request proves no device, so a token that is
//! bound to one is refused.

use std::collections::BTreeSet;
use std::sync::Arc;

use reelkey_client::exchange::request::{RequestType, SessionType};
use reelkey_client::key::{ContentKey, KeyId};
use reelkey_client::strict::{base64url, json};
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::authority::in_force::Snapshot;
use crate::authority::issuing::circumstances::Circumstances;
use crate::authority::issuing::decided::{Answer, Granted, Trail};
use crate::authority::issuing::facts::{Keys, Wanted};
use crate::authority::issuing::refused::{Refused, refuse, refuse_by};
use crate::authority::issuing::token::Viewer;
use crate::authority::key_directory::{KeyDirectory, KeyFileName};
use crate::authority::service::Authority;
use crate::authority::stop::Stop;
use crate::authority::vault::fault::Fault;
use crate::crypto::clean_stack::on_clean_stack;
use crate::crypto::seal;
use crate::domain::decision::{Delivery, Terms, Vouched};
use crate::domain::denial::Denial;
use crate::domain::refusal::Refusal;

/// The most KIDs that a request names, as for a license.
const KIDS_MAX: usize = 64;

/// The longest body of a request, in bytes.
pub const BYTES_MAX: usize = 16 * 1024;

/// The license request of the ClearKey system (Encrypted Media Extensions, section 9.1.3). Players add members.
#[derive(Deserialize)]
struct KeysWanted {
    kids: Vec<String>,
    #[serde(default)]
    r#type: Option<String>,
}

impl Authority {
    /// Decides on a request of a browser's ClearKey system. The answer is a JWK Set with all permitted keys of the content.
    ///
    /// # Errors
    /// [`Fault`], as [`Authority::issue`].
    pub async fn clear_key_set(
        &self,
        token: &str,
        body: &[u8],
        circumstances: Circumstances<'_>,
    ) -> Result<Answer<Zeroizing<Vec<u8>>>, Fault> {
        let grant = async |viewer: &Viewer, in_force: &Snapshot, trail: &mut Trail| {
            let (kids, session_type) = parse(body)?;
            let wanted = Wanted { session_type, ..clear(&kids, trail.delivery) };
            let granted = self.grant_clear(viewer, &wanted, in_force, circumstances, trail).await?;
            let Granted { answer: keys, id, terms } = granted;
            let answer = on_clean_stack(|| seal::jwk_set(&keys));
            Ok(Granted { answer, id, terms })
        };
        self.decided(token, Delivery::ClearKey, circumstances, grant).await
    }

    /// Decides on a request for one key, which an HLS playlist names. The answer is the 16 bytes of the key.
    ///
    /// # Errors
    /// [`Fault`], as [`Authority::issue`].
    pub async fn hls_key(
        &self,
        token: &str,
        content_id: &str,
        kid: KeyId,
        circumstances: Circumstances<'_>,
    ) -> Result<Answer<Zeroizing<Vec<u8>>>, Fault> {
        let grant = async |viewer: &Viewer, in_force: &Snapshot, trail: &mut Trail| {
            trail.content = Some(content_id.to_owned());
            let kids = BTreeSet::from([kid]);
            let wanted = Wanted { content_id: Some(content_id), ..clear(&kids, trail.delivery) };
            let granted = self.grant_clear(viewer, &wanted, in_force, circumstances, trail).await;
            let Granted { answer: keys, id, mut terms } = granted.map_err(one_answer)?;
            let key = keys.into_iter().find(|(granted, _)| *granted == kid);
            let (_, key) = key.ok_or_else(|| refuse(Refusal::NotAuthorized))?;
            if let Some(terms) = &mut terms {
                terms.tracks.retain(|track| track.kid == kid);
            }
            Ok(Granted { answer: on_clean_stack(|| seal::bare(&key)), id, terms })
        };
        self.decided(token, Delivery::HlsAes128, circumstances, grant).await
    }

    /// Decides on a request for a key that an origin wrote, which an HLS playlist names. The answer is the 16 bytes of the key.
    ///
    /// # Errors
    /// [`Fault`], as [`Authority::issue`].
    pub async fn origin_key(
        &self,
        token: &str,
        directory: KeyDirectory,
        file: KeyFileName,
        circumstances: Circumstances<'_>,
    ) -> Result<Answer<Zeroizing<Vec<u8>>>, Fault> {
        let grant = async |viewer: &Viewer, in_force: &Snapshot, trail: &mut Trail| {
            let content_id = directory.content.to_string();
            trail.content = Some(content_id.clone());
            let none = BTreeSet::new();
            let wanted = Wanted {
                content_id: Some(&content_id),
                of_origin: Some(directory.kid(&file)),
                ..clear(&none, trail.delivery)
            };
            refuse_bound(viewer, trail)?;
            let token = viewer.entitlement();
            let decided = self.decide(&wanted, token, in_force, circumstances, trail, nothing);
            let (terms, ..) = decided.await?;
            let key = self.read_origin_key(directory.clone(), file.clone()).await?;
            let key = key.ok_or_else(|| {
                refuse_by(Refusal::KeyNotFound, "the origin has no such key, or no longer")
            })?;
            let answer = on_clean_stack(|| seal::bare(&key));
            Ok(Granted { answer, id: None, terms: Some(terms) })
        };
        self.decided(token, Delivery::HlsAes128, circumstances, grant).await
    }

    /// Reads a file of an origin. Where the folder's disk does not answer, few requests wait for it and the others are told to
    /// come back: threads that wait are not given back when a request ends.
    async fn read_origin_key(
        &self,
        directory: KeyDirectory,
        file: KeyFileName,
    ) -> Result<Option<ContentKey>, Stop<Refused>> {
        let Ok(reading) = Arc::clone(&self.origin_reads).try_acquire_owned() else {
            return Err(refuse_by(
                Refusal::Unavailable,
                "the folder of the origin's keys does not answer",
            ));
        };
        let read = move || {
            let key = directory.read(&file);
            drop(reading);
            key
        };
        Ok(tokio::task::spawn_blocking(read).await.ok().flatten())
    }

    async fn grant_clear(
        &self,
        viewer: &Viewer,
        wanted: &Wanted<'_>,
        in_force: &Snapshot,
        circumstances: Circumstances<'_>,
        trail: &mut Trail,
    ) -> Result<Granted<Vec<(KeyId, ContentKey)>>, Stop<Refused>> {
        refuse_bound(viewer, trail)?;
        let token = viewer.entitlement();
        let decided = self.decide(wanted, token, in_force, circumstances, trail, nothing);
        let (terms, keys, ()) = decided.await?;
        let answer = self.unwrap_granted(&terms, &keys)?;
        Ok(Granted { answer, id: None, terms: Some(terms) })
    }
}

/// What is made while changes are written. A key in the clear is not: it would wait in memory for the disk.
#[expect(clippy::unnecessary_wraps, reason = "making an answer can fail")]
const fn nothing(_: &Terms, _: &Keys) -> Result<(), Fault> {
    Ok(())
}

/// Such a request proves no device, so a token that is bound to one counts for nothing.
fn refuse_bound(viewer: &Viewer, trail: &mut Trail) -> Result<(), Stop<Refused>> {
    let Some(device) = &viewer.entitlement().device else { return Ok(()) };
    trail.device = Some(*device);
    let (expected, actual) = ("a token without cnf", device.to_string());
    Err(Denial::new(Refusal::TokenNotBound, "cnf", expected, actual).into())
}

/// A new request that proves no device.
fn clear(kids: &BTreeSet<KeyId>, delivery: Delivery) -> Wanted<'_> {
    Wanted {
        request_type: RequestType::New,
        session_type: SessionType::Temporary,
        kids,
        content_id: None,
        vouched: Vouched::Nothing,
        delivery,
        asker: None,
        of_origin: None,
    }
}

/// A content and a KID that differ get the answer of what is unknown: nobody learns what else exists.
fn one_answer(stop: Stop<Refused>) -> Stop<Refused> {
    match stop {
        Stop::Refused(refused) if refused.refusal == Refusal::BadRequest => {
            Stop::Refused(Refused { refusal: Refusal::NotAuthorized, ..refused })
        }
        other => other,
    }
}

fn parse(body: &[u8]) -> Result<(BTreeSet<KeyId>, SessionType), Stop<Refused>> {
    let bad = |rule: &str| refuse_by(Refusal::BadRequest, rule);
    let wanted: KeysWanted = json::read(body).map_err(|why| refuse_by(Refusal::BadRequest, why))?;
    let session_type = match wanted.r#type.as_deref() {
        None | Some("temporary") => SessionType::Temporary,
        Some("persistent-license") => SessionType::PersistentLicense,
        Some(_) => return Err(bad("type is temporary or persistent-license")),
    };
    // Players repeat KIDs.
    let kids = wanted.kids.iter().map(|kid| base64url::decode_array(kid).map(KeyId::from_bytes));
    let kids = kids.collect::<Result<BTreeSet<_>, _>>();
    let kids = kids.map_err(|_| bad("a kid is base64url of 16 bytes, without padding"))?;
    match kids.len() {
        0 => Err(bad("kids is empty; name the keys that are needed")),
        1..=KIDS_MAX => Ok((kids, session_type)),
        _ => Err(bad("kids names more than 64 keys")),
    }
}
