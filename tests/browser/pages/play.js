// One player, chosen by `?player=`, plays one film with licenses of one service. What happens is left in `window.seen`.
//
// parameters: player, scheme (the folder of the film), service (its URL); `token` and `later`: the query of `/token`
// for the first tokens and for those of renewals; `bind` names this device in them. `trouble` is what the network does: `lose` the
// first answer, be `busy` once, `cut` after the first license. `clock` is what the device's clock is off by, in seconds.
// The page is `window.clock` seconds ahead, too, and has slept for `window.slept` seconds.
// `manifest` is the file of the manifest; with `authorized`, tokens are those of the authorization service that it names. The
// first `stales` tokens are then the token `stale`.
// `jwt` is a token in place of `/token`.
// `codecs` are those of the film, if they are not H.264 and AAC; `ahead` is how many seconds the player may buffer.

import { Client, findAuthzurl } from "/web/reelkey.js";

const options = Object.fromEntries(new URLSearchParams(location.search));
const seen = (window.seen = { refusals: [], expired: [], errors: [], answers: [], authorizations: [], stalls: 0, tokens: 0, beacons: 0, pauses: 0 });
const video = document.getElementById("video");

/** Fetches a token, or returns one that a cache might have kept too long. */
async function authorize(url, words) {
  const isStale = seen.authorizations.length < Number(options.stales ?? 0);
  const response = isStale ? new Response(options.stale) : await fetch(url, words);
  const token = await response.text();
  seen.authorizations.push({ url, status: response.status, token, isStale });
  return new Response(token, { status: response.status, headers: response.headers });
}

// Every answer of the service is kept, and a page can be given a foreign one.
const { fetch } = window;
window.fetch = async (...words) => {
  if (String(words[0]).includes("/authorize?")) return authorize(...words);
  if (!String(words[0]).endsWith("/v1/license")) return fetch(...words);
  if (options.trouble === "cut" && seen.answers.length) throw new TypeError("the network is cut");
  const response = await fetch(...words);
  const text = await response.text();
  seen.answers.push({ at: performance.now(), status: response.status, request: words[1].body, text });
  if (options.trouble === "lose" && seen.answers.length === 1) throw new TypeError("the answer is lost");
  if (options.trouble === "busy" && seen.answers.length === 1) {
    return new Response("{}", { status: 503, headers: { "retry-after": "2" } });
  }
  return new Response(options.foreign ? window.name : text, { status: response.status, headers: response.headers });
};

const { now } = Date;
Object.assign(window, { clock: Number(options.clock ?? 0), slept: 0 });
Date.now = () => now() + 1000 * window.clock;
const monotonic = performance.now.bind(performance);
performance.now = () => monotonic() + 1000 * window.slept;

const tokens = options.authorized ? {
  authzurl: findAuthzurl(await (await fetch(`/media/${options.scheme}/${options.manifest}`)).text()),
} : {
  async token({ jkt }) {
    seen.tokens++;
    if (options.jwt) return options.jwt;
    // Some players ask more than once at the start.
    const again = video.currentTime > 0.3;
    const query = again && options.later ? options.later : options.token;
    const bound = options.bind ? `&device=${jkt}` : "";
    return (await fetch(`/token?${query}${bound}`)).text();
  },
};
const client = (window.client = new Client({
  url: options.service, device: { name: "A browser of the tests" }, ...tokens,
}));
client.addEventListener("refusal", ({ detail }) => {
  seen.refusals.push(detail);
  document.getElementById("words").textContent = detail.detail;
});
client.addEventListener("expired", ({ detail }) => {
  seen.expired.push({ ...detail, at: performance.now(), paused: video.paused });
  document.getElementById("words").textContent = detail.detail;
});
window.addEventListener("error", ({ message }) => seen.errors.push(message));
window.addEventListener("unhandledrejection", ({ reason }) => seen.errors.push(`unhandled: ${reason?.message}`));
for (const type of ["waiting", "waitingforkey"]) {
  video.addEventListener(type, () => { seen.stalls += video.currentTime > 0; });
}

const { sendBeacon } = navigator;
navigator.sendBeacon = (...words) => (seen.beacons++, sendBeacon.apply(navigator, words));
video.addEventListener("pause", () => { seen.pauses++; });

video.requestVideoFrameCallback(() => { seen.first = performance.now() - window.loaded; });
const { play } = await import(`./${options.player}.js`);
window.loaded = performance.now();
try {
  seen.player = await play({ client, video, media: `/media/${options.scheme}`, seen, options });
  video.play().catch((error) => seen.errors.push(`play: ${error.message}`));
} catch (error) {
  seen.errors.push(String(error?.message ?? error));
}
seen.ready = true;
