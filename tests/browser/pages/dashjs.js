import { installDashjs } from "/web/reelkey.js";
import { load } from "./load.js";

export async function play({ client, video, media, seen, options }) {
  await load("/npm/dashjs/dist/modern/umd/dash.all.min.js");
  const player = dashjs.MediaPlayer().create();
  player.initialize();
  installDashjs(player, client);
  if (options.ahead) {
    const ahead = Number(options.ahead);
    const buffer = { bufferTimeDefault: ahead, bufferTimeAtTopQuality: ahead, bufferTimeAtTopQualityLongForm: ahead };
    player.updateSettings({ streaming: { buffer } });
  }
  player.on("error", ({ error: { code, data, message } }) =>
    seen.errors.push(`${code} ${data?.serverResponse?.detail ?? message}`));
  player.attachView(video);
  player.attachSource(`${media}/${options.manifest ?? "film.mpd"}`);
  return "dashjs";
}
