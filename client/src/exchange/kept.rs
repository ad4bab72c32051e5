//! A persistent license that the device keeps, to play without a connection.
//!
//! The device enforces what the license says: its times, and the playback period from the first play on. It
//! goes by its wall clock, corrected ([`wall_clock`](crate::exchange::wall_clock)), and tells the service
//! of the first play when it renews or returns the license.
//!
//! Deliberately absent: where it is stored. The platform's key store is better than a file.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::exchange::held::{Held, State};
use crate::exchange::jwks::Jwks;
use crate::exchange::kept_json;
use crate::exchange::license::Claims;
use crate::exchange::pending::{self, Pending};
use crate::exchange::receipt;
use crate::exchange::release::{PendingRelease, Release};
use crate::exchange::renew::Renew;
use crate::exchange::request::{SessionType, SignedRequest};
use crate::exchange::wall_clock::WallClock;
use crate::key::{ContentKey, KeyId};
use crate::time::UnixTime;

#[doc(no_inline)]
pub use crate::exchange::held::Error;

/// The longest stored license, in bytes.
pub const BYTES_MAX: usize = kept_json::BYTES_MAX;

/// A persistent license with all that it takes to play without a connection, to renew it and to return it.
///
/// **After every call that takes `&mut self`, whether it failed or not, the device stores
/// [`to_json`](Self::to_json) in place of what it had stored, and only then plays.** A license that was
/// played and not stored would begin its playback period again.
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/exchange/service.rs"));
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use getrandom::SysRng;
/// # use reelkey_client::exchange::{Ask, DeviceKey, Jwks, SessionType};
/// # use reelkey_client::time::UnixTime;
/// use reelkey_client::exchange::KeptLicense;
///
/// # let device = DeviceKey::generate(&mut SysRng)?;
/// # let wall_clock = |secs: u64| UnixTime::from_secs(1_700_000_000 + secs);
/// # let ask = Ask { service_id: "reelkey", token: "token", kids: &[], content_id: Some("bunny"),
/// #     session_type: SessionType::PersistentLicense, iat: wall_clock(0) };
/// # let (body, pending) = ask.draft(&device.public_key(), None, &mut SysRng)?.sign(&device);
/// # let service = service::Service::new();
/// # let jwks = Jwks::parse(service.jwks().as_bytes())?;
/// # let answer = service.license(&body);
/// # let post = |_: &str, body: &str| service.receipt(body).into_bytes();
/// // Online: `body` was sent, and `answer` came.
/// let kept = KeptLicense::keep(&pending, &body, answer.as_bytes(), &jwks, wall_clock(1))?;
/// let stored = kept.to_json(); // secret: it has the key that opens the license
///
/// // Offline, after a restart:
/// let mut kept = KeptLicense::parse(stored.as_bytes())?;
/// let keys = kept.keys_at(wall_clock(60))?; // the first play
/// let stored = kept.to_json(); // store it before playback begins
/// assert_eq!((keys.len(), kept.first_play()), (1, Some(59)));
/// let ends = kept.ends_at(); // stop then
///
/// // Online again, to return it:
/// let now = kept.now_at(wall_clock(90))?;
/// let (body, _) = kept.release(now)?.draft(&device.public_key(), &mut SysRng)?.sign(&device);
/// kept.return_with(&body)?; // it does not play any more
/// let stored = kept.to_json();
/// kept.close(&post("/v1/license", &body), &jwks)?;
/// assert!(!kept.to_json().contains("sealing_key"));
/// # drop((stored, ends));
/// # Ok(())
/// # }
/// ```
pub struct KeptLicense(State);

impl KeptLicense {
    /// Verifies `answer`, the body of the `200`, as [`Pending::open`] does, and keeps the license.
    ///
    /// `request` is the body that was sent, `arrived` what the device's wall clock says now.
    ///
    /// # Errors
    /// [`Error`]; after [`pending::Error::UnknownKey`] the player fetches the key set again, once.
    pub fn keep(
        pending: &Pending,
        request: &str,
        answer: &[u8],
        jwks: &Jwks,
        arrived: UnixTime,
    ) -> Result<Self, Error> {
        let parsed = SignedRequest::parse(request.as_bytes())?;
        if <[u8; 32]>::from(Sha256::digest(parsed.signing_input)) != pending.request_hash {
            return Err(Error::OtherRequest);
        }
        let (claims, signer) = pending.verify(answer, jwks)?;
        if claims.session_type != SessionType::PersistentLicense {
            return Err(Error::Temporary);
        }
        pending.open_keys(&claims)?;
        let iat = UnixTime::from_secs(claims.iat);
        Ok(Self(State::Held(Box::new(Held {
            // Verified above, so it is ASCII.
            license: String::from_utf8_lossy(answer).into_owned(),
            request: request.into(),
            signer,
            pending: pending.again(),
            clock: WallClock::set(arrived, iat),
            first_issued: iat,
            first_play: None,
            release: None,
            claims,
        }))))
    }

    /// Reads what [`to_json`](Self::to_json) wrote, and verifies the license again.
    ///
    /// # Errors
    /// [`Error`], one variant per broken rule.
    pub fn parse(stored: &[u8]) -> Result<Self, Error> {
        kept_json::read(stored).map(Self)
    }

    /// Everything that the device stores. **Secret**: it has the key that opens the license.
    #[must_use]
    pub fn to_json(&self) -> Zeroizing<String> {
        kept_json::write(&self.0)
    }

    /// The content keys, where the device's wall clock says `wall_clock`. The first call that returns them
    /// is the first play.
    ///
    /// # Errors
    /// [`Error::SetBack`], [`Error::NotYet`], [`Error::Expired`], [`Error::PlaybackEnded`],
    /// [`Error::Returning`] or [`Error::Returned`] says why it does not play now.
    pub fn keys_at(&mut self, wall_clock: UnixTime) -> Result<Vec<(KeyId, ContentKey)>, Error> {
        let held = self.playable_mut()?;
        let now = held.clock.now_at(wall_clock)?;
        // Also where nothing plays: a clock that is set back later does not bring the license back.
        held.clock.latest = now;
        held.judge(now)?;
        let keys = held.pending.open_keys(&held.claims)?;
        let since_issued = now.as_secs().saturating_sub(held.first_issued.as_secs());
        held.first_play.get_or_insert(since_issued);
        Ok(keys)
    }

    /// Takes over a renewal of this license that was drafted with [`renewal`](Self::renewal). The first
    /// play stays. `request` and `arrived` are as in [`keep`](Self::keep).
    ///
    /// # Errors
    /// [`Error`]; the license that was kept is then as it was.
    pub fn renew_with(
        &mut self,
        pending: &Pending,
        request: &str,
        answer: &[u8],
        jwks: &Jwks,
        arrived: UnixTime,
    ) -> Result<(), Error> {
        let held = self.playable_mut()?;
        let renewed = pending.renewed.as_ref().ok_or(Error::OtherLicense)?;
        if renewed.license_id != held.claims.jti {
            return Err(Error::OtherLicense);
        }
        let State::Held(mut fresh) = Self::keep(pending, request, answer, jwks, arrived)?.0 else {
            return Err(Error::Returned);
        };
        if fresh.claims.counter <= held.claims.counter {
            return Err(pending::Error::Counter.into());
        }
        fresh.first_issued = held.first_issued;
        fresh.first_play = held.first_play_by(fresh.clock.latest);
        let played = held.first_issued.saturating_add(fresh.first_play.unwrap_or(0));
        fresh.clock.latest = fresh.clock.latest.max(played);
        **held = *fresh;
        Ok(())
    }

    /// Takes the signed body of a release that was drafted with [`release`](Self::release). From now on
    /// the license does not play: its time on the service may be running for somebody else.
    ///
    /// # Errors
    /// [`Error`]; the license that was kept is then as it was.
    pub fn return_with(&mut self, body: &str) -> Result<(), Error> {
        let held = self.playable_mut()?;
        if !PendingRelease::resume(body.as_bytes())?.is_of(&held.claims) {
            return Err(Error::OtherLicense);
        }
        held.release = Some(body.into());
        Ok(())
    }

    /// Verifies the receipt of the release. With it the keys are gone: they are zeroed here, and
    /// [`to_json`](Self::to_json) has none any more.
    ///
    /// # Errors
    /// [`Error`]; the license is then still being returned, and the release is sent again.
    pub fn close(&mut self, answer: &[u8], jwks: &Jwks) -> Result<receipt::Claims, Error> {
        let held = self.held()?;
        let body = held.release.as_ref().ok_or(Error::NotReturning)?;
        let receipt = PendingRelease::resume(body.as_bytes())?.open(answer, jwks)?;
        self.0 = State::Returned { license_id: receipt.jti.clone() };
        Ok(receipt)
    }

    /// The corrected time, where the device's wall clock says `wall_clock`.
    ///
    /// # Errors
    /// [`Error::SetBack`] or [`Error::Returned`].
    pub fn now_at(&self, wall_clock: UnixTime) -> Result<UnixTime, Error> {
        Ok(self.held()?.clock.now_at(wall_clock)?)
    }

    /// A renewal of this license, which says when it was first played. `iat` is [`now_at`](Self::now_at),
    /// or [`server_time`](crate::exchange::Problem::server_time) from a refusal.
    ///
    /// # Errors
    /// [`Error::Returning`] or [`Error::Returned`].
    pub fn renewal<'a>(&'a self, token: &'a str, iat: UnixTime) -> Result<Renew<'a>, Error> {
        let held = self.playable()?;
        let (license, first_play) = (&held.claims, held.first_play_by(iat));
        Ok(Renew { license, token, first_play, end_session: None, iat })
    }

    /// A release of this license, which says when it was first played, without a token, so that it can be
    /// sent whenever there is a connection. `iat` is [`now_at`](Self::now_at).
    ///
    /// # Errors
    /// [`Error::Returning`] or [`Error::Returned`].
    pub fn release(&self, iat: UnixTime) -> Result<Release<'_>, Error> {
        let held = self.playable()?;
        let first_play = held.first_play_by(iat);
        Ok(Release { license: &held.claims, token: None, first_play, iat })
    }

    /// The signed release that is to be sent until its receipt comes.
    #[must_use]
    pub fn release_body(&self) -> Option<&str> {
        self.held().ok()?.release.as_deref()
    }

    /// The claims of the license; none after it was returned.
    #[must_use]
    pub fn claims(&self) -> Option<&Claims> {
        Some(&self.held().ok()?.claims)
    }

    /// When the license was first played, in seconds from the `iat` of its counter 0.
    #[must_use]
    pub fn first_play(&self) -> Option<u64> {
        self.held().ok()?.first_play
    }

    /// When playback ends, exclusive, by the corrected clock ([`now_at`](Self::now_at)); none after the
    /// license was returned.
    #[must_use]
    pub fn ends_at(&self) -> Option<UnixTime> {
        let held = self.held().ok()?;
        let exp = UnixTime::from_secs(held.claims.exp);
        Some(held.playback_ends().map_or(exp, |ends| ends.min(exp)))
    }

    fn held(&self) -> Result<&Held, Error> {
        match &self.0 {
            State::Held(held) => Ok(held),
            State::Returned { .. } => Err(Error::Returned),
        }
    }

    fn playable(&self) -> Result<&Held, Error> {
        let held = self.held()?;
        if held.release.is_some() { Err(Error::Returning) } else { Ok(held) }
    }

    fn playable_mut(&mut self) -> Result<&mut Box<Held>, Error> {
        match &mut self.0 {
            State::Held(held) if held.release.is_some() => Err(Error::Returning),
            State::Held(held) => Ok(held),
            State::Returned { .. } => Err(Error::Returned),
        }
    }
}

impl fmt::Debug for KeptLicense {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            State::Held(held) => write!(f, "KeptLicense({}, ..)", held.claims.jti),
            State::Returned { license_id } => write!(f, "KeptLicense({license_id}, returned)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use zeroize::ZeroizeOnDrop;

    /// A license that was returned is dropped, and with it the key that opens it.
    #[test]
    fn the_key_that_opens_a_kept_license_is_zeroed_when_it_is_dropped() {
        const fn is_zeroed<T: ZeroizeOnDrop>() {}
        is_zeroed::<p256::SecretKey>();
    }
}
