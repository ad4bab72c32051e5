// A player without the browser module gets keys in the clear: as a ClearKey answer, or as the key file of an HLS stream.
//
// parameters: player, form (`clearkey` or `aes`), film (its path below /media), service (its URL), token (the query of
// `/token`) or `jwt` (a token). What happens is left in `window.seen`; `answers` are those of the service.

import { append } from "./append.js";
import { load } from "./load.js";

const options = Object.fromEntries(new URLSearchParams(location.search));
const seen = (window.seen = { refusals: [], expired: [], errors: [], answers: [], stalls: 0 });
const video = document.getElementById("video");
const SYSTEM = "org.w3.clearkey";

const note = (url, status, credentials, body) => {
  if (`${url}`.includes("/v1/")) seen.answers.push({ url: `${url}`, status, credentials, body });
};
const { fetch } = window;
window.fetch = async (...words) => {
  const response = await fetch(...words);
  note(words[0], response.status, words[1]?.credentials === "include");
  return response;
};
const { open } = XMLHttpRequest.prototype;
XMLHttpRequest.prototype.open = function (method, url, ...more) {
  // At the first moment: video.js aborts a request that is complete, and then its status is 0.
  this.addEventListener("readystatechange", () => {
    if (this.readyState === 4) note(url, this.status, this.withCredentials);
  });
  return open.call(this, method, url, ...more);
};
for (const type of ["waiting", "waitingforkey"]) {
  video.addEventListener(type, () => { seen.stalls += video.currentTime > 0; });
}

const token = options.jwt ?? await (await fetch(`/token?${options.token}`)).text();
const authorization = `Bearer ${token}`;
const url = `${options.service}/v1/clearkey`;
const keyed = options.form === "clearkey";
const film = `/media/${options.film}${keyed ? "" : `?token=${token}`}`;

const players = {
  async eme() {
    video.addEventListener("encrypted", async ({ initDataType, initData }) => {
      if (video.mediaKeys || seen.asked) return;
      seen.asked = true;
      const contents = [["videoCapabilities", "avc1.64000d"], ["audioCapabilities", "mp4a.40.2"]];
      const capabilities = contents.map(([kind, codec]) =>
        [kind, [{ contentType: `${kind.slice(0, 5)}/mp4; codecs="${codec}"` }]]);
      const configuration = { initDataTypes: ["cenc"], ...Object.fromEntries(capabilities) };
      const access = await navigator.requestMediaKeySystemAccess(SYSTEM, [configuration]);
      const keys = await access.createMediaKeys();
      await video.setMediaKeys(keys);
      const session = keys.createSession();
      session.addEventListener("message", async ({ message }) => {
        const answer = await window.fetch(url, { method: "POST", body: message, headers: { authorization } });
        await session.update(await answer.arrayBuffer());
      });
      await session.generateRequest(initDataType, initData);
    });
    await append(video, film.replace(/[^/]*$/, ""), {});
  },
  async shaka() {
    await load("/npm/shaka-player/dist/shaka-player.compiled.js");
    const player = new shaka.Player();
    await player.attach(video);
    if (keyed && film.endsWith("film.mpd")) {
      player.configure({ drm: { servers: { [SYSTEM]: url }, advanced: { [SYSTEM]: { headers: { authorization } } } } });
    } else if (keyed) {
      // The manifest has the URL.
      player.getNetworkingEngine().registerRequestFilter((type, request) => {
        if (type === shaka.net.NetworkingEngine.RequestType.LICENSE) request.headers.authorization = authorization;
      });
    }
    const failed = (error) => seen.errors.push(`${error.code} ${JSON.stringify(error.data)}`);
    player.addEventListener("error", ({ detail }) => failed(detail));
    await player.load(film).catch(failed);
  },
  async dashjs() {
    await load("/npm/dashjs/dist/modern/umd/dash.all.min.js");
    const player = dashjs.MediaPlayer().create();
    player.initialize();
    // The manifest has the URL.
    player.setProtectionData({ [SYSTEM]: { httpRequestHeaders: { Authorization: authorization } } });
    player.on("error", ({ error: { code, data, message } }) =>
      seen.errors.push(`${code} ${data?.serverResponse?.detail ?? message}`));
    player.attachView(video);
    player.attachSource(film);
  },
  async hlsjs() {
    await load("/npm/hls.js/dist/hls.min.js");
    const hls = new Hls(!keyed ? {} : {
      emeEnabled: true,
      drmSystems: { [SYSTEM]: { licenseUrl: url } },
      licenseXhrSetup(xhr, url) {
        if (!xhr.readyState) xhr.open("POST", url, true);
        xhr.setRequestHeader("authorization", authorization);
      },
    });
    hls.on(Hls.Events.ERROR, (_, { details, error, fatal }) => seen.errors.push(`${details} ${error?.message} ${fatal}`));
    hls.loadSource(film);
    hls.attachMedia(video);
  },
  async videojs() {
    await load("/npm/video.js/dist/video.min.js");
    await load("/npm/videojs-contrib-eme/dist/videojs-contrib-eme.min.js");
    const player = videojs("video", { html5: { vhs: { overrideNative: true } } });
    if (keyed) player.eme();
    player.on("error", () => seen.errors.push(`${player.error().code} ${player.error().message}`));
    const dash = { type: "application/dash+xml", keySystems: { [SYSTEM]: { url, licenseHeaders: { authorization } } } };
    player.src({ src: film, ...(keyed ? dash : { type: "application/x-mpegURL" }) });
  },
};

video.requestVideoFrameCallback(() => { seen.first = performance.now() - window.loaded; });
window.loaded = performance.now();
try {
  await players[options.player]();
  document.querySelector("video").play().catch((error) => seen.errors.push(`play: ${error.message}`));
} catch (error) {
  seen.errors.push(String(error?.message ?? error));
}
seen.ready = true;
