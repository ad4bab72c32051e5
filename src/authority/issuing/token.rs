//! Authorization tokens: from the text to a [`Viewer`], which exists only if every check has passed.
//!
//! jsonwebtoken verifies signatures and nothing else. The form of the token is read strictly before that, and the
//! claims are judged here. The time is an argument.

use std::collections::BTreeSet;
use std::fmt;

use reelkey_client::key::KeyId;
use reelkey_client::strict::jwk::Thumbprint;
use reelkey_client::strict::{json, jws};
use reelkey_client::time::UnixTime;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use crate::authority::fetched_keys::Unusable;
use crate::authority::issuer::{Issuer, Issuers, Signature, Unverified};
use crate::crypto::digest::sha256;
use crate::crypto::issuer_key::Algorithm;
use crate::domain::content::ContentPattern;
use crate::domain::entitlement::{Account, Entitlement};

/// The longest token, in bytes.
pub const BYTES_MAX: usize = 8 * 1024;

/// How far the clocks of the issuer and the service may differ, in seconds.
pub const LEEWAY_SECS: u64 = 30;

/// The longest `sub`, `policy_id` and `entitlement_id`, in bytes.
const NAME_BYTES_MAX: usize = 512;

/// The most entries in each of `content_id`, `authorized_kids` and `amr`.
const LIST_MAX: usize = 256;

const EXPECTED: jws::Expect<'_> = jws::Expect {
    bytes_max: BYTES_MAX,
    typ: &["JWT", "at+jwt"],
    typ_optional: true,
    own_key: false,
};

/// A viewer whose token was verified. Only [`read`] makes it.
#[derive(Clone, Debug)]
pub struct Viewer {
    entitlement: Entitlement,
    token_hash: [u8; 32],
}

impl Viewer {
    /// What the token permits.
    #[must_use]
    pub fn entitlement(&self) -> &Entitlement {
        &self.entitlement
    }

    /// SHA-256 of the token. The request's `ath` must be equal to it.
    #[must_use]
    pub fn token_hash(&self) -> &[u8; 32] {
        &self.token_hash
    }
}

/// The token is not valid. The variants are for the log and the operator. The viewer learns only whether the token has
/// expired or is otherwise invalid.
#[derive(Debug, thiserror::Error)]
pub enum Invalid {
    /// It is past its `exp`. Nothing else is wrong.
    #[error("the token has expired")]
    Expired,
    /// It is not a compact JWS of the right kind.
    #[error("form: {0}")]
    Form(#[from] jws::Error),
    /// The claims are unreadable, or a required one is missing.
    #[error("claims: {0}")]
    Claims(#[from] json::Error),
    /// `iss` is not a configured issuer.
    #[error("iss is not a configured issuer; add it with `reelkey issuer add`")]
    Issuer,
    /// `alg` is not on the issuer's list.
    #[error("alg is not on the issuer's list")]
    Algorithm,
    /// The signature does not verify under any key of the issuer.
    #[error("the signature does not verify under the issuer's keys")]
    Signature,
    /// The issuer's keys are fetched, and none of those that are there is the one that the token names.
    #[error(
        "kid names no key that fits; the issuer's keys are fetched again, at most once in 30 s"
    )]
    UnknownKey,
    /// There are no keys of the issuer to verify it with. The token may be right.
    #[error(transparent)]
    NoKeys(Unusable),
    /// `aud` does not contain the issuer's configured audience.
    #[error("aud does not contain the accepted audience")]
    Audience,
    /// `iat` is in the future.
    #[error("iat is in the future")]
    IssuedInFuture,
    /// `nbf` is in the future.
    #[error("the token is not valid yet")]
    NotYetValid,
    /// `exp` is not after `iat`, or too long after it.
    #[error("the token's life, exp - iat, is not between 1 s and the issuer's longest")]
    Life,
    /// There is neither `content_id` nor `authorized_kids`, and the `scope` has no `devices`.
    #[error("content_id or authorized_kids has to say what the token is for")]
    NothingAuthorized,
    /// A claim has an impossible value.
    #[error("the claim {0} has a value that it cannot have")]
    Claim(&'static str),
}

impl From<Unverified> for Invalid {
    fn from(unverified: Unverified) -> Self {
        match unverified {
            Unverified::Signature => Self::Signature,
            Unverified::UnknownKey => Self::UnknownKey,
            Unverified::NoKeys(why) => Self::NoKeys(why),
        }
    }
}

/// A claim that is `null` is none of these types: to take it for absent would lift what it was meant to restrict.
#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: OneOrMany,
    exp: u64,
    iat: u64,
    #[serde(default, deserialize_with = "present")]
    nbf: Option<u64>,
    #[serde(default, rename = "jti", deserialize_with = "present")]
    _jti: Option<String>,
    #[serde(default, deserialize_with = "present")]
    content_id: Option<OneOrMany>,
    #[serde(default, deserialize_with = "present")]
    authorized_kids: Option<Vec<String>>,
    #[serde(default, deserialize_with = "present")]
    policy_id: Option<String>,
    #[serde(default, deserialize_with = "present")]
    entitlement_id: Option<String>,
    #[serde(default, deserialize_with = "present")]
    license_not_after: Option<u64>,
    #[serde(default, deserialize_with = "present")]
    region: Option<String>,
    #[serde(default, deserialize_with = "present_object")]
    cnf: Option<Confirmation>,
    #[serde(default, rename = "session_id", deserialize_with = "present")]
    _session_id: Option<String>,
    #[serde(default)]
    amr: Vec<String>,
    #[serde(default, deserialize_with = "present")]
    scope: Option<String>,
}

#[derive(Deserialize)]
struct Confirmation {
    #[serde(default, deserialize_with = "present")]
    jkt: Option<String>,
}

/// Reads a member that is there.
fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(from: D) -> Result<Option<T>, D::Error> {
    T::deserialize(from).map(Some)
}

/// Reads an object that is there.
fn present_object<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    from: D,
) -> Result<Option<T>, D::Error> {
    json::object(from).map(Some)
}

/// A string or an array of strings (RFC 7519 section 4.1.3).
#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl OneOrMany {
    fn as_slice(&self) -> &[String] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Many(many) => many,
        }
    }
}

/// Reads and verifies `token` at the time `now`.
///
/// # Errors
/// [`Invalid::Expired`] is returned only if nothing else is wrong.
pub fn read(issuers: &Issuers, token: &str, now: UnixTime) -> Result<Viewer, Invalid> {
    let jws = jws::Compact::parse(token.as_bytes(), EXPECTED)?;
    // `iss` is needed to find the key that verifies the signature. No other claim is used before the signature is
    // verified.
    let mut claims: Claims = json::read(&jws.payload)?;
    let issuer = issuers.find(&claims.iss).ok_or(Invalid::Issuer)?;
    let algorithm: Algorithm = jws.alg.parse().map_err(|_| Invalid::Algorithm)?;
    if !issuer.algorithms.contains(&algorithm) {
        return Err(Invalid::Algorithm);
    }
    let (message, text) = (jws.signing_input.as_bytes(), jws.signature_text);
    let signature = Signature { algorithm, kid: jws.kid.as_deref(), message, text };
    issuer.keys.verify(signature, now).inspect_err(|unverified| {
        if *unverified != Unverified::Signature {
            issuers.want_keys(&issuer.iss);
        }
    })?;
    if let Some(name) = &issuer.content_claim {
        claims.content_id = content_claim(&jws.payload, name.as_str())?;
    }
    if !claims.aud.as_slice().contains(&issuer.audience) {
        return Err(Invalid::Audience);
    }
    judge_times(&claims, issuer, now)?;
    let expires = UnixTime::from_secs(claims.exp).saturating_add(LEEWAY_SECS);
    let entitlement = entitlement(claims, issuer)?;
    if expires <= now {
        return Err(Invalid::Expired);
    }
    Ok(Viewer { entitlement, token_hash: sha256(token.as_bytes()) })
}

/// The claim that the operator named in place of `content_id`. It is held to the same form.
fn content_claim(payload: &[u8], name: &str) -> Result<Option<OneOrMany>, Invalid> {
    let mut claims: Map<String, Value> = json::read(payload)?;
    let claim = claims.remove(name).map(serde_json::from_value).transpose();
    claim.map_err(|_| Invalid::Claim("that names the contents"))
}

fn judge_times(claims: &Claims, issuer: &Issuer, now: UnixTime) -> Result<(), Invalid> {
    let latest = now.saturating_add(LEEWAY_SECS).as_secs();
    if claims.iat > latest {
        return Err(Invalid::IssuedInFuture);
    }
    if claims.nbf.is_some_and(|nbf| nbf > latest) {
        return Err(Invalid::NotYetValid);
    }
    match claims.exp.checked_sub(claims.iat) {
        Some(1..) if claims.exp - claims.iat <= issuer.longest_life.as_secs() => Ok(()),
        _ => Err(Invalid::Life),
    }
}

fn entitlement(claims: Claims, issuer: &Issuer) -> Result<Entitlement, Invalid> {
    // Scopes are separated by spaces (RFC 8693 section 4.2).
    let scopes = claims.scope.as_deref().unwrap_or_default();
    let manages_devices = scopes.split(' ').any(|scope| scope == "devices");
    if claims.content_id.is_none() && claims.authorized_kids.is_none() && !manages_devices {
        return Err(Invalid::NothingAuthorized);
    }
    let content = claims.content_id.as_ref().map(|patterns| patterns.as_slice());
    let content = content.map(|texts| parse_all::<_, Vec<ContentPattern>>(texts, "content_id"));
    let kids = claims.authorized_kids.as_ref();
    let kids = kids.map(|texts| parse_all::<KeyId, BTreeSet<_>>(texts, "authorized_kids"));
    let region = claims.region.map(|region| region.parse());
    let device = claims.cnf.map(|cnf| match cnf.jkt {
        Some(jkt) => Thumbprint::parse(&jkt).map_err(|_| Invalid::Claim("cnf.jkt")),
        // The token is bound to a key by a method that is not supported. Ignoring it would unbind the token.
        None => Err(Invalid::Claim("cnf")),
    });
    if claims.amr.len() > LIST_MAX {
        return Err(Invalid::Claim("amr"));
    }
    Ok(Entitlement {
        account: Account { iss: claims.iss, sub: name(claims.sub, "sub")? },
        issuer_content: issuer.content.clone(),
        content: content.transpose()?,
        kids: kids.transpose()?,
        policy_id: claims.policy_id.map(|policy| name(policy, "policy_id")).transpose()?,
        entitlement_id: match claims.entitlement_id.unwrap_or_default() {
            id if id.len() <= NAME_BYTES_MAX => id,
            _ => return Err(Invalid::Claim("entitlement_id")),
        },
        license_not_after: claims.license_not_after.map(UnixTime::from_secs),
        region: region.transpose().map_err(|_| Invalid::Claim("region"))?,
        device: device.transpose()?,
        amr: claims.amr,
        manages_devices,
    })
}

fn name(text: String, claim: &'static str) -> Result<String, Invalid> {
    if (1..=NAME_BYTES_MAX).contains(&text.len()) { Ok(text) } else { Err(Invalid::Claim(claim)) }
}

fn parse_all<T: std::str::FromStr, C: FromIterator<T>>(
    texts: &[String],
    claim: &'static str,
) -> Result<C, Invalid> {
    if texts.len() > LIST_MAX {
        return Err(Invalid::Claim(claim));
    }
    texts.iter().map(|text| text.parse().map_err(|_| Invalid::Claim(claim))).collect()
}

impl fmt::Display for Viewer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.entitlement.account.fmt(f)
    }
}
