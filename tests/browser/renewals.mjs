// Licenses that are renewed while they play, and given back when playback is over: by whose request, and when.
//
// The policy `renewed` (policies.mjs) has licenses of 8 s that are renewed after 3 to 4 s, every second if there is no
// answer, until 6 s after the end; `stream` has licenses of 10 min. Under both an account has one stream, whose slot is kept
// for an hour unless its license is released. Each browser has accounts of its own.

import assert from "node:assert/strict";

import { launch, look, open, until } from "./browsers.mjs";
import { rotating } from "./films.mjs";
import { advanced, claims, token } from "./scenarios.mjs";

const account = (world, name) => ({ sub: `${name}-${world.browserName}` });

/** The licenses that came, the last one last. */
const licenses = ({ answers }) => answers.filter(({ status }) => status === 200).map(({ text }) => claims(text));

/** What the service says of a license to the account. */
async function status(page, world, id, query) {
  const bearer = await page.evaluate(async (query) => (await fetch(`/token?${query}`)).text(), query);
  const answer = await fetch(`${world.url}/v1/licenses/${id}`, { headers: { authorization: `Bearer ${bearer}` } });
  assert.equal(answer.status, 200);
  return (await answer.json()).status;
}

/** Waits until licenses have been returned. `page` is any page of the site. */
async function returned(page, world, ids, query) {
  for (const end = Date.now() + 30_000; ; ) {
    const seen = await Promise.all(ids.map((id) => status(page, world, id, query)));
    if (seen.every((one) => one === "returned")) return;
    assert(Date.now() < end, `the licenses are ${seen}`);
    await new Promise((done) => setTimeout(done, 100));
  }
}

export const renewals = [
  ...["eme", "shaka", "dashjs", "hlsjs", "videojs"].map((player) => ({
    name: `${player} renews a license and plays on without a gap`,
    async run(world) {
      const page = await open(world.browser, world, { player, token: token("renewed", account(world, "renewed")) });
      await until(page, advanced(1), "the first second");
      const before = await look(page);
      await until(page, advanced(12), "12 s of the film", 40);
      const seen = await look(page);
      // Each license counts from 0 on. A slow machine may renew it before the first second of the film.
      const counters = new Map();
      for (const { jti, counter } of licenses(seen)) {
        assert.equal(counter, counters.has(jti) ? counters.get(jti) + 1 : 0);
        counters.set(jti, counter);
      }
      const renewed = [...counters.values()].reduce((sum, one) => sum + one, 0);
      assert(renewed >= 2, `${renewed} renewals`);
      const asked = claims(seen.answers.at(-1).request);
      assert.equal(asked.request_type, "RENEWAL");
      assert.deepEqual(asked.device, { name: "A browser of the tests" });
      assert.equal(seen.stalls, before.stalls, "playback stalled");
      assert.deepEqual([seen.refusals, seen.expired, seen.paused], [[], [], false]);
      return `${renewed} renewals`;
    },
  })),
  {
    name: "a session that has keys of a past period, which renewals leave out, plays on",
    async run(world) {
      const name = `past-${world.browserName}`;
      const { content, third } = await rotating(name);
      const query = token("renewed", { content, ...account(world, "past") });
      const page = await open(world.browser, world, { player: "shaka", scheme: name, ahead: 3, token: query });
      await until(page, advanced(1), "the first second");
      await third();
      await until(page, advanced(14), "14 s of the film", 30);
      const seen = await look(page);
      assert.deepEqual([seen.refusals, seen.expired, seen.paused], [[], [], false]);
      // Three periods at once: a request that names the keys of the first. A renewal has those of the last two.
      const periods = ({ tracks }) => new Set(tracks.map((track) => track.crypto_period_index)).size;
      assert(licenses(seen).some((license) => periods(license) === 3), "no license with all three periods");
    },
  },
  {
    name: "a renewal that is refused ends playback at the license's end, in the service's words",
    async run(world) {
      const viewer = account(world, "refused");
      const tokens = { token: token("renewed", viewer), later: token("no-play", viewer) };
      const page = await open(world.browser, world, { player: "shaka", ...tokens });
      await until(page, "window.seen.expired.length > 0", "the event `expired`");
      const { expired: [expired], refusals, answers, text } = await look(page);
      assert.deepEqual([expired.reason, refusals.length], ["playback-not-allowed", 1]);
      assert(expired.paused && text.includes(expired.detail), "the words");
      const granted = answers.filter(({ status }) => status === 200);
      const life = (expired.at - granted.at(-1).at) / 1000;
      // A slow machine's timers are late.
      assert(life > 7 && life < 20, `ended after ${life} s`);
      return `after ${life.toFixed(1)} s`;
    },
  },
  {
    name: "a player whose renewals get no answer plays on until the end of the recovery",
    async run(world) {
      const query = token("renewed", account(world, "cut"));
      const page = await open(world.browser, world, { player: "shaka", token: query, trouble: "cut" });
      await until(page, "window.seen.expired.length > 0", "the event `expired`");
      const { expired: [expired], refusals, answers } = await look(page);
      assert.deepEqual([expired.reason, expired.paused, refusals], ["network", true, []]);
      const life = (expired.at - answers.at(-1).at) / 1000;
      assert(life > 13 && life < 30, `ended after ${life} s`);
      return `after ${life.toFixed(1)} s`;
    },
  },
];

const newIds = (seen) => [...new Set(licenses(seen).map(({ jti }) => jti))];

/** A page that stands still for a time, while the film is shown. */
export const sleeps = [
  {
    name: "a page that the browser kept asks for a license again when its viewer comes back",
    async run(world) {
      const query = token("stream", account(world, "back"));
      const page = await open(world.browser, world, { player: "shaka", token: query });
      await until(page, advanced(1), "the first second");
      const ids = newIds(await look(page));
      // The two events of a page in the back/forward cache. Browsers that are driven by a program have none.
      await page.evaluate(() => dispatchEvent(new PageTransitionEvent("pagehide", { persisted: true })));
      await returned(page, world, ids, query);
      await page.evaluate(() => dispatchEvent(new PageTransitionEvent("pageshow", { persisted: true })));
      await until(page, `window.seen.answers.length > ${(await look(page)).answers.length}`, "another license");
      const { time } = await look(page);
      await until(page, advanced(time + 2), "2 s more of the film");
      const seen = await look(page);
      assert.deepEqual([seen.refusals, seen.expired, seen.paused], [[], [], false]);
      const [fresh] = newIds(seen).filter((id) => !ids.includes(id));
      assert.equal(await status(page, world, fresh, query), "active");
    },
  },
  ...Object.entries({ renewed: "RENEWAL", short: "NEW" }).map(([policy, type]) => ({
    name: `a device that slept past the end of its license plays nothing before a ${type} was granted`,
    async run(world) {
      const query = token(policy, account(world, `slept-${policy}`));
      const page = await open(world.browser, world, { player: "shaka", token: query });
      await until(page, advanced(1), "the first second");
      const before = await look(page);
      // Longer than the license, and within what the service still renews (`renewal_recovery_duration`).
      await page.evaluate(() => { window.slept = 10; });
      await until(page, `window.seen.answers.length > ${before.answers.length}`, "another license");
      const { time } = await look(page);
      await until(page, advanced(time + 2), "2 s more of the film");
      const seen = await look(page);
      assert.equal(claims(seen.answers[before.answers.length].request).request_type, type);
      assert(seen.pauses > before.pauses, "it played on");
      assert.deepEqual([seen.refusals, seen.expired, seen.paused], [[], [], false]);
    },
  })),
  {
    name: "a license that nobody remembers is not given back",
    async run(world) {
      const page = await open(world.browser, world, { player: "eme", token: token("default") });
      await until(page, advanced(1), "the first second");
      assert(licenses(await look(page)).every(({ policy }) => policy.can_release === undefined));
      await page.evaluate(() => window.stop());
      await page.evaluate(() => dispatchEvent(new PageTransitionEvent("pagehide", { persisted: false })));
      assert.equal((await look(page)).beacons, 0);
    },
  },
];

/** How a page ends, and what is left of it. */
const ENDINGS = {
  "a page that is closed": (page) => page.close(),
  "a page that goes to another one": (page, world) => page.goto(`${world.origin}/pages/blank.html`),
  "a session that is closed": (page) => page.evaluate(() => window.stop()),
};

/** A browser sends a beacon if it can: Firefox may drop that of a tab that WebDriver closes while the machine is busy. */
const isSure = ({ browserName }, ending) => browserName !== "firefox" || ending !== "a page that is closed";

export const releases = Object.entries(ENDINGS).map(([ending, end]) => ({
  name: `${ending} gives its license back, and the next device plays at once`,
  async run(world) {
    const query = token("stream", account(world, ending.replaceAll(" ", "-")));
    const page = await open(world.browser, world, { player: "eme", token: query });
    await until(page, advanced(1), "the first second");
    const ids = [...new Set(licenses(await look(page)).map(({ jti }) => jti))];
    const browser = await launch(world.browserName, "next");
    try {
      const next = await open(browser, world, { player: "eme", token: query });
      await until(next, "window.seen.refusals.length > 0", "the refusal of a second stream");
      assert.equal((await look(next)).refusals[0].reason, "concurrency-limit");
      await end(page, world);
      if (!isSure(world, ending)) return "sent, and not waited for";
      await returned(next, world, ids, query);
      await next.reload();
      await until(next, advanced(1), "the first second on the next device");
      assert.deepEqual((await look(next)).refusals, []);
      return `${ids.length} licenses`;
    } finally {
      await browser.close();
    }
  },
}));
