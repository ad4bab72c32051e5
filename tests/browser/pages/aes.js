// HLS whose segments are encrypted as a whole: the player itself gets the keys, from URLs that have a token.
// parameters: `by` is the player, `form` is ts or fmp4.
import { load } from "./load.js";

const options = Object.fromEntries(new URLSearchParams(location.search));

const PLAYERS = {
  async hlsjs(video, url, seen) {
    await load("/npm/hls.js/dist/hls.min.js");
    const hls = new Hls();
    hls.on(Hls.Events.ERROR, (_, { details, networkDetails }) =>
      seen.errors.push(`${details} ${new TextDecoder().decode(networkDetails?.response ?? new ArrayBuffer())}`));
    hls.loadSource(url);
    hls.attachMedia(video);
  },
  async shaka(video, url, seen) {
    await load("/npm/shaka-player/dist/shaka-player.compiled.js");
    const player = new shaka.Player();
    await player.attach(video);
    player.addEventListener("error", ({ detail }) => seen.errors.push(`${detail.code} ${JSON.stringify(detail.data)}`));
    await player.load(url).catch((error) => seen.errors.push(`${error.code} ${JSON.stringify(error.data)}`));
  },
  async videojs(video, url) {
    await load("/npm/video.js/dist/video.min.js");
    const player = videojs(video, { html5: { vhs: { overrideNative: true } } });
    player.src({ src: url, type: "application/vnd.apple.mpegurl" });
  },
};

export async function play({ video, seen }) {
  const token = await (await fetch(`/token?${options.token}`)).text();
  await PLAYERS[options.by](video, `/hls/${options.form}.m3u8?token=${token}`, seen);
}
