// The DASH-IF license request model with the sample of docs/examples: the manifest names the authorization service, the
// browser module asks it for tokens with the viewer's cookie, and the real license service judges them.
//
// Assumes that `start` of rig.mjs has made the films and the service. Absent: what tokens may say (tests/service/tokens.rs).

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createHmac, randomBytes, scryptSync } from "node:crypto";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";

import { look, open, until } from "./browsers.mjs";
import { writeManifest } from "./films.mjs";
import { CONTENT } from "./policies.mjs";
import { folder, reelkey, root } from "./rig.mjs";
import { advanced, claims, plays } from "./scenarios.mjs";

const ISSUER = "https://cinema.example", PASSWORD = "correct horse";
const place = join(folder, "auth-service");

/** What each account may watch, and under which policy. */
const ACCOUNTS = {
  alice: { [CONTENT]: { policy_id: "default", entitlement_id: "order-17", region: "US" } },
  shorty: { [CONTENT]: { policy_id: "short", region: "US" } },
  pierre: { [CONTENT]: { policy_id: "us", region: "FR" } },
  bob: { "movies/other": {} },
};

/** Starts the sample as its README says, and writes manifests that name it. */
async function start({ origin }) {
  await mkdir(place, { recursive: true });
  const secret = join(place, "auth.secret");
  await writeFile(secret, randomBytes(32).toString("hex"), { mode: 0o600 });
  await reelkey("issuer", "add", ISSUER, "--secret-file", secret, "--content", "movies/*");
  await writeFile(join(place, "keys.json"), JSON.stringify(await reelkey("key", "list")));
  const salt = randomBytes(16);
  const password = `${salt.toString("hex")}:${scryptSync(PASSWORD, salt, 64).toString("hex")}`;
  const accounts = Object.fromEntries(Object.entries(ACCOUNTS).map(([name, titles]) => [name, { password, titles }]));
  await writeFile(join(place, "auth_service.json"), JSON.stringify({
    issuer: ISSUER, audience: "reelkey", secret_file: "auth.secret", keys_file: "keys.json", origins: [origin],
    token_life: 300, port: 0, accounts,
  }));
  const child = spawn("python3", [join(root, "docs/examples/auth_service.py"), "auth_service.json"], {
    cwd: place, stdio: ["ignore", "pipe", "ignore"],
  });
  process.once("exit", () => child.kill());
  const authzurl = await new Promise((done, failed) => {
    createInterface(child.stdout).once("line", done);
    child.once("exit", (code) => failed(new Error(`the authorization service ended with ${code}`)));
  });
  await Promise.all(["cenc", "cbcs"].map((scheme) =>
    writeManifest(scheme, "authz.mpd", "--authzurl", `${authzurl}?tenant=1&mode=clearkey`)));
  return { authzurl, secret: await readFile(secret, "utf8") };
}

let started;

/** Signs a viewer in, or out. */
async function signIn(page, authzurl, name) {
  const status = await page.evaluate(async (url, name, password) => {
    const post = (path, body) => fetch(new URL(path, url), {
      method: "POST", credentials: "include", headers: { "content-type": "application/json" }, body: JSON.stringify(body),
    });
    return (await (name ? post("/login", { name, password }) : post("/logout"))).status;
  }, authzurl, name, PASSWORD);
  assert.equal(status, 200, name ?? "signing out");
}

/** Opens the page whose manifest names the authorization service, for a viewer. */
async function visit(world, viewer, more = {}) {
  const { authzurl } = await (started ??= start(world));
  const page = await world.browser.newPage();
  await page.goto(`${world.origin}/pages/blank.html`);
  await signIn(page, authzurl, viewer ?? "alice");
  if (!viewer) await signIn(page, authzurl, null);
  await page.close();
  return open(world.browser, world, { player: "shaka", authorized: 1, manifest: "authz.mpd", ...more });
}

/** A token of the authorization service that has expired. */
async function expired(world) {
  const { secret } = await (started ??= start(world));
  const now = Math.floor(Date.now() / 1000);
  const encode = (part) => Buffer.from(JSON.stringify(part)).toString("base64url");
  const message = [{ typ: "JWT", alg: "HS256" }, {
    iss: ISSUER, sub: "alice", aud: "reelkey", iat: now - 400, exp: now - 100, content_id: CONTENT, policy_id: "default",
  }].map(encode).join(".");
  return `${message}.${createHmac("sha256", secret).update(message).digest("base64url")}`;
}

const statuses = ({ answers }) => answers.map(({ status }) => status);

export const authz = [
  ...["shaka", "dashjs", "eme"].flatMap((player) => ["cenc", "cbcs"].map((scheme) => ({
    name: `${player} plays ${scheme} with a token of the authorization service that the manifest names`,
    async run(world) {
      const page = await visit(world, "alice", { player, scheme });
      const told = await plays(page, world);
      const { answers, authorizations, refusals } = await look(page);
      assert.deepEqual([refusals, authorizations.every(({ status }) => status === 200)], [[], true]);
      const { jti, sub, cnf } = claims(answers[0].text);
      assert(jti && sub === "alice");
      // What the model says of the URL: the parameters of the manifest, and the keys in order, with plain commas.
      const url = new URL(authorizations[0].url), kids = url.searchParams.get("kids").split(",");
      assert.deepEqual([url.searchParams.get("tenant"), url.searchParams.get("mode")], ["1", "clearkey"]);
      assert.deepEqual(kids, kids.toSorted());
      assert(kids.every((kid) => /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(kid)) && !url.search.includes("%2C"), url.search);
      const token = claims(authorizations[0].token);
      assert.deepEqual([token.authorized_kids, token.entitlement_id, token.cnf], [kids, "order-17", cnf]);
      return `${told}; ${authorizations.length} tokens`;
    },
  }))),
  {
    name: "one token serves the licenses that follow each other, until it ends",
    async run(world) {
      const page = await visit(world, "shorty");
      await until(page, advanced(9), "9 s of the film", 40);
      const { answers, authorizations, refusals } = await look(page);
      assert.deepEqual(refusals, []);
      const urls = authorizations.map(({ url }) => url);
      assert.equal(new Set(urls).size, urls.length, "a token was fetched again");
      assert(answers.length >= 3 && urls.length < answers.length, `${answers.length} licenses, ${urls.length} tokens`);
      return `${answers.length} licenses, ${urls.length} tokens`;
    },
  },
  {
    name: "a token that the license service refuses is replaced once, and the film plays",
    async run(world) {
      const page = await visit(world, "alice", { player: "eme", stale: await expired(world), stales: 1 });
      await until(page, advanced(1), "the first second");
      const { answers, authorizations, refusals } = await look(page);
      assert.deepEqual(refusals, []);
      assert.equal(JSON.parse(answers[0].text).reason, "token-expired");
      assert.deepEqual(statuses({ answers }).slice(0, 2), [403, 200]);
      assert.deepEqual(authorizations.map(({ isStale }) => isStale).slice(0, 2), [true, false]);
    },
  },
  {
    name: "a second token that is refused is the end",
    async run(world) {
      const page = await visit(world, "alice", { player: "eme", stale: await expired(world), stales: 9 });
      await until(page, "window.seen.refusals.length > 0", "the event `refusal`");
      const { answers, refusals } = await look(page);
      assert.equal(refusals[0].reason, "token-expired");
      assert(statuses({ answers }).every((status) => status === 403), statuses({ answers }));
      // Two requests for each time that the page asked; it may be asking again.
      assert(answers.length >= 2 && answers.length <= 2 * (refusals.length + 1), `${answers.length} requests`);
    },
  },
  {
    name: "a refusal that no token can change fetches none",
    async run(world) {
      const page = await visit(world, "pierre", { player: "eme" });
      await until(page, "window.seen.refusals.length > 0", "the event `refusal`");
      const { answers, authorizations, refusals } = await look(page);
      assert.equal(refusals[0].reason, "region-denied");
      assert.equal(new Set(authorizations.map(({ url }) => url)).size, authorizations.length);
      assert(answers.length <= 2, `${answers.length} requests`);
    },
  },
  ...[
    ["a viewer without the right", "bob", "not-authorized", "Your account does not have this title."],
    ["a viewer who is not signed in", null, "token", "Sign in to watch this title."],
  ].map(([who, viewer, reason, words]) => ({
    name: `${who} reads the authorization service's own words, and no license is asked for`,
    async run(world) {
      const page = await visit(world, viewer);
      await until(page, "window.seen.refusals.length > 0", "the event `refusal`");
      const { answers, refusals: [refusal], text, time } = await look(page);
      assert.deepEqual([refusal.reason, refusal.detail, answers, time], [reason, words, [], 0]);
      assert(text.includes(words));
      return words;
    },
  })),
  {
    name: "the authorization service answers no foreign page, no wrong password and no malformed request",
    async run(world) {
      const { authzurl } = await (started ??= start(world));
      const login = (body, headers = {}) => fetch(new URL("/login", authzurl), {
        method: "POST", headers: { "content-type": "application/json", ...headers }, body: JSON.stringify(body),
      });
      const good = await login({ name: "alice", password: PASSWORD });
      assert.equal(good.headers.get("access-control-allow-origin"), null);
      const cookie = good.headers.get("set-cookie").split(";")[0];
      assert.match(good.headers.get("set-cookie"), /Secure; HttpOnly; SameSite=Lax/);
      const ask = (query, headers = {}) => fetch(`${authzurl}?${query}`, { headers: { cookie, ...headers } });
      const [kid] = Object.values(world.films.film).map(({ kid }) => kid.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-"));
      const answers = [
        [200, ask(`kids=${kid}`)], [200, ask(`kids=${kid},00000000-0000-4000-8000-000000000000`)],
        [400, ask("")], [400, ask("kids=x")], [400, ask(`kids=${kid}&jkt=x`)], [400, ask(`kids=${Array(65).fill(kid)}`)],
        [403, ask("kids=00000000-0000-4000-8000-000000000000")], [401, ask(`kids=${kid}`, { cookie: "session=x" })],
        [401, ask(`kids=${kid}`, { cookie: "" })], [403, ask(`kids=${kid}`, { origin: "https://evil.example" })],
        [403, login({ name: "alice", password: "wrong" })], [403, login({ name: "nobody", password: "" })],
        [400, login([])], [415, login({}, { "content-type": "text/plain" })],
      ];
      for (const [at, [expected, answer]] of answers.entries()) assert.equal((await answer).status, expected, `${at}`);
      const both = claims(await (await answers[1][1]).text());
      assert.deepEqual(both.authorized_kids, [kid], "a key that nobody knows");
    },
  },
];
