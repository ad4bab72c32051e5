//! The keys that sign licenses. They sign one after another.
//!
//! A new key is published for some minutes before it signs, so that every player can fetch it. An old key stays
//! published for as long as a license that it signed may be verified.

use reelkey_client::time::UnixTime;

use crate::authority::vault::fault::Fault;
use crate::authority::vault::open::Vault;
use crate::crypto::sign::SigningKey;
use crate::store::record::signer::SignerRecord;
use crate::store::record::stored::{self, Stored};

/// All signing keys, in the order in which they sign.
#[derive(Debug, Default)]
pub struct Signers {
    signers: Vec<Signer>,
    /// How many of them, the first ones, never sign again.
    replaced: usize,
}

#[derive(Debug)]
struct Signer {
    key: SigningKey,
    signs_from: UnixTime,
}

/// Puts signing keys in the order in which they sign, and returns how many of them, the first ones, never sign again:
/// those before the last one that was made to sign at once. That one comes next, for it signs whatever the clock says.
pub fn in_order(records: &mut [Stored<SignerRecord>]) -> usize {
    let at_once = records.iter().filter(|record| record.signs_at_once());
    let last = at_once.map(|record| record.number).max().unwrap_or_default();
    records.sort_by_key(|record| (record.number.cmp(&last), record.turn()));
    records.iter().filter(|record| record.number < last).count()
}

impl Signers {
    /// Unwraps all signing keys.
    ///
    /// # Errors
    /// [`Fault`], also if there is no signing key.
    pub async fn read(vault: &Vault) -> Result<Self, Fault> {
        let mut records = stored::all::<SignerRecord>(&*vault.store()).await?;
        let replaced = in_order(&mut records);
        // Taken after the records were read, so that it can open them.
        let keyring = vault.keyring();
        let mut signers = Vec::new();
        for record in records {
            let signs_from = UnixTime::from_secs(record.signs_from);
            signers.push(Signer { key: keyring.signer(&record)?, signs_from });
        }
        if signers.is_empty() {
            return Err(Fault::Incomplete("signing key"));
        }
        Ok(Self { signers, replaced })
    }

    /// The key that signs at `now`: the last whose time has come. If the clock was set back before all of them, it is
    /// the first key that may sign at all. A key that was replaced at once, because it leaked, is not among them.
    #[must_use]
    pub fn current(&self, now: UnixTime) -> Option<&SigningKey> {
        self.signing(now).map(|signer| &signer.key)
    }

    /// Since when the one signs that signs at `now`.
    #[must_use]
    pub fn signs_since(&self, now: UnixTime) -> Option<UnixTime> {
        self.signing(now).map(|signer| signer.signs_from)
    }

    fn signing(&self, now: UnixTime) -> Option<&Signer> {
        let signers = self.signers.get(self.replaced..).unwrap_or_default();
        let due = signers.iter().rev().find(|signer| signer.signs_from <= now);
        due.or_else(|| signers.first())
    }

    /// Those that a player may need at `now`: all but the ones that were replaced longer than
    /// `license_secs_max` ago.
    pub fn published(
        &self,
        now: UnixTime,
        license_secs_max: u64,
    ) -> impl Iterator<Item = &SigningKey> {
        let replaced_at = self.signers.iter().skip(1).map(|next| Some(next.signs_from));
        let replaced_at = replaced_at.chain([None]);
        self.signers.iter().zip(replaced_at).filter_map(move |(signer, replaced_at)| {
            let gone = |at: UnixTime| at.saturating_add(license_secs_max) < now;
            (!replaced_at.is_some_and(gone)).then_some(&signer.key)
        })
    }
}
