//! Primitives: verify, sign, wrap and seal. The only folder that names `ring`.
