//! Reelkey: a self-hosted DRM license and key service.
