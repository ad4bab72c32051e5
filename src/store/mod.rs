//! The embedded store: the only folder that names sled.
