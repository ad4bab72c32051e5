// ClearKey without the module: the manifest leads the player to the service, and the page adds the token.
// parameters: `by` is the player.
import { load } from "./load.js";

const options = Object.fromEntries(new URLSearchParams(location.search));

const PLAYERS = {
  async shaka(video, url, token, seen) {
    await load("/npm/shaka-player/dist/shaka-player.compiled.js");
    const player = new shaka.Player();
    await player.attach(video);
    player.addEventListener("error", ({ detail }) => seen.errors.push(`${detail.code} ${JSON.stringify(detail.data)}`));
    player.getNetworkingEngine().registerRequestFilter((type, request) => {
      if (type === shaka.net.NetworkingEngine.RequestType.LICENSE) request.headers.Authorization = `Bearer ${token}`;
    });
    await player.load(url).catch((error) => seen.errors.push(`${error.code} ${JSON.stringify(error.data)}`));
  },
  async dashjs(video, url, token, seen) {
    await load("/npm/dashjs/dist/modern/umd/dash.all.min.js");
    const player = dashjs.MediaPlayer().create();
    player.initialize();
    player.registerLicenseRequestFilter((request) => {
      request.headers = { ...request.headers, Authorization: `Bearer ${token}` };
      return Promise.resolve(request);
    });
    player.on("error", ({ error }) => seen.errors.push(`${error.code} ${error.message}`));
    player.attachView(video);
    player.attachSource(url);
  },
};

export async function play({ video, media, seen }) {
  const token = await (await fetch(`/token?${options.token}`)).text();
  await PLAYERS[options.by](video, `${media}/film.mpd`, token, seen);
}
