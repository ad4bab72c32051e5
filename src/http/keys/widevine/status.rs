//! The outcomes of a request.
//!
//! Deliberately absent: `INVALID_GROUP_TRACK_TYPE`, because groups are ignored, and `KEY_ROTATION_WITH_UNSUPPORTED_DRM_TYPE`,
//! because keys rotate for every system.

/// The outcome of a request, as the API names it. A client knows no others: Shaka Packager takes an unknown name for `OK`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// The keys follow.
    Ok,
    /// The signature is not that of the signer, or there is no such signer.
    SignatureFailed,
    /// Neither a content ID nor `pssh_data`.
    ContentIdMissing,
    /// A policy of the content that would be added is not in force.
    PolicyUnknown,
    /// A request by content ID names no track, or a track has no type.
    TrackTypeMissing,
    /// A track type that is unknown here.
    TrackTypeUnknown,
    /// The request cannot be read.
    MalformedRequest,
    /// Nobody is known to ask, or not for this.
    AccessDenied,
    /// The service failed.
    InternalError,
    /// `pssh_data` is not Widevine's, or names no key.
    InvalidWidevinePssh,
    /// Both a content ID and `pssh_data`.
    TooManyContentSpecifiers,
    /// There is no such content, or no such key.
    AssetNotFound,
    /// The key is retired.
    AssetMissingKey,
    /// The key is another content's.
    ContentIdMismatch,
    /// The key is another track's.
    KeyIdMismatch,
    /// No period is asked for, or one that cannot be.
    NoRequestedCryptoPeriods,
}

impl Status {
    /// Its name in an answer.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::SignatureFailed => "SIGNATURE_FAILED",
            Self::ContentIdMissing => "CONTENT_ID_MISSING",
            Self::PolicyUnknown => "POLICY_UNKNOWN",
            Self::TrackTypeMissing => "TRACK_TYPE_MISSING",
            Self::TrackTypeUnknown => "TRACK_TYPE_UNKNOWN",
            Self::MalformedRequest => "MALFORMED_REQUEST",
            Self::AccessDenied => "ACCESS_DENIED",
            Self::InternalError => "INTERNAL_ERROR",
            Self::InvalidWidevinePssh => "INVALID_WIDEVINE_PSSH",
            Self::TooManyContentSpecifiers => "TOO_MANY_CONTENT_SPECIFIERS",
            Self::AssetNotFound => "ASSET_NOT_FOUND",
            Self::AssetMissingKey => "ASSET_MISSING_KEY",
            Self::ContentIdMismatch => "CONTENT_ID_MISMATCH",
            Self::KeyIdMismatch => "KEY_ID_MISMATCH",
            Self::NoRequestedCryptoPeriods => "NO_REQUESTED_CRYPTO_PERIODS",
        }
    }
}
