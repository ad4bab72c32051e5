//! The license exchange, from the device's side.
