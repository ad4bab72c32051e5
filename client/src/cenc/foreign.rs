//! What bytes are that are no MP4: people give a decrypter whatever a player was given.
//!
//! Only the first bytes are looked at, and only once they turned out to be no box. Deliberately absent: reading any of
//! these formats.

/// The bytes are no MP4 (ISO/IEC 14496-12), but this.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Foreign {
    /// Nothing.
    #[error("the file is empty")]
    Nothing,
    /// Matroska or WebM (RFC 9559): it begins with an EBML header.
    #[error(
        "this is WebM or Matroska, not MP4; its encryption is another one, which Shaka Packager decrypts"
    )]
    Webm,
    /// An MPEG-2 transport stream (ISO/IEC 13818-1): sync bytes.
    #[error(
        "this is an MPEG transport stream, not MP4; if it is encrypted, then by HLS (AES-128 or SAMPLE-AES), and ffmpeg decrypts it by its playlist"
    )]
    TransportStream,
    /// A playlist of HTTP Live Streaming (RFC 8216).
    #[error(
        "this is an HLS playlist, not media; give the initialization segment (EXT-X-MAP) with --init, and the segments that the playlist names"
    )]
    HlsPlaylist,
    /// A manifest of DASH (ISO/IEC 23009-1).
    #[error(
        "this is a DASH manifest (MPD), not media; give the initialization segment with --init, and the segments that the manifest names"
    )]
    DashManifest,
    /// Another media format, whose name this is.
    #[error("this is {0}, not MP4")]
    Media(&'static str),
    /// Text of another kind: often an error page of a web server.
    #[error("this is text, not MP4: perhaps the answer of a server that refused the film")]
    Text,
    /// Bytes of no known form.
    #[error(
        "this is no MP4: no box begins here. If it is a segment of HLS that was encrypted as a whole (METHOD=AES-128), it is decrypted with AES-128-CBC and not by this tool"
    )]
    Unknown,
}

/// The types of boxes that a file may begin with (14496-12, table 1; QuickTime).
const FIRST_BOXES: [&[u8; 4]; 22] = [
    b"ftyp", b"styp", b"moov", b"moof", b"mdat", b"free", b"skip", b"wide", b"pnot", b"sidx",
    b"ssix", b"prft", b"emsg", b"uuid", b"meta", b"pdin", b"mfra", b"udta", b"imda", b"pssh",
    b"etyp", b"bloc",
];

/// As many bytes tell every format, and no more are looked at: what is told must not depend on how many bytes come at once.
pub(super) const TELLING_BYTES: usize = 1024;

/// Whether the type is one of those of whole files, behind which rules say what follows.
pub(super) fn is_known_box(kind: &[u8; 4]) -> bool {
    FIRST_BOXES.contains(&kind)
}

/// Whether a type of these first characters may be one of a whole file.
pub(super) fn begins_known_box(kind: &[u8]) -> bool {
    !kind.is_empty() && FIRST_BOXES.iter().any(|known| known.starts_with(kind))
}

/// Whether more bytes have to come before [`recognize`] can tell. `bytes` are the first ones of a file.
pub(super) fn is_untold(bytes: &[u8]) -> bool {
    let kind = bytes.get(4..8).and_then(|kind| kind.first_chunk::<4>());
    bytes.len() < TELLING_BYTES && !kind.is_some_and(is_known_box)
}

/// What the bytes are, if they do not begin with a box that an MP4 may begin with. `bytes` are the first ones of a file, or all
/// of them.
pub(super) fn recognize(bytes: &[u8]) -> Option<Foreign> {
    let bytes = bytes.get(..TELLING_BYTES).unwrap_or(bytes);
    let Some(kind) = bytes.get(4..8).and_then(|kind| kind.first_chunk::<4>()) else {
        return Some(if bytes.is_empty() { Foreign::Nothing } else { recognize_content(bytes) });
    };
    if is_known_box(kind) {
        return None;
    }
    match recognize_content(bytes) {
        // A box of a type that nobody knows is still a box.
        Foreign::Unknown if kind.iter().all(|byte| byte.is_ascii_alphanumeric()) => None,
        foreign => Some(foreign),
    }
}

fn recognize_content(bytes: &[u8]) -> Foreign {
    /// The length of a packet (13818-1, 2.4.3.2).
    const TS_PACKET_BYTES: usize = 188;
    const SYNC_BYTE: u8 = 0x47;
    let sync_bytes = bytes.iter().step_by(TS_PACKET_BYTES).take(3);
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let text = text.trim_ascii_start();
    let has = |needle: &[u8]| text.windows(needle.len()).take(1024).any(|there| there == needle);
    match bytes {
        [0x1a, 0x45, 0xdf, 0xa3, ..] => Foreign::Webm,
        [b'F', b'L', b'V', ..] => Foreign::Media("FLV"),
        [b'O', b'g', b'g', b'S', ..] => Foreign::Media("Ogg"),
        [b'R', b'I', b'F', b'F', ..] => Foreign::Media("RIFF (WAV or AVI)"),
        [b'I', b'D', b'3', ..] => Foreign::Media("MP3 or packed audio with an ID3 tag"),
        [0x30, 0x26, 0xb2, 0x75, ..] => Foreign::Media("ASF (WMV or WMA)"),
        [b'f', b'L', b'a', b'C', ..] => Foreign::Media("FLAC"),
        [0xff, second, ..] if second & 0xf6 == 0xf0 => Foreign::Media("AAC in ADTS"),
        [0x0b, 0x77, ..] => Foreign::Media("AC-3 or E-AC-3"),
        [0, 0, 0, 1, ..] | [0, 0, 1, ..] if !bytes.get(4..8).is_some_and(is_lowercase) => {
            Foreign::Media("an elementary stream (H.264 or HEVC, ISO/IEC 14496-10, annex B)")
        }
        [0x1f, 0x8b, ..] => Foreign::Media("gzip"),
        [b'P', b'K', 3, 4, ..] => Foreign::Media("ZIP"),
        [SYNC_BYTE, ..]
            if bytes.len() >= TS_PACKET_BYTES
                && sync_bytes.clone().all(|byte| *byte == SYNC_BYTE) =>
        {
            Foreign::TransportStream
        }
        _ if text.starts_with(b"#EXTM3U") => Foreign::HlsPlaylist,
        _ if text.starts_with(b"<") && has(b"<MPD") => Foreign::DashManifest,
        _ if is_text(text) => Foreign::Text,
        _ => Foreign::Unknown,
    }
}

fn is_lowercase(kind: &[u8]) -> bool {
    kind.iter().all(u8::is_ascii_lowercase)
}

/// Whether the bytes are printed characters: of ASCII, or of UTF-8.
fn is_text(bytes: &[u8]) -> bool {
    let start = bytes.get(..bytes.len().min(256)).unwrap_or_default();
    let is_control = |byte: &u8| byte.is_ascii_control() && !byte.is_ascii_whitespace();
    let is_utf8 = match core::str::from_utf8(start) {
        Ok(_) => true,
        // The last character may be cut.
        Err(error) => error.error_len().is_none(),
    };
    !start.is_empty() && is_utf8 && !start.iter().any(is_control)
}
