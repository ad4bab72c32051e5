// A small player: one film of five segments a track, through Media Source Extensions and the browser module.
//
// A film that was stored plays without a network. Absent: what a player of the field does for real streams. Use Shaka Player, dash.js, hls.js or video.js for those.

import { attachEme } from "./reelkey.js";

const SEGMENTS = 5;
const TYPES = { video: 'video/mp4; codecs="avc1.64001f"', audio: 'video/mp4; codecs="mp4a.40.2"'.replace("video", "audio") };

const hex = (kid) => Array.from(atob(kid.replaceAll("-", "+").replaceAll("_", "/")), (one) => one.charCodeAt(0).toString(16).padStart(2, "0")).join("");

/** The KIDs of a JWK Set, as UUIDs. */
export function kidsOf(set) {
  const { keys } = JSON.parse(new TextDecoder().decode(set));
  return keys.map(({ kid }) => hex(kid).replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5"));
}

const STORE = "reelkey-demo-films";

/** Stores every file of a film in the browser. */
export async function store(scheme, tracks) {
  const cache = await caches.open(STORE);
  const names = tracks.flatMap(({ name }) => [
    `${name}-init.mp4`, ...Array.from({ length: SEGMENTS }, (_, at) => `${name}-${at + 1}.m4s`),
  ]);
  await cache.addAll(names.map((name) => `film/${scheme}/${name}`));
}

/** Deletes what was stored. */
export const forget = () => caches.delete(STORE);

/** A file of the film: from the browser's store, or else from the network. */
const file = async (path) => (await caches.match(path, { cacheName: STORE })) ?? fetch(path);

export class Film {
  #video;
  #stop = () => {};
  #generation = 0;

  constructor(video) {
    this.#video = video;
  }

  /** Ends what plays, and forgets its keys. */
  async end() {
    this.#generation += 1;
    this.#stop();
    this.#video.pause();
    this.#video.removeAttribute("src");
    this.#video.load();
    await this.#video.setMediaKeys(null).catch(() => {});
  }

  /**
   * Plays the film. `tracks` are the best picture first; `granted` is a promise of the granted KIDs. Returns the track
   * that is shown.
   */
  async play({ scheme, client, tracks, keys, granted }) {
    await this.end();
    const generation = this.#generation;
    this.#stop = attachEme(this.#video, client);
    const source = new MediaSource();
    const url = URL.createObjectURL(source);
    this.#video.src = url;
    await new Promise((done) => source.addEventListener("sourceopen", done, { once: true }));
    URL.revokeObjectURL(url);
    const picture = source.addSourceBuffer(TYPES.video);
    const sound = source.addSourceBuffer(TYPES.audio);
    const fetched = async (name) => (await file(`film/${scheme}/${name}`)).arrayBuffer();
    const append = async (buffer, name) => {
      const bytes = await fetched(name);
      if (generation !== this.#generation) throw new DOMException("another film is played", "AbortError");
      const appended = new Promise((done, failed) => {
        buffer.addEventListener("updateend", done, { once: true });
        buffer.addEventListener("error", () => failed(new Error("a segment was refused")), { once: true });
      });
      buffer.appendBuffer(bytes);
      await appended;
    };
    // The smallest picture's initialization segment is enough for the browser to ask for a license.
    await append(picture, `${tracks.at(-2).name}-init.mp4`);
    await append(sound, "audio-init.mp4");
    const kids = await granted;
    const isGranted = ({ track }) => keys.some((key) => key.track_type === track && kids.includes(key.kid));
    const shown = tracks.find((one) => one.height && isGranted(one)) ?? tracks.at(-2);
    await append(picture, `${shown.name}-init.mp4`);
    for (let number = 1; number <= SEGMENTS; number++) {
      await append(picture, `${shown.name}-${number}.m4s`);
      await append(sound, `audio-${number}.m4s`);
      if (number === 1) this.#video.play().catch(() => {});
    }
    source.endOfStream();
    return shown;
  }
}
