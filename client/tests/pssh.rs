//! Signalling: what is written is read back, whatever it says, and what is broken is refused without a panic.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may fail where its expectation does"
)]

use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use reelkey_client::key::{ContentKey, KeyId};
use reelkey_client::pssh::playready::{self, Checksum, HeaderKey, Unwritable, Version};
use reelkey_client::pssh::{self, Contents, PlayReady, ProtectionScheme, Pssh, SystemId, widevine};

fn kid() -> impl Strategy<Value = KeyId> {
    any::<[u8; 16]>().prop_map(KeyId::from_bytes)
}

fn scheme() -> impl Strategy<Value = Option<ProtectionScheme>> {
    of(prop::sample::select(&ProtectionScheme::ALL))
}

/// A key and its checksum, as a packager has them.
fn key() -> impl Strategy<Value = (KeyId, Option<Checksum>)> {
    let key = any::<[u8; 16]>().prop_map(|bytes| {
        ContentKey::try_init(|key| {
            *key = bytes;
            Ok::<(), std::convert::Infallible>(())
        })
        .unwrap()
    });
    (kid(), of(key)).prop_map(|(kid, key)| (kid, key.map(|key| Checksum::of(kid, &key))))
}

/// Characters that XML has to escape, and others.
const URL: &str = "[!-~\u{e9}\u{65e5}\u{1f3ac}]{1,60}";

/// The header that a decoder finds in a box with this data.
fn playready_of(data: &[u8]) -> PlayReady {
    let whole = pssh::boxed(SystemId::PLAYREADY, None, data).unwrap();
    match Pssh::parse_all(&whole).unwrap()[0].contents() {
        Some(Contents::PlayReady(header)) => header,
        other => panic!("{other:?}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn boxes_of_every_kind_are_read_back_in_their_order(
        boxes in vec((any::<[u8; 16]>(), of(vec(kid(), 0..5)), vec(any::<u8>(), 0..200)), 1..6)
    ) {
        let write = |(system, kids, data): &([u8; 16], Option<Vec<KeyId>>, Vec<u8>)| {
            pssh::boxed(SystemId(*system), kids.as_deref(), data).unwrap()
        };
        let bytes: Vec<u8> = boxes.iter().flat_map(write).collect();
        let read = Pssh::parse_all(&bytes).unwrap();
        prop_assert_eq!(read.len(), boxes.len());
        for (read, (system, kids, data)) in read.iter().zip(&boxes) {
            prop_assert_eq!(read.system_id, SystemId(*system));
            prop_assert_eq!(read.version, u8::from(kids.is_some()));
            prop_assert_eq!(&read.kids, &kids.clone().unwrap_or_default());
            prop_assert_eq!(&read.data, data);
        }
        for length in 1..bytes.len() {
            let whole = boxes.iter().scan(0, |at, one| { *at += write(one).len(); Some(*at) });
            prop_assert_eq!(Pssh::parse_all(&bytes[..length]).is_some(), whole.into_iter().any(|end| end == length));
        }
    }

    #[test]
    fn what_is_written_for_widevine_is_read_back(
        kids in vec(kid(), 0..5), provider in of(".{0,20}"), content_id in of(vec(any::<u8>(), 0..200)),
        policy in of(".{0,20}"), index in of(any::<u32>()), seconds in of(any::<u32>()), scheme in scheme()
    ) {
        let header = widevine::Header {
            kids: &kids,
            provider: provider.as_deref(),
            content_id: content_id.as_deref(),
            policy: policy.as_deref(),
            crypto_period_index: index,
            scheme,
            crypto_period_seconds: seconds,
        };
        let read = pssh::Widevine::parse(&header.payload()).unwrap();
        prop_assert_eq!(read.key_ids, kids);
        prop_assert_eq!((read.provider, read.policy, read.content_id), (provider, policy, content_id));
        prop_assert_eq!(read.crypto_period_index, index.map(u64::from));
        prop_assert_eq!(read.crypto_period_seconds, seconds.map(u64::from));
        let read_scheme = read.protection_scheme.map(u32::from_be_bytes);
        prop_assert_eq!(read_scheme.map(|number| ProtectionScheme::from_four_cc(number).unwrap()), scheme);
    }

    #[test]
    fn what_is_written_for_playready_is_read_back(
        version in of(prop::sample::select(&Version::ALL)), keys in vec(key(), 0..5), scheme in scheme(),
        la_url in of(URL), lui_url in of(URL), ds_id in of(kid())
    ) {
        let header = playready::Header {
            version, keys: &keys, scheme, la_url: la_url.as_deref(), lui_url: lui_url.as_deref(), ds_id,
        };
        let is_cbc = scheme.is_some_and(ProtectionScheme::is_cbc);
        let expected = match version {
            _ if keys.is_empty() => Some(Unwritable::NoKeys),
            Some(version) if version < Version::V4_2 && keys.len() > 1 => Some(Unwritable::SeveralKeys(version)),
            Some(version) if version < Version::V4_3 && is_cbc => Some(Unwritable::Cbc(version)),
            _ => None,
        };
        let object = header.object();
        prop_assert_eq!(object.as_ref().err(), expected.as_ref());
        let Ok(object) = object else { return Ok(()) };
        let read = playready_of(&object);
        let lowest = match keys.len() {
            _ if is_cbc => Version::V4_3,
            1 => Version::V4_0,
            _ => Version::V4_2,
        };
        prop_assert_eq!(read.version.as_deref(), Some(version.unwrap_or(lowest).as_str()));
        let algorithm = if is_cbc { "AESCBC" } else { "AESCTR" };
        let said: Vec<_> = read.keys.iter().map(|key| (key.kid, key.checksum)).collect();
        let without = keys.iter().map(|(kid, checksum)| (*kid, checksum.filter(|_| !is_cbc)));
        prop_assert_eq!(said, without.collect::<Vec<_>>());
        prop_assert!(read.keys.iter().all(|key| key.algorithm.as_deref() == Some(algorithm)));
        prop_assert_eq!((read.la_url, read.lui_url, read.ds_id), (la_url, lui_url, ds_id));
    }

    #[test]
    fn headers_have_no_tag_that_closes_itself_and_their_attributes_are_in_order(
        keys in vec(key(), 1..5), scheme in scheme(), la_url in of(URL)
    ) {
        let header = playready::Header { keys: &keys, scheme, la_url: la_url.as_deref(), ..Default::default() };
        let xml = header.xml().unwrap();
        prop_assert!(!xml.contains("/>"));
        for tag in xml.split('<').filter_map(|part| part.split_once('>')).map(|(tag, _)| tag) {
            let names: Vec<_> = tag.split_whitespace().skip(1).filter_map(|one| one.split_once('=')).map(|(name, _)| name).collect();
            prop_assert!(names.is_sorted() || names == ["xmlns", "version"], "{tag}");
        }
    }

    #[test]
    fn damage_is_no_panic(mut bytes in vec(any::<u8>(), 0..400), at in any::<prop::sample::Index>(), value in any::<u8>(), keys in vec(key(), 1..3)) {
        drop(Pssh::parse_all(&bytes));
        drop(pssh::Widevine::parse(&bytes));
        drop(PlayReady::parse(&bytes));
        bytes = playready::Header { keys: &keys, ..Default::default() }.object().unwrap();
        let at = at.index(bytes.len());
        bytes[at] = value;
        drop(PlayReady::parse(&bytes));
    }
}

#[test]
fn a_header_of_bento4_is_read_with_the_checksum_that_it_should_not_have() {
    let xml = "<WRMHEADER xmlns=\"http://schemas.microsoft.com/DRM/2007/03/PlayReadyHeader\" version=\"4.3.0.0\">\
               <DATA><PROTECTINFO><KIDS><KID ALGID=\"AESCBC\" CHECKSUM=\"UrcyT6dTKuQ=\" VALUE=\"AwIBAAUEBwYICQoLDA0ODw==\">\
               </KID></KIDS></PROTECTINFO></DATA></WRMHEADER>";
    let read = PlayReady::parse_xml(xml).unwrap();
    let [HeaderKey { kid, algorithm, checksum, .. }] = &*read.keys else { panic!("{read:?}") };
    assert_eq!(kid.to_string(), "00010203-0405-0607-0809-0a0b0c0d0e0f");
    assert_eq!(algorithm.as_deref(), Some("AESCBC"));
    assert_eq!(checksum.unwrap().to_string(), "UrcyT6dTKuQ=");
}

#[test]
fn headers_are_those_of_the_specification_in_every_version() {
    let kid: KeyId = "f3c5e036-1e66-54b2-8f80-49c778b23946".parse().unwrap();
    let key = ContentKey::parse_hex("a4631a153a443df9eed0593043db7519").unwrap();
    let keys = [(kid, Some(Checksum::of(kid, &key)))];
    let (value, sum) = ("NuDF82YeslSPgEnHeLI5Rg==", "5Tu7Xer/ZZo=");
    let attributes = format!("<KID ALGID=\"AESCTR\" CHECKSUM=\"{sum}\" VALUE=\"{value}\"></KID>");
    for (version, data) in [
        (
            Version::V4_0,
            format!(
                "<PROTECTINFO><KEYLEN>16</KEYLEN><ALGID>AESCTR</ALGID></PROTECTINFO><KID>{value}</KID><CHECKSUM>{sum}</CHECKSUM>"
            ),
        ),
        (Version::V4_1, format!("<PROTECTINFO>{attributes}</PROTECTINFO>")),
        (Version::V4_2, format!("<PROTECTINFO><KIDS>{attributes}</KIDS></PROTECTINFO>")),
        (Version::V4_3, format!("<PROTECTINFO><KIDS>{attributes}</KIDS></PROTECTINFO>")),
    ] {
        let header = playready::Header {
            version: Some(version),
            keys: &keys,
            la_url: Some("https://a.example/?b=1&c=2"),
            ..Default::default()
        };
        assert_eq!(
            header.xml().unwrap(),
            format!(
                "<WRMHEADER xmlns=\"http://schemas.microsoft.com/DRM/2007/03/PlayReadyHeader\" version=\"{version}\"><DATA>{data}\
                 <LA_URL>https://a.example/?b=1&amp;c=2</LA_URL></DATA></WRMHEADER>"
            )
        );
    }
}

#[test]
fn an_object_is_at_most_fifteen_kilobytes_long_and_a_url_is_one() {
    let keys = vec![(KeyId::from_bytes([7; 16]), Some(Checksum([7; 8]))); 100];
    let of = |count, url| {
        let la_url = Some(url);
        playready::Header { keys: &keys[..count], la_url, ..Default::default() }.object()
    };
    assert_eq!(of(100, "https://a.example"), Err(Unwritable::TooLong));
    let longest = (1..100).rev().find_map(|count| of(count, "https://a.example").ok()).unwrap();
    assert!((15_000..=15 * 1024).contains(&longest.len()), "{}", longest.len());
    for wrong in ["", "https://a b", "https://a\n", "https://a\u{0}", "https://a\u{ffff}"] {
        assert_eq!(of(1, wrong), Err(Unwritable::Url), "{wrong:?}");
    }
}

#[test]
fn more_boxes_than_the_limit_are_refused() {
    let one = pssh::fairplay();
    assert_eq!(Pssh::parse_all(&one.repeat(256)).unwrap().len(), 256);
    assert_eq!(Pssh::parse_all(&one.repeat(257)), None);
    assert_eq!(Pssh::parse_all(&[]), None);
}
