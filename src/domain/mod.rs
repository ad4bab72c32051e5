//! Pure rules. No I/O, no clock, no randomness, no async.
