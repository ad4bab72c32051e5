//! Policies as people write them: one TOML file for each.
//!
//! Everything that a file says is either understood and obeyed, or refused with the line and a remedy. Nothing is
//! ignored: a rule that a rights holder wrote and the service did not know would be a promise broken in silence.
//! `reading` takes the text, `rules` makes the policy of the tables, `contradiction` refuses combinations that cannot be
//! obeyed, `tables` has the fields, `value` what may stand in them, `surroundings` what the configuration adds.

mod contradiction;
mod reading;
mod rules;
mod surroundings;
mod tables;
mod value;

pub use reading::{BYTES_MAX, Error, is_policy_name, parse, parse_in};
pub use surroundings::Surroundings;
