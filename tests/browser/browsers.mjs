// Chromium and Firefox, driven by puppeteer-core, and what is looked at in their pages. Nothing is downloaded: the
// browsers are Debian's. Absent: what a page has to show (scenarios.mjs).

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createRequire } from "node:module";
import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";

import { folder, root, tool } from "./rig.mjs";

const run = promisify(execFile);
const require = createRequire(join(root, "target/tools/node/package.json"));
const { default: puppeteer } = await import(pathToFileURL(require.resolve("puppeteer-core")));

const LAUNCH = {
  chromium: {
    browser: "chrome", executablePath: "/usr/bin/chromium",
    // A container has no user namespaces for the sandbox and a small /dev/shm.
    args: ["--no-sandbox", "--disable-dev-shm-usage", "--autoplay-policy=no-user-gesture-required", "--mute-audio"],
  },
  firefox: {
    browser: "firefox", executablePath: "/usr/bin/firefox-esr",
    extraPrefsFirefox: { "media.autoplay.default": 0, "media.eme.enabled": true, "media.volume_scale": "0.0" },
  },
};
export const NAMES = Object.keys(LAUNCH);

/** Starts a browser with a profile of its own, kept under target/browser. */
export async function launch(name, profile = "main") {
  const userDataDir = join(folder, "profiles", `${name}-${profile}`);
  await mkdir(userDataDir, { recursive: true });
  return puppeteer.launch({ ...LAUNCH[name], headless: true, userDataDir, timeout: 60_000 });
}

/** Opens the page with these parameters, and waits until its player was started. */
export async function open(browser, world, options) {
  const page = await browser.newPage();
  await page.setViewport({ width: 660, height: 420 });
  const query = new URLSearchParams({ service: world.url, scheme: "cenc", ...options });
  await page.goto(`${world.origin}/pages/${options.page ?? "play"}.html?${query}`);
  await until(page, () => window.seen?.ready, "the player started");
  return page;
}

/** What the page has seen so far. */
export const look = (page) =>
  page.evaluate(() => {
    const video = document.querySelector("video");
    const frames = video.getVideoPlaybackQuality().totalVideoFrames;
    const { currentTime: time, paused, videoHeight: height } = video;
    return { ...window.seen, time, paused, height, frames, text: document.body.innerText };
  });

/** Waits until something is true in the page. */
export async function until(page, condition, what, seconds = 60) {
  const end = Date.now() + seconds * 1000;
  while (!(await page.evaluate(condition))) {
    if (Date.now() > end) {
      const { answers, ...seen } = await look(page).catch((error) => ({ error: error.message }));
      const state = JSON.stringify({ ...seen, answers: answers?.map(({ status }) => status) });
      throw new Error(`not in ${seconds} s: ${what}; ${state}`);
    }
    await new Promise((done) => setTimeout(done, 100));
  }
}

const SIZE = [64, 36];

/** The luma of a frame of the clear film. */
async function clear(time) {
  const words = ["-v", "error", "-ss", time.toFixed(2), "-i", join(folder, "clear/hd.mp4"), "-frames:v", "1"];
  const scale = ["-vf", `scale=${SIZE.join(":")}:flags=area,format=gray`, "-f", "rawvideo", "-"];
  const { stdout } = await run(tool("ffmpeg"), [...words, ...scale], { encoding: "buffer" });
  return [...stdout];
}

/** The luma of a screenshot, which the browser itself decodes. */
const luma = (page, screenshot) =>
  page.evaluate(async (base64, [width, height]) => {
    const bytes = Uint8Array.from(atob(base64), (one) => one.charCodeAt(0));
    const canvas = Object.assign(document.createElement("canvas"), { width, height });
    const context = canvas.getContext("2d");
    const size = { resizeWidth: width, resizeHeight: height, resizeQuality: "high" };
    const image = await createImageBitmap(new Blob([bytes]), size);
    context.drawImage(image, 0, 0);
    const { data } = context.getImageData(0, 0, width, height);
    return Array.from({ length: width * height }, (_, at) =>
      0.299 * data[4 * at] + 0.587 * data[4 * at + 1] + 0.114 * data[4 * at + 2]);
  }, Buffer.from(screenshot).toString("base64"), SIZE);

const axe = await readFile(require.resolve("axe-core"), "utf8");

/** axe-core finds nothing in the page that keeps people out. */
export async function accessible(page, what) {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => window.axe.run());
  const found = violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" ")}`);
  assert.deepEqual(found, [], what);
}

/** How far the luma of the picture reaches: one of a film that was not decrypted is flat. */
export async function contrast(page) {
  const { x, y } = await (await page.$("#video")).boundingBox();
  // What the browser lays over the picture is no picture.
  await page.evaluate(() => { document.querySelector("#video").controls = false; });
  const shown = await luma(page, await page.screenshot({ clip: { x, y, width: 320, height: 180 } }));
  return Math.max(...shown) - Math.min(...shown);
}

/** Takes a picture of the film. Returns how it varies (luma) and how much it resembles the clear film at that time. */
export async function picture(page, name) {
  await mkdir(join(folder, "shots"), { recursive: true });
  const path = join(folder, "shots", `${name.replaceAll(/\W+/g, "-")}.png`);
  const { time } = await look(page);
  const shown = await luma(page, await page.screenshot({ path, clip: { x: 0, y: 0, width: 640, height: 360 } }));
  const mean = (values) => values.reduce((sum, one) => sum + one, 0) / values.length;
  const centred = (values) => values.map((one) => one - mean(values));
  const dot = (one, other) => one.reduce((sum, value, at) => sum + value * other[at], 0);
  const [a, b] = [centred(shown), centred(await clear(time))];
  const deviation = Math.sqrt(dot(a, a) / a.length);
  return { deviation, likeness: dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b)) };
}
