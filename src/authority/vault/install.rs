//! The first records of a store: the header, the first KEK, the signing key, the key that names requests and the seed of
//! crypto periods. They are one batch, so a killed process leaves all of them or none.

use reelkey_client::time::UnixTime;
use zeroize::Zeroizing;

use crate::authority::vault::fault::Fault;
use crate::authority::vault::keyring::Keyring;
use crate::authority::vault::period_seed;
use crate::crypto::random;
use crate::crypto::root_key::RootKey;
use crate::crypto::sign::SigningKey;
use crate::store::batch::Batch;
use crate::store::record::header::{FORMAT, Header};
use crate::store::record::naming_key::NamingKeyRecord;
use crate::store::record::signer::SignerRecord;

/// Makes the first records of a store, wrapped under `root`.
///
/// # Errors
/// The operating system gave no randomness.
pub fn first_records(root: &RootKey, now: UnixTime) -> Result<Batch, Fault> {
    let created_at = now.as_secs();
    let store_id = random::bytes()?;
    let root_key_check = root.check_value(&store_id);
    let header = Header { format: FORMAT, store_id, epoch: 1, root_key_check, created_at };

    let (kek_record, kek) = Keyring::make_kek(root, &store_id, 1, created_at)?;
    let keyring = Keyring::new(&header, kek);

    let pkcs8 = SigningKey::generate_pkcs8()?;
    let kid = SigningKey::from_pkcs8(&pkcs8)?.public_key().thumbprint().to_string();
    let wrapped = keyring.wrap_signer(&kid, &pkcs8)?;
    let signer = SignerRecord { kid, wrapped, created_at, signs_from: created_at, number: 0 };

    let naming_key = Zeroizing::new(random::bytes()?);
    let naming_key = NamingKeyRecord { wrapped: keyring.wrap_naming_key(&naming_key)? };
    Ok(Batch::default()
        .add_record(&header)?
        .add_record(&kek_record)?
        .add_record(&signer)?
        .add_record(&naming_key)?
        .add_record(&period_seed::make(&keyring)?)?)
}
