//! An account with everything that is remembered of it, kept as the store would keep it.

use std::collections::BTreeSet;

use reelkey::domain::changes::Changes;
use reelkey::domain::decision::{
    Asker, Decision, Delivery, Request, Terms, Title, TitleKey, Vouched, authorize, decide,
};
use reelkey::domain::entitlement::{Account as Name, Entitlement};
use reelkey::domain::location::Arrival;
use reelkey::domain::past::{Device, DeviceStatus, License, LicenseId, Past, Slot, Usage};
use reelkey::domain::policy::Policy;
use reelkey::domain::policy_file;
use reelkey::domain::release::{Release, release};
use reelkey::domain::security_level::SecurityLevel;
use reelkey::domain::steps::Steps;
use reelkey_client::exchange::request::{RequestType, SessionType};
use reelkey_client::key::KeyId;
use reelkey_client::strict::jwk::Thumbprint;
use reelkey_client::time::UnixTime;

/// 2027-01-15T08:00:00Z.
pub(crate) const NOW: u64 = 1_800_000_000;
pub(crate) const HOUR: u64 = 3_600;
pub(crate) const DAY: u64 = 86_400;

pub(crate) fn time(secs: u64) -> UnixTime {
    UnixTime::from_secs(secs)
}

pub(crate) fn jkt(number: u8) -> Thumbprint {
    Thumbprint::from_bytes([number; 32])
}

pub(crate) fn id(number: u8) -> LicenseId {
    LicenseId::from_bytes([number; 16])
}

/// A request, by the numbers of its device and its name.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ask {
    pub(crate) at: u64,
    pub(crate) device: u8,
    pub(crate) name: u8,
    pub(crate) keeps: bool,
    pub(crate) renews: Option<u8>,
    pub(crate) first_play: Option<u64>,
    pub(crate) end_session: Option<u8>,
}

/// A new license for playing now.
pub(crate) fn new(at: u64, device: u8, name: u8) -> Ask {
    let (keeps, renews) = (false, None);
    Ask { at, device, name, keeps, renews, first_play: None, end_session: None }
}

/// A new license to keep.
pub(crate) fn kept(at: u64, device: u8, name: u8) -> Ask {
    Ask { keeps: true, ..new(at, device, name) }
}

/// A renewal of `license`.
pub(crate) fn renewal(at: u64, device: u8, license: u8, name: u8) -> Ask {
    Ask { renews: Some(license), ..new(at, device, name) }
}

impl Ask {
    pub(crate) fn request(&self) -> Request {
        Request {
            request_type: match self.renews {
                Some(_) => RequestType::Renewal,
                None => RequestType::New,
            },
            session_type: match self.keeps {
                true => SessionType::PersistentLicense,
                false => SessionType::Temporary,
            },
            kids: BTreeSet::new(),
            vouched: Vouched::Level { by: "maker".into(), level: SecurityLevel::SwSecureDecode },
            delivery: Delivery::Sealed,
            asker: Some(Asker {
                device: jkt(self.device),
                name: None,
                model: None,
                request: id(self.name),
                renews: self.renews.map(id),
                first_play_secs: self.first_play,
                end_session: self.end_session.map(id),
            }),
        }
    }
}

/// An account under one policy.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    pub(crate) policy: Policy,
    pub(crate) token: Entitlement,
    pub(crate) devices: Vec<Device>,
    pub(crate) usage: Option<Usage>,
    pub(crate) slots: Vec<Slot>,
    pub(crate) licenses: Vec<License>,
}

/// A policy with licenses of ten minutes and these rules.
pub(crate) fn policy(rules: &str) -> Policy {
    let text = format!("can_play = true\nlicense_duration = \"10m\"\n{rules}");
    policy_file::parse("test", &text).unwrap()
}

pub(crate) fn title() -> Title {
    let kid = KeyId::from_bytes([7; 16]);
    Title {
        content: "movies/bunny".parse().unwrap(),
        policies: vec!["test".into()],
        keys: vec![TitleKey { kid, track: None, active: true, period: None }],
        current_period: None,
    }
}

impl Account {
    pub(crate) fn under(rules: &str) -> Self {
        let any = vec!["*".parse().unwrap()];
        let token = Entitlement {
            account: Name { iss: "i".into(), sub: "s".into() },
            issuer_content: any.clone(),
            content: Some(any),
            kids: None,
            policy_id: None,
            entitlement_id: String::new(),
            license_not_after: None,
            region: None,
            device: None,
            amr: Vec::new(),
            manages_devices: false,
        };
        Self {
            policy: policy(rules),
            token,
            devices: Vec::new(),
            usage: None,
            slots: Vec::new(),
            licenses: Vec::new(),
        }
    }

    pub(crate) fn past(&self, device: Thumbprint) -> Past {
        let others = self.devices.iter().filter(|one| one.jkt != device && one.place.is_some());
        Past {
            device: self.devices.iter().find(|one| one.jkt == device).cloned(),
            others: others.cloned().collect(),
            usage: self.usage.clone(),
            slots: self.slots.clone(),
            licenses: self.licenses.iter().filter(|one| one.device == device).cloned().collect(),
        }
    }

    pub(crate) fn decide(&self, ask: Ask) -> Decision {
        let (title, request) = (title(), ask.request());
        let authorized = authorize(&request, &title, &self.token).unwrap();
        let past = self.past(jkt(ask.device));
        let (mut steps, arrival) = (Steps::default(), Arrival::from_nowhere(time(ask.at)));
        decide(&request, &authorized, &self.policy, &self.token, &past, arrival, &mut steps)
    }

    /// Asks, and remembers what is to be remembered.
    #[track_caller]
    pub(crate) fn grant(&mut self, ask: Ask) -> Terms {
        match self.decide(ask) {
            Decision::Grant(terms, changes) => {
                self.remember(*changes);
                *terms
            }
            Decision::Refuse(denial) => panic!("{ask:?}: {denial:?}"),
        }
    }

    /// Asks, and is refused for this reason.
    #[track_caller]
    pub(crate) fn refuse(&self, ask: Ask, reason: &str) {
        match self.decide(ask) {
            Decision::Refuse(denial) => {
                assert_eq!(denial.refusal.reason(), reason, "{ask:?}: {denial:?}");
            }
            Decision::Grant(terms, _) => panic!("{ask:?}: {terms:?}"),
        }
    }

    /// Gives a license back. Returns the reason of a refusal.
    pub(crate) fn release(
        &mut self,
        license: u8,
        signed_at: u64,
        first_play_secs: Option<u64>,
        now: u64,
    ) -> Result<(), &'static str> {
        let said = Release { signed_at: time(signed_at), first_play_secs, now: time(now) };
        let slot = self.slots.iter().find(|slot| slot.license == id(license)).cloned();
        let changes = release(said, self.license(license), self.usage.as_ref(), slot.as_ref());
        self.remember(changes.map_err(|denial| denial.refusal.reason())?);
        Ok(())
    }

    pub(crate) fn remember(&mut self, changes: Changes) {
        let Changes { devices, usage, slot, licenses } = changes;
        for device in devices {
            self.devices.retain(|one| one.jkt != device.jkt);
            self.devices.push(device);
        }
        self.usage = usage.or_else(|| self.usage.take());
        if let Some(slot) = slot {
            self.slots.retain(|one| one.number != slot.number);
            self.slots.push(slot);
        }
        for license in licenses {
            self.licenses.retain(|one| one.id != license.id);
            self.licenses.push(license);
        }
        let mut places: Vec<_> = self.devices.iter().filter_map(|one| one.place).collect();
        places.sort_unstable();
        assert!(places.windows(2).all(|two| two.first() != two.last()), "two devices, one place");
    }

    pub(crate) fn device(&mut self, number: u8) -> &mut Device {
        self.devices.iter_mut().find(|one| one.jkt == jkt(number)).unwrap()
    }

    pub(crate) fn place(&self, number: u8) -> Option<u16> {
        self.devices.iter().find(|one| one.jkt == jkt(number)).unwrap().place
    }

    pub(crate) fn set_status(&mut self, number: u8, status: DeviceStatus, at: u64) {
        let device = self.device(number);
        (device.status, device.status_since) = (status, time(at));
    }

    pub(crate) fn license(&self, number: u8) -> &License {
        self.licenses.iter().find(|one| one.id == id(number)).unwrap()
    }

    /// The numbers of the slots that are taken, with the numbers of the licenses in them.
    pub(crate) fn playing(&self, now: u64) -> Vec<(u16, u8)> {
        let taken = self.slots.iter().filter(|slot| slot.is_taken(time(now)));
        let mut taken: Vec<_> =
            taken.map(|slot| (slot.number, *slot.license.as_bytes().first().unwrap())).collect();
        taken.sort_unstable();
        taken
    }
}

/// The end of a license and the rule that set it.
pub(crate) fn end(terms: &Terms) -> (u64, &'static str) {
    (terms.expires.as_secs(), terms.expires_because)
}
