// Titles that are taken offline: where nothing answers, a kept license plays until its windows end, by a clock that may be
// wrong, and is renewed and given back when there is a service again.
//
// The policy `offline` (policies.mjs) has kept licenses of a day and two hours of playback. "Without a network" is the real
// thing: the page has the URL of a port on which nobody listens, for the license service and for tokens. Each scenario has an
// account and a browser profile of its own.

import assert from "node:assert/strict";

import { launch, look, open, until } from "./browsers.mjs";
import { CONTENT } from "./policies.mjs";
import { advanced, claims, plays, token } from "./scenarios.mjs";

/** Nobody listens here. */
const NOWHERE = "http://127.0.0.1:10009";
const HOUR = 3600, DAY = 24 * HOUR, PLAYBACK = 2 * HOUR;

/** Runs a scenario in a browser of its own, whose profile it may open again. */
const inProfile = (name, run) => ({
  name,
  run: async (world) => {
    const profile = name.replaceAll(/\W+/g, "-").slice(0, 40);
    const query = token("offline", { sub: `${profile}-${world.browserName}` });
    const visit = async (work) => {
      const browser = await launch(world.browserName, profile);
      try {
        return await work(browser);
      } finally {
        await browser.close();
      }
    };
    return run(world, { visit, query });
  },
});

/**
 * Opens a page without a player. In it, `client(isOnline)` makes a client, `message` is a player's request for the title, and
 * `Date.now` is `clock` seconds ahead. `frozen` stops the clock at that second.
 */
async function blank(browser, world, query) {
  const page = await browser.newPage();
  await page.goto(`${world.origin}/pages/blank.html`);
  const kids = Object.values(world.films.film).map(({ kid }) => Buffer.from(kid, "hex").toString("base64url"));
  await page.evaluate(async (online, nowhere, query, kids) => {
    const { Client } = await import("/web/reelkey.js");
    const { fetch } = window, { now } = Date;
    Object.assign(window, { clock: 0, frozen: null, requests: [] });
    Date.now = () => (window.frozen === null ? now() + 1000 * window.clock : 1000 * window.frozen);
    window.fetch = async (url, options) => {
      if (options?.body) window.requests.push(options.body);
      const response = await fetch(url, options), answer = window.answer;
      return options?.body && answer ? new Response(answer(await response.text()), response) : response;
    };
    window.client = (isOnline, more) => new Client({
      url: isOnline ? online : nowhere,
      token: async () => (await window.fetch(isOnline ? `/token?${query}` : nowhere)).text(),
      ...more,
    });
    window.message = new TextEncoder().encode(JSON.stringify({ kids, type: "temporary" }));
    /** What a request comes to: how many keys, or why there are none. */
    window.ask = (client) => client.license(window.message).then(
      (set) => JSON.parse(new TextDecoder().decode(set)).keys.length, ({ reason }) => reason);
    window.record = (change) => new Promise((done, failed) => {
      const request = indexedDB.open("reelkey-kept", 1);
      request.onerror = failed;
      request.onsuccess = () => {
        const store = request.result.transaction("licenses", "readwrite").objectStore("licenses");
        store.getAll().onsuccess = ({ target: { result: [kept] } }) => {
          const changed = change ? change(kept) : kept;
          if (change) store.put(changed, kept.id);
          store.transaction.oncomplete = () => (request.result.close(), done(changed));
        };
      };
    });
  }, world.url, NOWHERE, query, kids);
  return page;
}

const keep = (page) => page.evaluate((content) => window.client(true).keepLicense(content), CONTENT);

/** What the service says of a license to the account. */
async function status(world, id, query) {
  const bearer = await (await fetch(`${world.origin}/token?${query}`)).text();
  const answer = await fetch(`${world.url}/v1/licenses/${id}`, { headers: { authorization: `Bearer ${bearer}` } });
  assert.equal(answer.status, 200);
  return answer.json();
}

/** The reason at each second of the device's clock: 3 is the number of keys. */
const at = (page, seconds) => page.evaluate(async (seconds) => {
  const client = window.client(false), seen = [];
  for (const second of seconds) {
    window.frozen = second;
    seen.push(await window.ask(client));
  }
  window.frozen = null;
  return seen;
}, seconds);

const players = ["eme", "shaka", "dashjs", "hlsjs", "videojs"].map((player) =>
  inProfile(`${player} plays a title that was taken offline, after a restart and where nothing answers`,
    async (world, { visit, query }) => {
      const kept = await visit(async (browser) => keep(await blank(browser, world, query)));
      assert.deepEqual([kept.contentId, kept.reason, kept.firstPlayedAt], [CONTENT, null, undefined]);
      return visit(async (browser) => {
        const page = await open(browser, { ...world, url: NOWHERE }, { player, token: "sub=nobody&wrong=1" });
        const told = await plays(page, world);
        const { answers, refusals, tokens, expired } = await look(page);
        assert.deepEqual([answers, refusals, expired], [[], [], []]);
        const [again] = await page.evaluate(() => window.client.keptLicenses());
        assert.equal(again.id, kept.id);
        assert(again.firstPlayedAt >= kept.claims.iat && again.endsAt === again.firstPlayedAt + PLAYBACK, JSON.stringify(again));
        return `${told}; ${tokens} tokens`;
      });
    }));

const windows = [
  inProfile("a kept license ends two hours after the first play, and a clock that is set back does not bring it back",
    async (world, { visit, query }) => visit(async (browser) => {
      const page = await blank(browser, world, query);
      const { claims: { iat } } = await keep(page);
      const ahead = (await page.evaluate(() => window.record())).clockAhead;
      const begins = iat + ahead + HOUR, ends = begins + PLAYBACK;
      assert.deepEqual(await at(page, [begins, ends - 1, ends, ends + DAY]), [3, 3, "playback-expired", "playback-expired"]);
      // The latest time was a day after the end.
      assert.deepEqual(await at(page, [begins, ends + DAY - 121, ends + DAY - 120]),
        ["clock-set-back", "clock-set-back", "playback-expired"]);
      const { firstPlayedAt, endsAt, reason } = (await page.evaluate(() => window.client(false).keptLicenses()))[0];
      assert.deepEqual([firstPlayedAt, endsAt, reason], [iat + HOUR, iat + HOUR + PLAYBACK, "clock-set-back"]);
    })),
  inProfile("a kept license ends with its exp, and a clock may go back two minutes",
    async (world, { visit, query }) => visit(async (browser) => {
      const page = await blank(browser, world, query);
      const { claims: { iat, exp }, endsAt } = await keep(page);
      assert.deepEqual([exp - iat, endsAt], [DAY, exp]);
      const ahead = (await page.evaluate(() => window.record())).clockAhead;
      const end = exp + ahead, begins = end - HOUR;
      assert.deepEqual(await at(page, [begins, begins - 120, begins - 121, end - 1, end - 121, end - 122, end, end + 1]),
        [3, 3, "clock-set-back", 3, 3, "clock-set-back", "license-expired", "license-expired"]);
    })),
  inProfile("a film that plays from a kept license is ended by the wall clock",
    async (world, { visit, query }) => {
      await visit(async (browser) => keep(await blank(browser, world, query)));
      return visit(async (browser) => {
        const page = await open(browser, { ...world, url: NOWHERE }, { player: "shaka", token: "sub=nobody&wrong=1" });
        await until(page, advanced(1), "the first second");
        // The device sleeps for three hours. The module looks at the clock each minute, and when the viewer comes back.
        await page.evaluate(() => {
          window.clock = 3 * 3600;
          dispatchEvent(new PageTransitionEvent("pageshow", { persisted: true }));
        });
        await until(page, "window.seen.expired.length > 0", "the event `expired`", 10);
        const { expired: [expired], text } = await look(page);
        assert.deepEqual([expired.reason, expired.paused], ["playback-expired", true]);
        assert(text.includes(expired.detail), text);
        return expired.detail;
      });
    }),
];

const back = [
  inProfile("a renewal of a kept license reports the first play, and the renewed one plays",
    async (world, { visit, query }) => visit(async (browser) => {
      const page = await blank(browser, world, query);
      const kept = await keep(page);
      assert.equal(await page.evaluate(() => window.ask(window.client(false))), 3);
      const renewed = await page.evaluate((id) => window.client(true).renewLicense(id), kept.id);
      const request = claims(await page.evaluate(() => window.requests.at(-1)));
      assert.deepEqual([request.request_type, request.session_type, request.license_id],
        ["RENEWAL", "persistent-license", kept.id]);
      assert.deepEqual([renewed.id, renewed.claims.counter, renewed.firstPlayedAt], [kept.id, 1, kept.claims.iat + request.first_play]);
      const { events } = await status(world, kept.id, query);
      assert.equal(events.find(({ type }) => type === "first-play")?.at, renewed.firstPlayedAt, JSON.stringify(events));
      assert.equal(await page.evaluate(() => window.ask(window.client(false))), 3);
    })),
  inProfile("a clock that was set back is forgiven by a renewal",
    async (world, { visit, query }) => visit(async (browser) => {
      const page = await blank(browser, world, query);
      const { id } = await keep(page);
      const seen = await page.evaluate(async (id) => {
        const seen = [], offline = window.client(false);
        window.clock = 3600;
        seen.push(await window.ask(offline));
        window.clock = 0;
        seen.push(await window.ask(offline));
        await window.client(true).renewLicense(id);
        seen.push(await window.ask(offline));
        return seen;
      }, id);
      assert.deepEqual(seen, [3, "clock-set-back", 3]);
    })),
  inProfile("a license that was given back without a network does not play, and goes back when there is a service",
    async (world, { visit, query }) => visit(async (browser) => {
      const page = await blank(browser, world, query);
      const { id } = await keep(page);
      const seen = await page.evaluate(async (id) => {
        const offline = window.client(false), seen = [await window.ask(offline)];
        seen.push(await offline.returnLicense(id).then(() => "returned", ({ reason }) => reason));
        seen.push((await offline.keptLicenses())[0].reason, await window.ask(offline));
        return seen;
      }, id);
      assert.deepEqual(seen, [3, "network", "license-returned", "license-returned"]);
      assert.equal((await status(world, id, query)).status, "active");
      await page.evaluate(() => { window.client(true); });
      await until(page, async () => !(await window.client(false).keptLicenses()).length, "the license is deleted", 20);
      const { status: now, events } = await status(world, id, query);
      assert.equal(now, "returned");
      assert(events.some(({ type }) => type === "first-play"), JSON.stringify(events));
      assert.equal(await page.evaluate(() => window.ask(window.client(false))), "token");
    })),
  inProfile("a title that is given back while it plays stops, for a receipt",
    async (world, { visit, query }) => visit(async (browser) => {
      const page = await open(browser, world, { player: "shaka", token: query });
      await until(page, advanced(1), "the first second");
      // The film goes on with the license that it has; the next visit has the kept one.
      const { id } = await page.evaluate((content) => window.client.keepLicense(content), CONTENT);
      await page.reload();
      await until(page, advanced(1), "the first second from the kept license");
      assert.equal((await look(page)).answers.filter(({ request }) => claims(request).request_type === "NEW").length, 0);
      const receipt = await page.evaluate((id) => window.client.returnLicense(id), id);
      assert.deepEqual([receipt.jti, receipt.iss], [id, "reelkey"]);
      await until(page, "window.seen.expired.length > 0", "the event `expired`", 10);
      assert.equal((await look(page)).expired[0].reason, "license-returned");
      assert.equal((await status(world, id, query)).status, "returned");
      assert.deepEqual(await page.evaluate(() => window.client.keptLicenses()), []);
    })),
];

const guarded = [
  inProfile("what is kept has a key that cannot be exported, and a changed license does not play",
    async (world, { visit, query }) => visit(async (browser) => {
      const page = await blank(browser, world, query);
      await keep(page);
      const exported = await page.evaluate(async () => {
        const { asked: { privateKey } } = await window.record();
        const tries = ["jwk", "pkcs8"].map((format) =>
          crypto.subtle.exportKey(format, privateKey).then(() => "exported", ({ name }) => name));
        return Promise.all(tries);
      });
      assert.deepEqual(exported, ["InvalidAccessError", "InvalidAccessError"]);
      const told = await page.evaluate(async () => {
        const good = await window.record(), seen = [], client = window.client(false);
        const longer = (license) => {
          const [head, payload, signature] = license.split(".");
          const claims = JSON.parse(atob(payload.replaceAll("-", "+").replaceAll("_", "/")));
          claims.exp += 86_400;
          const changed = btoa(JSON.stringify(claims)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
          return [head, changed, signature].join(".");
        };
        for (const change of [
          (kept) => ({ ...kept, license: longer(kept.license) }),
          (kept) => ({ ...kept, asked: { ...kept.asked, jti: "another" } }),
          (kept) => ({ ...kept, firstPlay: 1e6 }),
          (kept) => ({ ...kept, firstIssued: kept.firstIssued + 100, latest: kept.latest + 100 }),
        ]) {
          await window.record(change);
          seen.push(await window.ask(client));
          await window.record(() => good);
        }
        return [...seen, await window.ask(client)];
      });
      assert.deepEqual(told, ["bad-license", "bad-license", "bad-license", "bad-license", 3]);
    })),
  inProfile("a license is deleted for its own receipt alone",
    async (world, { visit, query }) => visit(async (browser) => {
      const page = await blank(browser, world, query);
      await keep(page);
      const told = await page.evaluate(async (content) => {
        const client = window.client(true), receipts = [], seen = [];
        const [first] = await client.keptLicenses();
        window.answer = (text) => (receipts.push(text), text);
        await client.returnLicense(first.id);
        window.answer = undefined;
        const { id } = await client.keepLicense(content);
        // A genuine receipt, of another license; and one whose signature was changed.
        for (const answer of [() => receipts[0], (text) => text.slice(0, -4) + "AAAA", () => "", () => "{}"]) {
          window.answer = answer;
          seen.push(await client.returnLicense(id).then(() => "returned", ({ reason }) => reason));
        }
        window.answer = undefined;
        seen.push((await client.keptLicenses())[0].reason);
        await client.returnLicense(id);
        return [...seen, (await client.keptLicenses()).length];
      }, CONTENT);
      assert.deepEqual(told, [...Array(4).fill("bad-license"), "license-returned", 0]);
    })),
  inProfile("a page says which kept licenses it plays, and a title is kept once",
    async (world, { visit, query }) => visit(async (browser) => {
      const page = await blank(browser, world, query);
      const [one, other] = await page.evaluate((content) =>
        Promise.all([1, 2].map(() => window.client(true).keepLicense(content))), CONTENT);
      assert.equal(one.id, other.id);
      const seen = await page.evaluate(async () => [
        await window.ask(window.client(false, { kept: () => false })),
        await window.ask(window.client(false, { serviceId: "another" })),
        (await window.client(false, { kept: ({ account }) => account === "x" }).keptLicenses()).length,
        await window.ask(window.client(false, { kept: ({ account }) => account !== "x" })),
      ]);
      assert.deepEqual(seen, ["token", "token", 0, 3]);
    })),
  inProfile("a policy without offline licenses refuses in the service's words, and nothing is kept",
    async (world, { visit }) => visit(async (browser) => {
      const page = await blank(browser, world, token("default"));
      const told = await page.evaluate((content) => window.client(true).keepLicense(content).catch(({ reason }) => reason), CONTENT);
      assert.equal(told, "persistence-not-allowed");
      assert.deepEqual(await page.evaluate(() => window.client(true).keptLicenses()), []);
    })),
];

export const offline = [...players, ...windows, ...back, ...guarded];
