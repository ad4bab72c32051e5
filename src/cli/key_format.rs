//! Keys in the clear as the packagers take them: the newest active key of each track of one content.

use std::fmt::Write as _;

use clap::ValueEnum;
use zeroize::Zeroizing;

use crate::authority::operation::clear_key::PlainKey;
use crate::cli::terminal::output::Failure;
use crate::crypto::random;
use crate::domain::track::TrackType;

/// How keys are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum KeyFormat {
    /// All active keys, one JSON object a line: `key import --from` reads it.
    Jsonl,
    /// What Shaka Packager takes: packager --enable_raw_key_encryption --keys "$(cat FILE)".
    Shaka,
    /// Options for ffmpeg, a line for each track: ffmpeg -i IN $(cat FILE) OUT.
    Ffmpeg,
    /// What Bento4 takes: mp4dash --encryption-key "$(cat FILE)".
    Bento4,
    /// An XML document for GPAC: MP4Box -crypt FILE, gpac cecrypt:cfile=FILE.
    Gpac,
}

/// Writes `keys`, which are in the order of lists, in a packager's format. Returns how many were written, too.
///
/// # Errors
/// [`Failure`]: there is no key, or the packager cannot take them together.
pub(crate) fn write_for_packager(
    format: KeyFormat,
    keys: &[PlainKey],
) -> Result<(usize, Zeroizing<String>), Failure> {
    let keys = newest_of_each_track(keys);
    if keys.is_empty() {
        return Err(Failure::new("there is no such active key")
            .remedy("see `reelkey key list`, or make one with `reelkey key generate`"));
    }
    let text = match format {
        KeyFormat::Shaka => shaka(&keys),
        KeyFormat::Ffmpeg => ffmpeg(&keys),
        KeyFormat::Bento4 => bento4(&keys)?,
        KeyFormat::Gpac => gpac(&keys)?,
        KeyFormat::Jsonl => return Err(Failure::new("JSON lines are for no packager")),
    };
    Ok((keys.len(), text))
}

struct TrackKey<'a> {
    track: Option<TrackType>,
    kid: String,
    key: &'a str,
}

/// The first key of each track is its newest.
fn newest_of_each_track(keys: &[PlainKey]) -> Vec<TrackKey<'_>> {
    let mut newest: Vec<TrackKey<'_>> = Vec::new();
    for PlainKey { track_type: track, kid, key, .. } in keys {
        if !newest.iter().any(|there| there.track == *track) {
            newest.push(TrackKey { track: *track, kid: kid.replace('-', ""), key });
        }
    }
    newest
}

/// Longer than what is written for any number of tracks, so that no text with keys in it grows and is left behind.
fn room() -> Zeroizing<String> {
    Zeroizing::new(String::with_capacity(4096))
}

/// Each line of `text` is written by one of these.
fn joined(
    keys: &[TrackKey<'_>],
    separator: &str,
    one: impl Fn(&TrackKey<'_>, &mut String),
) -> Zeroizing<String> {
    let mut text = room();
    for (at, key) in keys.iter().enumerate() {
        if at > 0 {
            text.push_str(separator);
        }
        one(key, &mut text);
    }
    text.push('\n');
    text
}

fn shaka(keys: &[TrackKey<'_>]) -> Zeroizing<String> {
    joined(keys, ",", |TrackKey { track, kid, key }, text| {
        if let Some(track) = track {
            write!(text, "label={track}:").unwrap_or(());
        }
        write!(text, "key_id={kid}:key={key}").unwrap_or(());
    })
}

fn ffmpeg(keys: &[TrackKey<'_>]) -> Zeroizing<String> {
    joined(keys, "\n", |TrackKey { kid, key, .. }, text| {
        let scheme = "-encryption_scheme cenc-aes-ctr";
        write!(text, "{scheme} -encryption_key {key} -encryption_kid {kid}").unwrap_or(());
    })
}

fn bento4(keys: &[TrackKey<'_>]) -> Result<Zeroizing<String>, Failure> {
    let is_video = |key: &&TrackKey<'_>| key.track.is_some_and(|track| track != TrackType::Audio);
    let untyped = keys.iter().any(|key| key.track.is_none()) && keys.len() > 1;
    if keys.iter().filter(is_video).count() > 1 || untyped {
        return Err(Failure::new("Bento4 takes one key for all video and one for all sound")
            .remedy("name the tracks with --track, one of video and AUDIO"));
    }
    Ok(joined(keys, ",", |TrackKey { track, kid, key }, text| {
        let filter = match track {
            Some(TrackType::Audio) => "audio:",
            Some(_) => "video:",
            None => "",
        };
        write!(text, "{filter}{kid}:{key}").unwrap_or(());
    }))
}

fn gpac(keys: &[TrackKey<'_>]) -> Result<Zeroizing<String>, Failure> {
    let mut text = room();
    text.push_str("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<GPACDRM type=\"CENC AES-CTR\">\n");
    for (at, TrackKey { track, kid, key }) in keys.iter().enumerate() {
        // The numbers of the file's tracks are not known here.
        let number = if keys.len() == 1 { "*".to_owned() } else { (at + 1).to_string() };
        let name = track.map_or("any", TrackType::as_str);
        // Two files under one key must not begin with the same one.
        let first_iv = u64::from_be_bytes(random::bytes()?);
        write!(
            text,
            "  <!-- {name} -->\n  <CrypTrack trackID=\"{number}\" IsEncrypted=\"1\" IV_size=\"8\" \
             first_IV=\"0x{first_iv:016x}\" saiSavedBox=\"senc\">\n    \
             <key KID=\"0x{kid}\" value=\"0x{key}\"/>\n  </CrypTrack>\n"
        )
        .unwrap_or(());
    }
    text.push_str("</GPACDRM>\n");
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KID: &str = "4d97930a-3d7b-5000-8000-5c7bda1f0a11";

    fn key(track: Option<TrackType>, digit: &str) -> PlainKey {
        let (content_id, key) = ("a".parse().unwrap(), Zeroizing::new(digit.repeat(32)));
        PlainKey {
            content_id,
            kid: KID.into(),
            track_type: track,
            crypto_period_index: None,
            key,
            created_at: None,
        }
    }

    fn written(format: KeyFormat, keys: &[PlainKey]) -> String {
        write_for_packager(format, keys).unwrap().1.to_string()
    }

    #[test]
    fn every_packager_gets_the_newest_key_of_each_track() {
        let (audio, hd) = (Some(TrackType::Audio), Some(TrackType::Hd));
        let keys = [key(audio, "1"), key(hd, "2"), key(hd, "3"), key(None, "4")];
        let kid = KID.replace('-', "");
        let [a, b, d] = ["1", "2", "4"].map(|digit| digit.repeat(32));
        assert_eq!(
            written(KeyFormat::Shaka, &keys),
            format!(
                "label=AUDIO:key_id={kid}:key={a},label=HD:key_id={kid}:key={b},key_id={kid}:key={d}\n"
            )
        );
        let ffmpeg = written(KeyFormat::Ffmpeg, &keys);
        assert_eq!(ffmpeg.lines().count(), 3);
        assert!(ffmpeg.starts_with(&format!(
            "-encryption_scheme cenc-aes-ctr -encryption_key {a} -encryption_kid {kid}\n"
        )));
        assert!(write_for_packager(KeyFormat::Bento4, &keys).is_err());
        assert_eq!(
            written(KeyFormat::Bento4, &keys[..3]),
            format!("audio:{kid}:{a},video:{kid}:{b}\n")
        );
        let gpac = written(KeyFormat::Gpac, &keys[..3]);
        assert!(gpac.contains("trackID=\"2\"") && gpac.contains(&format!("value=\"0x{b}\"")));
        assert!(write_for_packager(KeyFormat::Shaka, &[]).is_err());
    }

    #[test]
    fn no_text_with_keys_in_it_has_to_grow() {
        let all = TrackType::ALL.map(Some);
        let keys: Vec<_> = all.into_iter().chain([None]).map(|track| key(track, "1")).collect();
        assert!(written(KeyFormat::Gpac, &keys).len() < 4096);
    }
}
