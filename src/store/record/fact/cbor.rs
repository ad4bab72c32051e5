//! How facts write IDs in CBOR: as byte strings, and names as text. What the key of a fact says, its value does not repeat.

use minicbor::decode::{Decode, Error};
use minicbor::encode::{Encode, Write};
use minicbor::{Decoder, Encoder};
use reelkey_client::strict::jwk::Thumbprint;

use crate::domain::content::ContentId;
use crate::domain::past::LicenseId;
use crate::store::record::fact::account::{ACCOUNTS, AccountId};

type Encoded<W> = Result<(), minicbor::encode::Error<<W as Write>::Error>>;

/// IDs of 16 bytes.
macro_rules! id {
    ($id:ty) => {
        impl<C> Encode<C> for $id {
            fn encode<W: Write>(&self, to: &mut Encoder<W>, _: &mut C) -> Encoded<W> {
                to.bytes(self.as_bytes())?.ok()
            }
        }

        impl<'b, C> Decode<'b, C> for $id {
            fn decode(from: &mut Decoder<'b>, _: &mut C) -> Result<Self, Error> {
                fixed(from).map(Self::from_bytes)
            }
        }
    };
}

id!(AccountId);
id!(LicenseId);

impl<C> Encode<C> for ContentId {
    fn encode<W: Write>(&self, to: &mut Encoder<W>, _: &mut C) -> Encoded<W> {
        to.str(self.as_str())?.ok()
    }
}

impl<'b, C> Decode<'b, C> for ContentId {
    fn decode(from: &mut Decoder<'b>, _: &mut C) -> Result<Self, Error> {
        from.str()?.parse().map_err(Error::custom)
    }
}

/// What the key of a fact says: the value has null in its place. The context of the decoder is the key.
pub(super) mod of_key {
    use super::{Decoder, Encoded, Encoder, Error, OfKey, Write};

    pub(in crate::store::record::fact) fn encode<T, C, W: Write>(
        _: &T,
        to: &mut Encoder<W>,
        _: &mut C,
    ) -> Encoded<W> {
        to.null()?.ok()
    }

    pub(in crate::store::record::fact) fn decode<T: OfKey, C: AsRef<[u8]>>(
        from: &mut Decoder<'_>,
        key: &mut C,
    ) -> Result<T, Error> {
        from.null()?;
        T::of_key(key.as_ref()).ok_or_else(|| Error::message("another key"))
    }
}

/// A part of keys.
pub(super) trait OfKey: Sized {
    fn of_key(key: &[u8]) -> Option<Self>;
}

impl OfKey for AccountId {
    fn of_key(key: &[u8]) -> Option<Self> {
        key.get(ACCOUNTS.len()..)?.first_chunk().copied().map(Self::from_bytes)
    }
}

/// Devices and licenses: the device comes first behind the kind.
impl OfKey for Thumbprint {
    fn of_key(key: &[u8]) -> Option<Self> {
        behind_kind(key)?.first_chunk().copied().map(Self::from_bytes)
    }
}

/// Slots: what is counted comes first behind the kind.
impl OfKey for [u8; 16] {
    fn of_key(key: &[u8]) -> Option<Self> {
        behind_kind(key)?.first_chunk().copied()
    }
}

/// Licenses and their owners: the license comes last.
impl OfKey for LicenseId {
    fn of_key(key: &[u8]) -> Option<Self> {
        key.last_chunk().copied().map(Self::from_bytes)
    }
}

fn behind_kind(key: &[u8]) -> Option<&[u8]> {
    key.get(ACCOUNTS.len() + AccountId::BYTES + 1..)
}

/// So many bytes.
fn fixed<const N: usize>(from: &mut Decoder<'_>) -> Result<[u8; N], Error> {
    from.bytes()?.try_into().map_err(|_| Error::message("another length"))
}

/// The thumbprint of a device key.
pub(super) mod jkt {
    use super::{Decoder, Encoded, Encoder, Error, Thumbprint, Write, fixed};

    pub(in crate::store::record::fact) fn encode<C, W: Write>(
        jkt: &Thumbprint,
        to: &mut Encoder<W>,
        _: &mut C,
    ) -> Encoded<W> {
        to.bytes(jkt.as_bytes())?.ok()
    }

    pub(in crate::store::record::fact) fn decode<C>(
        from: &mut Decoder<'_>,
        _: &mut C,
    ) -> Result<Thumbprint, Error> {
        fixed(from).map(Thumbprint::from_bytes)
    }

    /// The same for a list.
    pub(in crate::store::record::fact) mod many {
        use super::{Decoder, Encoded, Encoder, Error, Thumbprint, Write};

        pub(in crate::store::record::fact) fn encode<C, W: Write>(
            all: &[Thumbprint],
            to: &mut Encoder<W>,
            context: &mut C,
        ) -> Encoded<W> {
            to.array(u64::try_from(all.len()).unwrap_or(u64::MAX))?;
            all.iter().try_for_each(|jkt| super::encode(jkt, to, context))
        }

        pub(in crate::store::record::fact) fn decode<C>(
            from: &mut Decoder<'_>,
            context: &mut C,
        ) -> Result<Vec<Thumbprint>, Error> {
            let count = from.array()?.ok_or_else(|| Error::message("no length"))?;
            (0..count).map(|_| super::decode(from, context)).collect()
        }
    }
}

/// Whether a license is kept, as a boolean.
pub(super) mod session_type {
    use reelkey_client::exchange::request::SessionType;

    use super::{Decoder, Encoded, Encoder, Error, Write};

    pub(in crate::store::record::fact) fn encode<C, W: Write>(
        session: &SessionType,
        to: &mut Encoder<W>,
        _: &mut C,
    ) -> Encoded<W> {
        to.bool(*session == SessionType::PersistentLicense)?.ok()
    }

    pub(in crate::store::record::fact) fn decode<C>(
        from: &mut Decoder<'_>,
        _: &mut C,
    ) -> Result<SessionType, Error> {
        Ok(match from.bool()? {
            true => SessionType::PersistentLicense,
            false => SessionType::Temporary,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Debug;

    use super::{AccountId, Thumbprint};

    use proptest::collection::vec;
    use proptest::prelude::*;

    use crate::store::record::fact::device::DeviceRecord;
    use crate::store::record::fact::license::{LicenseRecord, OwnerRecord};
    use crate::store::record::fact::place::PlaceRecord;
    use crate::store::record::fact::slot::SlotRecord;
    use crate::store::record::fact::usage::UsageRecord;
    use crate::store::record::form::{Cbor, Form};
    use crate::store::record::stored::{Record, Stored};

    const UUID: &str = "07070707-0707-0707-0707-070707070707";
    const JKT: &str = "CQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQk";
    const ID: &str = "BQUFBQUFBQUFBQUFBQUFBQ";

    /// The record that format 3 wrote as `json` is written as `cbor` now (in diagnostic notation, RFC 8949 section 8), and both are
    /// read. In the texts, three words stand for IDs.
    fn is_written<R: Record + PartialEq + Debug>(json: &str, cbor: &str) {
        let json = json.replace("UUID", UUID).replace("JKT", JKT).replace("ID", ID);
        let record = R::Form::read(b"", json.as_bytes()).unwrap();
        let (key, bytes) = (record.key(), R::Form::write(&record).unwrap());
        let [uuid, jkt, id] = [("07", 16), ("09", 32), ("05", 16)]
            .map(|(digits, count)| format!("h'{}'", vec![digits; count].join(" ")));
        let shown = minicbor::display(&bytes).to_string();
        assert_eq!(shown.replace(&uuid, "UUID").replace(&jkt, "JKT").replace(&id, "ID"), cbor);
        assert_eq!(R::Form::read(&key, &bytes).as_ref(), Some(&record));
        // Nothing else is.
        assert_eq!(R::Form::read(&key, &[&bytes[..], &[0]].concat()), None);
        assert_eq!(R::Form::read(&key, &bytes[..bytes.len() - 1]), None);
        assert_eq!(R::Form::read(&key, b""), None);
        assert_eq!(R::Form::read(b"account/", &bytes), None);
        assert!(Stored::<R>::parse(&[&key[..], b"x"].concat(), bytes).is_err());
    }

    #[test]
    fn facts_are_arrays_and_those_of_format_3_are_read() {
        is_written::<DeviceRecord>(
            r#"{"account":"UUID","jkt":"JKT","registered_at":5,"last_seen_at":6,"status":"removed","status_since":7}"#,
            "[null, null, null, null, null, null, 5, 6, 2, 7]",
        );
        is_written::<DeviceRecord>(
            r#"{"account":"UUID","jkt":"JKT","name":"TV","model":"M","place":0,"placed_at":4,"registered_at":5,"last_seen_at":6,"status":"active","status_since":7}"#,
            r#"[null, null, "TV", "M", 0, 4, 5, 6, 0, 7]"#,
        );
        is_written::<PlaceRecord>(r#"{"account":"UUID","number":1,"jkt":"JKT"}"#, "[null, 1, JKT]");
        is_written::<SlotRecord>(
            r#"{"account":"UUID","counted":"UUID","number":1,"license":"ID","jkt":"JKT","content_id":"a/b","since":5,"until":9,"stopped":[{"jkt":"JKT","until":8}]}"#,
            r#"[null, null, 1, ID, JKT, "a/b", 5, 9, [[JKT, 8]]]"#,
        );
        is_written::<UsageRecord>(
            r#"{"account":"UUID","content_id":"a/b","entitlement_id":"rental-1","rented_at":5,"keepers":["JKT"],"barred":true}"#,
            r#"[null, "a/b", "rental-1", 5, null, [JKT], true]"#,
        );
        is_written::<LicenseRecord>(
            r#"{"account":"UUID","id":"ID","sub":"me","jkt":"JKT","content_id":"a/b","entitlement_id":"","policy_id":"p","session_type":"persistent-license","issued_at":5,"updated_at":6,"expires_at":9,"counter":2,"renewed_by":"ID","state":"returned","events":[["issued",5],["first-play",6],["returned",7]]}"#,
            r#"[null, null, "me", null, "a/b", "", "p", true, 5, 6, 9, 2, ID, 2, [[0, 5], [1, 6], [4, 7]]]"#,
        );
        is_written::<LicenseRecord>(
            r#"{"account":"UUID","id":"ID","sub":"me","jkt":"JKT","content_id":"a/b","entitlement_id":"","policy_id":"p","session_type":"temporary","issued_at":5,"updated_at":6,"expires_at":9,"state":"active","events":[]}"#,
            r#"[null, null, "me", null, "a/b", "", "p", false, 5, 6, 9, 0, null, 0, []]"#,
        );
        is_written::<OwnerRecord>(
            r#"{"id":"ID","account":"UUID","jkt":"JKT"}"#,
            "[null, UUID, JKT]",
        );
    }

    /// A field that a later version adds comes last.
    #[test]
    fn what_a_later_version_adds_is_passed_over() {
        let jkt = Thumbprint::from_bytes([9; 32]);
        let place = PlaceRecord { account: AccountId::from_bytes([7; 16]), number: 1, jkt };
        let (key, written) = (place.key(), Cbor::write(&place).unwrap());
        let (begin, fields) = written.split_first().unwrap();
        let of = |count, more: &[u8]| [&[begin + count - 3], fields, more].concat();
        assert_eq!(Cbor::read(&key, &of(3, b"")).as_ref(), Some(&place));
        assert_eq!(Cbor::read(&key, &of(4, &[0x61, b'x'])), Some(place));
        assert_eq!(Cbor::read(&key, &of(2, b"")), None::<PlaceRecord>);
    }

    fn may_be_read<R: Record>(key: &[u8], bytes: &[u8]) {
        if let Ok(stored) = Stored::<R>::parse(key, bytes.to_vec()) {
            let again = R::Form::write(&stored).unwrap();
            assert!(Stored::<R>::parse(key, again).is_ok());
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_fact_or_none(
            key in prop_oneof![
                vec(any::<u8>(), 0..60),
                (1_u8..6, vec(any::<u8>(), 0..49))
                    .prop_map(|(kind, rest)| [b"account/", &[7; 16][..], &[kind], &rest].concat()),
            ],
            begin in prop_oneof![Just(vec![]), (0x80_u8..0xa0).prop_map(|byte| vec![byte])],
            bytes in vec(prop_oneof![any::<u8>(), 0_u8..24, Just(0xf6)], 0..60),
        ) {
            let bytes = [begin, bytes].concat();
            may_be_read::<DeviceRecord>(&key, &bytes);
            may_be_read::<PlaceRecord>(&key, &bytes);
            may_be_read::<SlotRecord>(&key, &bytes);
            may_be_read::<UsageRecord>(&key, &bytes);
            may_be_read::<LicenseRecord>(&key, &bytes);
            may_be_read::<OwnerRecord>(&key, &bytes);
        }
    }
}
