// The page of `reelkey demo --serve --stream`: a stream of one's own, with keys of one's own service. Shaka Player plays
// manifests; the browser itself plays an MP4 file.
//
// Tests use these: #play, #message, #keys tr, #fact-picture, and window.demo.

import { Client, attachEme, installShaka } from "./reelkey.js";
import { api, find, make, say } from "./common.js";
import { kidsOf } from "./film.js";

const video = find("#video");
const demo = (window.demo = { kids: [], refusals: [], errors: [] });
const begun = await api("start");
const isManifest = !begun.media.endsWith(".mp4");
for (const name of ["media", "content", "service"]) find(`#${name}`).textContent = begun[name];
find("#fact-player").textContent = isManifest ? "Shaka Player" : "the browser";
const loaded = isManifest && load("player.js");
let player, detach;

/** Runs a script that is no module. */
function load(src) {
  return new Promise((done, failed) => {
    const script = Object.assign(document.createElement("script"), { src });
    script.addEventListener("load", done);
    script.addEventListener("error", () => failed(new Error("Shaka Player could not be loaded.")));
    document.head.append(script);
  });
}

/** A client that shows which keys it gets. */
class WatchedClient extends Client {
  async license(message) {
    const set = await super.license(message);
    await showKeys(kidsOf(set));
    return set;
  }
}

const client = new WatchedClient({ url: begun.service, serviceId: begun.serviceId, token: fetchToken });
client.jkt().then((jkt) => { find("#fact-device").textContent = `${jkt.slice(0, 12)}…`; });
for (const type of ["refusal", "expired"]) {
  client.addEventListener(type, ({ detail }) => {
    demo.refusals.push(detail);
    say(`${detail.detail} (${detail.reason})`, true);
  });
}

async function fetchToken({ jkt = "" }) {
  return (await api("token", { jkt, region: find("[name=region]").value })).token;
}

async function showKeys(kids) {
  const fresh = kids.filter((kid) => !demo.kids.includes(kid));
  demo.kids.push(...fresh);
  const known = fresh.length ? await api("keys") : [];
  find("#no-keys").hidden = true;
  find("#keys").append(...fresh.map((kid) => {
    const row = document.createElement("tr");
    const id = document.createElement("td");
    id.append(make("code", kid));
    const track = known.find((key) => key.kid === kid)?.track_type ?? "of a crypto period";
    row.append(make("td", track), id, make("td", new Date().toLocaleTimeString()));
    return row;
  }));
}

/** Says what went wrong, unless the viewer has read a refusal already. */
function fail(error) {
  demo.errors.push(error.code ?? error.message);
  const why = error.code ? `Shaka Player's error ${error.code}: ${JSON.stringify(error.data)}` : error.message;
  if (!demo.refusals.length) say(why, true);
}

async function play() {
  Object.assign(demo, { refusals: [], errors: [] });
  say("Loading …");
  await player?.destroy();
  detach?.();
  if (isManifest) {
    await loaded;
    player = new shaka.Player();
    player.addEventListener("error", ({ detail }) => fail(detail));
    await player.attach(video);
    installShaka(player, client);
    await player.load(begun.media);
  } else {
    detach = attachEme(video, client);
    video.src = begun.media;
  }
  await video.play();
  say("");
}

find("#viewer").addEventListener("submit", (event) => {
  event.preventDefault();
  play().catch(fail);
});
video.addEventListener("resize", () => { find("#fact-picture").textContent = `${video.videoWidth} by ${video.videoHeight}`; });
video.addEventListener("error", () => fail(new Error(video.error.message || "This browser cannot play the file.")));
