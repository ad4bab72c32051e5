// No player: Media Source Extensions, and attachEme for the keys.
import { attachEme } from "/web/reelkey.js";
import { append } from "./append.js";

export async function play({ client, video, media, options }) {
  window.stop =
    attachEme(video, client);
  await append(video, media, options);
}
