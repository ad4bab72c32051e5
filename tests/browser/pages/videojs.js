import { videojsKeySystems } from "/web/reelkey.js";
import { load } from "./load.js";

export async function play({ client, media, seen }) {
  await load("/npm/video.js/dist/video.min.js");
  await load("/npm/videojs-contrib-eme/dist/videojs-contrib-eme.min.js");
  const player = videojs("video", { html5: { vhs: { overrideNative: true } } });
  player.eme();
  player.on("error", () => seen.errors.push(`${player.error().code} ${player.error().message}`));
  player.src({ src: `${media}/film.mpd`, type: "application/dash+xml", keySystems: videojsKeySystems(client) });
  return "videojs";
}
