import { installShaka } from "/web/reelkey.js";
import { load } from "./load.js";

export async function play({ client, video, media, seen, options }) {
  await load("/npm/shaka-player/dist/shaka-player.compiled.js");
  const player = new shaka.Player();
  await player.attach(video);
  installShaka(player, client);
  window.player = player;
  if (options.ahead) player.configure({ streaming: { bufferingGoal: Number(options.ahead) } });
  player.addEventListener("error", ({ detail }) => seen.errors.push(words(detail)));
  await player.load(`${media}/${options.manifest ?? "film.mpd"}`).catch((error) => seen.errors.push(words(error)));
  return "shaka";
}

/** The sentence inside a Shaka error: 6007 LICENSE_REQUEST_FAILED has the network's error, which has ours. */
const words = (error) => `${error.code} ${error.data?.[0]?.data?.[0]?.message ?? JSON.stringify(error.data)}`;
