//! Pure rules: who may play which content, where, when and on which device.
//!
//! Facts go in, a decision comes out. The caller passes the time, loads the facts and carries out the decision.
//! Deliberately absent: I/O, clocks, randomness, async, keys.

mod authorized;
pub mod changes;
pub mod claim_name;
pub mod content;
pub mod decision;
pub mod denial;
mod devices;
pub mod duration;
pub mod entitlement;
mod granted;
pub mod key_refresh;
pub mod key_url;
mod licenses;
pub mod location;
pub mod logged_address;
pub mod nearest;
pub mod network;
pub mod origin;
pub mod packager;
pub mod past;
pub mod period;
pub mod policy;
pub mod policy_file;
pub mod policy_warning;
pub mod refusal;
pub mod region;
mod region_rule;
pub mod registry;
pub mod release;
pub mod renewal;
mod request;
pub mod rotation;
pub mod scope;
pub mod security_level;
pub mod signalling;
mod slots;
pub mod steps;
pub mod track;
pub mod whereabouts;
mod windows;
