// The page of `reelkey demo --serve --stream`: a stream of one's own, with keys of one's own service, played by Shaka Player.
//
// Tests use these: #play, #message, #keys tr, #fact-picture, and window.demo.

import { Client, installShaka } from "./reelkey.js";
import { api, find, make, say } from "./common.js";
import { kidsOf } from "./film.js";

const video = find("#video");
const demo = (window.demo = { kids: [], refusals: [], errors: [] });
const begun = await api("start").catch((error) => { say(error.message, true); throw error; });
for (const name of ["name", "content", "service"]) find(`#${name}`).textContent = begun[name];
const loaded = load("player.js").then(() => { find("#fact-player").textContent = `Shaka Player ${shaka.Player.version}`; });
loaded.catch(({ message }) => say(message, true));
let player, noToken;

/** Runs a script that is no module. */
function load(src) {
  return new Promise((done, failed) => {
    const script = Object.assign(document.createElement("script"), { src });
    script.addEventListener("load", done);
    script.addEventListener("error", () => failed(new Error("Shaka Player could not be loaded.")));
    document.head.append(script);
  });
}

/** A client that shows which keys are got. What it shows never stops what plays. */
class WatchedClient extends Client {
  async license(message) {
    const set = await super.license(message);
    showLicensed(kidsOf(set)).catch(({ message }) => demo.errors.push(message));
    return set;
  }
  async keyHeaders(url) {
    const headers = await super.keyHeaders(url);
    if (headers.Authorization) showKeys([["HLS AES-128", url.replace(/^.*\//, "")]]);
    return headers;
  }
}

const client = new WatchedClient({ url: begun.service, serviceId: begun.serviceId, token: fetchToken });
client.jkt().then((jkt) => { find("#fact-device").textContent = `${jkt.slice(0, 12)}…`; });
for (const type of ["refusal", "expired"]) {
  client.addEventListener(type, ({ detail }) => {
    demo.refusals.push(detail);
    say(detail.reason === "token" ? noToken : `${detail.detail} (${detail.reason})`, true);
  });
}

async function fetchToken({ jkt = "" }) {
  try {
    return (await api("token", { jkt, region: find("[name=region]").value })).token;
  } catch (error) {
    noToken = `There is no token: ${error.message}`;
    throw error;
  }
}

async function showLicensed(kids) {
  const fresh = kids.filter((kid) => !demo.kids.includes(kid));
  demo.kids.push(...fresh);
  const known = fresh.length ? await api("keys") : [];
  const track = (kid) => known.find((key) => key.kid === kid)?.track_type ?? "crypto period";
  showKeys(fresh.map((kid) => [track(kid), kid]));
}

function showKeys(keys) {
  find("#no-keys").hidden = true;
  find("#keys").append(...keys.map(([track, name]) => {
    const row = document.createElement("tr"), id = document.createElement("td");
    id.append(make("code", name));
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
  await loaded;
  await player?.destroy();
  player = new shaka.Player();
  player.addEventListener("error", ({ detail }) => fail(detail));
  await player.attach(video);
  installShaka(player, client);
  await player.load(begun.media);
  await video.play();
  say("");
}

find("#viewer").addEventListener("submit", (event) => {
  event.preventDefault();
  play().catch(fail);
});
video.addEventListener("resize", () => { find("#fact-picture").textContent = `${video.videoWidth} by ${video.videoHeight}`; });
