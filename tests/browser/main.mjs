// Runs the scenarios in each browser, and prints one line for each.
//
// usage: node main.mjs [FILTER]

import { readFile } from "node:fs/promises";
import { join } from "node:path";

import { NAMES, launch } from "./browsers.mjs";
import { authz } from "./authz.mjs";
import { addFilms } from "./films.mjs";
import { live } from "./live.mjs";
import { offline } from "./offline.mjs";
import { plain } from "./plain.mjs";
import { releases, renewals, sleeps } from "./renewals.mjs";
import { root, start } from "./rig.mjs";
import { scenarios } from "./scenarios.mjs";

const filter = process.argv[2] ?? "";
const planned = NAMES.map((browser) => [
  browser,
  [...scenarios(browser), ...renewals, ...sleeps, ...releases, ...offline, ...authz, ...plain, ...live]
    .filter(({ name }) => `${browser} ${name}`.includes(filter)),
]);
if (!planned.some(([, list]) => list.length)) {
  console.error(`no scenario's name contains "${filter}"`);
  process.exit(2);
}
// What docs/players shows is what the pages here run.
const guide = await readFile(join(root, "docs/players/README.md"), "utf8");
const shown = [...guide.matchAll(/<!-- (\S+) -->\n```js\n([\s\S]+?)\n```/g)];
for (const [, file, code] of shown) {
  const page = await readFile(join(root, file), "utf8");
  const missing = code.split("\n").filter((line) => line.trim() && !page.includes(line));
  if (missing.length) throw new Error(`docs/players shows what ${file} does not run: ${missing.join("; ")}`);
}
if (shown.length !== 5) throw new Error(`docs/players shows ${shown.length} players`);
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => process.exit(1));
const began = Date.now();
const seconds = (since) => ((Date.now() - since) / 1000).toFixed(1);
const world = await start();
await addFilms();
console.log(`films, service and site are ready: ${seconds(began)} s`);
let passed = 0, failed = 0;

/** Runs the scenarios of one browser, one after the other: a page in the background is slowed down. */
async function inBrowser([name, list]) {
  const browser = await launch(name);
  console.log(`${name}: ${await browser.version()}`);
  for (const scenario of list) {
    const at = Date.now();
    const label = `${name} ${scenario.name}`;
    // A browser on a busy machine may miss a moment that a scenario waits for, so each has a second try.
    for (let tries = 1; ; tries++) {
      try {
        const more = await scenario.run({ ...world, browser, browserName: name, label });
        passed++;
        console.log(`ok    ${label} (${seconds(at)} s)${more ? `: ${more}` : ""}`);
        break;
      } catch (error) {
        console.log(`${tries > 1 ? "FAIL " : "again"} ${label} (${seconds(at)} s): ${error.message}`);
        if (tries > 1) {
          failed++;
          break;
        }
      } finally {
        for (const page of (await browser.pages()).slice(1)) await page.close().catch(() => {});
      }
    }
  }
  await browser.close();
}

await Promise.all(planned.filter(([, list]) => list.length).map(inBrowser));
await world.close();
console.log(`${passed} passed, ${failed} failed, ${seconds(began)} s`);
process.exit(failed ? 1 : 0);
