//! The device's half of Reelkey: license exchange and Common Encryption.
