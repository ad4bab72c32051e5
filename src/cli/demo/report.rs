//! The output of the demo: each step as it happens, or one JSON document at the end.

use std::io::{self, Write};

use reelkey_client::exchange::pending::License;
use reelkey_client::exchange::problem::Problem;
use reelkey_client::time::UnixTime;
use serde_json::{Value, json};

use crate::cli::clock;
use crate::cli::terminal::foreign::harmless;

/// A decrypted track that equals the original.
pub(super) struct Decrypted {
    pub(super) scheme: &'static str,
    pub(super) track: &'static str,
    pub(super) samples: usize,
    pub(super) bytes: usize,
    pub(super) sha256: [u8; 32],
}

/// Collects the results and, for people, shows them at once.
pub(super) struct Report {
    quiet: bool,
    steps: usize,
    commands: Vec<String>,
    granted: Value,
    decrypted: Vec<Value>,
    refused: Vec<Value>,
}

impl Report {
    pub(super) fn new(quiet: bool) -> Self {
        let (commands, decrypted, refused) = (Vec::new(), Vec::new(), Vec::new());
        Self { quiet, steps: 0, commands, granted: Value::Null, decrypted, refused }
    }

    pub(super) fn title(&self, text: &str) -> io::Result<()> {
        self.line(text)
    }

    pub(super) fn step(&mut self, text: &str) -> io::Result<()> {
        self.steps += 1;
        self.line(&format!("\n{}. {text}", self.steps))
    }

    pub(super) fn note(&self, text: &str) -> io::Result<()> {
        self.line(&format!("     {text}"))
    }

    pub(super) fn command(&mut self, words: &str) -> io::Result<()> {
        self.commands.push(words.to_owned());
        self.line(&format!("   $ reelkey {words}"))
    }

    pub(super) fn granted(&mut self, device: String, license: &License) -> io::Result<()> {
        let claims = &license.claims;
        let tracks: Vec<_> =
            claims.tracks.iter().filter_map(|track| track.track_type.as_deref()).collect();
        let region = claims.region.as_deref().unwrap_or("anywhere");
        let lines = [
            ("device", device.clone()),
            (
                "token",
                format!(
                    "for {}, of account {}, bound to this device",
                    claims.content_id, claims.sub
                ),
            ),
            ("license", format!("{}, signed by the service, checked by the player", claims.jti)),
            (
                "keys",
                format!("{}, sealed to a key that only this device has", tracks.join(" and ")),
            ),
            ("region", format!("{region}, under policy {}", claims.policy_id)),
            ("until", format!("{} ({} s)", clock::show(claims.exp), claims.exp - claims.iat)),
        ];
        for (name, value) in &lines {
            self.line(&format!("   {name:8} {value}"))?;
        }
        self.granted = json!({ "license_id": claims.jti, "content_id": claims.content_id,
            "tracks": tracks, "region": region, "policy_id": claims.policy_id, "exp": claims.exp,
            "device": device });
        Ok(())
    }

    pub(super) fn decrypted(&mut self, track: &Decrypted) -> io::Result<()> {
        let Decrypted { scheme, track, samples, bytes, sha256 } = track;
        let hex: String = sha256.iter().map(|byte| format!("{byte:02x}")).collect();
        let start = hex.get(..16).unwrap_or_default();
        self.line(&format!(
            "   {scheme} {track}  {samples:3} samples  {bytes:6} bytes  sha256 {start}…  every byte as in the original"
        ))?;
        self.decrypted.push(json!({ "scheme": scheme, "track": track, "samples": samples,
            "bytes": bytes, "sha256": hex, "equal_to_original": true }));
        Ok(())
    }

    pub(super) fn refused(&mut self, what: &str, problem: &Problem) -> io::Result<()> {
        let Problem { status, reason, detail, .. } = problem;
        // Only the first sentence, which says what is wrong. The others, about what to do, would not fit into the
        // line.
        let (first, _) = detail.split_once(". ").unwrap_or((detail, ""));
        self.line(&format!("   {what:44} {status} {reason:16} {first}"))?;
        self.refused.push(json!({ "request": what, "status": status, "reason": reason,
            "type": problem.kind, "detail": detail }));
        Ok(())
    }

    pub(super) fn close(&self) -> io::Result<()> {
        self.line(
            "\nEverything above ran in this process and is gone. To see it in a browser:\n\
             \x20  $ reelkey demo --serve\n\
             To keep a service:\n\
             \x20  $ reelkey init\n\
             \x20and follow what it says. README.md goes on from there.",
        )
    }

    pub(super) fn into_json(self, now: UnixTime) -> Value {
        json!({ "commands": self.commands, "granted": self.granted, "decrypted": self.decrypted,
            "refused": self.refused, "finished_at": now.as_secs() })
    }

    fn line(&self, text: &str) -> io::Result<()> {
        if self.quiet {
            return Ok(());
        }
        let mut out = io::stdout().lock();
        writeln!(out, "{}", harmless(text))?;
        out.flush()
    }
}
