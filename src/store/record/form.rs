//! The forms in which records are written.
//!
//! Records are few and JSON ([`Json`]), so that a person can read them in a copy of the store. Facts are many and written by
//! grants: they are CBOR ([`Cbor`], RFC 8949) without what their key says, a third as long. An object of JSON begins with a brace, and no
//! array of CBOR does.

use minicbor::{Decode, Decoder, Encode};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::store::error::Error;

/// Room for most records, so that few grow while they are written.
const USUAL_BYTES: usize = 512;

/// A form of the records `R`.
pub trait Form<R> {
    /// The bytes of a record.
    ///
    /// # Errors
    /// [`Error::Encoding`].
    fn write(record: &R) -> Result<Vec<u8>, Error>;

    /// The record with these bytes under this key; `None` if they are none.
    fn read(key: &[u8], bytes: &[u8]) -> Option<R>;
}

/// JSON. Members that are not known are passed over.
#[derive(Clone, Copy, Debug)]
pub enum Json {}

impl<R: Serialize + DeserializeOwned> Form<R> for Json {
    fn write(record: &R) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::with_capacity(USUAL_BYTES);
        serde_json::to_writer(&mut bytes, record).map_err(|_| Error::Encoding)?;
        Ok(bytes)
    }

    fn read(_: &[u8], bytes: &[u8]) -> Option<R> {
        Self::parse(bytes)
    }
}

impl Json {
    fn parse<R: DeserializeOwned>(bytes: &[u8]) -> Option<R> {
        serde_json::from_slice(bytes).ok()
    }
}

/// CBOR: an array of the fields by their numbers, with null for what the key says. Items behind those that are known are passed
/// over. JSON, which earlier versions wrote, is read too.
#[derive(Clone, Copy, Debug)]
pub enum Cbor {}

impl<R> Form<R> for Cbor
where
    R: for<'k> Encode<&'k [u8]> + for<'b, 'k> Decode<'b, &'k [u8]> + DeserializeOwned,
{
    fn write(record: &R) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::with_capacity(USUAL_BYTES);
        minicbor::encode_with(record, &mut bytes, &mut &[][..]).map_err(|_| Error::Encoding)?;
        Ok(bytes)
    }

    fn read(mut key: &[u8], bytes: &[u8]) -> Option<R> {
        if bytes.first() == Some(&b'{') {
            return Json::parse(bytes);
        }
        let mut decoder = Decoder::new(bytes);
        let record = decoder.decode_with(&mut key).ok()?;
        (decoder.position() == bytes.len()).then_some(record)
    }
}
