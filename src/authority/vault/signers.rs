//! The keys that sign licenses. They sign one after another.
//!
//! A new key is published for some minutes before it signs, so that every player can fetch it. An old key stays
//! published for as long as a license that it signed may be verified.

use reelkey_client::time::UnixTime;

use crate::authority::vault::fault::Fault;
use crate::authority::vault::open::Vault;
use crate::crypto::sign::SigningKey;
use crate::store::record::signer::SignerRecord;
use crate::store::record::stored;

/// All signing keys, in the order in which they sign.
#[derive(Debug, Default)]
pub struct Signers(Vec<Signer>);

#[derive(Debug)]
struct Signer {
    key: SigningKey,
    signs_from: UnixTime,
}

impl Signers {
    /// Unwraps all signing keys.
    ///
    /// # Errors
    /// [`Fault`], also if there is no signing key.
    pub async fn read(vault: &Vault) -> Result<Self, Fault> {
        let mut records = stored::all::<SignerRecord>(&*vault.store()).await?;
        records.sort_by_key(|record| record.turn());
        // Taken after the records were read, so that it can open them.
        let keyring = vault.keyring();
        let mut signers = Vec::new();
        for record in records {
            let signs_from = UnixTime::from_secs(record.signs_from);
            signers.push(Signer { key: keyring.signer(&record)?, signs_from });
        }
        if signers.is_empty() { Err(Fault::Incomplete("signing key")) } else { Ok(Self(signers)) }
    }

    /// The key that signs at `now`: the last whose time has come. If the clock was set back before all of them, it is
    /// the first key.
    #[must_use]
    pub fn current(&self, now: UnixTime) -> Option<&SigningKey> {
        let due = self.0.iter().rev().find(|signer| signer.signs_from <= now);
        due.or_else(|| self.0.first()).map(|signer| &signer.key)
    }

    /// Since when the one signs that signs at `now`.
    #[must_use]
    pub fn signs_since(&self, now: UnixTime) -> Option<UnixTime> {
        let due = self.0.iter().rev().find(|signer| signer.signs_from <= now);
        due.or_else(|| self.0.first()).map(|signer| signer.signs_from)
    }

    /// Those that a player may need at `now`: all but the ones that were replaced longer than
    /// `license_secs_max` ago.
    pub fn published(
        &self,
        now: UnixTime,
        license_secs_max: u64,
    ) -> impl Iterator<Item = &SigningKey> {
        let replaced_at = self.0.iter().skip(1).map(|next| Some(next.signs_from));
        let replaced_at = replaced_at.chain([None]);
        self.0.iter().zip(replaced_at).filter_map(move |(signer, replaced_at)| {
            let gone = |at: UnixTime| at.saturating_add(license_secs_max) < now;
            (!replaced_at.is_some_and(gone)).then_some(&signer.key)
        })
    }
}
