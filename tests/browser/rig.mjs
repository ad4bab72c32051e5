// The rig of the browser tests: films by ffmpeg and Shaka Packager, an installation of the real service, and a site of
// another origin that serves pages, films and tokens. Everything is made anew under target/browser.
//
// Assumes that tests/tools/install has run, and REELKEY in the environment. Absent: browsers (browsers.mjs) and what is
// tested (scenarios.mjs).

import { execFile, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { createReadStream } from "node:fs";
import { appendFile, mkdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { dirname, extname, join, normalize } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { CONTENT, EXPIRED, PACKAGER, POLICIES, RETIRED } from "./policies.mjs";

const run = promisify(execFile);
export const root = join(dirname(fileURLToPath(import.meta.url)), "../..");
export const folder = process.env.BROWSER_TESTS ?? join(root, "target/browser");
export const tool = (name) => join(root, "target/tools/bin", name);
const SECONDS = 16;

/** A clear source of two video renditions and a tone. The picture shows the time, so no two seconds are alike. */
async function source() {
  const output = (name) => join(folder, "clear", name);
  await mkdir(join(folder, "clear"), { recursive: true });
  const codec = ["-c:v", "libx264", "-preset", "veryfast", "-pix_fmt", "yuv420p", "-g", "48", "-sc_threshold", "0"];
  const picture = ["-f", "lavfi", "-i", `testsrc2=size=640x360:rate=24:duration=${SECONDS}`];
  const tone = ["-f", "lavfi", "-i", `sine=frequency=440:sample_rate=48000:duration=${SECONDS}`];
  await run(tool("ffmpeg"), [
    "-y", "-v", "error", ...picture, ...tone,
    "-map", "0:v", "-vf", "scale=320:180", ...codec, "-b:v", "200k", output("sd.mp4"),
    "-map", "0:v", ...codec, "-b:v", "600k", output("hd.mp4"),
    "-map", "1:a", "-c:a", "aac", "-b:a", "64k", output("audio.mp4"),
  ]);
}

const kid = () => randomBytes(16).toString("hex");
export const newKeys = () => Object.fromEntries(["AUDIO", "SD", "HD"].map((track) => [track, { kid: kid(), key: kid() }]));

/** Packages the source: single files, a manifest, and playlists that hls.js can play through EME. */
async function pack(name, scheme, keys) {
  const output = (file) => join(folder, "media", name, file);
  await mkdir(output(""), { recursive: true });
  const stream = (track, kind) => {
    const file = track.toLowerCase();
    const list = kind === "audio" ? ",hls_group_id=audio,hls_name=sound" : "";
    const paths = `in=${join(folder, "clear", `${file}.mp4`)},stream=${kind},output=${output(`${file}.mp4`)}`;
    return `${paths},playlist_name=${file}.m3u8,drm_label=${track}${list}`;
  };
  const labels = Object.entries(keys).map(([track, { kid, key }]) => `label=${track}:key_id=${kid}:key=${key}`);
  await run(tool("packager"), [
    stream("AUDIO", "audio"), stream("SD", "video"), stream("HD", "video"), "--quiet", "--segment_duration", "2",
    "--enable_raw_key_encryption", "--keys", labels.join(","), "--protection_scheme", scheme, "--clear_lead", "0",
    "--protection_systems", "Common", "--mpd_output", output("film.mpd"),
    "--hls_master_playlist_output", output("film.m3u8"), "--hls_playlist_type", "VOD",
  ]);
  for (const [track, { kid }] of Object.entries(keys)) {
    const path = output(`${track.toLowerCase()}.m3u8`);
    const method = scheme === "cenc" ? "SAMPLE-AES-CTR" : "SAMPLE-AES";
    const uri = `data:text/plain;base64,${Buffer.from(kid, "hex").toString("base64")}`;
    const format = 'KEYFORMAT="org.w3.clearkey",KEYFORMATVERSIONS="1"';
    const key = `#EXT-X-KEY:METHOD=${method},URI="${uri}",KEYID=0x${kid},${format}`;
    const lines = (await readFile(path, "utf8")).split("\n").filter((line) => !line.startsWith("#EXT-X-KEY"));
    await writeFile(path, lines.flatMap((line) => (line.startsWith("#EXT-X-MAP") ? [key, line] : [line])).join("\n"));
  }
}

const data = join(folder, "reelkey");

/** Runs a command of the service that has to succeed, and returns its JSON. */
export async function reelkey(...words) {
  const { stdout } = await run(process.env.REELKEY, [...words, "--data", data, "--json"], { env: {} });
  return stdout ? JSON.parse(stdout) : null;
}

/** Adds a title that every policy may be used for. */
export const addTitle = (content) =>
  reelkey("content", "add", content, ...Object.keys(POLICIES).flatMap((name) => ["--policy", name]));

/** Imports the key of each track, for a crypto period if one is given. */
export async function addKeys(content, keys, period) {
  const more = period ? ["--period", `${period}`] : [];
  for (const [track, { kid, key }] of Object.entries(keys)) {
    const file = join(folder, `${kid}.key`);
    await writeFile(file, key, { mode: 0o600 });
    await reelkey("key", "import", content, "--track", track, "--kid", kid, "--key", `@${file}`, ...more);
    await rm(file);
  }
}

async function installation(origin, films) {
  await reelkey("init");
  await reelkey("issuer", "add", "https://auth.example", "--dev", "--content", "*");
  for (const [name, text] of Object.entries(POLICIES)) await writeFile(join(data, "policies", `${name}.toml`), text);
  for (const [content, keys] of [[CONTENT, films.film], [RETIRED, films.retired]]) {
    await addTitle(content);
    await addKeys(content, keys);
  }
  const secret = join(folder, "packager.secret");
  await writeFile(secret, PACKAGER.secret, { mode: 0o600 });
  await reelkey("packager", "add", PACKAGER.name, "--content", "live/*", "--policy", "default", "--secret-file", secret);
  for (const { kid } of Object.values(films.retired)) await reelkey("key", "retire", kid);
  await appendFile(join(data, "reelkey.toml"), `\n[cors]\nallowed_origins = ["${origin}"]\n\n[token]\nquery = true\n`);
}

/** Starts the service, and returns its URL when it is ready. */
async function serve() {
  const words = ["serve", "--listen", "127.0.0.1:0", "--log", "info", "--json", "--data", data];
  const child = spawn(process.env.REELKEY, words, { env: {}, stdio: ["ignore", "pipe", "pipe"] });
  process.once("exit", () => child.kill());
  child.stderr.on("data", (part) => appendFile(join(folder, "service.log"), part));
  const [line] = await new Promise((done, failed) => {
    createInterface(child.stdout).once("line", (line) => done([line]));
    child.once("exit", (code) => failed(new Error(`the service ended with ${code}; see target/browser/service.log`)));
  });
  return { child, url: JSON.parse(line).url };
}

const TYPES = {
  ".html": "text/html", ".js": "text/javascript", ".mjs": "text/javascript", ".css": "text/css",
  ".mp4": "video/mp4", ".m4s": "video/mp4", ".ts": "video/mp2t", ".webm": "video/webm",
  ".mpd": "application/dash+xml", ".m3u8": "application/vnd.apple.mpegurl",
};
const PLACES = {
  pages: join(root, "tests/browser/pages"), web: join(root, "web"), media: join(folder, "media"),
  npm: join(root, "target/tools/node/node_modules"),
};

/** Answers with a file, or with the range of it that is asked for. */
async function file(path, request, response) {
  const [place, ...rest] = normalize(path).split("/").filter(Boolean);
  const full = join(PLACES[place] ?? "/nowhere", ...rest);
  const { size } = await stat(full);
  const [, from, to] = /bytes=(\d+)-(\d*)/.exec(request.headers.range ?? "") ?? [];
  const start = Number(from ?? 0), end = Math.min(to ? Number(to) : size - 1, size - 1);
  const head = { "content-type": TYPES[extname(full)] ?? "application/octet-stream", "accept-ranges": "bytes" };
  if (from !== undefined) head["content-range"] = `bytes ${start}-${end}/${size}`;
  response.writeHead(from === undefined ? 200 : 206, { ...head, "content-length": end - start + 1 });
  createReadStream(full, { start, end }).pipe(response);
}

/** Answers with a playlist whose key URLs have the token: what a site does that writes its playlists. */
async function playlist(path, token, response) {
  const text = await readFile(join(folder, path), "utf8");
  response.writeHead(200, { "content-type": TYPES[".m3u8"] }).end(text.replaceAll('.key"', `.key?token=${token}"`));
}

/** Mints a token, as the page asks for it: each parameter is an option of `token mint`. */
async function token(query, expired) {
  if (query.has(EXPIRED)) return expired;
  const options = [...query].filter(([, value]) => value).flatMap(([name, value]) => [`--${name}`, value]);
  return (await reelkey("token", "mint", ...options)).token;
}

async function site(state) {
  const server = createServer(async (request, response) => {
    const url = new URL(request.url, "http://localhost");
    try {
      if (url.pathname === "/token") return response.end(await token(url.searchParams, state.expired));
      if (url.pathname === "/favicon.ico") return response.writeHead(204).end();
      const given = url.searchParams.get("token");
      if (given && url.pathname.endsWith(".m3u8")) return await playlist(normalize(url.pathname), given, response);
      await file(decodeURIComponent(url.pathname), request, response);
    } catch (error) {
      response.writeHead(error.code === "ENOENT" ? 404 : 500).end(String(error));
    }
  });
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  return { server, origin: `http://localhost:${server.address().port}` };
}

/** Makes everything; `close` ends the service and the site. */
export async function start() {
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  const films = { film: newKeys(), retired: newKeys() };
  const state = {};
  const { server, origin } = await site(state);
  await source();
  await Promise.all([
    pack("cenc", "cenc", films.film), pack("cbcs", "cbcs", films.film), pack("retired", "cenc", films.retired),
    installation(origin, films),
  ]);
  const { child, url } = await serve();
  // For `reelkey manifest`: where players find the service is known now.
  const toml = join(data, "reelkey.toml");
  await writeFile(toml, `public_url = "${url}"\n${await readFile(toml, "utf8")}`);
  const day = ["--sub", "alice", "--content", CONTENT];
  state.expired = (await reelkey("token", "mint", ...day, "--life", "1s")).token;
  state.expiredAt = Date.now() + 32_000; // after the leeway of 30 s
  const close = async () => {
    server.close();
    server.closeAllConnections();
    const ended = new Promise((done) => child.once("exit", done));
    child.kill("SIGTERM");
    await ended;
  };
  return { origin, url, films, state, close };
}
