import { hlsConfig } from "/web/reelkey.js";
import { load } from "./load.js";

export async function play({ client, video, media, seen }) {
  await load("/npm/hls.js/dist/hls.min.js");
  const hls = new Hls({ ...hlsConfig(client) });
  hls.on(Hls.Events.ERROR, (_, { type, details, error, fatal, reason }) => {
    seen.errors.push(`${details} ${error?.message} ${fatal} ${reason}`);
    if (fatal && type === "keySystemError" && !video.currentTime) hls.destroy();
  });
  hls.loadSource(`${media}/film.m3u8`);
  hls.attachMedia(video);
  return "hlsjs";
}
