//! Reads the public key of an X.509 certificate (RFC 5280 section 4.1).
//!
//! Deliberately absent: everything that makes a certificate valid. A service judges that.

use p256::pkcs8::der::{AnyRef, Decode, Error, Reader, SliceReader, TagNumber, Tagged};
use p256::pkcs8::spki::SubjectPublicKeyInfoRef;

use crate::strict::jwk::PublicKey;

/// The fields between `version` and `subjectPublicKeyInfo`: serial number, algorithm, issuer, validity, subject.
const FIELDS_BEFORE_KEY: usize = 5;

/// The P-256 key of a certificate in DER. `None` if it cannot be read, or has another kind of key. Nothing else of the
/// certificate is judged.
#[must_use]
pub fn public_key(certificate: &[u8]) -> Option<PublicKey> {
    let mut reader = SliceReader::new(certificate).ok()?;
    let key = reader
        .sequence(|certificate| -> Result<_, Error> {
            let key = certificate.sequence(|fields| -> Result<_, Error> {
                let first = AnyRef::decode(fields)?.tag();
                let has_version = first.is_context_specific() && first.number() == TagNumber(0);
                for _ in usize::from(!has_version)..FIELDS_BEFORE_KEY {
                    AnyRef::decode(fields)?;
                }
                let key = SubjectPublicKeyInfoRef::decode(fields)?;
                skip(fields)?;
                Ok(key)
            })?;
            skip(certificate)?;
            Ok(key)
        })
        .ok()?;
    let key = p256::PublicKey::try_from(key).ok()?;
    reader.is_finished().then(|| PublicKey::from_p256(key))
}

/// Skips the rest of a sequence.
fn skip<'a>(reader: &mut impl Reader<'a>) -> Result<(), Error> {
    while !reader.is_finished() {
        AnyRef::decode(reader)?;
    }
    Ok(())
}
