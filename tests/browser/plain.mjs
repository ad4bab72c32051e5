// Keys in the clear: HLS whose segments are encrypted as a whole, without the browser module and with it, and plain ClearKey.

import assert from "node:assert/strict";

import { look, open, until } from "./browsers.mjs";
import { HLS } from "./films.mjs";
import { advanced, plays, token } from "./scenarios.mjs";

const pause = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));
const statuses = ({ answers }) => [...new Set(answers.map(({ status }) => status))];

/** Films of HLS with AES-128. The second half has another key. */
const aes = ["hlsjs", "shaka", "videojs"].flatMap((player) => ["ts", "fmp4"].flatMap((form) => {
  const options = { page: "plain", form: "aes", player, film: `aes/${form}/film.m3u8` };
  return [
    {
      name: `${player} plays HLS AES-128 in ${form}, across a change of the key`,
      async run(world) {
        const page = await open(world.browser, world, { ...options, token: token("plain", { content: HLS }) });
        const told = await plays(page, world);
        // The second key is that of 8 s to 16 s.
        await page.evaluate(() => { document.querySelector("video").currentTime = 6.5; });
        await until(page, advanced(10), "2 s after the change of the key");
        await plays(page, world, 10);
        const seen = await look(page);
        assert.deepEqual(statuses(seen), [200]);
        assert.equal(new Set(seen.answers.map(({ url }) => url)).size, 2, "two keys");
        return `${told}; ${seen.answers.length} requests for keys`;
      },
    },
    {
      name: `${player} does not play HLS AES-128 in ${form} in the wrong region`,
      async run(world) {
        const query = token("plain-us", { content: HLS, region: "FR" });
        const page = await open(world.browser, world, { ...options, token: query });
        await until(page, "window.seen.answers.length > 0", "the answer of the service");
        await pause(3000);
        const seen = await look(page);
        assert.deepEqual(statuses(seen), [403]);
        assert.deepEqual([seen.time, seen.frames], [0, 0], "it played");
        return `asked ${seen.answers.length} times; ${seen.errors[0]?.slice(0, 60) ?? "no error"}`;
      },
    },
  ];
}));

/** How Shaka Player asks for a key: at the service, at the service or else elsewhere, and elsewhere. */
async function tokensOf(service) {
  const { NetworkingEngine } = window.shaka.net, engine = window.player.getNetworkingEngine();
  const sent = [], key = "/v1/hls/movies/hls/a.key";
  engine.registerRequestFilter((_, { headers }) => { sent.at(-1).add(headers.Authorization?.split(" ")[0] ?? null); });
  for (const hosts of [[service], [service, location.origin], [location.origin]]) {
    sent.push(new Set());
    const retries = { ...NetworkingEngine.defaultRetryParameters(), maxAttempts: 1 };
    const request = NetworkingEngine.makeRequest(hosts.map((host) => host + key), retries);
    await engine.request(NetworkingEngine.RequestType.KEY, request).promise.catch(() => {});
  }
  return sent.map((each) => [...each]);
}

/** The same films, with the token in a header that the browser module sets. The playlist has none. */
const headers = ["hlsjs", "shaka"].map((player) => ({
  name: `${player} plays HLS AES-128 with tokens of the browser module`,
  async run(world) {
    const words = token("plain", { content: HLS });
    const page = await open(world.browser, world, { player, scheme: "aes/ts", manifest: "film.m3u8", token: words });
    const told = await plays(page, world);
    await page.evaluate(() => { document.querySelector("video").currentTime = 6.5; });
    await plays(page, world, 10);
    const { refusals, errors, tokens } = await look(page);
    assert.deepEqual([refusals, errors], [[], []]);
    assert.equal(tokens, 2, "a token for each key, and for no other request");
    if (player === "shaka") assert.deepEqual(await page.evaluate(tokensOf, world.url), [["Bearer"], [null], [null]]);
    return told;
  },
}));

/** Player and file of the film: `clearkey.mpd` has the lines of `reelkey manifest` in place of the packager's. */
const FORMS = [
  ["shaka", "clearkey.mpd"], ["shaka", "film.mpd"], ["dashjs", "clearkey.mpd"], ["videojs", "clearkey.mpd"],
  ["videojs", "film.mpd"], ["hlsjs", "film.m3u8"], ["eme", "film.mpd"],
];

const clearkey = FORMS.flatMap(([player, file]) => ["cenc", "cbcs"].map((scheme) => ({
  name: `${player} plays ${scheme} with plain ClearKey and ${file}`,
  async run(world) {
    const options = { page: "plain", form: "clearkey", player, film: `${scheme}/${file}`, token: token("plain") };
    const page = await open(world.browser, world, options);
    const told = await plays(page, world);
    const { answers } = await look(page);
    assert.deepEqual(statuses({ answers }), [200]);
    // dash.js sends credentials as soon as there is an Authorization header.
    if (player === "dashjs") assert(answers.every(({ credentials }) => credentials), "credentials");
    return `${told}; ${answers.length} requests`;
  },
})));

export const plain = [...aes, ...headers, ...clearkey];
