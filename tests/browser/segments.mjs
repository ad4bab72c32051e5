// HLS with AES-128 (RFC 8216, 4.3.2.4) in the players of the web: the key's URL leads to the service, with a token in its
// query. The key changes in the middle of the film.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createCipheriv } from "node:crypto";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";

import { look, open, picture, until } from "./browsers.mjs";
import { CONTENT } from "./policies.mjs";
import { folder, tool } from "./rig.mjs";

const run = promisify(execFile);
const FORMS = ["ts", "fmp4"];

/** Encrypts the film in both forms: the first half with the key of SD, the second with that of HD. */
export async function packSegments(service, keys) {
  const output = (file) => join(folder, "media/aes", file);
  await mkdir(output(""), { recursive: true });
  const clear = (name) => join(folder, "clear", name);
  for (const form of FORMS) {
    const extension = form === "ts" ? "ts" : "m4s";
    await run(tool("ffmpeg"), [
      "-v", "error", "-i", clear("hd.mp4"), "-i", clear("audio.mp4"), "-c", "copy", "-hls_time", "2", "-hls_list_size", "0",
      "-hls_playlist_type", "vod", "-hls_segment_type", form === "ts" ? "mpegts" : "fmp4",
      "-hls_fmp4_init_filename", `${form}-init.mp4`, "-hls_segment_filename", output(`${form}-%d.${extension}`),
      output(`${form}.m3u8`),
    ]);
    const lines = (await readFile(output(`${form}.m3u8`), "utf8")).split("\n");
    const half = Math.floor(lines.filter((line) => line.endsWith(extension)).length / 2);
    const made = [];
    let sequence = 0, last;
    for (const line of lines) {
      if (line.startsWith("#EXTINF")) {
        const { kid, key } = sequence < half ? keys.SD : keys.HD;
        if (last !== kid) made.push(`#EXT-X-KEY:METHOD=AES-128,URI="${service}/v1/hls/${CONTENT}/${kid}.key?token=TOKEN"`);
        last = kid;
        const iv = Buffer.alloc(16);
        iv.writeUInt32BE(sequence, 12);
        const file = output(`${form}-${sequence++}.${extension}`);
        const cipher = createCipheriv("aes-128-cbc", Buffer.from(key, "hex"), iv);
        await writeFile(file, Buffer.concat([cipher.update(await readFile(file)), cipher.final()]));
      }
      made.push(line.startsWith("#EXT") ? line.replace(`URI="${form}`, `URI="/media/aes/${form}`) : line && `/media/aes/${line}`);
    }
    await writeFile(output(`${form}.m3u8`), made.join("\n"));
  }
}

/** The playlist with this token in each key's URL. */
export const playlist = async (form, token) =>
  (await readFile(join(folder, "media/aes", `${form}.m3u8`), "utf8")).replaceAll("TOKEN", token);

const token = (more) => String(new URLSearchParams({ sub: "alice", content: CONTENT, ...more }));
const advanced = (seconds) => `document.querySelector("video").currentTime >= ${seconds}`;

export const segments = () => ["hlsjs", "shaka", "videojs"].flatMap((by) => [
  ...FORMS.map((form) => ({
    name: `${by} plays HLS with AES-128, ${form}, over a change of keys`,
    async run(world) {
      const page = await open(world.browser, world, { player: "aes", by, form, token: token({ policy: "segments" }) });
      await until(page, advanced(1), "the first second");
      await page.evaluate(() => { document.querySelector("video").currentTime = 7; });
      await until(page, advanced(10), "two seconds after the change of keys");
      const seen = await look(page);
      assert(seen.frames > 0, "no frame was decoded");
      const { deviation, likeness } = await picture(page, world.label);
      assert(deviation > 5 && likeness > 0.6, `the picture: ${deviation}, ${likeness}`);
      return `${seen.frames} frames, likeness ${likeness.toFixed(2)}`;
    },
  })),
  {
    name: `${by} plays no HLS with AES-128 where the policy does not allow it`,
    async run(world) {
      const asked = world.keysAsked();
      const page = await open(world.browser, world, { player: "aes", by, form: "ts", token: token({ policy: "default" }) });
      for (const end = Date.now() + 60_000; world.keysAsked() === asked; ) {
        assert(Date.now() < end, "no key was asked for");
        await new Promise((done) => setTimeout(done, 100));
      }
      await new Promise((done) => setTimeout(done, 1500));
      assert.equal((await look(page)).time, 0, "it played");
    },
  },
]);
