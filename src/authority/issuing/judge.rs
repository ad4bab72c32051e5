//! Picking the policy of a content for a token, and asking it.

use std::net::IpAddr;

use reelkey_client::time::UnixTime;

use crate::authority::atlas::asked::Atlas;
use crate::authority::in_force::Policies;
use crate::authority::issuing::facts::Facts;
use crate::authority::issuing::memory::{Memory, Of};
use crate::authority::issuing::refused::Refused;
use crate::authority::stop::Stop;
use crate::authority::vault::fault::Fault;
use crate::crypto::request_name::NamingKey;
use crate::domain::decision::{self, Decision};
use crate::domain::entitlement::Entitlement;
use crate::domain::location::{Arrival, Located};
use crate::domain::policy::{Evidence, Policy, RegionRule};
use crate::domain::steps::Steps;
use crate::store::batch::Batch;
use crate::store::engine::Store;
use crate::store::record::fact::account::AccountId;

/// What a decision is asked with, besides the facts about the content.
#[derive(Clone, Copy)]
pub(in crate::authority) struct Court<'a> {
    pub(in crate::authority) token: &'a Entitlement,
    pub(in crate::authority) policies: &'a Policies,
    /// What is remembered of accounts.
    pub(in crate::authority) memory: &'a dyn Store,
    pub(in crate::authority) naming_key: &'a NamingKey,
    /// Where addresses are.
    pub(in crate::authority) atlas: &'a Atlas,
    /// The address of the client, if it is known.
    pub(in crate::authority) client: Option<IpAddr>,
    pub(in crate::authority) now: UnixTime,
}

/// What a decision tells besides its result, as far as it came.
#[derive(Debug, Default)]
pub(in crate::authority) struct Told {
    /// The policy that was asked.
    pub(in crate::authority) policy: Option<String>,
    /// The rules that were checked.
    pub(in crate::authority) steps: Steps,
    /// The evidence of the viewer's region that the policy asks for, if it has a rule for regions.
    pub(in crate::authority) evidence: Option<Evidence>,
    /// What is known of the client's address, if the policy asks that.
    pub(in crate::authority) located: Option<Located>,
}

/// A decision, and the batch that has to be committed before a grant is answered.
pub(in crate::authority) struct Judged {
    pub(in crate::authority) decision: Result<Box<decision::Terms>, Refused>,
    pub(in crate::authority) batch: Batch,
}

impl Court<'_> {
    /// Decides on the facts. `told` is filled as soon as its parts are known.
    ///
    /// # Errors
    /// A refusal before any policy is asked, or [`Fault::NoPolicy`].
    pub(in crate::authority) async fn judge(
        &self,
        facts: &Facts,
        told: &mut Told,
    ) -> Result<Judged, Stop<Refused>> {
        let Self { token, now, .. } = *self;
        let authorized = decision::authorize(&facts.request, &facts.title, token)?;
        let policy_id = authorized.policy_id();
        told.policy = Some(policy_id.to_owned());
        let chosen = self.policies.get(policy_id).ok_or_else(|| Fault::NoPolicy {
            content: facts.title.content.clone(),
            policy: policy_id.to_owned(),
        })?;
        let device = facts.request.asker.as_ref().map(|asker| asker.device);
        let of = Of {
            account: self.account(),
            device,
            content: &facts.title.content,
            entitlement_id: &token.entitlement_id,
        };
        let memory = Memory::load(self.memory, of, chosen).await?;
        let past = memory.past(device);
        self.locate(chosen, told);
        told.steps = Steps::default();
        let (arrival, steps) = (Arrival { at: now, from: told.located.as_ref() }, &mut told.steps);
        let decision =
            decision::decide(&facts.request, &authorized, chosen, token, &past, arrival, steps);
        Ok(match decision {
            Decision::Grant(terms, changes) => Judged {
                decision: Ok(terms),
                batch: match chosen.needs_memory() {
                    true => memory.batch(&changes)?,
                    false => Batch::default(),
                },
            },
            Decision::Refuse(denial) => {
                let conflicts = memory.conflicts(self.memory, device, &denial, now).await?;
                let refused = Refused { conflicts, ..denial.into() };
                Judged { decision: Err(refused), batch: Batch::default() }
            }
        })
    }

    /// Looks the client's address up, if the policy asks for it.
    fn locate(&self, policy: &Policy, told: &mut Told) {
        told.evidence = policy.region.as_ref().map(|rule| rule.evidence);
        let is_asked = policy.region.as_ref().is_some_and(RegionRule::needs_address);
        let client = self.client.filter(|_| is_asked);
        told.located = client.map(|address| self.atlas.locate(address));
    }

    /// The account, as facts name it.
    pub(in crate::authority) fn account(&self) -> AccountId {
        let account = &self.token.account;
        AccountId::from_bytes(self.naming_key.account_id(&account.iss, &account.sub))
    }
}
