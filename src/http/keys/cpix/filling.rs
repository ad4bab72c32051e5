//! Fills a request with keys and signalling: that is its answer.
//!
//! The same request gets the same answer, but for what is encrypted anew. Elements and attributes that nobody here knows stay
//! as they are.

use std::collections::{BTreeMap, BTreeSet};

use base64ct::{Base64, Encoding};
use reelkey_client::key::KeyId;
use zeroize::Zeroizing;

use crate::authority::packaging::ask::PackagedKey;
use crate::crypto::clean_stack::on_clean_stack;
use crate::crypto::plain_key;
use crate::http::keys::cpix::delivery::{self, Delivery, MacShape, NotDelivered, Values};
use crate::http::keys::cpix::request::{Dialect, Request, RequestedKey, kid_of, system_of};
use crate::http::keys::cpix::signalling::{Signalled, initialization_vector, key_format, needs_iv};
use crate::http::keys::cpix::vocabulary::{
    CPIX, DS, Malformed, PREFIXES, PSKC, SPEKE, System, listed,
};
use crate::http::keys::xml::element::{Element, Space};
use crate::http::keys::xml::writer;

/// The order of the elements of `CPIX`.
const IN_CPIX: [&str; 6] = [
    "DeliveryDataList",
    "ContentKeyList",
    "DRMSystemList",
    "ContentKeyPeriodList",
    "ContentKeyUsageRuleList",
    "UpdateHistoryItemList",
];

/// The order of the elements of `DRMSystem`.
const IN_SYSTEM: [&str; 4] =
    ["PSSH", "ContentProtectionData", "HLSSignalingData", "SmoothStreamingProtectionHeaderData"];

/// How a request is answered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manner<'a> {
    /// What the URLs of this service begin with.
    pub(crate) base: &'a str,
    /// How the MAC key of an encrypted answer stands in it.
    pub(crate) mac: MacShape,
    /// How its values are encrypted, if not as the request says.
    pub(crate) values: Option<Values>,
}

/// There is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unanswered {
    /// The request is wrong.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// Nothing could be encrypted.
    #[error(transparent)]
    NotDelivered(#[from] NotDelivered),
    /// A key is missing.
    #[error("the key {0} was not given")]
    NoKey(KeyId),
}

/// The answer to a request, as a document.
pub(crate) fn answer(
    request: Request,
    keys: &[PackagedKey],
    manner: Manner<'_>,
) -> Result<Zeroizing<String>, Unanswered> {
    let Request { mut root, dialect, keys: wanted } = request;
    let recipients = delivery::recipients(&root)?;
    let delivery = match recipients.is_empty() {
        true => None,
        false => {
            Some(Delivery::generate(manner.values.unwrap_or_else(|| delivery::values(&root)))?)
        }
    };
    let systems = listed(&root, "DRMSystemList", "DRMSystem");
    let systems =
        systems.filter_map(|system| Some((kid_of(system).ok()?, system_of(system).ok()?)));
    let with_iv: BTreeSet<_> =
        systems.filter(|(_, system)| needs_iv(*system)).map(|(kid, _)| kid).collect();
    let wanted: BTreeMap<_, _> = wanted.iter().map(|key| (key.kid, key)).collect();
    let given = keys.iter().map(|key| (key.kid, key)).collect();
    let playlist = multivariant(&mut root, dialect);
    let filling = Filling { dialect, wanted, given, with_iv, delivery, manner, playlist };
    // A signature of the request would be wrong of the answer.
    root.children.retain(|child| !child.is(DS, "Signature"));
    let mut recipients = recipients.iter();
    for list in &mut root.children {
        for item in &mut list.children {
            if item.is(CPIX, "ContentKey") && list.local == "ContentKeyList" {
                filling.content_key(item)?;
            } else if item.is(CPIX, "DRMSystem") && list.local == "DRMSystemList" {
                filling.system(item)?;
            } else if item.is(CPIX, "DeliveryData")
                && list.local == "DeliveryDataList"
                && let (Some(delivery), Some(recipient)) = (&filling.delivery, recipients.next())
            {
                delivery.deliver(item, recipient, manner.mac)?;
            }
        }
    }
    in_order(&mut root, &IN_CPIX);
    Ok(Zeroizing::new(writer::write(&root, PREFIXES)))
}

/// What `HLSSignalingData` of the multivariant playlist is called: until CPIX 2.3 `master`. A CPIX document without a version
/// becomes one of version 2.4.
fn multivariant(root: &mut Element, dialect: Dialect) -> &'static str {
    if dialect == Dialect::Cpix && root.attribute("version").is_none() {
        root.set("version", "2.4");
    }
    match root.attribute("version") {
        Some("2.0" | "2.1" | "2.2" | "2.3") | None => "master",
        Some(_) => "multiVariant",
    }
}

fn in_order(parent: &mut Element, order: &[&str]) {
    let rank = |child: &Element| order.iter().position(|name| child.is(CPIX, name));
    parent.children.sort_by_key(|child| rank(child).unwrap_or(order.len()));
}

struct Filling<'a> {
    dialect: Dialect,
    wanted: BTreeMap<KeyId, &'a RequestedKey>,
    given: BTreeMap<KeyId, &'a PackagedKey>,
    with_iv: BTreeSet<KeyId>,
    delivery: Option<Delivery>,
    manner: Manner<'a>,
    playlist: &'static str,
}

impl Filling<'_> {
    fn content_key(&self, element: &mut Element) -> Result<(), Unanswered> {
        let kid = kid_of(element)?;
        let given = self.given.get(&kid).ok_or(Unanswered::NoKey(kid))?;
        let iv = element.attribute("explicitIV");
        if iv.is_some_and(str::is_empty) || (iv.is_none() && self.with_iv.contains(&kid)) {
            element.set("explicitIV", initialization_vector(kid));
        }
        let secret = on_clean_stack(|| match &self.delivery {
            Some(delivery) => delivery.secret(&given.key),
            None => {
                let value = plain_key::base64(&given.key);
                let value = Element::new(PSKC, "PlainValue").with_text(value.as_str());
                Ok(Element::new(PSKC, "Secret").with_child(value))
            }
        })?;
        element.text.clear();
        element.children.push(Element::new(CPIX, "Data").with_child(secret));
        Ok(())
    }

    fn system(&self, element: &mut Element) -> Result<(), Unanswered> {
        let (kid, system) = (kid_of(element)?, system_of(element)?);
        if system == System::Aes128 && self.manner.base.is_empty() {
            let what = "the request has no Host, and the URL of the key has to begin with it";
            return Err(Malformed::at(element, what).into());
        }
        let given = self.given.get(&kid).ok_or(Unanswered::NoKey(kid))?;
        let signalled = Signalled {
            kid,
            key: &given.key,
            content: &given.content,
            scheme: self.wanted.get(&kid).and_then(|wanted| wanted.scheme),
            base: self.manner.base,
        };
        if element.children.is_empty() {
            element.children = self.everything(system);
            element.text.clear();
        }
        for child in &mut element.children {
            if let Some(value) = value(child, &signalled, system) {
                child.children.clear();
                child.text = Base64::encode_string(&value);
            }
        }
        // An encoder of SPEKE version 1 names everything that there is and takes what is filled in.
        if self.dialect == Dialect::Speke1 {
            element
                .children
                .retain(|child| !child.trimmed().is_empty() || !child.children.is_empty());
        }
        in_order(element, &IN_SYSTEM);
        Ok(())
    }

    /// What an encoder gets that names a system and not what it wants of it.
    fn everything(&self, system: System) -> Vec<Element> {
        let hls = |playlist| Element::new(CPIX, "HLSSignalingData").with("playlist", playlist);
        let of_cpix = [
            Element::new(CPIX, "PSSH"),
            Element::new(CPIX, "ContentProtectionData"),
            hls("media"),
            hls(self.playlist),
        ];
        let of_speke_1 = [
            Element::new(CPIX, "PSSH"),
            Element::new(SPEKE, "ProtectionHeader"),
            Element::new(CPIX, "URIExtXKey"),
            Element::new(SPEKE, "KeyFormat"),
            Element::new(SPEKE, "KeyFormatVersions"),
        ];
        match (self.dialect, system) {
            (Dialect::Speke2, _) => Vec::new(),
            (Dialect::Speke1, _) => of_speke_1.into(),
            (Dialect::Cpix, System::FairPlay | System::Aes128) => {
                of_cpix.into_iter().skip(2).collect()
            }
            (Dialect::Cpix, System::Common) => of_cpix.into_iter().take(2).collect(),
            (Dialect::Cpix, _) => of_cpix.into(),
        }
    }
}

/// What an element of `DRMSystem` holds, before base64. `None` if its system has no such thing, or it is unknown here.
fn value(child: &Element, signalled: &Signalled<'_>, system: System) -> Option<Vec<u8>> {
    let text = |text: &str| text.as_bytes().to_vec();
    let is_of = |namespace| child.space == Space::Known(namespace) || child.space == Space::None;
    match child.local.as_ref() {
        "PSSH" if is_of(CPIX) => signalled.pssh(system),
        "ContentProtectionData" if is_of(CPIX) => signalled.dash(system).map(String::into_bytes),
        "HLSSignalingData" if is_of(CPIX) => {
            let tag = signalled.hls(system)?;
            Some(match child.attribute("playlist") {
                Some("master" | "multiVariant") => tag.session_line().into_bytes(),
                _ => tag.media_line().into_bytes(),
            })
        }
        "URIExtXKey" if is_of(CPIX) => signalled.url(system).map(|url| text(url.as_str())),
        "KeyFormat" if is_of(SPEKE) => key_format(system).map(text),
        "KeyFormatVersions" if is_of(SPEKE) => key_format(system).map(|_| text("1")),
        "ProtectionHeader" if is_of(SPEKE) && system == System::PlayReady => signalled.object(),
        "SmoothStreamingProtectionHeaderData" if is_of(CPIX) && system == System::PlayReady => {
            signalled.object()
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::keys::cpix::plain_document;
    use proptest::prelude::{Just, Strategy, any, prop, prop_oneof, proptest};
    use reelkey_client::key::ContentKey;

    const SYSTEMS: [System; 6] = [
        System::Widevine,
        System::PlayReady,
        System::FairPlay,
        System::Common,
        System::ClearKey,
        System::Aes128,
    ];

    fn key(kid: KeyId) -> PackagedKey {
        let key = ContentKey::try_init(|key| {
            key.copy_from_slice(kid.as_bytes());
            Ok::<_, ()>(())
        });
        let content = "movies/any".parse().unwrap();
        PackagedKey { kid, key: key.unwrap(), content, track: None, period: None }
    }

    fn list(name: &'static str, items: Vec<Element>) -> Element {
        items.into_iter().fold(Element::new(CPIX, name), Element::with_child)
    }

    /// Requests with one to four keys, any systems for them, and any elements wanted of each system.
    fn requests() -> impl Strategy<Value = Element> {
        let wanted = prop::sample::subsequence(
            vec![
                Element::new(CPIX, "PSSH"),
                Element::new(CPIX, "ContentProtectionData"),
                Element::new(CPIX, "HLSSignalingData").with("playlist", "media"),
                Element::new(CPIX, "HLSSignalingData").with("playlist", "master"),
                Element::new(CPIX, "URIExtXKey"),
                Element::new(SPEKE, "KeyFormat"),
                Element::new(SPEKE, "ProtectionHeader"),
                Element::new("urn:example:other", "mine").with_text("kept"),
            ],
            0..8,
        );
        let system = (0..SYSTEMS.len(), 0..4_usize, wanted);
        let systems = prop::collection::vec(system, 0..8);
        let version = prop_oneof![Just(None), Just(Some("2.3")), Just(Some("2.4"))];
        (1..5_usize, any::<u8>(), systems, version).prop_map(|(count, seed, systems, version)| {
            let kid = |at: usize| {
                let at = u8::try_from(at % count).unwrap();
                KeyId::from_bytes([seed, at, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16])
            };
            let keys = (0..count)
                .map(|at| Element::new(CPIX, "ContentKey").with("kid", kid(at).to_string()));
            let systems = systems.into_iter().map(|(system, at, wanted)| Element {
                children: wanted,
                ..Element::new(CPIX, "DRMSystem")
                    .with("kid", kid(at).to_string())
                    .with("systemId", SYSTEMS[system].id().to_string())
            });
            let root = Element::new(CPIX, "CPIX").with("contentId", "movies/any");
            let root = match version {
                Some(version) => root.with("version", version),
                None => root,
            };
            root.with_child(list("DRMSystemList", systems.collect()))
                .with_child(list("ContentKeyList", keys.collect()))
        })
    }

    proptest! {
        /// Whatever is answered is a document whose keys can be imported, and another look at the answer finds nothing of the
        /// request missing.
        #[test]
        fn an_answer_has_all_keys_and_what_was_asked_for(root in requests(), is_old in any::<bool>()) {
            let dialect = if is_old { Dialect::Speke1 } else { Dialect::Cpix };
            let request = Request::of(root.clone(), dialect).unwrap();
            let keys: Vec<_> = request.keys.iter().map(|wanted| key(wanted.kid)).collect();
            let manner = Manner { base: "https://drm.example", mac: MacShape::Aws, values: None };
            let written = answer(request, &keys, manner).unwrap();
            let read = plain_document::keys(written.as_bytes(), None).unwrap();
            let hex = |kid: KeyId| kid.to_string().replace('-', "");
            let expected: Vec<_> = keys.iter().map(|key| hex(key.kid)).collect();
            assert_eq!(read.iter().map(|key| key.key.to_string()).collect::<Vec<_>>(), expected);
            let kept = written.matches(">kept</").count();
            let systems = root.children[0].children.iter();
            let wanted = systems.flat_map(|system| &system.children);
            assert_eq!(kept, wanted.filter(|child| child.local == "mine").count());
        }
    }
}
