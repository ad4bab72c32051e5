// Walks through the page of `reelkey demo --serve` as a visitor does: every button, in both browsers, on a phone and on a
// desktop, in light and in dark. axe-core looks for what keeps people out. Screenshots are left in target/browser/demo.
//
// REELKEY is the server binary.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";

import { NAMES, accessible, contrast, launch } from "./browsers.mjs";
import { root } from "./rig.mjs";

const pictures = join(root, "target/browser/demo");
const PHONE = { width: 390, height: 844 }, DESKTOP = { width: 1280, height: 900 };

/** Starts the demo, and returns its URL when it is ready. */
async function start() {
  const child = spawn(process.env.REELKEY, ["demo", "--serve", "--json"], { stdio: ["ignore", "pipe", "inherit"] });
  process.once("exit", () => child.kill());
  const line = await new Promise((done, failed) => {
    createInterface(child.stdout).once("line", done);
    child.once("exit", (code) => failed(new Error(`the demo ended with ${code}`)));
  });
  return { child, url: JSON.parse(line).url };
}

async function until(page, condition, what, ...words) {
  const end = Date.now() + 60_000;
  while (!(await page.evaluate(condition, ...words))) {
    if (Date.now() > end) {
      const state = await page.evaluate(() => [document.querySelector("#message").textContent, JSON.stringify(window.demo)]);
      throw new Error(`not in a minute: ${what}; ${state}`);
    }
    await new Promise((done) => setTimeout(done, 100));
  }
}

const click = (page, selector) => page.evaluate((selector) => document.querySelector(selector).click(), selector);
const text = (page, selector) => page.evaluate((selector) => document.querySelector(selector).textContent, selector);

async function plays(page, what) {
  await until(page, () => window.demo.playing && document.querySelector("video").currentTime > 1, what);
  const [frames, width, height] = await page.evaluate(() => {
    const video = document.querySelector("video");
    return [video.getVideoPlaybackQuality().totalVideoFrames, video.videoWidth, video.videoHeight];
  });
  assert(frames > 0, `${what}: no frame was decoded`);
  return { width, height, spread: await contrast(page) };
}

/** The words and the reason that each button leads to. */
const REFUSALS = {
  region: ["region-denied", "This title is not available where you are."],
  stolen: ["token-not-bound", "The authorization token is not bound to this device."],
  expired: ["token-expired", "The authorization token has expired. Sign in again."],
  title: ["not-authorized", "This title is not available to this account."],
  third: ["concurrency-limit", "The account is playing on as many devices as it may."],
  sixth: ["device-limit", "The account has as many devices as it may have."],
  rental: ["rental-expired", "The rental has ended. Rent the title again."],
  revoked: ["device-revoked", "This device may not play any more."],
};

async function look(page, name) {
  await page.screenshot({ path: join(pictures, `${name}.png`), fullPage: true });
}

async function walk(name, url) {
  const browser = await launch(name, "demo");
  const page = await browser.newPage();
  const errors = [], foreign = [];
  page.on("pageerror", (error) => errors.push(error.message));
  page.on("console", (message) => { if (/Content.Security.Policy/i.test(message.text())) errors.push(message.text()); });
  page.on("request", (request) => {
    const { hostname, protocol } = new URL(request.url());
    if (protocol.startsWith("http") && !["127.0.0.1", "localhost"].includes(hostname)) foreign.push(request.url());
  });
  await page.setViewport(DESKTOP);
  await page.goto(url);
  await until(page, () => document.querySelectorAll("#keys tr").length >= 4, "the keys are shown");
  const done = [];

  for (const scheme of ["cenc", "cbcs"]) {
    await click(page, `[name=scheme][value=${scheme}]`);
    await click(page, "[data-case=play]");
    const { height, spread } = await plays(page, `${name} plays ${scheme}`);
    assert.equal(height, 540, scheme);
    assert(spread > 30, `the picture is flat: ${spread}`);
    assert.equal(await page.evaluate(() => document.querySelectorAll("#steps li.done").length), 5);
    done.push(`plays ${scheme}`);
  }
  await look(page, `${name}-desktop`);
  await click(page, "#rotate");
  await until(page, () => document.querySelectorAll("#keys tr").length === 8, "new keys are shown");
  assert.equal(await page.evaluate(() => document.querySelector("video").paused), false, "it plays on");
  const before = await page.evaluate(() => window.demo.licenses.length);
  await until(page, (before) => window.demo.licenses.length > before, "the next license", before);
  const time = await page.evaluate(() => document.querySelector("video").getVideoPlaybackQuality().totalVideoFrames);
  await until(page, (time) => document.querySelector("video").getVideoPlaybackQuality().totalVideoFrames > time + 5, "frames after the rotation", time);
  done.push("plays on across a rotation");

  for (const [kind, [reason, words]] of Object.entries(REFUSALS)) {
    await click(page, `[data-case=${kind}]`);
    await until(page, (words) => document.querySelector("#message").textContent.startsWith(words), `${kind}: ${words}`, words);
    await until(page, (reason) => document.querySelector("#decisions li").textContent.includes(reason), reason, reason);
    assert.equal(await text(page, "#fact-picture"), "none");
    assert(await page.evaluate(() => document.querySelector("video").paused));
    done.push(`refuses ${kind}`);
  }
  const rule = await page.evaluate(() => [...document.querySelectorAll("#decisions li")].map((li) => li.textContent).join());
  assert(rule.includes("region.allowed_countries") && rule.includes("DE"), rule);
  await click(page, "[data-case=sd]");
  assert.equal((await plays(page, "SD")).height, 180);
  done.push("plays SD where HD is withheld");

  const decisions = () => page.evaluate(() => document.querySelectorAll("#decisions li").length);
  const seen = await decisions();
  await click(page, "[data-case=offline]");
  assert.equal((await plays(page, "offline, with a network")).height, 540);
  await until(page, (seen) => document.querySelectorAll("#decisions li").length > seen, "the decision is shown", seen);
  const granted = await decisions();
  await click(page, "#cut");
  await click(page, "[data-case=play]");
  await until(page, () => document.querySelector("#message").textContent === "There is no network.", "no other license plays");
  await click(page, "[data-case=offline]");
  assert.equal((await plays(page, "offline")).height, 540);
  assert(await text(page, "#message") === "It plays from the kept license." && (await text(page, "#kept")).includes("five minutes"));
  assert.equal(await decisions(), granted, "the service was asked");
  done.push("plays a title that was taken offline while every request fails");
  await look(page, `${name}-offline`);
  await click(page, "#return");
  await until(page, () => document.querySelector("#kept").textContent.startsWith("Given back"), "it does not play");
  await click(page, "[data-case=offline]");
  await until(page, () => document.querySelector("#message").textContent === "There is no network.", "it is gone");
  await click(page, "#cut");
  await until(page, () => document.querySelector("#message").textContent.includes("receipt"), "the receipt");
  await until(page, () => !window.demo.kept.length, "nothing is kept");
  done.push("returns it");

  // From the keyboard alone: to the first button, and press it.
  await page.evaluate(() => document.querySelector("[name=scheme]:checked").focus());
  for (let presses = 0; presses < 6 && !(await page.evaluate(() => document.activeElement.dataset.case === "play")); presses++) {
    await page.keyboard.press("Tab");
  }
  await page.keyboard.press("Enter");
  assert.equal((await plays(page, "by the keyboard")).height, 540);
  done.push("works from the keyboard");

  if (name === "chromium") {
    for (const scheme of ["light", "dark"]) {
      await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
      for (const [size, viewport] of Object.entries({ phone: PHONE, desktop: DESKTOP })) {
        await page.setViewport(viewport);
        const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
        assert(wide <= 0, `${size} scrolls sideways by ${wide}`);
        await look(page, `${size}-${scheme}`);
        await accessible(page, `${size} ${scheme}`);
        done.push(`${size}, ${scheme}: axe-core finds nothing`);
      }
    }
  }
  assert.deepEqual(errors, [], "errors in the page");
  assert.deepEqual(foreign, [], "requests to other hosts");
  await browser.close();
  return done;
}

await rm(pictures, { recursive: true, force: true });
await mkdir(pictures, { recursive: true });
const { child, url } = await start();
let passed = 0, failed = 0;
for (const name of NAMES) {
  try {
    for (const what of await walk(name, url)) {
      passed++;
      console.log(`ok    ${name} demo ${what}`);
    }
  } catch (error) {
    failed++;
    console.log(`FAIL  ${name} demo: ${error.stack}`);
  }
}
// The page is for its own visitor: other hosts' names, other pages and who does not know its secret get nothing.
const { origin, hash } = new URL(url);
const answered = async (headers) => (await fetch(`${origin}/api/keys`, { method: "POST", headers })).status;
try {
  const secret = { "x-demo-secret": hash.slice(1) };
  assert.equal(await answered({ origin: "https://evil.example", ...secret }), 403);
  assert.equal(await answered(secret), 403);
  assert.equal(await answered({ origin }), 403);
  assert.equal(await answered({ origin, ...secret }), 200);
  passed++;
} catch (error) {
  failed++;
  console.log(`FAIL  demo: ${error.message}`);
}
const ended = new Promise((done) => child.once("exit", done));
child.kill("SIGTERM");
if ((await ended) !== 0) failed++;
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed ? 1 : 0);
