//! The record of the seed of crypto periods.

use crate::store::record::only_secret::only_secret;

only_secret! {
    /// The seed from which the keys of crypto periods are derived. There is exactly one.
    PeriodSeedRecord, "period-seed", "the seed of crypto periods"
}
