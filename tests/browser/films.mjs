// The other films of the browser tests: HLS with whole segments encrypted, manifests with the lines that `reelkey
// manifest` prints, VP9 with Opus, and films whose keys change while they play.
//
// Assumes that `start` of rig.mjs has made the clear film and the service. Absent: what is tested with them
// (plain.mjs, live.mjs).

import { execFile } from "node:child_process";
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";

import { CONTENT, PACKAGER } from "./policies.mjs";
import { addKeys, addTitle, folder, newKeys, reelkey, tool } from "./rig.mjs";

const run = promisify(execFile);
export const HLS = "movies/hls", VP9 = "movies/vp9";
const clear = (name) => join(folder, "clear", name);
const media = (...names) => join(folder, "media", ...names);

/** Makes HLS of one form, `ts` or `fmp4`, each segment encrypted as a whole; the second half with another key. */
async function wholeSegments(form, keys, tags) {
  const directory = media("aes", form);
  await mkdir(directory, { recursive: true });
  const extension = form === "ts" ? "ts" : "m4s";
  await run(tool("ffmpeg"), [
    "-loglevel", "error", "-i", clear("hd.mp4"), "-i", clear("audio.mp4"), "-map", "0:v", "-map", "1:a", "-c", "copy",
    "-hls_time", "2", "-hls_list_size", "0", "-hls_playlist_type", "vod", "-hls_fmp4_init_filename", "init.mp4",
    "-hls_segment_filename", `%d.${extension}`, "-hls_segment_type", form === "ts" ? "mpegts" : "fmp4", "film.m3u8",
  ], { cwd: directory });
  const lines = (await readFile(join(directory, "film.m3u8"), "utf8")).split("\n");
  const segments = lines.filter((line) => line.endsWith(`.${extension}`));
  for (const [sequence, segment] of segments.entries()) {
    const { key } = keys[sequence < segments.length / 2 ? 0 : 1];
    const path = join(directory, segment), iv = sequence.toString(16).padStart(32, "0");
    await run("openssl", ["enc", "-aes-128-cbc", "-K", key, "-iv", iv, "-in", path, "-out", `${path}.new`]);
    await rename(`${path}.new`, path);
  }
  // The first tag is after EXT-X-MAP, so that the initialization segment stays clear.
  let sequence = -1;
  const tagged = lines.flatMap((line) => {
    if (!line.startsWith("#EXTINF")) return [line];
    const at = [0, segments.length / 2].indexOf(++sequence);
    return at < 0 ? [line] : [tags[at], line];
  });
  await writeFile(join(directory, "film.m3u8"), tagged.join("\n"));
}

async function aes() {
  const keys = [newKeys().SD, newKeys().SD];
  await addTitle(HLS);
  for (const [at, key] of keys.entries()) await addKeys(HLS, { SD: key }, at + 1);
  const [{ kid, lines: [tag] }] = await reelkey("manifest", HLS, "--format", "hls");
  const uuid = ({ kid }) => kid.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
  if (kid !== uuid(keys[1])) throw new Error(`the newest key is ${kid}`);
  const tags = keys.map((key) => tag.replace(kid, uuid(key)));
  await Promise.all(["ts", "fmp4"].map((form) => wholeSegments(form, keys, tags)));
}

/** Writes a manifest in which the service's lines take the place of the packager's. */
export async function writeManifest(scheme, name, ...more) {
  const tracks = await reelkey("manifest", CONTENT, "--format", "dash", "--scheme", scheme, ...more);
  const text = await readFile(media(scheme, "film.mpd"), "utf8");
  const found = new Set();
  const changed = text.replaceAll(/(\s*<ContentProtection [^>]*?(\/>|>[\s\S]*?<\/ContentProtection>))+/g, (old) => {
    const [, kid] = /default_KID="([0-9a-f-]+)"/.exec(old);
    found.add(kid);
    return `\n${tracks.find((track) => track.kid === kid).lines.join("\n")}`;
  });
  if (found.size !== 3) throw new Error(`the manifest has ${found.size} keys`);
  await writeFile(media(scheme, name),
    changed.replace("<MPD ", '<MPD xmlns:dashif="https://dashif.org/CPS" '));
}

/** VP9 and Opus in MP4 and in WebM. The packager encrypts WebM with `cenc` only. */
async function vp9() {
  const keys = Object.fromEntries(Object.entries(newKeys()).filter(([track]) => track !== "HD"));
  await addTitle(VP9);
  await addKeys(VP9, keys);
  const codec = ["-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-g", "48", "-b:v", "300k"];
  for (const form of ["mp4", "webm"]) {
    await run(tool("ffmpeg"), [
      "-y", "-v", "error", "-i", clear("hd.mp4"), "-i", clear("audio.mp4"),
      "-map", "0:v", "-vf", "scale=320:180", ...codec, clear(`vp9.${form}`),
      "-map", "1:a", "-c:a", "libopus", clear(`opus.${form}`),
    ]);
  }
  const labels = Object.entries(keys).map(([track, { kid, key }]) => `label=${track}:key_id=${kid}:key=${key}`);
  const films = [["vp9-cenc", "mp4", "cenc"], ["vp9-cbcs", "mp4", "cbcs"], ["vp9-webm", "webm", "cenc"]];
  for (const [name, form, scheme] of films) {
    await mkdir(media(name), { recursive: true });
    await run(tool("packager"), [
      `in=${clear(`opus.${form}`)},stream=audio,output=${media(name, `audio.${form}`)},drm_label=AUDIO`,
      `in=${clear(`vp9.${form}`)},stream=video,output=${media(name, `sd.${form}`)},drm_label=SD`,
      "--quiet", "--segment_duration", "2", "--enable_raw_key_encryption", "--keys", labels.join(","),
      "--protection_scheme", scheme, "--clear_lead", "0", "--protection_systems", "Common",
      "--mpd_output", media(name, "film.mpd"),
    ]);
  }
}

/** The key of a later period, as the packager derives it: KID and key are rotated left by one byte for each period. */
const later = (keys, periods) => {
  const rotated = (hex) => hex.slice(2 * periods) + hex.slice(0, 2 * periods);
  return Object.fromEntries(Object.entries(keys).map(([track, { kid, key }]) =>
    [track, { kid: rotated(kid), key: rotated(key) }]));
};

/** The packager's manifest names no key system, because the PSSH boxes are in the segments. Shaka Player needs one. */
async function nameCommonSystem(name) {
  const text = await readFile(media(name, "film.mpd"), "utf8");
  const common = '<ContentProtection schemeIdUri="urn:uuid:1077efec-c0b2-4d02-ace3-3c1e52e2fb4b"/>';
  await writeFile(media(name, "film.mpd"), text.replaceAll(/<ContentProtection [^>]*\/>/g, `$&${common}`));
}

/** Makes a film of three periods, whose first two the service knows. Returns what makes the third known. */
export async function rotating(name) {
  const content = `live/${name}`;
  const { AUDIO, HD } = newKeys();
  const keys = { AUDIO, HD };
  const labels = Object.entries(keys).map(([track, { kid, key }]) => `label=${track}:key_id=${kid}:key=${key}`);
  await mkdir(media(name), { recursive: true });
  await run(tool("packager"), [
    `in=${clear("audio.mp4")},stream=audio,output=${media(name, "audio.mp4")},drm_label=AUDIO`,
    `in=${clear("hd.mp4")},stream=video,output=${media(name, "hd.mp4")},drm_label=HD`,
    "--quiet", "--segment_duration", "2", "--crypto_period_duration", "6", "--enable_raw_key_encryption",
    "--keys", labels.join(","), "--clear_lead", "0", "--protection_systems", "Common",
    "--mpd_output", media(name, "film.mpd"),
  ]);
  await nameCommonSystem(name);
  await addTitle(content);
  for (const period of [1, 2]) await addKeys(content, later(keys, period - 1), period);
  return { content, third: () => addKeys(content, later(keys, 2), 3) };
}

/**
 * Makes a film of three periods as a packager does that knows nothing of the service but its URL: Shaka Packager asks for
 * every key, and the title is added by that.
 */
export async function served(name, url) {
  const content = `live/${name}`;
  const server = url.replace("://", `://${PACKAGER.name}:${PACKAGER.secret}@`);
  await mkdir(media(name), { recursive: true });
  await run(tool("packager"), [
    `in=${clear("audio.mp4")},stream=audio,output=${media(name, "audio.mp4")}`,
    `in=${clear("hd.mp4")},stream=video,output=${media(name, "hd.mp4")}`,
    "--quiet", "--segment_duration", "2", "--crypto_period_duration", "6", "--enable_widevine_encryption",
    "--key_server_url", `${server}/v1/keys/widevine`, "--content_id", Buffer.from(content).toString("hex"),
    "--clear_lead", "0", "--protection_systems", "Common", "--mpd_output", media(name, "film.mpd"),
  ]);
  await nameCommonSystem(name);
  return content;
}

/** Makes all films but those of `rotating` and `served`. */
export async function addFilms() {
  await Promise.all([...["cenc", "cbcs"].map((scheme) => writeManifest(scheme, "clearkey.mpd")), aes(), vp9()]);
}
