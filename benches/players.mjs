// What the license exchange costs at the start of playback: the time from the player's load to the first frame, with a
// license of the service, compared with keys that are in the page already. Pairs in one run, one after the other in turn,
// each in a new page of Chromium; the median of each.
//
// usage: REELKEY=target/release/reelkey target/tools/bin/node benches/players.mjs [PAIRS]
//        after tests/tools/install browsers

import { launch, open, until } from "../tests/browser/browsers.mjs";
import { CONTENT } from "../tests/browser/policies.mjs";
import { reelkey, start } from "../tests/browser/rig.mjs";

const pairs = Number(process.argv[2] ?? 15);
const world = await start();
const browser = await launch("chromium", "bench");
// Made before, because how long an auth service takes over a token is not the exchange's.
const { token } = await reelkey("token", "mint", "--sub", "alice", "--content", CONTENT, "--policy", "default");
const base64url = (hex) => Buffer.from(hex, "hex").toString("base64url");
const keys = Object.values(world.films.film).map(({ kid, key }) => ({ kty: "oct", kid: base64url(kid), k: base64url(key) }));

async function first(player, more) {
  const page = await open(browser, world, { player, jwt: token, ...more });
  await until(page, () => window.seen.firstFrame > 0, "the first frame");
  const milliseconds = await page.evaluate(() => window.seen.firstFrame);
  await page.close();
  return milliseconds;
}

const median = (numbers) => numbers.sort((a, b) => a - b)[Math.floor(numbers.length / 2)];
console.log("player   exchange  static  ratio");
for (const player of ["eme", "shaka", "dashjs", "hlsjs", "videojs"]) {
  const exchange = [], fixed = [];
  for (let pair = 0; pair <= pairs; pair++) {
    const [one, other] = [await first(player, {}), await first(player, { keys: JSON.stringify({ keys }) })];
    // The first pair warms caches.
    if (pair > 0) [exchange, fixed].forEach((list, at) => list.push([one, other][at]));
  }
  const [a, b] = [median(exchange), median(fixed)];
  console.log(`${player.padEnd(8)} ${a.toFixed(0).padStart(5)} ms ${b.toFixed(0).padStart(5)} ms  ${(a / b).toFixed(2)}`);
}
await browser.close();
await world.close();
process.exit(0);
