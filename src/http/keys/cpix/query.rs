//! The parameters of `GET /v1/keys/cpix/<content_id>`, and those of an encrypted answer.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use reelkey_client::pssh::ProtectionScheme;

use crate::domain::packager::track_type;
use crate::domain::track::TrackType;
use crate::http::keys::cpix::delivery::{MacShape, Values};
use crate::http::keys::cpix::vocabulary::System;

/// The most crypto periods of one document.
const PERIODS_MAX: u32 = 512;

/// What a title is wanted like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TitleQuery {
    /// Whether Shaka Packager shall read it, which takes the simplest of documents alone.
    pub(crate) for_shaka: bool,
    /// The track types; empty: those that there are.
    pub(crate) tracks: BTreeSet<Option<TrackType>>,
    /// The crypto periods; `None`: the current and the next one, where they are counted by the clock.
    pub(crate) periods: Option<RangeInclusive<u32>>,
    /// The protection scheme of the media.
    pub(crate) scheme: ProtectionScheme,
    /// The DRM systems.
    pub(crate) systems: Vec<System>,
}

/// A parameter is wrong: which one, and what it may be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct WrongQuery(String);

/// The names of systems in a query.
const SYSTEMS: [(&str, System); 6] = [
    ("widevine", System::Widevine),
    ("playready", System::PlayReady),
    ("fairplay", System::FairPlay),
    ("common", System::Common),
    ("clearkey", System::ClearKey),
    ("aes128", System::Aes128),
];

impl TitleQuery {
    /// Reads the parameters; `parameter` has one by its name.
    pub(crate) fn read<'a>(
        parameter: impl Fn(&str) -> Option<&'a str>,
    ) -> Result<Self, WrongQuery> {
        let for_shaka = match parameter("profile") {
            None => false,
            Some("shaka") => true,
            Some(_) => return Err(WrongQuery("the one profile is shaka".into())),
        };
        let scheme = parameter("scheme").unwrap_or("cenc").parse();
        let scheme = scheme.map_err(|why| WrongQuery(format!("scheme: {why}")))?;
        let periods = parameter("periods").map(read_periods).transpose()?;
        if for_shaka && periods.is_some() {
            return Err(WrongQuery(
                "Shaka Packager reads no CPIX document with crypto periods".into(),
            ));
        }
        let tracks = listed(parameter("tracks"), track_type);
        let tracks = tracks.map_err(|name| {
            WrongQuery(format!("tracks: {name} is none of AUDIO, SD, HD, UHD1, UHD2 and ALL"))
        })?;
        let of_name =
            |name: &str| SYSTEMS.iter().find(|(known, _)| *known == name).map(|known| known.1);
        let systems: Vec<_> = listed(parameter("systems"), of_name).map_err(|name| {
            let known = SYSTEMS.map(|(known, _)| known).join(", ");
            WrongQuery(format!("systems: {name} is none of {known}"))
        })?;
        let is_cbcs = scheme == ProtectionScheme::Cbcs;
        if systems.contains(&System::FairPlay) && !is_cbcs {
            return Err(WrongQuery("FairPlay plays cbcs alone: add scheme=cbcs".into()));
        }
        let usual = [System::Widevine, System::PlayReady, System::Common];
        let systems = match systems.is_empty() {
            true => usual.into_iter().chain(is_cbcs.then_some(System::FairPlay)).collect(),
            false => systems,
        };
        let tracks = tracks.into_iter().collect();
        Ok(Self { for_shaka, tracks, periods, scheme, systems })
    }
}

/// `?mac=` and `?values=`: how an encrypted answer is written.
pub(crate) fn delivery<'a>(
    parameter: impl Fn(&str) -> Option<&'a str>,
) -> Result<(MacShape, Option<Values>), WrongQuery> {
    let mac = match parameter("mac") {
        None | Some("aws") => MacShape::Aws,
        Some("axinom") => MacShape::Axinom,
        Some("schema") => MacShape::Schema,
        Some(_) => return Err(WrongQuery("mac is aws, axinom or schema".into())),
    };
    let values = match parameter("values") {
        None => None,
        Some("aes256-cbc") => Some(Values::Cbc),
        Some("kw-aes256") => Some(Values::KeyWrap),
        Some(_) => return Err(WrongQuery("values is aes256-cbc or kw-aes256".into())),
    };
    Ok((mac, values))
}

/// A parameter in which a client has escaped what need not be escaped there: commas, colons and slashes.
pub(crate) fn decoded(text: &str) -> String {
    let escaped =
        [("%2C", ","), ("%2c", ","), ("%3A", ":"), ("%3a", ":"), ("%2F", "/"), ("%2f", "/")];
    escaped.iter().fold(text.to_owned(), |text, (escape, c)| text.replace(escape, c))
}

/// The items of a list with commas; the first that is wrong as the error.
fn listed<T>(text: Option<&str>, read: impl Fn(&str) -> Option<T>) -> Result<Vec<T>, String> {
    let text = decoded(text.unwrap_or_default());
    let names = text.split(',').filter(|name| !name.is_empty());
    names.map(|name| read(name).ok_or_else(|| name.to_owned())).collect()
}

/// `FIRST-LAST`, or one period.
fn read_periods(text: &str) -> Result<RangeInclusive<u32>, WrongQuery> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (first.parse::<u32>(), last.parse::<u32>());
    match (first, last) {
        (Ok(first), Ok(last)) if first <= last && last - first < PERIODS_MAX => Ok(first..=last),
        _ => Err(WrongQuery(format!("periods is FIRST-LAST, at most {PERIODS_MAX} of them"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str) -> Result<TitleQuery, WrongQuery> {
        let parameter = |name: &str| {
            query
                .split('&')
                .filter_map(|pair| pair.split_once('='))
                .find_map(|(key, value)| (key == name).then_some(value))
        };
        delivery(parameter)?;
        TitleQuery::read(parameter)
    }

    #[test]
    fn a_query_says_what_the_document_is_like() {
        let usual = read("").unwrap();
        assert_eq!(
            (usual.for_shaka, usual.periods, usual.scheme),
            (false, None, ProtectionScheme::Cenc)
        );
        assert_eq!(usual.systems, [System::Widevine, System::PlayReady, System::Common]);
        assert_eq!(read("scheme=cbcs").unwrap().systems.last(), Some(&System::FairPlay));
        let full = read(
            "tracks=HD%2CAUDIO,ALL&periods=7-9&systems=clearkey,aes128&mac=schema&values=kw-aes256",
        );
        let full = full.unwrap();
        assert_eq!(full.tracks, [None, Some(TrackType::Audio), Some(TrackType::Hd)].into());
        assert_eq!(
            (full.periods, full.systems),
            (Some(7..=9), vec![System::ClearKey, System::Aes128])
        );
        assert_eq!(read("periods=7").unwrap().periods, Some(7..=7));
    }

    #[test]
    fn a_wrong_parameter_is_named() {
        for (query, what) in [
            ("profile=usp", "the one profile"),
            ("scheme=CENC", "scheme:"),
            ("tracks=HD,4K", "4K is none of"),
            ("systems=marlin", "marlin is none of"),
            ("systems=fairplay", "cbcs alone"),
            ("periods=9-7", "FIRST-LAST"),
            ("periods=0-512", "at most 512"),
            ("periods=x", "FIRST-LAST"),
            ("profile=shaka&periods=1-2", "no CPIX document with crypto periods"),
            ("mac=other", "mac is"),
            ("values=aes128-cbc", "values is"),
        ] {
            let wrong = read(query).unwrap_err().to_string();
            assert!(wrong.contains(what), "{query}: {wrong}");
        }
    }
}
