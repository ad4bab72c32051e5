//! Keys of a CPIX document in the clear, as `reelkey key import --from` takes them. Encrypted ones cannot be opened: the service has
//! no private key of anybody.

use reelkey_client::key::ContentKey;

use crate::authority::operation::clear_key::PlainKey;
use crate::crypto::plain_key::from_base64;
use crate::domain::content::ContentId;
use crate::http::keys::cpix::request::{Period, apply_rules, kid_of, read_keys};
use crate::http::keys::cpix::vocabulary::{CPIX, Malformed, PSKC, listed, read};
use crate::http::keys::xml::element::Element;

/// The document cannot be imported: why, with the line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(transparent)]
pub struct NoKeys(Malformed);

/// All keys of the document, in its order. `content` is their content; without it the document has to name one.
///
/// # Errors
/// [`NoKeys`].
pub fn keys(bytes: &[u8], content: Option<&ContentId>) -> Result<Vec<PlainKey>, NoKeys> {
    read_document(bytes, content).map_err(NoKeys)
}

fn read_document(bytes: &[u8], content: Option<&ContentId>) -> Result<Vec<PlainKey>, Malformed> {
    let root = read(bytes)?;
    let mut keys = read_keys(&root)?;
    apply_rules(&root, &mut keys)?;
    let elements = listed(&root, "ContentKeyList", "ContentKey");
    let plain = elements.map(|element| {
        let key = plain_value(element)?;
        let kid = kid_of(element)?;
        let named = element.attribute("contentId").or_else(|| root.attribute("contentId"));
        let named = named.filter(|name| !name.is_empty()).map(str::parse).transpose();
        let named = named.map_err(|why| Malformed::at(element, format!("contentId: {why}")))?;
        let content = content.cloned().or(named).ok_or_else(|| {
            Malformed::at(element, "the document names no contentId, so the command has to")
        })?;
        let known = keys.get(&kid);
        let crypto_period_index = match known.and_then(|known| known.period) {
            None => None,
            Some(Period::Index(index)) => Some(index),
            Some(Period::Start(_)) => {
                let what = "the crypto period of this key has a start and no index";
                return Err(Malformed::at(element, what));
            }
        };
        Ok(PlainKey {
            content_id: content,
            kid: kid.to_string(),
            track_type: known.and_then(|known| known.track),
            crypto_period_index,
            key: key.to_hex(),
            created_at: None,
        })
    });
    plain.collect()
}

fn plain_value(element: &Element) -> Result<ContentKey, Malformed> {
    let secret = element.first(CPIX, "Data").and_then(|data| data.first(PSKC, "Secret"));
    let secret = secret.ok_or_else(|| Malformed::at(element, "this ContentKey has no key"))?;
    if secret.first(PSKC, "EncryptedValue").is_some() {
        let what = "the keys of this document are encrypted, and Reelkey opens none of them: have it written in the clear";
        return Err(Malformed::at(secret, what));
    }
    let value = secret.first(PSKC, "PlainValue").map(Element::trimmed).unwrap_or_default();
    from_base64(value)
        .ok_or_else(|| Malformed::at(secret, "the PlainValue is not 16 bytes in base64"))
}
