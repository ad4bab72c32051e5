//! `reelkey doctor`: checks an installation and says what to repair, one line for each part.

use std::fs;
use std::io;
use std::net::Ipv4Addr;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use serde_json::json;

use crate::authority::atlas::database::Database;
use crate::authority::operation::store::{CheckStore, StoreChecked};
use crate::authority::vault::root_key_file;
use crate::cli::device_doctor::look_at_device_cas;
use crate::cli::finding::{CERTIFICATE_SECS_MIN, Finding, Verdict};
use crate::cli::folder::anchors;
use crate::cli::folder::config::Config;
use crate::cli::folder::installation;
use crate::cli::folder::paths::Folder;
use crate::cli::folder::reading;
use crate::cli::issuer_doctor::look_at_fetched_keys;
use crate::cli::packager_doctor::look_at_packagers;
use crate::cli::terminal::output::{Failure, Output};
use crate::cli::terminal::table::table;
use crate::cli::{clock, operator};
use crate::domain::origin::PublicUrl;
use crate::domain::policy_warning::{PolicyWarning, warnings};
use crate::domain::security_level::SecurityLevel;
use crate::http::log_health::LogReport;

/// The day on which this was written. No correct clock shows an earlier one.
const EARLIEST_NOW: u64 = 1_795_219_200;

/// A database that is older gets a warning: addresses move to other countries.
const DATABASE_SECS_MAX: u64 = 60 * 86_400;

/// With less free space, sled's log may have no room to grow.
const FREE_BYTES_MIN: u64 = 256 * 1024 * 1024;

/// Runs all checks, even if some of them find errors.
pub(crate) async fn doctor(folder: &Folder) -> Result<Output, Failure> {
    let mut findings = vec![
        Finding::of("folder", look_at_folder(folder)),
        look_at_clock(),
        Finding::of("space", look_at_space(folder.root())),
        Finding::of("root key", look_at_root_key(folder)),
    ];
    findings.extend(look_at_policies(folder));
    findings.extend(look_at_anchors(folder));
    findings.extend(look_at_config(folder));
    findings.extend(look_at_drift(folder).await);
    findings.push(Finding::of("store", look_at_store(folder).await));
    findings.extend(look_at_packagers(folder).await);
    findings.extend(look_at_issuer_keys(folder).await);
    findings.extend(look_at_log(folder).await);
    let worst = findings.iter().filter(|finding| finding.verdict == Verdict::Error).count();
    let output = report(&findings);
    match worst {
        0 => Ok(output),
        // The findings are the result in both cases. The exit code says whether there are errors.
        _ => Err(Failure::new(format_args!("errors found: {worst}")).after(output)),
    }
}

/// Checks the folders with secrets. The data folder itself may be readable by others.
fn look_at_folder(folder: &Folder) -> Result<String, Failure> {
    for path in [folder.keys(), folder.store_files()] {
        let found =
            fs::metadata(&path).map_err(|error| Failure::from(error).during(path.display()))?;
        let mode = found.mode() & 0o777;
        if mode & 0o077 != 0 {
            let shown = path.display();
            return Err(Failure::new(format_args!(
                "{shown} has mode {mode:04o}, so others may look into it; run `chmod 700 {shown}`"
            )));
        }
    }
    Ok(format!("{}: only the owner can read keys/ and store/", folder.root().display()))
}

/// Looks for files that the service trusts and that others may write.
fn look_at_anchors(folder: &Folder) -> Vec<Finding> {
    let faults = anchors::faults(folder);
    if faults.is_empty() {
        let text = "only the owner and root may write what the service trusts";
        return vec![Finding::new(Verdict::Ok, "writers", text)];
    }
    faults.into_iter().map(|fault| Finding::of("writers", Err(fault))).collect()
}

fn look_at_clock() -> Finding {
    let now = clock::now().as_secs();
    let shown = clock::show(now);
    if now < EARLIEST_NOW {
        let text = format!("{shown} is in the past; set the clock, no token is valid at that time");
        return Finding::new(Verdict::Error, "clock", text);
    }
    Finding::new(Verdict::Ok, "clock", shown)
}

fn look_at_space(root: &Path) -> Result<String, Failure> {
    let found = rustix::fs::statvfs(root).map_err(io::Error::from)?;
    let free = found.f_bavail.saturating_mul(found.f_frsize);
    let shown = format!("{} MB free", free / 1_000_000);
    if free < FREE_BYTES_MIN {
        return Err(Failure::new(format_args!(
            "{shown}; free space before the store stops accepting writes"
        )));
    }
    Ok(shown)
}

fn look_at_root_key(folder: &Folder) -> Result<String, Failure> {
    root_key_file::read(&folder.root_key())?;
    Ok(format!(
        "{}, readable by its owner only; keep a copy elsewhere",
        folder.root_key().display()
    ))
}

fn look_at_policies(folder: &Folder) -> Vec<Finding> {
    let policies = match installation::policies(folder) {
        Ok(policies) if policies.is_empty() => {
            let text = "there is no policy, so no content can be added; run `reelkey init`";
            return vec![Finding::new(Verdict::Error, "policies", text)];
        }
        Ok(policies) => policies,
        Err(failure) => return vec![Finding::of("policies", Err(failure))],
    };
    let names: Vec<_> = policies.iter().map(|policy| policy.name.as_str()).collect();
    let mut findings = vec![Finding::new(Verdict::Ok, "policies", names.join(", "))];
    // What is wrong with the CAs is another finding.
    let certified = reading::certified_level(folder).unwrap_or(Some(SecurityLevel::HwSecureAll));
    for policy in &policies {
        for PolicyWarning { field, message } in warnings(policy, certified, clock::now()) {
            let text = format!("{}: {field}: {message}", policy.name);
            findings.push(Finding::new(Verdict::Warning, "policy", text));
        }
    }
    findings
}

fn look_at_config(folder: &Folder) -> Vec<Finding> {
    let config = match Config::read(folder) {
        Ok(config) => config,
        Err(failure) => return vec![Finding::of("configuration", Err(failure))],
    };
    let mut findings = vec![Finding::of("issuers", look_at_issuers(folder, &config))];
    let id = &config.service_id.0;
    findings.push(match id.as_str() {
        "reelkey" => Finding::new(
            Verdict::Warning,
            "service id",
            "\"reelkey\", the default: services that trust one issuer need different ones",
        ),
        _ => Finding::new(Verdict::Ok, "service id", format!("{id:?}")),
    });
    findings.push(look_at_tls(folder, &config));
    findings.extend(look_at_browsers(&config));
    findings.extend(look_at_device_cas(folder, &config));
    findings.extend(look_at_databases(folder, &config));
    for entry in config.issuers.iter().filter(|entry| entry.development) {
        let text = format!("{}: its private key is in this folder; not for real use", entry.iss);
        findings.push(Finding::new(Verdict::Warning, "issuer", text));
    }
    findings
}

/// Browsers have EME and WebCrypto only in secure contexts: HTTPS, or this machine itself (W3C Secure Contexts, 3.1).
fn look_at_browsers(config: &Config) -> Option<Finding> {
    let origins = config.cors.allowed_origins.iter().map(|origin| origin.as_str());
    let mut pages = config.public_url.iter().map(PublicUrl::as_str).chain(origins).peekable();
    pages.peek()?;
    let insecure: Vec<_> = pages.filter(|url| !is_secure_context(url)).collect();
    if insecure.is_empty() {
        let text = "they can play: every page and the service are on HTTPS or this machine";
        return Some(Finding::new(Verdict::Ok, "browsers", text));
    }
    let text = format!(
        "{} without HTTPS: browsers play nothing protected there; see docs/https-on-a-lan.md",
        insecure.join(", ")
    );
    Some(Finding::new(Verdict::Warning, "browsers", text))
}

/// Whether the databases of addresses can be read, and whether they are new enough.
fn look_at_databases(folder: &Folder, config: &Config) -> Vec<Finding> {
    let atlas = match config.geoip.atlas(folder, &config.networks) {
        Ok(atlas) => atlas,
        Err(failure) => return vec![Finding::of("addresses", Err(failure))],
    };
    let named = [("country", atlas.countries()), ("anonymous", atlas.anonymous())];
    let there = named.into_iter().filter_map(|(field, database)| Some((field, database?)));
    let look = |(field, database): (&str, &Database)| {
        let (kind, built) = (database.kind(), database.built().as_secs());
        let text = format!("{field}: {kind}, built {}", clock::show(built));
        match clock::now().as_secs().saturating_sub(built) {
            ..=DATABASE_SECS_MAX => Finding::new(Verdict::Ok, "addresses", text),
            age => {
                let days = age / 86_400;
                let text = format!(
                    "{text}, {days} days ago; put a newer one there and run `reelkey reload`"
                );
                Finding::new(Verdict::Warning, "addresses", text)
            }
        }
    };
    there.map(look).collect()
}

fn is_secure_context(url: &str) -> bool {
    let Some(host) = url.strip_prefix("http://") else { return true };
    let host = host.split('/').next().unwrap_or_default();
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    let is_local = name == "localhost" || name.ends_with(".localhost") || name == "[::1]";
    is_local || name.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback())
}

fn look_at_tls(folder: &Folder, config: &Config) -> Finding {
    let Some(files) = &config.tls else {
        return match config.tls_terminated_by_proxy || config.listen.ip().is_loopback() {
            true => Finding::new(
                Verdict::Ok,
                "tls",
                "none; only this machine can connect, or a proxy speaks TLS",
            ),
            false => Finding::new(
                Verdict::Error,
                "tls",
                format!(
                    "none, but other machines can reach {}; name certificate and key under [tls]",
                    config.listen
                ),
            ),
        };
    };
    let identity = match files.read(folder) {
        Ok(identity) => identity,
        Err(failure) => return Finding::of("tls", Err(failure)),
    };
    let (expires, now) = (identity.expires.as_secs(), clock::now().as_secs());
    let shown = clock::show(expires);
    if expires <= now {
        let text = format!("the certificate ended at {shown}; replace the file and send SIGHUP");
        return Finding::new(Verdict::Error, "tls", text);
    }
    let verdict = if expires - now < CERTIFICATE_SECS_MIN { Verdict::Warning } else { Verdict::Ok };
    Finding::new(verdict, "tls", format!("the certificate is good until {shown}"))
}

fn look_at_issuers(folder: &Folder, config: &Config) -> Result<String, Failure> {
    if config.issuers.is_empty() {
        return Err(Failure::new("none, so no token is accepted; run `reelkey issuer add`"));
    }
    config.issuers(folder)?;
    Ok(config.issuers.iter().map(|entry| entry.iss.as_str()).collect::<Vec<_>>().join(", "))
}

/// Whether the running service has in force what the files say. Nothing is found where no service runs.
async fn look_at_drift(folder: &Folder) -> Option<Finding> {
    let in_force = match operator::in_force(folder).await {
        Ok(in_force) => in_force?,
        Err(failure) => return Some(Finding::of("in force", Err(failure))),
    };
    let files = Config::read(folder).and_then(|config| reading::decided(folder, &config)).ok()?;
    let changed = reading::changed(&in_force, &files.made_of);
    Some(match changed.is_empty() {
        true => Finding::new(Verdict::Ok, "in force", "the service runs with what the files say"),
        false => {
            let text = format!("{} changed since; run `reelkey reload`", changed.join(", "));
            Finding::new(Verdict::Warning, "in force", text)
        }
    })
}

/// Reads every record and opens every secret, through the service if one runs.
async fn look_at_store(folder: &Folder) -> Result<String, Failure> {
    let StoreChecked { contents, keys, keks } = operator::execute(folder, CheckStore {}).await?;
    Ok(format!(
        "every secret opens; {contents} contents, {keys} keys, {keks} generations of the KEK"
    ))
}

/// The keys that are fetched for issuers, and how that goes.
async fn look_at_issuer_keys(folder: &Folder) -> Vec<Finding> {
    let part = "issuer keys";
    match look_at_fetched_keys(folder).await {
        Err(failure) => vec![Finding::of(part, Err(failure))],
        Ok(found) => {
            let verdict = |is_well| if is_well { Verdict::Ok } else { Verdict::Warning };
            let found = found.into_iter();
            found.map(|found| Finding::new(verdict(found.is_well), part, found.text)).collect()
        }
    }
}

/// Of the service, if one runs: whether lines are lost.
async fn look_at_log(folder: &Folder) -> Option<Finding> {
    let health = match operator::log_health(folder).await {
        Ok(health) => health?,
        Err(failure) => return Some(Finding::of("log", Err(failure))),
    };
    let LogReport { lost_lines, failing } = health;
    if health.is_whole() {
        return Some(Finding::new(Verdict::Ok, "log", "no line was lost"));
    }
    let now = match failing {
        true => "it cannot be written now; make room, or mend what takes it",
        false => "it can be written again",
    };
    let text = format!("{lost_lines} lines were lost since the service started; {now}");
    Some(Finding::new(Verdict::Warning, "log", text))
}

fn report(findings: &[Finding]) -> Output {
    let word = |verdict| match verdict {
        Verdict::Ok => "ok",
        Verdict::Warning => "warning",
        Verdict::Error => "error",
    };
    let json = findings
        .iter()
        .map(|finding| {
            let verdict = word(finding.verdict).to_lowercase();
            json!({ "part": finding.part, "verdict": verdict, "text": finding.text })
        })
        .collect();
    let rows: Vec<_> = findings
        .iter()
        .map(|finding| {
            [word(finding.verdict).to_owned(), finding.part.to_owned(), finding.text.clone()]
        })
        .collect();
    Output::new(json, table(["", "PART", "FOUND"], &rows))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secure_context_is_https_or_this_machine() {
        for secure in [
            "https://drm.example",
            "http://localhost:7420",
            "http://demo.localhost",
            "http://127.0.0.1:7420/drm",
            "http://127.8.0.1",
            "http://[::1]:7420",
        ] {
            assert!(is_secure_context(secure), "{secure}");
        }
        for insecure in ["http://192.168.1.5:7420", "http://drm.lan", "http://localhost.example"] {
            assert!(!is_secure_context(insecure), "{insecure}");
        }
    }
}
