//! The PROXY protocol, version 2, of a trusted load balancer: whose connection this is, in front of its first byte
//! (<https://www.haproxy.org/download/3.2/doc/proxy-protocol.txt>, section 2.2).
//!
//! The header is read strictly, and whoever should send one and does not is not listened to. Deliberately absent: version 1,
//! which is text of any length, and what TLVs say.

use std::io;
use std::net::SocketAddr;

use proxy_header::{ParseConfig, Protocol, ProxyHeader};
use tokio::io::{AsyncRead, AsyncReadExt};

/// Signature, command, family and length.
const FIXED_BYTES: usize = 16;

/// The place of the command among them, and the command of a connection that is the balancer's own.
const COMMAND: usize = 12;
const LOCAL: u8 = 0x20;

/// The most bytes behind the fixed ones: addresses, and TLVs, which may hold a certificate.
const BYTES_MAX: usize = 4096;

/// Who is at the other end, as a load balancer says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Proxied {
    /// The balancer itself, which looks whether the service is there.
    Local,
    /// This client.
    Client(SocketAddr),
    /// Somebody, of whom no address is told.
    Unknown,
}

/// What a load balancer sent in place of a header.
#[derive(Debug, thiserror::Error)]
enum NoHeader {
    #[error("no PROXY header of version 2: {0}")]
    Form(proxy_header::Error),
    #[error("a PROXY header with {0} bytes behind its fixed ones, at most {BYTES_MAX} are read")]
    TooLong(usize),
    #[error("a PROXY header for datagrams")]
    Datagram,
}

/// Reads a header, and not a byte of what is behind it.
///
/// # Errors
/// It is no header of version 2, or does not come whole.
pub(super) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Proxied> {
    let mut header = vec![0; FIXED_BYTES];
    stream.read_exact(&mut header).await?;
    let rest = length(&header).map_err(io::Error::other)?;
    header.resize(FIXED_BYTES + rest, 0);
    if let Some(rest) = header.get_mut(FIXED_BYTES..) {
        stream.read_exact(rest).await?;
    }
    parse(&header).map_err(io::Error::other)
}

const STRICT: ParseConfig = ParseConfig { include_tlvs: false, allow_v1: false, allow_v2: true };

/// How many bytes are behind the fixed ones.
fn length(fixed: &[u8]) -> Result<usize, NoHeader> {
    // What is wrong in the fixed bytes is wrong whatever follows; of a whole one only the rest is missing.
    match ProxyHeader::parse(fixed, STRICT) {
        Ok(_) => return Ok(0),
        Err(proxy_header::Error::BufferTooShort) => {}
        Err(error) => return Err(NoHeader::Form(error)),
    }
    let length = fixed.last_chunk::<2>().map_or(0, |bytes| u16::from_be_bytes(*bytes).into());
    if length > BYTES_MAX { Err(NoHeader::TooLong(length)) } else { Ok(length) }
}

fn parse(header: &[u8]) -> Result<Proxied, NoHeader> {
    let (parsed, _) = ProxyHeader::parse(header, STRICT).map_err(NoHeader::Form)?;
    if header.get(COMMAND) == Some(&LOCAL) {
        return Ok(Proxied::Local);
    }
    match parsed.proxied_address() {
        None => Ok(Proxied::Unknown),
        Some(address) if address.protocol == Protocol::Stream => {
            Ok(Proxied::Client(address.source))
        }
        Some(_) => Err(NoHeader::Datagram),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
    const V4: [u8; 12] = [192, 0, 2, 7, 10, 0, 0, 1, 0x30, 0x39, 0x01, 0xbb];

    fn header(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
        [SIGNATURE, &[command, family], &length, rest].concat()
    }

    /// What is read, and how many bytes are left.
    fn read(mut bytes: &[u8]) -> (Option<Proxied>, usize) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let read = runtime.block_on(super::read(&mut bytes));
        (read.ok(), bytes.len())
    }

    fn client(text: &str) -> Option<Proxied> {
        Some(Proxied::Client(text.parse().unwrap()))
    }

    #[test]
    fn a_header_is_read_and_nothing_behind_it() {
        let tls = b"\x16\x03\x01";
        let with = |header: Vec<u8>| read(&[&header[..], tls].concat());
        assert_eq!(with(header(0x21, 0x11, &V4)), (client("192.0.2.7:12345"), 3));
        let tlvs = [&V4[..], &[0x04, 0, 2, 0, 0], &[0xe0; 300]].concat();
        assert_eq!(with(header(0x21, 0x11, &tlvs)), (client("192.0.2.7:12345"), 3));
        let mut v6 = [0; 36];
        (v6[0], v6[1], v6[15], v6[33]) = (0x20, 0x01, 7, 80);
        assert_eq!(with(header(0x21, 0x21, &v6)), (client("[2001::7]:80"), 3));
        for family in [0x00, 0x11] {
            assert_eq!(with(header(LOCAL, family, &V4)), (Some(Proxied::Local), 3));
        }
        assert_eq!(with(header(LOCAL, 0, &[])), (Some(Proxied::Local), 3));
        assert_eq!(with(header(0x21, 0, &[])), (Some(Proxied::Unknown), 3));
        assert_eq!(with(header(0x21, 0x31, &[0; 216])), (Some(Proxied::Unknown), 3));
    }

    #[test]
    fn what_is_no_header_of_version_2_is_refused() {
        for wrong in [
            b"PROXY TCP4 192.0.2.7 10.0.0.1 12345 443\r\n".to_vec(),
            b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(),
            vec![0; 64],
            header(0x11, 0x11, &V4),
            header(0x22, 0x11, &V4),
            header(0x21, 0x12, &V4),
            header(0x21, 0x13, &V4),
            header(0x21, 0x41, &V4),
            header(0x21, 0x11, &V4[..11]),
            header(0x21, 0x21, &V4),
            header(0x21, 0x31, &[0; 215]),
            header(0x21, 0x11, &V4)[..27].to_vec(),
            SIGNATURE.to_vec(),
            header(0x21, 0x11, &[&V4[..], &[0; BYTES_MAX - 11]].concat()),
        ] {
            assert_eq!(read(&wrong).0, None, "{wrong:?}");
        }
        let longest = header(0x21, 0x11, &[&V4[..], &[0; BYTES_MAX - 12]].concat());
        assert_eq!(read(&longest), (client("192.0.2.7:12345"), 0));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]

        /// Whatever comes is either refused, or the client is the one at its place in the header.
        #[test]
        fn no_bytes_crash_it_or_name_another_client(
            mut bytes in proptest::collection::vec(any::<u8>(), 0..80),
            command in prop::sample::select(vec![0x20_u8, 0x21, 0x21, 0x10, 0xff]),
            family in prop::sample::select(vec![0x00_u8, 0x11, 0x11, 0x21, 0x22, 0x31]),
            length in prop_oneof![0_u16..64, any::<u16>()],
            is_signed in prop::bool::weighted(0.9),
        ) {
            if is_signed {
                let start = [SIGNATURE, &[command, family], &length.to_be_bytes()].concat();
                bytes.splice(0..0, start);
            }
            let (read, left) = read(&bytes);
            let Some(read) = read else { return Ok(()) };
            prop_assert!(is_signed && command != 0x10);
            prop_assert_eq!(left, bytes.len() - FIXED_BYTES - usize::from(length));
            if let Proxied::Client(address) = read {
                prop_assert_eq!(command, 0x21);
                let source = match address.ip() {
                    std::net::IpAddr::V4(address) => address.octets().to_vec(),
                    std::net::IpAddr::V6(address) => address.octets().to_vec(),
                };
                prop_assert_eq!(&source, &bytes[16..16 + source.len()]);
            }
        }
    }
}
