// The browser module's cryptography, in Node: it opens the worked example of docs/API.md, and refuses 10,000 licenses
// that were changed on the way, foreign answers, and licenses that are well signed and wrong.
//
// usage: node mutations.mjs [SEED]

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

import { LicenseError, openLicense } from "../../web/reelkey.js";

const require = createRequire(new URL("../../target/tools/node/package.json", import.meta.url));
const jose = await import(pathToFileURL(require.resolve("jose")));

const COUNT = 10_000;
const { subtle } = crypto;
const bytes = (text) => new TextEncoder().encode(text);
const { encode: base64url } = jose.base64url;
const sealing = { name: "ECDH", namedCurve: "P-256" };

/** A generator of numbers below `limit`, the same for each seed (mulberry32). */
function numbers(seed) {
  let state = seed;
  return (limit) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % limit;
  };
}

async function refused(answer, asked, findKey, what) {
  const opened = await openLicense(answer, asked, findKey).catch((error) => error);
  assert(opened instanceof LicenseError, `${what}: ${opened.stack ?? "accepted"}`);
  assert.equal(opened.reason, "bad-license", what);
}

// ---- The worked example

const document = await readFile(new URL("../../docs/API.md", import.meta.url), "utf8");
const [, example] = /## A worked example[\s\S]*?```json\n([\s\S]*?)```/.exec(document);
const vector = JSON.parse(example);
const request = jose.decodeJwt(vector.request);
const asked = {
  serviceId: "reelkey", jti: request.jti, iat: request.iat,
  jkt: await jose.calculateJwkThumbprint(vector.device_jwk),
  signingInput: vector.request.slice(0, vector.request.lastIndexOf(".")),
  privateKey: await subtle.importKey("jwk", vector.enc_jwk, sealing, false, ["deriveBits"]),
};
const findKey = (kid) => vector.jwks.keys.find((key) => key.kid === kid);
const opened = await openLicense(vector.license, asked, findKey);
const [key] = JSON.parse(new TextDecoder().decode(opened.keys)).keys;
const hex = (text) => Buffer.from(text, "base64url").toString("hex");
assert.equal(hex(key.kid), vector.kid.replaceAll("-", ""));
assert.equal(hex(key.k), vector.content_key);
assert.deepEqual(opened.kids, [key.kid]);
console.log("the worked example opens");

// ---- Changes on the way

const seed = Number(process.argv[2] ?? 1);
const random = numbers(seed);
const license = vector.license;
const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_+/=. \n\u00e4";
const parts = license.split(".");
/** Changes the inner parts of the license, the JWE, without a new signature. */
const inner = (change) => {
  const claims = JSON.parse(Buffer.from(parts[1], "base64url"));
  change(claims);
  return [parts[0], base64url(JSON.stringify(claims)), parts[2]].join(".");
};
const splice = (at, drop, text) => license.slice(0, at) + text + license.slice(at + drop);
const changes = {
  flip: () => {
    const at = random(license.length);
    return splice(at, 1, String.fromCharCode(license.charCodeAt(at) ^ (1 << random(7))));
  },
  bits: () => {
    const which = random(3), part = Buffer.from(parts[which], "base64url");
    part[random(part.length)] ^= 1 << random(8);
    return parts.with(which, part.toString("base64url")).join(".");
  },
  replace: () => splice(random(license.length), 1 + random(3), ALPHABET[random(ALPHABET.length)] + "~"),
  insert: () => splice(random(license.length + 1), 0, ALPHABET[random(ALPHABET.length)]),
  cut: () => license.slice(0, random(license.length)),
  head: () => license.slice(1 + random(license.length - 1)),
  remove: () => splice(random(license.length - 8), 1 + random(8), ""),
  swap: () => {
    const orders = [[1, 0, 2], [2, 1, 0], [0, 2, 1], [1, 2, 0], [2, 0, 1], [0, 0, 2], [0, 1, 1]];
    return orders[random(orders.length)].map((at) => parts[at]).join(".");
  },
  parts: () => {
    const others = [parts.slice(0, 2), parts.slice(1), [...parts, ""], [...parts, ...parts], ["", ...parts], []];
    return others[random(others.length)].join(".");
  },
  padding: () => parts.map((part, at) => (at === random(3) ? `${part}=` : `${part}==`)).join("."),
  trailing: () => {
    // The last character of a part whose unused bits are set: the same bytes in another spelling.
    const which = [1, 2].find((at) => parts[at].length % 4) ?? 2, part = parts[which];
    const last = ALPHABET.indexOf(part.at(-1));
    return parts.with(which, part.slice(0, -1) + ALPHABET[(last & ~3) | (1 + random(3)) ^ (last & 3)]).join(".");
  },
  claim: () => inner((claims) => {
    const names = ["iss", "nonce", "exp", "iat", "nbf", "jti", "sub", "content_id"];
    claims[names[random(names.length)]] = random(2 ** 31);
  }),
  keys: () => inner((claims) => {
    const at = random(claims.keys.length);
    claims.keys = claims.keys.slice(0, at) + ALPHABET[random(64)] + claims.keys.slice(at + 1) + ".";
  }),
};
const names = Object.keys(changes);
const counts = Object.fromEntries(names.map((name) => [name, 0]));
for (let done = 0; done < COUNT; ) {
  const name = names[random(names.length)];
  const changed = changes[name]();
  if (changed === license) continue;
  await refused(changed, asked, findKey, `seed ${seed}, number ${done}, ${name}: ${changed}`);
  counts[name]++;
  done++;
}
assert(Object.values(counts).every((count) => count > 100), JSON.stringify(counts));
console.log(`${COUNT} changed licenses are refused: ${JSON.stringify(counts)}`);

// ---- Answers to something else

const other = await subtle.generateKey(sealing, false, ["deriveBits"]);
const foreign = {
  "another service": { serviceId: "other" },
  "another nonce": { jti: base64url(crypto.getRandomValues(new Uint8Array(16))) },
  "another device": { jkt: await jose.calculateJwkThumbprint(vector.enc_jwk) },
  "another request": { signingInput: `${asked.signingInput}A` },
  "another encryption key": { privateKey: other.privateKey },
  "a clock 121 s behind": { iat: asked.iat - 121 },
  "a clock 121 s ahead": { iat: asked.iat + 121 },
};
for (const [what, change] of Object.entries(foreign)) await refused(license, { ...asked, ...change }, findKey, what);
await refused(license, asked, () => undefined, "an unknown signer");
await refused(license, asked, () => vector.device_jwk, "another signer");
const renewing = (change) => ({ ...asked, renews: { jti: claims.jti, counter: claims.counter - 1, ...change } });
const claims = jose.decodeJwt(license);
await openLicense(license, renewing({}), findKey);
await refused(license, renewing({ jti: "other" }), findKey, "another license than the renewed one");
await refused(license, renewing({ counter: claims.counter }), findKey, "a renewal with the old counter");
for (const iat of [asked.iat - 120, asked.iat + 120]) await openLicense(license, { ...asked, iat }, findKey);

// ---- Licenses that are well signed and wrong

const signer = await jose.generateKeyPair("ES256");
const signerJwk = await jose.exportJWK(signer.publicKey);
const encKey = await jose.importJWK({ ...vector.enc_jwk, d: undefined }, "ECDH-ES");
const apv = new Uint8Array(await subtle.digest("SHA-256", bytes(asked.signingInput)));
const k = base64url(new Uint8Array(16).fill(7)), kid = base64url(new Uint8Array(16).fill(9));
const keySet = { keys: [{ kty: "oct", kid, k }] };
const right = JSON.stringify(keySet);

/** A license that the service's key signs: right, but for what is given. */
async function forge({ claims, head, jwe, apu = bytes("reelkey"), party = apv, plain = right, mend = (text) => text, spoil }) {
  const keys = await new jose.CompactEncrypt(typeof plain === "string" ? bytes(plain) : plain)
    .setProtectedHeader({ alg: "ECDH-ES", enc: "A256GCM", ...jwe })
    .setKeyManagementParameters({ apu, apv: party })
    .encrypt(encKey);
  const { iat } = asked;
  const all = {
    iss: "reelkey", sub: "alice", jti: "license", iat, nbf: iat, exp: iat + 600, cnf: { jkt: asked.jkt },
    nonce: asked.jti, counter: 0, content_id: "movies/bunny", session_type: "temporary", keys: mend(keys), ...claims,
  };
  const payload = bytes(JSON.stringify(all));
  const alice = JSON.stringify(all).indexOf("alice");
  return new jose.CompactSign(spoil ? payload.with(alice, spoil) : payload)
    .setProtectedHeader({ typ: "license+jwt", alg: "ES256", kid: "one", ...head })
    .sign(signer.privateKey);
}
const find = (name) => (name === "one" ? signerJwk : undefined);
await openLicense(await forge({}), asked, find);
const set = (change) => {
  const copy = structuredClone(keySet);
  change(copy, copy.keys[0]);
  return { plain: JSON.stringify(copy) };
};
const wrong = {
  "a token's typ": { head: { typ: "JWT" } },
  "no typ": { head: { typ: undefined } },
  "an unknown kid": { head: { kid: "two" } },
  "no kid": { head: { kid: undefined } },
  "another iss": { claims: { iss: "other" } },
  "no nonce": { claims: { nonce: undefined } },
  "another nonce": { claims: { nonce: "A".repeat(22) } },
  "no cnf": { claims: { cnf: undefined } },
  "another device": { claims: { cnf: { jkt: k } } },
  "nbf after iat": { claims: { nbf: asked.iat + 1 } },
  "exp at iat": { claims: { exp: asked.iat } },
  "a text as exp": { claims: { exp: "9999999999" } },
  "a fraction as exp": { claims: { exp: asked.iat + 600.5 } },
  "no exp": { claims: { exp: undefined } },
  "an old iat": { claims: { iat: asked.iat - 121, nbf: asked.iat - 121 } },
  "an iat to come": { claims: { iat: asked.iat + 121 } },
  "no keys": { claims: { keys: undefined } },
  "another algorithm": { jwe: { enc: "A128GCM" } },
  "one more member of the header": { jwe: { kid: "x" } },
  "another apu": { apu: bytes("other") },
  "another apv": { party: new Uint8Array(32) },
  "padding in keys": { mend: (text) => text.replace(/\.([^.]+)$/, ".$1==") },
  "an encrypted key": { mend: (text) => text.replace("..", ".AAAA.") },
  "four parts": { mend: (text) => text.replace(/\.[^.]+$/, "") },
  "a short tag": { mend: (text) => text.slice(0, -4) },
  "a byte of the tag behind the text": {
    mend: (text) => {
      const [sealed, tag] = text.split(".").slice(3).map((part) => Buffer.from(part, "base64url"));
      const moved = [Buffer.concat([sealed, tag.subarray(0, 1)]), tag.subarray(1)];
      return [...text.split(".").slice(0, 3), ...moved.map((part) => part.toString("base64url"))].join(".");
    },
  },
  "claims that are no UTF-8": { spoil: 0xff },
  "no key": set((copy) => { copy.keys = []; }),
  "one more member of the set": set((copy) => { copy.type = "temporary"; }),
  "one more member of a key": set((_, key) => { key.alg = "A128KW"; }),
  "no kty": set((_, key) => { delete key.kty; }),
  "another kty": set((_, key) => { key.kty = "EC"; }),
  "a key of 8 bytes": set((_, key) => { key.k = base64url(new Uint8Array(8)); }),
  "a key of 32 bytes": set((_, key) => { key.k = base64url(new Uint8Array(32)); }),
  "a KID of 15 bytes": set((_, key) => { key.kid = base64url(new Uint8Array(15)); }),
  "a padded key": set((_, key) => { key.k += "=="; }),
  "a byte order mark": { plain: `\ufeff${right}` },
  "no JSON": { plain: "keys" },
  "no UTF-8": { plain: new Uint8Array([123, 255, 125]) },
};
for (const [what, change] of Object.entries(wrong)) await refused(await forge(change), asked, find, what);
for (const type of ["none", "HS256"]) {
  const [, payload, signature] = (await forge({})).split(".");
  const head = base64url(JSON.stringify({ typ: "license+jwt", alg: type, kid: "one" }));
  await refused([head, payload, type === "none" ? "" : signature].join("."), asked, find, `alg ${type}`);
}
console.log(`${Object.keys(foreign).length + Object.keys(wrong).length + 6} foreign or wrong licenses are refused`);
