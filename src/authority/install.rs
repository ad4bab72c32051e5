//! Making a store: its header, its first KEK, its signing key and the key that names requests, in one
//! batch, so that a kill leaves all of them or none.

use reelkey_client::time::UnixTime;
use zeroize::Zeroizing;

use crate::authority::keyring::Keyring;
use crate::crypto::random::{self, RandomnessFailed};
use crate::crypto::root_key::RootKey;
use crate::crypto::sign::{self, SigningKey};
use crate::crypto::wrap::WrapFailed;
use crate::store::record::{FORMAT, Header, NamingKeyRecord, SignerRecord};
use crate::store::{self, Batch, Committed, Store};

/// The store cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It was set up before.
    #[error("the store is not empty")]
    NotEmpty,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// A secret could not be wrapped.
    #[error(transparent)]
    Wrap(#[from] WrapFailed),
    /// The signing key could not be made.
    #[error(transparent)]
    Signer(#[from] sign::Error),
    /// There is no randomness.
    #[error(transparent)]
    Randomness(#[from] RandomnessFailed),
}

/// Sets up `store`, which is new and empty.
///
/// # Errors
/// [`Error`].
pub async fn install(store: &dyn Store, root: &RootKey, now: UnixTime) -> Result<(), Error> {
    match store.commit(first_records(root, now.as_secs())?).await? {
        Committed::Done => Ok(()),
        Committed::Conflict => Err(Error::NotEmpty),
    }
}

fn first_records(root: &RootKey, created_at: u64) -> Result<Batch, Error> {
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
        .add_record(&naming_key)?)
}
