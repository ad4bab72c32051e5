// Films through the browser module whose codecs are not H.264 and AAC, and films whose keys change while they play.

import assert from "node:assert/strict";

import { look, open, until } from "./browsers.mjs";
import { VP9, rotating, served } from "./films.mjs";
import { advanced, claims, plays, token } from "./scenarios.mjs";

/** VP9 with Opus: the player, and the folder of the film. */
const codecs = [
  ["eme", "vp9-cenc"], ["eme", "vp9-cbcs"], ["shaka", "vp9-cenc"], ["shaka", "vp9-cbcs"], ["dashjs", "vp9-cenc"],
  ["dashjs", "vp9-cbcs"], ["shaka", "vp9-webm"],
].map(([player, scheme]) => ({
  name: `${player} plays VP9 and Opus, ${scheme}`,
  async run(world) {
    const options = { player, scheme, codecs: "vp9", token: token("default", { content: VP9 }) };
    return plays(await open(world.browser, world, options), world);
  },
}));

/** Crypto periods of 6 s. The third one's keys are imported when the film has begun. */
const rotations = ["fragments", "shaka", "dashjs"].map((player) => ({
  name: `${player} plays across two changes of the keys, the last of which were imported meanwhile`,
  async run(world) {
    const name = `live-${world.browserName}-${player}`;
    const { content, third } = await rotating(name);
    const options = { player, scheme: name, ahead: 3, token: token("default", { content }) };
    const page = await open(world.browser, world, options);
    await until(page, advanced(1), "the first second");
    const before = await look(page);
    const periods = ({ text }) => claims(text).tracks.map((track) => track.crypto_period_index);
    assert.deepEqual([...new Set(before.answers.flatMap(periods))].sort(), [1, 2]);
    await third();
    for (const seconds of [3, 8, 14]) await plays(page, world, seconds);
    const seen = await look(page);
    assert.deepEqual([seen.refusals, seen.expired, seen.errors], [[], [], []]);
    assert.equal(seen.stalls, before.stalls, "playback stalled");
    assert(seen.answers.every(({ status }) => status === 200), "a refusal");
    assert(seen.answers.some((answer) => periods(answer).includes(3)), "no key of the third period");
    assert(seen.answers.length <= 6, `${seen.answers.length} licenses for two tracks and three periods`);
    return `${seen.answers.length} licenses`;
  },
}));

/** Crypto periods of 6 s whose keys a packager has asked for: the service derives them, and a license names only KIDs. */
const derived = ["shaka", "dashjs"].map((player) => ({
  name: `${player} plays a film across crypto periods that Shaka Packager got its keys for`,
  async run(world) {
    const name = `served-${world.browserName}-${player}`;
    const content = await served(name, world.url);
    const page = await open(world.browser, world, { player, scheme: name, ahead: 3, token: token("default", { content }) });
    for (const seconds of [3, 8, 14]) await plays(page, world, seconds);
    const seen = await look(page);
    assert.deepEqual([seen.refusals, seen.expired, seen.errors], [[], [], []]);
    const granted = seen.answers.flatMap(({ text }) => claims(text).tracks.map((track) => track.crypto_period_index));
    for (const period of [0, 1, 2]) assert(granted.includes(period), `no key of period ${period}`);
    return `${seen.answers.length} licenses`;
  },
}));

export const live = [...codecs, ...rotations, ...derived];
