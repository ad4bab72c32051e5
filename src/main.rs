//! The `reelkey` binary.

fn main() {}
