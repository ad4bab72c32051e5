// VP9 and Opus, in fMP4 and in WebM: the codecs of the open web. In WebM the initialization data is a bare KID.

import { execFile } from "node:child_process";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";

import { open } from "./browsers.mjs";
import { CONTENT } from "./policies.mjs";
import { folder, tool } from "./rig.mjs";
import { plays } from "./scenarios.mjs";

const run = promisify(execFile);

/** Encodes the clear film anew, and packages it in both containers. */
export async function packVp9(keys) {
  const clear = (name) => join(folder, "clear", name);
  const quick = ["-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-b:v", "300k", "-g", "48"];
  const sound = ["-c:a", "libopus", "-b:a", "64k"];
  const inputs = ["-v", "error", "-y", "-i", clear("sd.mp4"), "-i", clear("audio.mp4")];
  for (const form of ["mp4", "webm"]) {
    await run(tool("ffmpeg"), [
      ...inputs, "-map", "0:v", ...quick, clear(`vp9.${form}`), "-map", "1:a", ...sound, clear(`opus.${form}`),
    ]);
    const to = join(folder, "media", `vp9-${form}`);
    await mkdir(to, { recursive: true });
    const labels = ["AUDIO", "SD"].map((track) => `label=${track}:key_id=${keys[track].kid}:key=${keys[track].key}`);
    await run(tool("packager"), [
      `in=${clear(`vp9.${form}`)},stream=video,output=${join(to, `video.${form}`)},drm_label=SD`,
      `in=${clear(`opus.${form}`)},stream=audio,output=${join(to, `audio.${form}`)},drm_label=AUDIO`,
      "--quiet", "--segment_duration", "2", "--enable_raw_key_encryption", "--keys", labels.join(","),
      "--protection_scheme", "cenc", "--clear_lead", "0", "--protection_systems", "Common",
      "--mpd_output", join(to, "film.mpd"),
    ]);
  }
}

const token = String(new URLSearchParams({ sub: "alice", content: CONTENT, policy: "default" }));

export const vp9 = () => [["shaka", "mp4"], ["dashjs", "mp4"], ["shaka", "webm"]].map(([player, form]) => ({
  name: `${player} plays VP9 and Opus in ${form}`,
  async run(world) {
    const page = await open(world.browser, world, { player, scheme: `vp9-${form}`, token });
    return plays(page, world);
  },
}));
