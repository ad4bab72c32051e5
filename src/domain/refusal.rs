//! Why a request is refused.
//!
//! A refusal is an answer, not an error: it is decided, logged and tested like a grant. This file has only the list.
//! The HTTP layer gives each refusal its status and text.

/// The reasons, in the order in which they are checked, as far as there is an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// The body is too long.
    TooLarge,
    /// There is no authorization token.
    TokenMissing,
    /// The token is invalid, and not only because it is too old.
    TokenInvalid,
    /// The token is past its `exp`. Nothing else is wrong.
    TokenExpired,
    /// The form or a claim of the request is wrong.
    BadRequest,
    /// The request's signature or `ath` is wrong.
    ProofInvalid,
    /// The request was made too long ago, or in the future.
    RequestStale,
    /// The token is bound to another device, or is not bound although it must be.
    TokenNotBound,
    /// The content or key is unknown, or the token does not permit it. The answer is the same, so that a viewer cannot
    /// learn which.
    NotAuthorized,
    /// The token permits the content, but the content has no such key, or no longer.
    KeyNotFound,
    /// The viewer did not sign in as the policy requires.
    AmrRequired,
    /// The policy does not allow playback.
    PlaybackNotAllowed,
    /// The policy does not allow stored licenses.
    PersistenceNotAllowed,
    /// The policy does not allow keys in the clear.
    ClearKeysNotAllowed,
    /// The policy does not allow renewals.
    RenewalNotAllowed,
    /// The policy does not allow this region.
    RegionDenied,
    /// The policy blocks this region at this time.
    Blackout,
    /// The device protects keys less than the policy requires.
    SecurityLevel,
    /// The policy demands a device that was enrolled before.
    DeviceNotEnrolled,
    /// All places for devices of the account are taken.
    DeviceLimit,
    /// The device was revoked.
    DeviceRevoked,
    /// The availability window has not opened yet.
    NotYetAvailable,
    /// The availability window has closed.
    NoLongerAvailable,
    /// The rental has ended.
    RentalExpired,
    /// The time to watch, from the first play on, is over.
    PlaybackExpired,
    /// The license has ended, or was returned.
    LicenseExpired,
    /// The license was revoked.
    LicenseRevoked,
    /// The account plays on as many devices as the policy allows.
    ConcurrencyLimit,
    /// There is no such page.
    NotFound,
    /// The page exists, but does not support this method.
    MethodNotAllowed,
    /// The request did not arrive in time.
    Timeout,
    /// The client has too many requests at once.
    RateLimited,
    /// Our fault.
    Internal,
    /// The service cannot answer now, but can later.
    Unavailable,
}

impl Refusal {
    /// All of them.
    pub const ALL: [Self; 34] = [
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
        Self::ClearKeysNotAllowed,
        Self::RenewalNotAllowed,
        Self::RegionDenied,
        Self::Blackout,
        Self::SecurityLevel,
        Self::DeviceNotEnrolled,
        Self::DeviceLimit,
        Self::DeviceRevoked,
        Self::NotYetAvailable,
        Self::NoLongerAvailable,
        Self::RentalExpired,
        Self::PlaybackExpired,
        Self::LicenseExpired,
        Self::LicenseRevoked,
        Self::ConcurrencyLimit,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::Timeout,
        Self::RateLimited,
        Self::Internal,
        Self::Unavailable,
    ];

    /// The reason as a short name, for programs, logs and metrics. It never changes once released.
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
            Self::ClearKeysNotAllowed => "clear-keys-not-allowed",
            Self::RenewalNotAllowed => "renewal-not-allowed",
            Self::RegionDenied => "region-denied",
            Self::Blackout => "blackout",
            Self::SecurityLevel => "security-level",
            Self::NotYetAvailable => "not-yet-available",
            Self::NoLongerAvailable => "no-longer-available",
            Self::DeviceNotEnrolled => "device-not-enrolled",
            Self::DeviceLimit => "device-limit",
            Self::DeviceRevoked => "device-revoked",
            Self::RentalExpired => "rental-expired",
            Self::PlaybackExpired => "playback-expired",
            Self::LicenseExpired => "license-expired",
            Self::LicenseRevoked => "license-revoked",
            Self::ConcurrencyLimit => "concurrency-limit",
            Self::NotFound => "not-found",
            Self::MethodNotAllowed => "method-not-allowed",
            Self::Timeout => "timeout",
            Self::RateLimited => "rate-limited",
            Self::Internal => "internal",
            Self::Unavailable => "unavailable",
        }
    }
}
