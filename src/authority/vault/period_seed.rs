//! The seed of crypto periods: it is made once, with the store or when a store of an older format is first opened.

use zeroize::Zeroizing;

use crate::authority::vault::fault::Fault;
use crate::authority::vault::keyring::Keyring;
use crate::crypto::period::PeriodSeed;
use crate::crypto::random;
use crate::store::batch::Batch;
use crate::store::engine::Store;
use crate::store::record::content::NumberRecord;
use crate::store::record::period_seed::PeriodSeedRecord;
use crate::store::record::stored;

/// Makes a new seed, as a record.
///
/// # Errors
/// The operating system gave no randomness.
pub(in crate::authority) fn make(keyring: &Keyring) -> Result<PeriodSeedRecord, Fault> {
    let seed = Zeroizing::new(random::bytes()?);
    Ok(PeriodSeedRecord { wrapped: keyring.wrap_period_seed(&seed)? })
}

/// Opens the seed. A store that has none, and no content with crypto periods either, is given one.
///
/// # Errors
/// [`Fault::Incomplete`] if the seed of keys that were given is lost: another seed would make other keys for old periods.
pub(in crate::authority) async fn open(
    store: &dyn Store,
    keyring: &Keyring,
) -> Result<PeriodSeed, Fault> {
    loop {
        if let Some(record) = stored::only::<PeriodSeedRecord>(store).await? {
            return keyring.period_seed(&record);
        }
        if !store
            .scan(<NumberRecord as stored::Record>::PREFIX.as_bytes(), None, 1)
            .await?
            .is_empty()
        {
            return Err(Fault::Incomplete("seed of crypto periods"));
        }
        // If another process was faster, its seed is the one.
        store.commit(Batch::default().add_record(&make(keyring)?)?).await?;
    }
}
