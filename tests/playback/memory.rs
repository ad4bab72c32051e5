//! What the running service keeps in memory after it has granted licenses.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::unix::fs::FileExt;

use reelkey::crypto::random;

use crate::film::{CONTENT, obtain, provisioned};
use crate::leaks::forms;

/// The ranges of a process's memory that it may write to.
fn writable(pid: u32) -> Vec<(u64, u64)> {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let ranges = maps.lines().filter_map(|line| {
        let (range, rest) = line.split_once(' ')?;
        let (from, to) = range.split_once('-')?;
        let hex = |text| u64::from_str_radix(text, 16).ok();
        rest.starts_with("rw").then_some((hex(from)?, hex(to)?))
    });
    ranges.collect()
}

/// In which forms the secret stands in the process's memory.
fn scan(memory: &File, pid: u32, secret: &[u8]) -> Vec<&'static str> {
    let mut found = Vec::new();
    for (from, to) in writable(pid) {
        let mut bytes = vec![0; usize::try_from(to - from).unwrap()];
        if memory.read_exact_at(&mut bytes, from).is_err() {
            continue;
        }
        for (form, needle) in forms(secret) {
            if memchr::memmem::find(&bytes, &needle).is_some() {
                found.push(form);
            }
        }
    }
    found
}

#[test]
fn granted_keys_are_not_kept_in_memory() {
    let (installation, _) = provisioned();
    let token = installation.mint(&["--content", CONTENT]);
    let service = installation.serve();
    let late: [u8; 16] = random::bytes().unwrap();
    let hex: String = late.iter().map(|byte| format!("{byte:02x}")).collect();
    installation.import(CONTENT, "HD", "4d97930a-3d7b-5000-8000-5c7bda1f0a11", &hex);
    let mut keys = Vec::new();
    for _ in 0..20 {
        keys = obtain(&service, &token).keys;
    }
    let limits = fs::read_to_string(format!("/proc/{}/limits", service.pid())).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().nth(4), Some("0"), "no core is dumped: {core}");
    let memory = match File::open(format!("/proc/{}/mem", service.pid())) {
        // Not even its own user may look, so there is nothing to find for this test either.
        Err(error) if error.kind() == ErrorKind::PermissionDenied => return,
        memory => memory.unwrap(),
    };
    // The scan finds what is there: the title's policy is known to the service as long as it runs.
    assert!(scan(&memory, service.pid(), b"us-and-canada-is-not-a-policy").is_empty());
    assert_eq!(scan(&memory, service.pid(), b"premium-movie"), ["raw"]);
    assert_eq!(keys.len(), 3);
    for (kid, key) in &keys {
        let found = scan(&memory, service.pid(), key.expose());
        assert!(found.is_empty(), "{kid} stands in memory as {found:?}");
    }
}
