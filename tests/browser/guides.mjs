// The pages of docs/packagers whose stream plays in the demo's page: every command is run as it is written, from an empty folder
// on, in the order of the page. Where a page starts the demo, both browsers open it, press Play and look at the picture, at the
// beginning and at the end of the stream.
//
// What is replaced: the ports, by free ones; `npm install`, by the same version of the player that the tests have; and the folder
// of Debian's nginx. Absent: what the commands print, which tests/playback/guides.rs compares.
//
// usage: node guides.mjs [PAGE]. REELKEY is the server binary.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdir, readFile, readdir, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { dirname, join } from "node:path";
import { promisify } from "node:util";

import { NAMES, accessible, contrast, launch } from "./browsers.mjs";
import { folder as browserFolder, root } from "./rig.mjs";

const run = promisify(execFile);
const tools = join(root, "target/tools");
const pictures = join(browserFolder, "guides");

/** The pages, and how many streams each plays. */
const PAGES = { "shaka-packager.md": 2, "ffmpeg.md": 1, "nginx-rtmp.md": 1 };
const PORTS = ["7420", "7430", "8080", "1935"];

/** The commands of a page (see tests/playback/tasks.rs for its form). */
function commandsOf(page) {
  const commands = [];
  for (const [, block] of page.matchAll(/\n```console\n([\s\S]*?)\n```/g)) {
    const lines = block.split("\n");
    while (lines.length) {
      const line = lines.shift();
      if (!line.startsWith("$ ")) continue;
      const rest = line.includes("<<") ? lines.splice(0, lines.indexOf("END") + 1) : [];
      commands.push([line.slice(2), ...rest].join("\n"));
    }
  }
  return commands;
}

const freePort = () => new Promise((done) => {
  const server = createServer().listen(0, "127.0.0.1", () => {
    const { port } = server.address();
    server.close(() => done(String(port)));
  });
});

/** The commands of a page as the tests run them. */
async function prepared(name) {
  let page = await readFile(join(root, "docs/packagers", name), "utf8");
  const free = Object.fromEntries(await Promise.all(PORTS.map(async (port) => [port, await freePort()])));
  for (const [port, other] of Object.entries(free)) {
    page = page.replaceAll(`127.0.0.1:${port}`, `127.0.0.1:${other}`).replaceAll(`localhost:${port}`, `localhost:${other}`)
      .replaceAll(` ${port} >`, ` ${other} >`);
  }
  const { dependencies } = JSON.parse(await readFile(join(root, "tests/tools/node/package.json"), "utf8"));
  const install = `npm install --silent --prefix . shaka-player@${dependencies["shaka-player"]}`;
  assert(page.includes(install), `${name} does not install the version that is tested`);
  page = page.replaceAll("reelkey serve >", `reelkey serve --listen 127.0.0.1:${free["7420"]} >`)
    .replaceAll("demo --serve", `demo --serve --port ${free["7430"]} --service http://127.0.0.1:${free["7420"]}`)
    .replaceAll(install, `ln -sfn ${tools}/node/node_modules .`)
    .replaceAll("/usr/lib/nginx", `${tools}/nginx/usr/lib/nginx`);
  return commandsOf(page);
}

/** The address that the demo has printed. */
async function addressIn(log) {
  for (let tries = 0; tries < 300; tries++) {
    const text = await readFile(log, "utf8").catch(() => "");
    const [address] = /http:\/\/localhost:\S+/.exec(text) ?? [];
    if (address) return address;
    await new Promise((done) => setTimeout(done, 100));
  }
  throw new Error(`the demo did not begin: ${await readFile(log, "utf8")}`);
}

const until = async (page, condition, what, ...words) => {
  try {
    await page.waitForFunction(condition, { timeout: 60_000, polling: 100 }, ...words);
  } catch (cause) {
    const state = await page.evaluate(() => [document.querySelector("#message").textContent, JSON.stringify(window.demo)]);
    throw new Error(`not in a minute: ${what}; ${state}`, { cause });
  }
};

/** Plays what the demo's page has, as a visitor does. Returns what was seen. */
async function watch(browserName, url, label) {
  const browser = await launch(browserName, "guides");
  try {
    const page = await browser.newPage();
    const errors = [];
    page.on("pageerror", (error) => errors.push(error.message));
    await page.setViewport({ width: 1100, height: 900 });
    await page.goto(url);
    await until(page, () => document.querySelector("#fact-player")?.textContent.length > 1, "the page is ready");
    await page.click("#play");
    await until(page, () => document.querySelector("video").currentTime > 1.5, `${label} plays`);
    // To the last second, whatever keys it has.
    await page.evaluate(() => {
      const video = document.querySelector("video");
      video.currentTime = Math.max(video.seekable.end(0) - 1.5, 0);
    });
    await until(page, () => {
      const video = document.querySelector("video");
      return !video.seeking && video.currentTime > video.seekable.end(0) - 0.7;
    }, `${label} plays to its end`);
    const spread = await contrast(page);
    await page.screenshot({ path: join(pictures, `${label.replaceAll(/\W+/g, "-")}.png`) });
    assert(spread > 30, `${label}: the picture is flat: ${spread}`);
    await accessible(page, label);
    const { refusals, errors: failures } = await page.evaluate(() => window.demo);
    assert.deepEqual([refusals, failures, errors], [[], [], []], label);
    return await page.evaluate(() => document.querySelectorAll("#keys tr").length);
  } finally {
    await browser.close();
  }
}

/** Follows a page in a new folder. Returns what was played. */
async function follow(name) {
  const commands = await prepared(name);
  // Not a private folder: the workers of nginx are another user's.
  const folder = join(pictures, name.replace(".md", ""));
  await mkdir(folder);
  const path = [dirname(process.env.REELKEY), join(tools, "bin"), join(tools, "nginx/usr/sbin"), "/usr/bin", "/bin"];
  const env = { PATH: path.join(":"), HOME: folder };
  const seen = [];
  try {
    for (const command of commands) {
      // What a command leaves running has files of its own to write to.
      await run("bash", ["-e", "-c", command], { cwd: folder, env, timeout: 120_000 })
        .catch((error) => { throw new Error(`$ ${command}\n${error.stdout}${error.stderr}`.slice(0, 2000), { cause: error }); });
      if (!command.startsWith("reelkey demo --serve")) continue;
      const address = await addressIn(join(folder, "demo.log"));
      const content = /--content (\S+)/.exec(command)[1];
      for (const browser of NAMES) {
        const label = `${browser} ${name} ${content}`;
        const keys = await watch(browser, address, label);
        // A license of keys that change has several periods, and HLS AES-128 asks for one key after the other.
        assert(keys > (content === "movies/live" ? 5 : 0), `${label}: ${keys} keys`);
        seen.push(`${label} (${keys} keys)`);
      }
    }
  } catch (error) {
    // The page was not followed to its end, where it stops what it has started.
    for (const file of (await readdir(folder)).filter((file) => file.endsWith(".pid"))) {
      const pid = Number(await readFile(join(folder, file), "utf8"));
      try { process.kill(pid); } catch { /* it has ended */ }
    }
    throw error;
  }
  // What was stopped may still write its last.
  await rm(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
  return seen;
}

await rm(pictures, { recursive: true, force: true });
await mkdir(pictures, { recursive: true });
let passed = 0, failed = 0;
for (const [name, streams] of Object.entries(PAGES).filter(([name]) => name.includes(process.argv[2] ?? ""))) {
  try {
    const seen = await follow(name);
    assert.equal(seen.length, streams * NAMES.length, `${name} plays ${seen}`);
    passed += seen.length;
    for (const what of seen) console.log(`ok    guide: ${what}`);
  } catch (error) {
    failed++;
    console.log(`FAIL  guide ${name}: ${error.stack}`);
  }
}
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed ? 1 : 0);
