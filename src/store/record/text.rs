//! How JSON records write IDs: as text. Facts were JSON up to format 3, and are still read.

use std::fmt::Display;
use std::str::FromStr;

use reelkey_client::key::KeyId;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serializer};

pub(super) fn serialize<S: Serializer>(value: &impl Display, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(value)
}

pub(super) fn deserialize<'de, T: FromStr, D: Deserializer<'de>>(from: D) -> Result<T, D::Error> {
    read(&String::deserialize(from)?)
}

fn read<T: FromStr, E: Error>(text: &str) -> Result<T, E> {
    text.parse().map_err(|_| E::custom("malformed text"))
}

/// The same for an optional value.
pub(super) mod optional {
    use super::{Deserialize, Deserializer, Display, FromStr, Serializer, read};

    pub(in crate::store::record) fn serialize<S: Serializer>(
        value: &Option<impl Display>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => to.collect_str(value),
            None => to.serialize_none(),
        }
    }

    pub(in crate::store::record) fn deserialize<'de, T: FromStr, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<T>, D::Error> {
        Option::<String>::deserialize(from)?.as_deref().map(read).transpose()
    }
}

/// 16 bytes, written as a UUID.
pub(super) mod uuid {
    use super::{Deserialize, Deserializer, KeyId, Serializer, read};

    pub(in crate::store::record) fn serialize<S: Serializer>(
        bytes: &[u8; 16],
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.collect_str(&KeyId::from_bytes(*bytes))
    }

    pub(in crate::store::record) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<[u8; 16], D::Error> {
        let id: KeyId = read(&String::deserialize(from)?)?;
        Ok(*id.as_bytes())
    }
}

/// The thumbprint of a device key, written as base64url.
pub(super) mod jkt {
    use reelkey_client::strict::jwk::Thumbprint;

    use super::{Deserialize, Deserializer, Error};

    fn read<E: Error>(text: &str) -> Result<Thumbprint, E> {
        Thumbprint::parse(text).map_err(|_| E::custom("malformed text"))
    }

    pub(in crate::store::record) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Thumbprint, D::Error> {
        read(&String::deserialize(from)?)
    }

    /// The same for a list.
    pub(in crate::store::record) mod many {
        use super::{Deserialize, Deserializer, Thumbprint, read};

        pub(in crate::store::record) fn deserialize<'de, D: Deserializer<'de>>(
            from: D,
        ) -> Result<Vec<Thumbprint>, D::Error> {
            Vec::<String>::deserialize(from)?.iter().map(|text| read(text)).collect()
        }
    }
}
