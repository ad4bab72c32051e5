//! Pure rules: who may play what, where, when and on which device.
//!
//! Facts in, an answer out. The caller says what time it is, loads what the rules ask about and does
//! what they answer. Deliberately absent: I/O, clocks, randomness, async, keys.

pub mod changes;
pub mod content;
pub mod decision;
pub mod denial;
pub mod duration;
pub mod entitlement;
pub mod origin;
pub mod policy;
pub mod policy_file;
pub mod refusal;
pub mod region;
pub mod rotation;
pub mod scope;
pub mod security_level;
pub mod track;
