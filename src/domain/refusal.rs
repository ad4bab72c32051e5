//! Why a request is refused.
//!
//! A refusal is an answer, not an error: it is decided, logged and tested like a grant. The HTTP floor
//! gives each its status and words; here is only the list.

/// The reasons, in the order in which they are judged as far as there is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// The body is too long.
    TooLarge,
    /// There is no authorization token.
    TokenMissing,
    /// Something about the token is wrong, but not its age alone.
    TokenInvalid,
    /// The token is past its `exp`, and otherwise right.
    TokenExpired,
    /// The request's form or a claim is wrong.
    BadRequest,
    /// The request's signature or `ath` is wrong.
    ProofInvalid,
    /// The request was made too long ago, or in the future.
    RequestStale,
    /// The token is bound to another device, or has to be bound and is not.
    TokenNotBound,
    /// Unknown, or not for this token: one answer, so that nobody learns which.
    NotAuthorized,
    /// The title is authorized and has no such key any more, or none yet.
    KeyNotFound,
    /// The viewer did not sign in as the policy requires.
    AmrRequired,
    /// The policy does not let this be played.
    PlaybackNotAllowed,
    /// The policy does not let licenses be stored.
    PersistenceNotAllowed,
    /// The policy does not let licenses be renewed.
    RenewalNotAllowed,
    /// Not in this region.
    RegionDenied,
    /// Not in this region at this time.
    Blackout,
    /// The device guards keys less well than the policy requires.
    SecurityLevel,
    /// The window has not opened.
    NotYetAvailable,
    /// The window has closed.
    NoLongerAvailable,
    /// No such page.
    NotFound,
    /// The page is there, but not for this method.
    MethodNotAllowed,
    /// The request did not arrive in time.
    Timeout,
    /// The client has too many requests at once.
    RateLimited,
    /// Our fault.
    Internal,
    /// Not now; later.
    Unavailable,
}

impl Refusal {
    /// All of them.
    pub const ALL: [Self; 25] = [
        Self::TooLarge,
        Self::TokenMissing,
        Self::TokenInvalid,
        Self::TokenExpired,
        Self::BadRequest,
        Self::ProofInvalid,
        Self::RequestStale,
        Self::TokenNotBound,
        Self::NotAuthorized,
        Self::KeyNotFound,
        Self::AmrRequired,
        Self::PlaybackNotAllowed,
        Self::PersistenceNotAllowed,
        Self::RenewalNotAllowed,
        Self::RegionDenied,
        Self::Blackout,
        Self::SecurityLevel,
        Self::NotYetAvailable,
        Self::NoLongerAvailable,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::Timeout,
        Self::RateLimited,
        Self::Internal,
        Self::Unavailable,
    ];

    /// The slug for programs, logs and metrics. Never changed once released.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::TooLarge => "too-large",
            Self::TokenMissing => "token-missing",
            Self::TokenInvalid => "token-invalid",
            Self::TokenExpired => "token-expired",
            Self::BadRequest => "bad-request",
            Self::ProofInvalid => "proof-invalid",
            Self::RequestStale => "request-stale",
            Self::TokenNotBound => "token-not-bound",
            Self::NotAuthorized => "not-authorized",
            Self::KeyNotFound => "key-not-found",
            Self::AmrRequired => "amr-required",
            Self::PlaybackNotAllowed => "playback-not-allowed",
            Self::PersistenceNotAllowed => "persistence-not-allowed",
            Self::RenewalNotAllowed => "renewal-not-allowed",
            Self::RegionDenied => "region-denied",
            Self::Blackout => "blackout",
            Self::SecurityLevel => "security-level",
            Self::NotYetAvailable => "not-yet-available",
            Self::NoLongerAvailable => "no-longer-available",
            Self::NotFound => "not-found",
            Self::MethodNotAllowed => "method-not-allowed",
            Self::Timeout => "timeout",
            Self::RateLimited => "rate-limited",
            Self::Internal => "internal",
            Self::Unavailable => "unavailable",
        }
    }
}
