//! What `doctor` says of device CAs.

use crate::cli::clock;
use crate::cli::finding::{CERTIFICATE_SECS_MIN, Finding, Verdict};
use crate::cli::folder::config::Config;
use crate::cli::folder::device_ca::{CaFiles, CaName, VouchesFor};
use crate::cli::folder::paths::Folder;

/// The certificates of device CAs: when one ends, all of its devices are refused.
pub(crate) fn look_at_device_cas(folder: &Folder, config: &Config) -> Vec<Finding> {
    let now = clock::now().as_secs();
    let judge = |(name, vouches_for): (&CaName, VouchesFor)| {
        let what = "device CA";
        let ca = CaFiles::read(folder, name).and_then(|files| files.parse(name, vouches_for));
        let ca = match ca {
            Ok(ca) => ca,
            Err(failure) => return Finding::of(what, Err(failure)),
        };
        let ends = ca.certificates().map(|one| one.not_after.as_secs()).min().unwrap_or_default();
        let (name, shown) = (name.as_str(), clock::show(ends));
        let text = format!("{name} vouches for {vouches_for} until {shown}");
        match ends.saturating_sub(now) {
            0 => {
                let text = format!("{name} ended at {shown}; its devices are refused");
                Finding::new(Verdict::Error, what, text)
            }
            1..CERTIFICATE_SECS_MIN => Finding::new(Verdict::Warning, what, text),
            _ => Finding::new(Verdict::Ok, what, text),
        }
    };
    config.device_ca.all().map(judge).collect()
}
