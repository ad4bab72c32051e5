// ClearKey without the browser module: what `reelkey manifest` prints leads the players to POST /v1/clearkey.

import assert from "node:assert/strict";
import { cp, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";

import { look, open, picture, until } from "./browsers.mjs";
import { CONTENT } from "./policies.mjs";
import { folder, reelkey } from "./rig.mjs";

const uuid = (hex) => hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");

/** The packaged film, with the lines of `reelkey manifest` in place of the packager's. */
export async function packPlain(service, keys) {
  const config = join(folder, "reelkey/reelkey.toml");
  await writeFile(config, `public_url = "${service}"\n${await readFile(config, "utf8")}`);
  for (const scheme of ["cenc", "cbcs"]) {
    const to = join(folder, "media", `plain-${scheme}`);
    await cp(join(folder, "media", scheme), to, { recursive: true });
    const tracks = await reelkey("manifest", CONTENT, "--format", "dash", "--scheme", scheme);
    const manifest = await readFile(join(to, "film.mpd"), "utf8");
    const led = manifest
      .replace("<MPD ", '<MPD xmlns:dashif="https://dashif.org/CPS" ')
      .replaceAll(/(\s*<ContentProtection(?:[^>]*\/>|[\s\S]*?<\/ContentProtection>))+/g, (old) => {
        const [, kid] = /default_KID="([^"]+)"/.exec(old);
        const { lines } = tracks.find((track) => track.kid === kid.toLowerCase());
        return `\n${lines.join("\n")}`;
      });
    assert(led.includes(`${service}/v1/clearkey`) && led.includes(uuid(keys.SD.kid)) && !led.includes("1077efec"));
    await writeFile(join(to, "film.mpd"), led);
  }
}

const token = (policy) => String(new URLSearchParams({ sub: "alice", content: CONTENT, policy }));

export const plain = () => ["shaka", "dashjs"].flatMap((by) => [
  ...["cenc", "cbcs"].map((scheme) => ({
    name: `${by} plays ${scheme} without the module, by the lines of reelkey manifest`,
    async run(world) {
      const options = { player: "plain", by, scheme: `plain-${scheme}`, token: token("plain") };
      const page = await open(world.browser, world, options);
      await until(page, () => document.querySelector("video").currentTime >= 3, "3 s of the film");
      const { deviation, likeness } = await picture(page, world.label);
      assert(deviation > 5 && likeness > 0.6, `the picture: ${deviation}, ${likeness}`);
      assert.deepEqual((await look(page)).errors, []);
      return `likeness ${likeness.toFixed(2)}`;
    },
  })),
  {
    name: `${by} is told that keys in the clear are not allowed`,
    async run(world) {
      const options = { player: "plain", by, scheme: "plain-cenc", token: token("default") };
      const page = await open(world.browser, world, options);
      await until(page, () => window.seen.errors.length > 0, "the player's error");
      assert.equal((await look(page)).frames, 0, "it played");
    },
  },
]);
