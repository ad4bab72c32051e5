//! Rotating the key that signs licenses.

use reelkey_client::time::UnixTime;

use crate::authority::commit::Attempts;
use crate::authority::vault::fault::Fault;
use crate::authority::vault::keyring::PRIMARY;
use crate::authority::vault::open::Vault;
use crate::crypto::sign::SigningKey;
use crate::store::batch::Batch;
use crate::store::record::kek;
use crate::store::record::signer::SignerRecord;
use crate::store::record::stored;

/// How long a new signing key is published before it signs, in seconds: the `max-age` of the JWK Set.
pub const PUBLISHED_SECS_BEFORE: u64 = 300;

/// Makes a new signing key. It signs when every player can have it. With `at_once` it signs immediately, because the
/// old key has leaked.
///
/// # Errors
/// [`Fault`].
pub async fn rotate(vault: &Vault, at_once: bool, now: UnixTime) -> Result<(), Fault> {
    let pkcs8 = SigningKey::generate_pkcs8()?;
    let kid = SigningKey::from_pkcs8(&pkcs8)?.public_key().thumbprint().to_string();
    let delay = if at_once { 0 } else { PUBLISHED_SECS_BEFORE };
    let store = vault.store();
    let mut attempts = Attempts::default();
    loop {
        let keyring = vault.keyring();
        let primary = kek::kek(&*store, keyring.primary()).await?;
        let primary = primary.ok_or(Fault::Incomplete(PRIMARY))?;
        let signers = stored::all::<SignerRecord>(&*store).await?;
        let last = signers.iter().map(|signer| signer.number).max().unwrap_or(0);
        let record = SignerRecord {
            wrapped: keyring.wrap_signer(&kid, &pkcs8)?,
            kid: kid.clone(),
            created_at: now.as_secs(),
            signs_from: now.saturating_add(delay).as_secs(),
            number: last.saturating_add(1),
        };
        let batch = Batch::default().add_record(&record)?.expect_record(&primary);
        if attempts.commit(&*store, batch).await? {
            return Ok(());
        }
    }
}
