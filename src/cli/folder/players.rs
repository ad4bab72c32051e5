//! `[token]` of `reelkey.toml`: where players may put their tokens.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use crate::http::frame::bearer::TokenPlaces;

/// `[token]`: for players that cannot set an `Authorization` header.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct TokenTable {
    /// Whether `?token=` has it.
    query: bool,
    /// The header that has it.
    header: Option<String>,
}

impl TryFrom<TokenTable> for TokenPlaces {
    type Error = &'static str;

    fn try_from(TokenTable { query, header }: TokenTable) -> Result<Self, &'static str> {
        Self::new(header.as_deref(), query)
    }
}

/// Reads `[token]`.
pub(crate) fn places<'de, D: Deserializer<'de>>(from: D) -> Result<TokenPlaces, D::Error> {
    TokenTable::deserialize(from)?.try_into().map_err(D::Error::custom)
}
