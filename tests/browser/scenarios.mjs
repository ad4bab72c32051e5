// What has to happen in a browser: films play in five players, expiry ends them, refusals are told in the service's own
// words, and a browser profile is one device.

import assert from "node:assert/strict";

import { launch, look, open, picture, until } from "./browsers.mjs";
import { CONTENT, EXPIRED, RETIRED } from "./policies.mjs";

const PLAYERS = ["eme", "shaka", "dashjs", "hlsjs", "videojs"];
const SCHEMES = ["cenc", "cbcs"];

/** The query of `/token` for this viewer, title and policy. */
export const token = (policy, more = {}) => String(new URLSearchParams({ sub: "alice", content: CONTENT, policy, ...more }));

const pause = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));

export const advanced = (seconds) => `document.querySelector("video").currentTime >= ${seconds}`;

/** The film plays: time passes, frames are decoded, and the picture is that of the clear film. */
export async function plays(page, world, seconds = 3) {
  await until(page, advanced(seconds), `${seconds} s of the film`);
  const seen = await look(page);
  assert(seen.frames > 0, "no frame was decoded");
  const { deviation, likeness } = await picture(page, world.label);
  assert(deviation > 5, `the picture is flat: ${deviation}`);
  assert(likeness > 0.6, `the picture is not that of the film: ${likeness}`);
  return `${seen.frames} frames, height ${seen.height}, likeness ${likeness.toFixed(2)}`;
}

const playback = PLAYERS.flatMap((player) =>
  SCHEMES.map((scheme) => ({
    name: `${player} plays ${scheme}`,
    async run(world) {
      const page = await open(world.browser, world, { player, scheme, token: token("default") });
      return plays(page, world);
    },
  })));

const renewals = PLAYERS.map((player) => ({
  name: `${player} plays on over three licenses without a gap`,
  async run(world) {
    const page = await open(world.browser, world, { player, token: token("short") });
    await until(page, advanced(1), "the first second");
    const before = await look(page);
    await until(page, advanced(11), "11 s of the film", 25);
    const seen = await look(page);
    const granted = seen.answers.filter(({ status }) => status === 200).length;
    assert(granted >= 3, `only ${granted} licenses`);
    assert.equal(seen.stalls, before.stalls, "playback stalled");
    assert.deepEqual([seen.refusals, seen.expired, seen.paused], [[], [], false]);
    return `${granted} licenses`;
  },
}));

const expiries = PLAYERS.map((player) => ({
  name: `${player} is ended when its license expires`,
  async run(world) {
    const page = await open(world.browser, world, { player, token: token("short"), later: token("no-play") });
    await until(page, advanced(0.5), "the first half second");
    await until(page, "window.seen.expired.length > 0", "the event `expired`");
    const seen = await look(page);
    const [expired] = seen.expired;
    assert.equal(expired.reason, "playback-not-allowed");
    assert(expired.paused, "the video was not paused");
    assert(expired.requestId && seen.text.includes(expired.detail), "the words");
    const life = (expired.at - seen.answers[0].at) / 1000;
    assert(life > 2 && life < 6, `ended after ${life} s`);
    // Nothing is left to play with, even if the page tries.
    await page.evaluate(() => document.querySelector("video").play().catch(() => {}));
    await pause(1500);
    const { frames } = await look(page);
    await pause(1500);
    assert.equal((await look(page)).frames, frames, "it plays without a key");
    return `after ${life.toFixed(1)} s`;
  },
}));

/** Reason → the token that causes it. */
const REASONS = {
  "region-denied": token("us", { region: "FR" }),
  blackout: token("blackout", { region: "CA" }),
  "not-yet-available": token("future"),
  "no-longer-available": token("past"),
  "playback-not-allowed": token("no-play"),
  "amr-required": token("mfa", { amr: "pwd" }),
  "security-level": token("hardware"),
  "token-expired": EXPIRED,
  "token-not-bound": token("default", { device: "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I" }),
  "not-authorized": token("default", { content: "movies/other" }),
  "key-not-found": token("default", { content: RETIRED }),
};

const refusals = PLAYERS.flatMap((player) =>
  Object.entries(REASONS).map(([reason, query]) => ({
    name: `${player} tells ${reason}`,
    async run(world) {
      if (reason === "token-expired") await pause(Math.max(0, world.state.expiredAt - Date.now()));
      const scheme = reason === "key-not-found" ? "retired" : "cenc";
      const page = await open(world.browser, world, { player, scheme, token: query });
      await until(page, "window.seen.refusals.length > 0", "the event `refusal`");
      const [refusal] = (await look(page)).refusals;
      assert.equal(refusal.reason, reason);
      assert.match(refusal.requestId, /^[0-9a-f-]{36}$/);
      // The player's own error has the words too; without a player, the page alone has them.
      if (player !== "eme") {
        const told = `window.seen.errors.some((error) => error.includes(${JSON.stringify(refusal.detail)}))`;
        await until(page, told, "the words in the player's error", 5);
      }
      const seen = await look(page);
      assert(seen.text.includes(refusal.detail), "the words are not on the page");
      assert.deepEqual(seen.errors.filter((error) => error.startsWith("unhandled")), []);
      assert.equal(seen.time, 0, "it played");
      assert(seen.answers.length <= 2, `asked ${seen.answers.length} times: ${seen.errors}`);
      return refusal.detail;
    },
  })));

// hls.js in Firefox, and video.js, do not leave the track whose key is withheld (docs/players).
const withheld = (browser) => ["shaka", "dashjs", ...(browser === "chromium" ? ["hlsjs"] : [])].map((player) => ({
  name: `${player} plays SD where HD is withheld`,
  async run(world) {
    const page = await open(world.browser, world, { player, token: token("sd") });
    const told = await plays(page, world);
    assert.equal((await look(page)).height, 180);
    return told;
  },
}));

export const claims = (jwt) => JSON.parse(Buffer.from(jwt.split(".")[1], "base64url"));

const troubles = [
  {
    name: "a request whose answer is lost is repeated with the same bytes, and is the same license",
    async run(world) {
      const page = await open(world.browser, world, { player: "eme", token: token("default"), trouble: "lose" });
      await until(page, advanced(1), "the first second");
      const { answers: [first, second], refusals } = await look(page);
      assert.equal(first.request, second.request);
      assert.equal(claims(first.text).jti, claims(second.text).jti);
      assert.deepEqual(refusals, []);
    },
  },
  {
    name: "a busy service is asked again after the time that it names",
    async run(world) {
      const page = await open(world.browser, world, { player: "eme", token: token("default"), trouble: "busy" });
      await until(page, advanced(1), "the first second");
      const { answers: [first, second] } = await look(page);
      assert.equal(first.request, second.request);
      assert(second.at - first.at > 1900, `after ${second.at - first.at} ms`);
    },
  },
  ...[-86_400, 7_200].map((clock) => ({
    name: `a device whose clock is off by ${clock} s plays, also with its next license`,
    async run(world) {
      const page = await open(world.browser, world, { player: "eme", token: token("short"), clock });
      await until(page, advanced(5), "5 s of the film");
      const { answers, expired } = await look(page);
      assert.equal(answers[0].status, 400);
      assert.equal(JSON.parse(answers[0].text).reason, "request-stale");
      assert(answers.slice(1).every(({ status }) => status === 200), "a later request was stale");
      assert.deepEqual(expired, []);
    },
  })),
  {
    name: "playback ends at the license's end if the service cannot be reached",
    async run(world) {
      const page = await open(world.browser, world, { player: "shaka", token: token("short"), trouble: "cut" });
      await until(page, "window.seen.expired.length > 0", "the event `expired`");
      const { expired: [expired], answers } = await look(page);
      assert.equal(expired.reason, "network");
      assert(expired.paused && expired.at - answers[0].at > 3000, `after ${expired.at - answers[0].at} ms`);
    },
  },
  {
    name: "a key that the next license withholds ends playback when the old license ends",
    async run(world) {
      const options = { player: "dashjs", token: token("short"), later: token("sd") };
      const page = await open(world.browser, world, options);
      await until(page, advanced(1), "the first second");
      assert.equal((await look(page)).height, 360);
      await until(page, "window.seen.expired.length > 0", "the event `expired`");
      assert.equal((await look(page)).expired[0].reason, "license-expired");
    },
  },
];

const jkt = (page) => page.evaluate(() => window.client.jkt());

const devices = [
  {
    name: "two tabs and a reload are one device, whose key cannot be exported",
    async run(world) {
      const options = { player: "eme", token: token("default"), bind: 1 };
      const pages = [await open(world.browser, world, options), await open(world.browser, world, options)];
      const [one, other] = await Promise.all(pages.map(jkt));
      assert.equal(one, other);
      await pages[0].bringToFront();
      await pages[0].reload();
      await until(pages[0], () => window.seen?.ready, "the player started");
      assert.equal(await jkt(pages[0]), one);
      await until(pages[0], advanced(1), "the first second");
      const exported = await pages[0].evaluate(async () => {
        const database = await new Promise((done) => {
          const request = indexedDB.open("reelkey", 1);
          request.onsuccess = () => done(request.result);
        });
        const pair = await new Promise((done) => {
          const request = database.transaction("device").objectStore("device").get("key");
          request.onsuccess = () => done(request.result);
        });
        database.close();
        const tries = ["jwk", "pkcs8"].map((format) =>
          crypto.subtle.exportKey(format, pair.privateKey).then(() => "exported", (error) => error.name));
        return Promise.all(tries);
      });
      assert.deepEqual(exported, ["InvalidAccessError", "InvalidAccessError"]);
    },
  },
  {
    name: "tabs that make the device key at the same time have one",
    async run(world) {
      const browser = await launch(world.browserName, "race");
      try {
        const pages = await Promise.all([1, 2, 3].map(() => browser.newPage()));
        await Promise.all(pages.map((page) => page.goto(`${world.origin}/pages/blank.html`)));
        const keys = await Promise.all(pages.map((page) => page.evaluate(async () => {
          const { Client } = await import("/web/reelkey.js");
          return new Client({ url: "", token: "" }).jkt();
        })));
        assert.equal(new Set(keys).size, 1);
      } finally {
        await browser.close();
      }
    },
  },
  {
    name: "a browser that was restarted is the same device; another profile is another, and opens none of its licenses",
    async run(world) {
      const options = { player: "eme", token: token("default"), bind: 1 };
      const visit = async (profile, work, more = {}) => {
        const browser = await launch(world.browserName, profile);
        try {
          return await work(await open(browser, world, { ...options, ...more }));
        } finally {
          await browser.close();
        }
      };
      const first = await visit("restart", async (page) => {
        await until(page, advanced(1), "the first second");
        return { jkt: await jkt(page), license: (await look(page)).answers[0].text };
      });
      assert.equal(await visit("restart", jkt), first.jkt);
      await visit("other", async (page) => {
        assert.notEqual(await jkt(page), first.jkt);
        await page.evaluate((license) => { window.name = license; }, first.license);
        await page.goto(`${page.url()}&foreign=1`);
        await until(page, "window.seen?.refusals.length > 0", "the refusal of a foreign license");
        const [{ reason }] = (await look(page)).refusals;
        assert.equal(reason, "bad-license");
        assert.equal((await look(page)).time, 0);
      });
    },
  },
];

export const scenarios = (browser) => [
  ...playback, ...withheld(browser), ...renewals, ...expiries, ...troubles, ...devices, ...refusals,
];
