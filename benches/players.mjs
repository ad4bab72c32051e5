// How long players take from `load` to the first frame, with licenses through the browser module and with plain
// ClearKey: pairs in turn within one run, the median of each form and of the pairs' ratios. Run it by hand.
//
// usage: REELKEY=target/release/reelkey target/tools/bin/node benches/players.mjs [PAIRS]
//
// Assumes that `tests/tools/install browsers` has run. The first pair of each player is left out: it makes the device key
// and opens the connections. Absent: a network's delay, since everything is on one machine.

import { NAMES, launch, look, open, until } from "../tests/browser/browsers.mjs";
import { addFilms } from "../tests/browser/films.mjs";
import { start } from "../tests/browser/rig.mjs";
import { token } from "../tests/browser/scenarios.mjs";

const PAIRS = Number(process.argv[2] ?? 7);
/** Player → the film's file for plain ClearKey. dash.js needs the lines of `reelkey manifest`. */
const FILES = { eme: "film.mpd", shaka: "film.mpd", dashjs: "clearkey.mpd", hlsjs: "film.m3u8", videojs: "film.mpd" };

const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
const world = await start();
await addFilms();
const jwt = await (await fetch(`${world.origin}/token?${token("plain")}`)).text();

async function first(browser, options) {
  const page = await open(browser, world, { ...options, jwt });
  await until(page, () => window.seen.first !== undefined, "the first frame");
  const seen = await look(page);
  await page.close();
  if (seen.answers.some(({ status }) => status !== 200)) throw new Error("a refusal");
  return seen.first;
}

console.log("| browser | player | plain ClearKey, ms | exchange, ms | ratio (median of pairs, lowest to highest) |");
console.log("|---|---|---|---|---|");
for (const name of NAMES) {
  const browser = await launch(name, "bench");
  for (const [player, file] of Object.entries(FILES)) {
    const forms = [
      { player, page: "plain", form: "clearkey", film: `cenc/${file}` },
      { player, page: "play" },
    ];
    const pairs = [];
    for (let pair = 0; pair <= PAIRS; pair++) {
      const times = [];
      for (const at of pair % 2 ? [0, 1] : [1, 0]) times[at] = await first(browser, forms[at]);
      if (pair) pairs.push(times);
    }
    const ratios = pairs.map(([one, other]) => other / one);
    const [plain, exchange] = [0, 1].map((at) => median(pairs.map((times) => times[at])).toFixed(0));
    const range = `${Math.min(...ratios).toFixed(2)} to ${Math.max(...ratios).toFixed(2)}`;
    console.log(`| ${name} | ${player} | ${plain} | ${exchange} | ${median(ratios).toFixed(2)} (${range}) |`);
  }
  await browser.close();
}
await world.close();
process.exit(0);
