// Keys that change while a film plays: each crypto period has its own, and a license has those of the next period too.

import assert from "node:assert/strict";

import { look, open, picture, until } from "./browsers.mjs";
import { ROTATING } from "./policies.mjs";
import { PERIODS, importPeriod } from "./rig.mjs";

const query = String(new URLSearchParams({ sub: "alice", content: ROTATING, policy: "default" }));

/** Plays over every change of keys. `meanwhile` happens once it plays. */
async function play(world, player, meanwhile) {
  const page = await open(world.browser, world, { player, scheme: "rotating", token: query });
  await until(page, () => document.querySelector("video").currentTime >= 1, "the first second");
  const before = await look(page);
  await meanwhile();
  await until(page, () => document.querySelector("video").currentTime >= 15, "the last change of keys");
  const seen = await look(page);
  const { deviation, likeness } = await picture(page, world.label);
  assert(deviation > 5 && likeness > 0.6, `the picture: ${deviation}, ${likeness}`);
  assert.equal(seen.stalls, before.stalls, "it stalled");
  assert.deepEqual([seen.refusals, seen.errors], [[], []]);
  // Each track asks at most once a period.
  assert(seen.answers.length <= 2 * PERIODS, `asked ${seen.answers.length} times`);
  return `${seen.answers.length} licenses`;
}

/** At first there are keys for two periods. What an operator or a script does: before a period begins, its keys come. */
async function importOthers(world) {
  for (let period = 2; period < PERIODS; period++) await importPeriod(ROTATING, world.films.rotating, period);
}

export const rotations = () => [
  {
    name: "a live stream plays on while its keys change, and the next ones come while it plays",
    run: (world) => play(world, "live", () => importOthers(world)),
  },
  ...["eme", "shaka", "dashjs"].map((player) => ({
    name: `${player} plays on while the keys change`,
    async run(world) {
      await importOthers(world);
      return play(world, player, async () => {});
    },
  })),
];
