//! Facts: what grants leave behind and later decisions read.
//!
//! | key | record |
//! |---|---|
//! | `facts` | [`FactsHeader`](header::FactsHeader) |
//! | `account/` account, 1, device | [`DeviceRecord`](device::DeviceRecord) |
//! | `account/` account, 2, number | [`PlaceRecord`](place::PlaceRecord): the device that has the place |
//! | `account/` account, 3, what is counted, number | [`SlotRecord`](slot::SlotRecord) |
//! | `account/` account, 4, device, license | [`LicenseRecord`](license::LicenseRecord) |
//! | `account/` account, 5, content and entitlement | [`UsageRecord`](usage::UsageRecord) |
//! | `owner/` license | [`OwnerRecord`](license::OwnerRecord): where the license is |
//!
//! Behind the word all keys have a fixed length. An account is a keyed hash ([`AccountId`](account::AccountId)), so the facts
//! do not say whose they are. But for the header, a fact is CBOR, an array of its fields ([`Cbor`](crate::store::record::form::Cbor)); a field that a
//! later version adds comes last and is optional. Records are changed by conditional writes only: a place and a slot are one record each, so of
//! many requests for the last one the store lets one have it, also from another node.

pub mod account;
mod cbor;
pub mod device;
pub mod header;
pub mod license;
pub mod place;
pub mod slot;
pub mod usage;
