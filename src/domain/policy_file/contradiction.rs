//! Refuses combinations of rules that cannot be obeyed, each with its line and a remedy.
//!
//! Combinations that can be obeyed but will hurt are not judged here; `policy_warning` tells them.

use toml::Spanned;

use crate::domain::policy::{ConcurrencyMode, Registration, Replace};
use crate::domain::policy_file::tables::{BlackoutTable, DeviceTable, PolicyFile, RegionTable};
use crate::domain::policy_file::value::{Fault, duration, is_on, limit, place};

impl PolicyFile {
    /// Refuses the first combination that cannot be obeyed.
    pub(super) fn refuse_impossible(&self) -> Result<(), Fault> {
        if self.license_duration.get_ref().as_secs() == 0 {
            let why = "license_duration is 0, so no license would live; write \"10m\"";
            return Err((place(&self.license_duration), why));
        }
        self.refuse_tracks()?;
        self.refuse_times()?;
        self.refuse_renewal()?;
        self.refuse_persistence()?;
        self.device.refuse_places()?;
        self.refuse_concurrency()?;
        self.refuse_clear_keys()
    }

    fn refuse_tracks(&self) -> Result<(), Fault> {
        let Some(tracks) = &self.tracks else { return Ok(()) };
        let list = tracks.get_ref();
        if list.is_empty() {
            return Err((place(tracks), "tracks is empty; name types or remove the line"));
        }
        if list.iter().enumerate().any(|(at, track)| list.iter().take(at).any(|t| t == track)) {
            return Err((place(tracks), "tracks names a type twice; remove one"));
        }
        Ok(())
    }

    fn refuse_times(&self) -> Result<(), Fault> {
        if let (Some(from), Some(until)) = (&self.available_from, &self.available_until)
            && from.0 >= until.get_ref().0
        {
            let why = "available_until is not after available_from; correct one of them";
            return Err((place(until), why));
        }
        self.region.as_ref().map_or(Ok(()), RegionTable::refuse_lists)
    }

    fn refuse_renewal(&self) -> Result<(), Fault> {
        let fields =
            [&self.renewal_delay, &self.renewal_retry_interval, &self.renewal_recovery_duration];
        let rule = fields.into_iter().find(|field| duration(field).is_some());
        if let Some(field) = rule.and_then(Option::as_ref)
            && !is_on(&self.can_renew)
        {
            let why =
                "there is no renewal without can_renew; write can_renew = true or remove the line";
            return Err((place(field), why));
        }
        if let Some(delay) = &self.renewal_delay
            && delay.get_ref() >= self.license_duration.get_ref()
        {
            let why = "renewal_delay is not shorter than license_duration, so the license would end before its renewal; write at most half of license_duration";
            return Err((place(delay), why));
        }
        Ok(())
    }

    fn refuse_persistence(&self) -> Result<(), Fault> {
        match (&self.can_persist, &self.persistent) {
            (Some(can), None) if *can.get_ref() => {
                let why = "can_persist needs the life of a kept license; add [persistent] with license_duration = \"7d\"";
                Err((place(can), why))
            }
            (can, Some(table)) if !is_on(can) => {
                let why = "[persistent] has no meaning without can_persist; write can_persist = true or remove the table";
                Err((place(table), why))
            }
            (Some(_), Some(table)) => match &table.get_ref().license_duration {
                Some(life) if life.get_ref().as_secs() > 0 => Ok(()),
                life => {
                    let at = life.as_ref().map_or_else(|| place(table), place);
                    let why = "[persistent] needs a license_duration that is not 0; write license_duration = \"7d\"";
                    Err((at, why))
                }
            },
            (_, _) => Ok(()),
        }
    }

    fn refuse_concurrency(&self) -> Result<(), Fault> {
        let Some(table) = &self.concurrency else { return Ok(()) };
        let rule = table.get_ref();
        if limit(&rule.limit).is_none() {
            let at = rule.limit.as_ref().map_or_else(|| place(table), place);
            let why =
                "[concurrency] needs a limit that is not 0; write limit = 2 or remove the table";
            return Err((at, why));
        }
        if let Some(mode) = &rule.mode
            && *mode.get_ref() != ConcurrencyMode::BlockNew
            && !is_on(&self.can_renew)
        {
            let why = "this mode ends a session at its next renewal; write can_renew = true or mode = \"BLOCK_NEW\"";
            return Err((place(mode), why));
        }
        if let Some(can) = &self.can_persist
            && *can.get_ref()
            && limit(&self.device.limit).is_none()
        {
            let why = "kept licenses take no slot of [concurrency], so can_persist needs a limit in [device]; write limit = 5 there or remove one of the two";
            return Err((place(can), why));
        }
        Ok(())
    }

    /// Windows (`rental_duration`, `playback_duration`) are no contradiction to keys in the clear: they belong to the
    /// account, which such a request names.
    fn refuse_clear_keys(&self) -> Result<(), Fault> {
        let switches = [&self.allow_clearkey, &self.allow_hls_aes128];
        let allowed = switches.into_iter().flatten().find(|field| *field.get_ref());
        let Some(allowed) = allowed else { return Ok(()) };
        let why = if self.device.require_binding {
            "keys in the clear prove no device, so they cannot be allowed beside require_binding; remove one of the two"
        } else if limit(&self.device.limit).is_some() {
            "keys in the clear prove no device, so they cannot be allowed beside a limit in [device]; remove one of the two"
        } else if self.device.registration.0 != Registration::Open {
            "keys in the clear prove no device, so they can only be allowed with registration = \"open\"; write that or remove the line"
        } else if self.concurrency.is_some() {
            "keys in the clear prove no device, so they cannot be allowed beside [concurrency]; remove one of the two"
        } else {
            return Ok(());
        };
        Err((place(allowed), why))
    }
}

impl RegionTable {
    fn refuse_lists(table: &Spanned<Self>) -> Result<(), Fault> {
        let Self { allowed_countries, blocked_countries: blocked, blackout, .. } = table.get_ref();
        if allowed_countries.regions.iter().any(|region| blocked.regions.contains(region)) {
            let why = "a country is both allowed and blocked; remove it from one list";
            return Err((place(table), why));
        }
        for BlackoutTable { countries, from, until } in blackout {
            if countries.regions.is_empty() {
                let why = "a blackout names at least one country; name one or remove the table";
                return Err((place(until), why));
            }
            if from.0 >= until.get_ref().0 {
                let why = "the blackout's until is not after its from; correct one of them";
                return Err((place(until), why));
            }
        }
        Ok(())
    }
}

impl DeviceTable {
    fn refuse_places(&self) -> Result<(), Fault> {
        let replaces = self.replace.as_ref().filter(|word| *word.get_ref() == Replace::LongestIdle);
        if limit(&self.limit).is_none() {
            if let Some(word) = replaces {
                let why = "replace has no meaning without a limit in [device]; write limit = 5 or remove the line";
                return Err((place(word), why));
            }
            if let Some(cooldown) = &self.cooldown
                && cooldown.get_ref().as_secs() > 0
            {
                let why = "cooldown has no meaning without a limit in [device]; write limit = 5 or remove the line";
                return Err((place(cooldown), why));
            }
        }
        match replaces {
            Some(word) if duration(&self.cooldown).is_none() => {
                let why = "without a cooldown, devices could take turns without end; write cooldown = \"24h\" or replace = \"NONE\"";
                Err((place(word), why))
            }
            Some(_) | None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::domain::policy_file::parse;

    const SHORTEST: &str = "can_play = true\nlicense_duration = \"10m\"\n";

    /// Each message names the line and what to write or remove.
    fn assert_refused(cases: &[(&str, &str)]) {
        for (addition, part) in cases {
            let error = parse("test", &format!("{SHORTEST}{addition}")).unwrap_err();
            let fault = error.to_string();
            assert!(fault.starts_with(part), "{addition}: {fault}");
            let remedies = ["; write ", "; remove ", "; add ", "; name ", "; correct "];
            assert!(remedies.iter().any(|remedy| fault.contains(remedy)), "{fault}");
        }
    }

    fn assert_read(cases: &[&str]) {
        for addition in cases {
            let read = parse("test", &format!("{SHORTEST}{addition}"));
            assert!(read.is_ok(), "{addition}: {read:?}");
        }
    }

    #[test]
    fn a_license_that_would_not_live_is_refused() {
        let zero = parse("test", "\nlicense_duration = \"0s\"").unwrap_err();
        assert_eq!(zero.line, 2);
        assert!(parse("test", "license_duration = \"1s\"").is_ok());
    }

    #[test]
    fn lists_and_times_that_contradict_themselves_are_refused() {
        let blackout = "[region]\nevidence = \"token\"\n[[region.blackout]]\n";
        let times = "from = 2026-11-02T00:00:00Z\nuntil = 2026-11-02T00:00:00Z";
        assert_refused(&[
            ("tracks = []", "line 3: tracks is empty"),
            ("tracks = [\"SD\", \"SD\"]", "line 3: tracks names a type twice"),
            (
                "available_from = 2026-11-02T00:00:00Z\navailable_until = 2026-11-02T00:00:00Z",
                "line 4: available_until",
            ),
            (
                "[region]\nevidence = \"token\"\nallowed_countries = [\"US\"]\nblocked_countries = [\"US\"]",
                "line 3: a country is both",
            ),
            (&format!("{blackout}countries = []\n{times}"), "line 8: a blackout names"),
            (&format!("{blackout}countries = [\"US\"]\n{times}"), "line 8: the blackout's until"),
        ]);
    }

    #[test]
    fn rules_for_renewals_need_renewals() {
        assert_refused(&[
            ("renewal_delay = \"4m\"", "line 3: there is no renewal"),
            ("can_renew = false\nrenewal_retry_interval = \"1s\"", "line 4: there is no renewal"),
            ("renewal_recovery_duration = \"1m\"", "line 3: there is no renewal"),
            ("can_renew = true\nrenewal_delay = \"10m\"", "line 4: renewal_delay is not shorter"),
            ("renewal_delay = \"11m\"\ncan_renew = true", "line 3: renewal_delay is not shorter"),
        ]);
        assert_read(&["can_renew = true\nrenewal_delay = \"599s\"", "can_renew = true"]);
    }

    #[test]
    fn a_kept_license_needs_a_life_of_its_own() {
        assert_refused(&[
            ("can_persist = true", "line 3: can_persist needs"),
            ("[persistent]\nlicense_duration = \"7d\"", "line 3: [persistent] has no meaning"),
            (
                "can_persist = false\n[persistent]\nlicense_duration = \"7d\"",
                "line 4: [persistent] has no meaning",
            ),
            ("can_persist = true\n[persistent]", "line 4: [persistent] needs"),
            (
                "can_persist = true\n[persistent]\nlicense_duration = \"0d\"",
                "line 5: [persistent] needs",
            ),
        ]);
        assert_read(&["can_persist = true\n[persistent]\nlicense_duration = \"1s\""]);
    }

    #[test]
    fn replacing_devices_needs_a_limit_and_a_cooldown() {
        assert_refused(&[
            ("[device]\nreplace = \"LONGEST_IDLE\"", "line 4: replace has no meaning"),
            (
                "[device]\ncooldown = \"1h\"\nlimit = 0\nreplace = \"LONGEST_IDLE\"",
                "line 6: replace has no meaning",
            ),
            ("[device]\ncooldown = \"1h\"", "line 4: cooldown has no meaning"),
            ("[device]\nlimit = 2\nreplace = \"LONGEST_IDLE\"", "line 5: without a cooldown"),
            (
                "[device]\nlimit = 2\ncooldown = \"0s\"\nreplace = \"LONGEST_IDLE\"",
                "line 6: without a cooldown",
            ),
        ]);
        assert_read(&[
            "[device]\nlimit = 1",
            "[device]\nlimit = 1\ncooldown = \"1s\"",
            "[device]\nlimit = 1\ncooldown = \"1s\"\nreplace = \"LONGEST_IDLE\"",
        ]);
    }

    #[test]
    fn a_limit_of_streams_needs_what_enforces_it() {
        let persistent = "[persistent]\nlicense_duration = \"7d\"\n[concurrency]\nlimit = 1";
        assert_refused(&[
            ("[concurrency]", "line 3: [concurrency] needs a limit"),
            (
                "[concurrency]\nscope = \"content\"\nlimit = 0",
                "line 5: [concurrency] needs a limit",
            ),
            ("[concurrency]\nlimit = 1\nmode = \"STOP_OLDEST\"", "line 5: this mode ends"),
            ("[concurrency]\nlimit = 1\nmode = \"STOP_NEWEST\"", "line 5: this mode ends"),
            (&format!("can_persist = true\n{persistent}"), "line 3: kept licenses take no slot"),
            (
                &format!("can_persist = true\n[device]\nlimit = 0\n{persistent}"),
                "line 3: kept licenses take no slot",
            ),
        ]);
        assert_read(&[
            "[concurrency]\nlimit = 1\nmode = \"BLOCK_NEW\"",
            "can_renew = true\n[concurrency]\nlimit = 1\nmode = \"STOP_OLDEST\"",
            "can_renew = true\n[concurrency]\nlimit = 1\nmode = \"STOP_NEWEST\"",
            &format!("can_persist = true\n[device]\nlimit = 1\n{persistent}"),
        ]);
    }

    #[test]
    fn keys_in_the_clear_prove_no_device() {
        for switch in ["allow_clearkey", "allow_hls_aes128"] {
            let on = format!("{switch} = true\n");
            for rule in [
                "[device]\nrequire_binding = true",
                "[device]\nlimit = 1",
                "[device]\nregistration = \"enrolled\"",
                "[concurrency]\nlimit = 1",
            ] {
                assert_refused(&[(&format!("{on}{rule}"), "line 3: keys in the clear prove no")]);
                assert_read(&[&format!("{switch} = false\n{rule}")]);
            }
            assert_read(&[
                &format!("{on}rental_duration = \"30d\"\nplayback_duration = \"48h\""),
                &format!("{on}can_renew = true\nrenewal_delay = \"4m\""),
                &format!("{on}[device]\nlimit = 0\nregistration = \"open\""),
            ]);
        }
    }
}
