// One player, chosen by `?player=`, plays one film with licenses of one service. What happens is left in `window.seen`.
//
// parameters: player, scheme (the folder of the film), service (its URL); `token` and `later`: the query of `/token` for
// the first and for further tokens; `bind` names this device in them.

import { Client } from "/web/reelkey.js";

const options = Object.fromEntries(new URLSearchParams(location.search));
const seen = (window.seen = { refusals: [], expired: [], errors: [], answers: [], stalls: 0, tokens: 0 });
const video = document.getElementById("video");

// Every answer of the service is kept, and a page can be given a foreign one.
const { fetch } = window;
window.fetch = async (...words) => {
  const response = await fetch(...words);
  if (!String(words[0]).endsWith("/v1/license")) return response;
  const text = await response.text();
  seen.answers.push({ at: performance.now(), status: response.status, request: words[1].body, text });
  return new Response(options.foreign ? window.name : text, { status: response.status, headers: response.headers });
};

const client = (window.client = new Client({
  url: options.service,
  async token({ jkt }) {
    const query = seen.tokens++ && options.later ? options.later : options.token;
    const bound = options.bind ? `&device=${jkt}` : "";
    return (await fetch(`/token?${query}${bound}`)).text();
  },
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
window.addEventListener("unhandledrejection", ({ reason }) => seen.errors.push(`unhandled: ${reason?.message ?? reason}`));
for (const type of ["waiting", "waitingforkey"]) video.addEventListener(type, () => (seen.stalls += !!video.currentTime));

const { play } = await import(`./${options.player}.js`);
try {
  seen.player = await play({ client, video, media: `/media/${options.scheme}`, seen });
  video.play().catch((error) => seen.errors.push(`play: ${error.message}`));
} catch (error) {
  seen.errors.push(String(error?.message ?? error));
}
seen.ready = true;
