//! Common Encryption (ISO/IEC 23001-7:2023) in fragmented MP4 (ISO/IEC 14496-12).
