// The demo's page: buttons, the steps of an exchange, the service's decisions and a timeline.
//
// Tests use these: [data-case], #rotate and #return (buttons), #cut (a switch), #kept, #message, #fact-picture, #fact-license, #fact-device, #steps li
// (classes done, failed), #decisions li (class grant or refuse), #licenses li, #keys tr, and window.demo.

import { Client, LicenseError } from "./reelkey.js";
import { api, ask, find, make, say } from "./common.js";
import { Film, forget, kidsOf, store } from "./film.js";

const video = find("#video");
const film = new Film(video);
const demo = (window.demo = { playing: null, licenses: [], kids: [], refusals: [], expired: [] });

// ---- The network

// With the switch on, every request fails, but for the list of decisions: it shows that the service is asked for nothing.
const isCut = () => find("#cut").checked;
const { fetch } = window, sendBeacon = navigator.sendBeacon.bind(navigator);
window.fetch = async (url, options) => {
  if (isCut() && !`${url}`.startsWith("api/decisions")) throw new LicenseError("network", "There is no network.");
  return fetch(url, options);
};
navigator.sendBeacon = (url, body) => !isCut() && sendBeacon(url, body);

const begun = await api("start").catch((error) => { say(error.message, true); throw error; });
let keys = begun.keys;
showKeys();
followDecisions();

// ---- Steps

/** Marks how far an exchange is. */
function step(name, state, text) {
  for (const element of document.querySelectorAll(`[data-step="${name}"]`)) {
    element.classList.remove("done", "failed");
    element.classList.add(state);
    const words = element.querySelector("span");
    if (words && text) words.textContent = text;
  }
}

function clearSteps() {
  for (const element of document.querySelectorAll("[data-step]")) element.classList.remove("done", "failed");
}

// ---- Playing

/** A client that tells the page what it gets. */
class WatchedClient extends Client {
  constructor(kind, onKeys, onRefusal) {
    super({
      url: begun.service,
      serviceId: begun.serviceId,
      // The other buttons are about licenses of the service.
      kept: () => kind === "offline",
      token: async ({ jkt }) => {
        find("#fact-device").firstChild.textContent = jkt.slice(0, 12) + "…";
        const { token, claims } = await api("token", { case: kind, jkt });
        const binding = claims.cnf.jkt === jkt ? "this device" : "another device";
        step("token", "done", `The auth service signed a token for ${claims.sub} in ${claims.region}, for ${claims.content_id}, bound to ${binding}.`);
        step("request", "done", `The device key signed the request. The private half cannot leave this browser.`);
        return token;
      },
    });
    this.addEventListener("refusal", ({ detail }) => {
      demo.refusals.push(detail);
      step("decision", "failed", `Refused: ${detail.reason}. ${detail.detail}`);
      onRefusal(detail);
    });
    this.addEventListener("expired", ({ detail }) => {
      demo.expired.push(detail);
      step("picture", "failed", "The license ended, and the page let go of the keys.");
      say(`Playback ended: ${detail.detail}`, true);
    });
    this.onKeys = onKeys;
  }

  async license(message) {
    const set = await super.license(message);
    this.onKeys(kidsOf(set));
    return set;
  }
}

async function play(kind) {
  clearSteps();
  say("Asking for a license …");
  demo.playing = null;
  const scheme = find("[name=scheme]:checked").value;
  let grant, refuse;
  const granted = new Promise((done, failed) => ([grant, refuse] = [done, failed]));
  granted.catch(() => {});
  const client = new WatchedClient(
    kind,
    (kids) => {
      demo.kids = kids;
      showKeys();
      step("decision", "done", "Every check passed: token, device, region and policy.");
      step("license", "done", `The license was verified and opened: ${kids.length} keys, sealed to this device.`);
      grant(kids);
    },
    (detail) => refuse(Object.assign(new Error(detail.detail), detail)),
  );
  try {
    if (kind === "offline") await takeOffline(client, scheme);
    const shown = await film.play({ scheme, client, tracks: begun.tracks, keys, granted });
    demo.playing = shown.track;
    find("#fact-picture").textContent = `${shown.track}, ${shown.height} lines, ${scheme}`;
    step("picture", "done", `The browser decrypts ${shown.track} and AUDIO, ${scheme}.`);
    say({ sd: "HD was withheld, so it plays SD.", offline: "It plays from the kept license." }[kind] ?? "");
    await showKept();
  } catch (error) {
    if (error.name === "AbortError") return;
    find("#fact-picture").textContent = "none";
    demo.kids = [];
    showKeys();
    say(error.message, true);
    if (!error.reason) step("picture", "failed", error.message);
    await film.end();
  }
}

for (const button of document.querySelectorAll("[data-case]")) {
  button.addEventListener("click", () => {
    for (const other of document.querySelectorAll("[data-case]")) other.setAttribute("aria-pressed", String(other === button));
    play(button.dataset.case);
  });
}

// ---- Offline

const keeper = new WatchedClient("offline", () => {}, () => {});
await showKept();

/** Keeps a license, if none is kept that plays, and stores the film. */
async function takeOffline(client, scheme) {
  await client.keepLicense(begun.content);
  await showKept();
  if (!isCut()) await store(scheme, begun.tracks);
}

async function showKept() {
  const all = await keeper.keptLicenses();
  demo.kept = all.map(({ id, reason, firstPlayedAt }) => ({ id, reason, firstPlayedAt }));
  find("#return").disabled = !all.length;
  const license = all.find(({ reason }) => !reason) ?? all[0];
  const time = (seconds) => new Date(seconds * 1000).toLocaleTimeString();
  const words = {
    null: () => `Kept in this browser until ${time(license.endsAt)}` +
      (license.firstPlayedAt ? `: five minutes from the first play at ${time(license.firstPlayedAt)}.` : "."),
    "license-returned": () => "Given back, and it does not play. The service learns of it when there is a network.",
  };
  find("#kept").textContent = license
    ? (words[license.reason] ?? (() => `Kept, and it does not play: ${license.reason}.`))() : "Nothing is kept in this browser.";
}

find("#return").addEventListener("click", async () => {
  let words = "The service has taken the license back, and has signed a receipt.";
  for (const { id } of await keeper.keptLicenses()) {
    await keeper.returnLicense(id).catch(({ detail }) => { words = `The title does not play any more. ${detail}`; });
  }
  await film.end();
  await forget();
  demo.playing = null;
  find("#fact-picture").textContent = "none";
  say(words);
  await showKept();
});
find("#cut").addEventListener("change", async () => {
  // What was returned without a network goes to the service now.
  if (!isCut() && (await keeper.keptLicenses()).some(({ reason }) => reason === "license-returned")) find("#return").click();
});

// ---- Keys and sound

find("#rotate").addEventListener("click", async () => {
  await api("rotate");
  keys = await api("keys");
  showKeys();
  say("There are new keys beside the old ones. The film plays on; the next license has both.");
});
find("#sound").addEventListener("change", ({ target }) => (video.muted = !target.checked));

// ---- What the service decides

async function followDecisions() {
  for (let seen = 0; ; ) {
    try {
      const response = await ask(`decisions?after=${seen}`);
      const decisions = await response.json();
      seen += decisions.length;
      decisions.forEach(showDecision);
    } catch {
      say("The demo has ended. Start it again with `reelkey demo --serve`.", true);
      return;
    }
  }
}

function showDecision(decision) {
  find("#no-decisions").hidden = true;
  const item = make("li", "", decision.decision);
  const time = new Date(decision.at * 1000).toLocaleTimeString();
  const verdict = decision.decision === "grant" ? `Granted, ${decision.keys} keys` : `Refused: ${decision.reason}`;
  item.append(make("p", `${verdict} · ${time}`, "verdict"));
  const place = decision.region ? `, in ${decision.region}` : "";
  item.append(make("p", `${decision.account ?? "unknown account"} asked for ${decision["content.id"] ?? "a film"}${place}`));
  if (decision.rule) {
    const compared = decision.expected ? `: expected ${decision.expected}, found ${decision.actual}` : "";
    item.append(make("p", `Rule ${decision.rule}${compared}`, "detail"));
  }
  const policy = decision.policy ? `policy ${decision.policy}, ` : "";
  item.append(make("p", `${policy}${(decision.took_us / 1000).toFixed(1)} ms`, "detail"));
  find("#decisions").prepend(item);
  if (decision.decision === "grant") {
    demo.licenses.push({ from: decision.at, until: decision.expires });
    showLicenses();
  }
}

// ---- Time

function showLicenses() {
  const recent = demo.licenses.slice(-6);
  const start = recent[0].from, end = Math.max(...recent.map(({ until }) => until));
  find("#licenses").replaceChildren(...recent.map(({ from, until }) => {
    const item = document.createElement("li");
    const bar = make("span", "", "bar");
    bar.style.left = `${(100 * (from - start)) / (end - start)}%`;
    bar.style.width = `${(100 * (until - from)) / (end - start)}%`;
    const track = make("span", "", "track");
    track.append(bar);
    item.append(make("span", new Date(from * 1000).toLocaleTimeString()), track, make("span", `, ends ${new Date(until * 1000).toLocaleTimeString()}`, "hidden"));
    return item;
  }));
}

function showKeys() {
  find("#keys").replaceChildren(...keys.map((key) => {
    const row = document.createElement("tr");
    const held = demo.kids.includes(key.kid);
    const kid = document.createElement("td");
    kid.append(make("code", key.kid));
    row.append(make("td", key.track_type), kid, make("td", held ? "yes" : "no", held ? "yes" : ""));
    return row;
  }));
}

setInterval(() => {
  const last = demo.licenses.at(-1);
  const left = last && demo.playing ? Math.ceil(last.until - Date.now() / 1000) : 0;
  find("#fact-license").textContent = left > 0 ? `${left} s` : "no license";
}, 500);
