// Runs what docs/players/quickstart.md shows: the samples of a page's back end, with the page's own function, against a
// real installation; and holds its code and its sentences against the files that they are taken from.
//
// usage: REELKEY=target/debug/reelkey target/tools/bin/node tests/browser/samples.mjs
//
// Assumes that tests/tools/install has run. Absent: the players themselves (main.mjs plays them).

import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { copyFile, mkdtemp, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const run = promisify(execFile);
const root = join(dirname(fileURLToPath(import.meta.url)), "../..");
const tools = join(root, "target/tools");
const { REELKEY } = process.env;
const ISS = "https://auth.example", CONTENT = "movies/bunny", SESSION = "5f0c1a";
const PLAIN = 'can_play = true\nlicense_duration = "10m"\nallow_clearkey = true\n';
const JKT = "oRzzPVVl2vdZ_j3vUbkc1Xahn950XGm49DsqVYIHcFk";

let passed = 0, failed = 0;
async function test(name, body) {
  try {
    await body();
    passed++;
    console.log(`ok      ${name}`);
  } catch (error) {
    failed++;
    console.log(`FAILED  ${name}: ${error.stderr || error.stack}`);
  }
}
function hold(condition, what) {
  if (!condition) throw new Error(typeof what === "string" ? what : JSON.stringify(what));
}

const folder = await mkdtemp(join(tmpdir(), "samples-"));
const data = join(folder, "reelkey");
const guide = await readFile(join(root, "docs/players/quickstart.md"), "utf8");

/** Runs a command of the service, and returns its JSON, whether it succeeds or not. */
async function reelkey(...words) {
  const options = { env: {}, cwd: folder };
  const { stdout } = await run(REELKEY, [...words, "--data", data, "--json"], options).catch((error) => {
    if (error.stdout) return error;
    throw error;
  });
  return stdout ? JSON.parse(stdout) : null;
}

/** Judges a token by the installation. */
async function inspect(token) {
  await writeFile(join(folder, "token"), token);
  return reelkey("token", "inspect", "@token", "--content", CONTENT);
}

const granted = ({ verdict }) => verdict.accepted && verdict.contents.every((one) => one.granted);

/** The function of the page, as the quick start shows it, with a cookie and an origin that a browser would know. */
function pageOf(url, session, content) {
  const [, source] = /```js\n(async function fetchToken[^]*?)```/.exec(guide);
  const fetch = (path, { headers, ...options }) =>
    globalThis.fetch(new URL(path, url), { ...options, headers: { ...headers, cookie: `other=1; session=${session}` } });
  return new Function("fetch", `${source.replaceAll(CONTENT, content)}; return fetchToken;`)(fetch);
}

/** Starts a server, and returns the first line that it prints. */
async function start(command, words) {
  const env = { PORT: "0", ISSUER: ISS, DEMO_SESSION: SESSION };
  const child = spawn(command, words, { cwd: folder, env, stdio: ["ignore", "pipe", "pipe"] });
  let said = "";
  child.stderr.on("data", (part) => { said += part; });
  const line = once(createInterface(child.stdout), "line").then(([url]) => url);
  const ended = once(child, "exit").then(() => { throw new Error(said); });
  ended.catch(() => {});
  return { child, url: await Promise.race([line, ended]) };
}

async function samples(name, command, words, service) {
  const { child, url } = await start(command, words);
  const fetchToken = pageOf(url, SESSION, CONTENT);
  const post = (headers, body) => fetch(url, { method: "POST", headers, body });
  const json = { "content-type": "application/json", cookie: `session=${SESSION}` };
  try {
    await test(`${name}: the service accepts a token that is bound to the device`, async () => {
      const judged = await inspect(await fetchToken({ jkt: JKT }));
      hold(granted(judged), judged);
      const { iss, sub, aud, iat, exp, content_id, region, cnf } = judged.claims;
      hold(iss === ISS && sub === "alice" && aud === "reelkey" && exp - iat === 600, judged);
      hold(content_id === CONTENT && region === "US" && cnf.jkt === JKT, judged);
    });
    await test(`${name}: a token for the plain form is bound to no device`, async () => {
      const judged = await inspect(await fetchToken({}));
      hold(granted(judged) && !("cnf" in judged.claims), judged);
    });
    await test(`${name}: the plain form gives the key for a token in a header, and none without`, async () => {
      const ask = async (headers) => globalThis.fetch(`${service.url}/v1/clearkey`, {
        method: "POST", headers, body: JSON.stringify({ kids: [service.kid], type: "temporary" }),
      });
      const answer = await ask({ authorization: `Bearer ${await fetchToken({})}` });
      const set = await answer.json();
      hold(answer.status === 200 && set.keys[0].kid === service.kid && set.keys[0].k, set);
      for (const [reason, headers] of [
        ["token-missing", {}], ["token-not-bound", { authorization: `Bearer ${await fetchToken({ jkt: JKT })}` }],
      ]) {
        const problem = await (await ask(headers)).json();
        hold(problem.reason === reason, problem);
      }
    });
    await test(`${name}: a changed token is refused`, async () => {
      const [head, claims, signature] = (await fetchToken({ jkt: JKT })).split(".");
      const other = { ...JSON.parse(Buffer.from(claims, "base64url")), sub: "mallory" };
      const judged = await inspect([head, Buffer.from(JSON.stringify(other)).toString("base64url"), signature].join("."));
      hold(judged.verdict.accepted === false, judged);
    });
    await test(`${name}: a foreign session, another title and a wrong thumbprint get no token`, async () => {
      for (const [session, content, jkt] of [["x", CONTENT, JKT], [SESSION, "movies/other", JKT], [SESSION, CONTENT, "x"]]) {
        const given = await pageOf(url, session, content)({ jkt }).catch(() => null);
        hold(given === null, `${session} ${content} ${jkt}`);
      }
    });
    await test(`${name}: what the page does not send is refused`, async () => {
      const good = JSON.stringify({ content_id: CONTENT, jkt: JKT });
      for (const [expected, headers, body] of [
        [401, { "content-type": "application/json" }, good], [415, { ...json, "content-type": "text/plain" }, good],
        [400, json, "null"], [400, json, "["], [400, json, "{}"], [400, json, '{"content_id":"movies/bunny","jkt":7}'],
        [403, json, '{"content_id":"*","jkt":null}'],
      ]) {
        const { status } = await post(headers, body);
        hold(status === expected, `${body}: ${status} instead of ${expected}`);
      }
    });
  } finally {
    await end(child);
  }
}

/** Ends a server. */
async function end(child) {
  const ended = once(child, "exit");
  child.kill();
  await ended;
}

/** Starts the service. */
async function serve(kid) {
  const words = ["serve", "--listen", "127.0.0.1:0", "--json", "--log", "off", "--data", data];
  const { child, url } = await start(REELKEY, words);
  return { child, url: JSON.parse(url).url, kid: Buffer.from(kid.replaceAll("-", ""), "hex").toString("base64url") };
}

/** The lines of a block that names a file are in that file, without regard to how far they are set in. */
async function shownCode() {
  const blocks = [...guide.matchAll(/<!-- (\S+\.js) -->\n```js\n([^]*?)```/g)];
  hold(blocks.length === 5, `${blocks.length} players`);
  for (const [, file, code] of blocks) {
    const lines = (await readFile(join(root, file), "utf8")).split("\n").map((line) => line.trim());
    const missing = code.split("\n").map((line) => line.trim()).filter((line) => !lines.includes(line));
    hold(missing.every((line) => line === ""), `${file}: ${missing.join("; ")}`);
  }
}

/** The table has every refusal of the service with the service's own sentence. */
async function shownSentences() {
  const text = async (file) => (await readFile(join(root, file), "utf8")).replace(/\\\n\s*/g, "");
  const reasons = [...(await text("src/domain/refusal.rs")).matchAll(/Self::(\w+) => "([a-z-]+)"/g)];
  const [, sentences] = (await text("src/http/frame/problem.rs")).split("fn detail(");
  hold(reasons.length > 20, "the reasons");
  for (const [, variant, reason] of reasons) {
    const [, sentence] = new RegExp(`Refusal::${variant} =>\\s*(?:\\{\\s*)?"([^"]*)"`).exec(sentences) ?? [];
    hold(sentence, variant);
    hold(guide.includes(`| \`${reason}\` | ${sentence} |`), `${reason}: ${sentence}`);
  }
}

try {
  await test("the quick start shows code that the browser tests run", shownCode);
  await test("the quick start has the service's sentence for each refusal", shownSentences);
  for (const file of ["make-issuer-key.mjs", "token-server.mjs", "token_server.py"]) {
    await copyFile(join(root, "docs/players/samples", file), join(folder, file));
  }
  await symlink(join(tools, "node/node_modules"), join(folder, "node_modules"));
  const node = join(tools, "bin/node");
  let kid;
  await test("the issuer's key is made, for its owner only, and the service takes its public part", async () => {
    await run(node, ["make-issuer-key.mjs"], { cwd: folder });
    hold(((await stat(join(folder, "issuer.jwk"))).mode & 0o777) === 0o600, "the mode");
    hold(!(await readFile(join(folder, "issuer.jwks.json"), "utf8")).includes('"d"'), "a private key is shown");
    await reelkey("init");
    await writeFile(join(data, "policies/plain.toml"), PLAIN);
    await reelkey("content", "add", CONTENT, "--policy", "plain");
    ({ kid } = await reelkey("key", "generate", CONTENT, "--track", "SD"));
    const [line] = /^reelkey issuer add .*$/m.exec(guide);
    const words = line.replaceAll("'", "").split(" ").slice(1);
    await reelkey(...words);
  });
  const service = await serve(kid);
  try {
    await test("the service has the module", async () => {
      const served = await (await fetch(`${service.url}/reelkey.js`)).text();
      hold(served === (await readFile(join(root, "web/reelkey.js"), "utf8")), "another module");
    });
    await samples("Python", join(tools, "python/bin/python"), ["token_server.py"], service);
    await samples("Node", node, ["token-server.mjs"], service);
  } finally {
    await end(service.child);
  }
} finally {
  await rm(folder, { recursive: true, force: true });
}
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed ? 1 : 0);
