// The browser module: turns a ClearKey license request of the browser into Reelkey's signed license exchange, renews
// the license while it plays, gives it back when playback is over, and ends playback when a license has expired, because
// ClearKey in browsers has no clock. It keeps licenses of titles that play without a network.
//
// It assumes a secure context (HTTPS or localhost): EME and WebCrypto exist only there. Deliberately absent: storing the
// media of a kept license, and protection from the page itself, whose scripts see the content keys. See reelkey.d.ts for
// every export.

const KEY_SYSTEM = "org.w3.clearkey";
/** ClearKey in manifests: as a system of its own, and the Common system. */
const CLEARKEY = ["urn:uuid:e2719d58-a985-b3c9-781a-b030af78d30e", "urn:uuid:1077efec-c0b2-4d02-ace3-3c1e52e2fb4b"];
/** Seconds that a clock may be off, in both directions. */
const LEEWAY = 120;
const ATTEMPTS = 4;
/** Milliseconds after which a request that nobody answers is given up. */
const PATIENCE = 30_000;
/** Seconds between two renewals under a policy that does not say. */
const RETRY = 30;
const NO_TOKEN = ["token", "This page has no permission to play."];
const BAD_LICENSE = ["bad-license", "The license that came is not valid for this device."];
const UNREACHABLE = ["network", "The license service cannot be reached."];
const LONGEST_TIMEOUT = 2 ** 31 - 1;
/** Milliseconds between two looks at the wall clock while a kept license plays. */
const NOTE = 60_000;
const PERSISTENT = "persistent-license";
/** The problem type that asks for a new token (DASH-IF license request model), and the one that says that there is none. */
const PROOF = "https://dashif.org/drm-problems/insufficient-proof-of-authorization";
const NOT_AUTHORIZED = "https://dashif.org/drm-problems/not-authorized";
const SIGNING = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
const SEALING = { name: "ECDH", namedCurve: "P-256" };
const utf8 = (text) => new TextEncoder().encode(text);
const text = (bytes) => new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
const wallClock = () => Date.now() / 1000;
const pause = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));
const sha256 = async (bytes) => new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));

/** Returns the bytes of an ArrayBuffer or of a view of one. */
const view = (source) => new Uint8Array(source.buffer ?? source, source.byteOffset ?? 0, source.byteLength);

/** Writes bytes as base64url without padding. */
const encode = (bytes) =>
  btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""))
    .replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");

/** Reads canonical base64url without padding, and nothing else. */
function decode(encoded) {
  const bytes = Uint8Array.from(atob(encoded.replaceAll("-", "+").replaceAll("_", "/")), (one) => one.charCodeAt(0));
  if (encode(bytes) !== encoded) throw new Error("not canonical base64url");
  return bytes;
}

/** The members of a public JWK that count, in the order of a thumbprint (RFC 7638). */
const point = ({ crv, kty, x, y }) => ({ crv, kty, x, y });

/** Why there is no license. `message` is a sentence for the viewer; `reason` is for programs. */
export class LicenseError extends Error {
  constructor(reason, detail, more) {
    super(detail, more);
    Object.assign(this, { name: "LicenseError", reason, detail, requestId: null, status: 0 }, more);
  }
}

/** Runs a step, and names its failure. */
async function step(reason, detail, run) {
  try {
    return await run();
  } catch (cause) {
    throw cause instanceof LicenseError ? cause : new LicenseError(reason, detail, { cause });
  }
}

// ---- What the browser stores
const promised = (request) =>
  new Promise((done, failed) => {
    request.onsuccess = () => done(request.result);
    request.onerror = (event) => (event.preventDefault(), failed(request.error));
  });

/** Runs one transaction in a database with one store. `work` waits for nothing else. Returns when its changes are on disk. */
async function transact(database, store, mode, work) {
  const opening = indexedDB.open(database, 1);
  opening.onupgradeneeded = () => opening.result.createObjectStore(store);
  const opened = await promised(opening);
  try {
    const transaction = opened.transaction(store, mode, { durability: "strict" });
    const ended = new Promise((done, failed) => {
      transaction.oncomplete = done;
      transaction.onabort = () => failed(transaction.error ?? new Error("the transaction was aborted"));
    });
    ended.catch(() => {});
    const result = await work(transaction.objectStore(store));
    await ended;
    return result;
  } finally {
    opened.close();
  }
}

// ---- The device key: a CryptoKeyPair in IndexedDB. Its private half never leaves the browser's key store.
async function loadDeviceKey() {
  const find = (store) => promised(store.get("key"));
  let pair = await transact("reelkey", "device", "readonly", find);
  if (!pair) {
    const made = await crypto.subtle.generateKey(SIGNING, false, ["sign", "verify"]);
    // If another tab was faster, that tab's key is the device's key.
    const add = async (store) => (await find(store)) ?? (await promised(store.add(made, "key")), made);
    pair = await transact("reelkey", "device", "readwrite", add);
    navigator.storage?.persist?.().catch(() => {});
  }
  const jwk = point(await crypto.subtle.exportKey("jwk", pair.publicKey));
  return { privateKey: pair.privateKey, jwk, jkt: encode(await sha256(utf8(JSON.stringify(jwk)))) };
}

let deviceKey;
const device = () =>
  (deviceKey ??= loadDeviceKey().catch((cause) => {
    deviceKey = undefined;
    throw globalThis.isSecureContext
      ? new LicenseError("device-key", "This browser cannot keep the key of this device.", { cause })
      : new LicenseError("insecure-context", "Protected video needs a page that is served over HTTPS.");
  }));

// ---- The license
function hold(condition, what) {
  if (!condition) throw new Error(what);
}
const members = (object) => Object.keys(object).sort().join();

/** Opens the JWE of a license: ECDH-ES (Concat KDF with one SHA-256) and A256GCM. */
async function unseal(jwe, asked) {
  const parts = jwe.split(".");
  hold(parts.length === 5 && parts[1] === "", "the form");
  const header = JSON.parse(text(decode(parts[0])));
  hold(members(header) === "alg,apu,apv,enc,epk", "the header");
  hold(header.alg === "ECDH-ES" && header.enc === "A256GCM", "the algorithms");
  const [apu, apv] = [utf8(asked.serviceId), await sha256(utf8(asked.signingInput))];
  hold(header.apu === encode(apu), "apu");
  hold(header.apv === encode(apv), "apv");
  const epk = await crypto.subtle.importKey("jwk", point(header.epk), SEALING, false, []);
  const secret = new Uint8Array(await crypto.subtle.deriveBits({ name: "ECDH", public: epk }, asked.privateKey, 256));
  const number = (value) => [0, 0, value >> 8, value & 255];
  const field = (bytes) => [...number(bytes.length), ...bytes];
  const info = [...field(utf8("A256GCM")), ...field(apu), ...field(apv), ...number(256)];
  const raw = await sha256(new Uint8Array([...number(1), ...secret, ...info]));
  const key = await crypto.subtle.importKey("raw", raw, "AES-GCM", false, ["decrypt"]);
  const [iv, sealed, tag] = parts.slice(2).map(decode);
  hold(iv.length === 12 && tag.length === 16, "the form");
  const cipher = { name: "AES-GCM", iv, additionalData: utf8(parts[0]) };
  return new Uint8Array(await crypto.subtle.decrypt(cipher, key, new Uint8Array([...sealed, ...tag])));
}

/** Returns the KIDs of a JWK Set of exactly the form that every browser takes. */
function keyIds(bytes) {
  const set = JSON.parse(text(bytes));
  hold(members(set) === "keys" && set.keys.length > 0, "the key set");
  return set.keys.map((key) => {
    hold(members(key) === "k,kid,kty" && key.kty === "oct", "the form");
    hold(decode(key.kid).length === 16 && decode(key.k).length === 16, "the length");
    return key.kid;
  });
}

/** Verifies a compact JWS of the service. Returns its claims. */
async function verify(answer, typ, findKey) {
  const parts = answer.split(".");
  hold(parts.length === 3, "the form");
  const [head, payload, signature] = parts.map(decode);
  const header = JSON.parse(text(head));
  hold(header.typ === typ && header.alg === "ES256" && !("crit" in header), "the header");
  const jwk = await findKey(header.kid);
  hold(jwk, "the service has no such key");
  const key = await crypto.subtle.importKey("jwk", point(jwk), SIGNING, false, ["verify"]);
  hold(await crypto.subtle.verify(SIGNING, key, signature, utf8(`${parts[0]}.${parts[1]}`)), "the signature");
  return JSON.parse(text(payload));
}

/** Checks everything that a device has to check in an answer, then opens its keys. */
export function openLicense(answer, asked, findKey) {
  return step(...BAD_LICENSE, async () => {
    const claims = await verify(answer, "license+jwt", findKey);
    hold(claims.iss === asked.serviceId, "iss");
    hold(claims.nonce === asked.jti, "nonce");
    hold(claims.cnf.jkt === asked.jkt, "cnf.jkt");
    hold([claims.iat, claims.nbf, claims.exp].every(Number.isSafeInteger), "the times");
    hold(claims.nbf <= claims.iat && claims.iat < claims.exp, "the times");
    hold(Math.abs(claims.iat - asked.iat) <= LEEWAY, "iat");
    const { renews } = asked;
    hold(!renews || (claims.jti === renews.jti && claims.counter > renews.counter), "the renewed license");
    const keys = await unseal(claims.keys, asked);
    return { claims, keys, kids: keyIds(keys) };
  });
}

/** Signs a request with the device key. */
async function sign(claims) {
  const { privateKey, jwk } = await device();
  const header = { typ: "license-request+jwt", alg: "ES256", jwk };
  const signingInput = [header, claims].map((part) => encode(utf8(JSON.stringify(part)))).join(".");
  const signature = new Uint8Array(await crypto.subtle.sign(SIGNING, privateKey, utf8(signingInput)));
  return { signingInput, body: `${signingInput}.${encode(signature)}` };
}

const newJti = () => encode(crypto.getRandomValues(new Uint8Array(16)));

/** When a kept license was first played, not later than `now`: a clock that was fast then dated it too late. */
const firstPlayBy = ({ firstIssued, firstPlay }, now) =>
  firstPlay === undefined ? undefined : Math.min(firstPlay, Math.max(0, now - firstIssued));

/** Makes a request. It has an encryption key of its own, so concurrent answers cannot be mixed up. */
async function newRequest({ serviceId, token, kids, contentId, sessionType, iat, renews, description }) {
  const { jkt } = await device();
  const sealing = await crypto.subtle.generateKey(SEALING, false, ["deriveBits"]);
  const enc_jwk = point(await crypto.subtle.exportKey("jwk", sealing.publicKey));
  const jti = newJti();
  const what = renews
    ? { request_type: "RENEWAL", license_id: renews.jti, first_play: firstPlayBy(renews, iat) }
    : { request_type: "NEW", kids, content_id: contentId };
  const { signingInput, body } = await sign({
    aud: serviceId, iat, jti, session_type: sessionType, ...what, enc_jwk, ath: encode(await sha256(utf8(token))),
    device: description,
  });
  const renewed = renews && { jti: renews.jti, counter: renews.counter };
  return { body, asked: { serviceId, jti, iat, jkt, signingInput, privateKey: sealing.privateKey, renews: renewed } };
}

/** Makes the request that gives a license back. It needs no token, and is valid for as long as the license is known. */
async function newRelease({ iss, jti, session_type }, iat, firstPlay) {
  const about = { request_type: "RELEASE", session_type, license_id: jti, first_play: firstPlay };
  return (await sign({ aud: iss, iat, jti: newJti(), ...about })).body;
}

/** Returns the claims of a JWS that was verified before, or that this page signed. */
const claimsOf = (jws) => JSON.parse(text(decode(jws.split(".")[1])));

/** Checks that the service has taken the license of a release back. */
const openReceipt = (answer, release, findKey) =>
  step("bad-license", "The receipt that came is not valid for this license.", async () => {
    const { jkt } = await device();
    const asked = claimsOf(release), receipt = await verify(answer, "license-release+jwt", findKey);
    hold(receipt.iss === asked.aud, "iss");
    hold(receipt.nonce === asked.jti, "nonce");
    hold(receipt.cnf.jkt === jkt, "cnf.jkt");
    hold(receipt.jti === asked.license_id, "the license");
    return receipt;
  });

// ---- Kept licenses, for titles that play without a network. IndexedDB has each as it came, with the key that opens it,
// which no script can read, and the key that verifies it: the service may have another one when it is needed again.

/** Why a kept license does not play now. */
const UNPLAYABLE = {
  "license-returned": "This title was given back. Take it offline again to play it without a network.",
  "clock-set-back": "The clock of this device was set back. Set it right to play this title.",
  "not-yet-available": "This title is not available yet.",
  "playback-expired": "The time to watch this title is over.",
  "license-expired": "The license of this title has expired.",
};
const unplayable = (reason) => new LicenseError(reason, UNPLAYABLE[reason]);

const shelf = (mode, work) => transact("reelkey-kept", "licenses", mode, work);
const allKept = () => shelf("readonly", (store) => promised(store.getAll()));

/** Changes a kept license in one step, whatever other tabs do. `change` may throw: then nothing changes. */
const changeKept = (id, change) =>
  shelf("readwrite", async (store) => {
    const kept = change(await promised(store.get(id)));
    await promised(store.put(kept, id));
    return kept;
  });

/** What is stored of a license that has arrived. */
function toKeep({ claims, kids, answer, asked, verifyingKey }) {
  const { iat, jti: id } = claims;
  const clockAhead = Math.floor(wallClock()) - iat;
  return { id, kids, license: answer, asked, verifyingKey, clockAhead, latest: iat, firstIssued: iat };
}

/** Verifies a kept license again, and opens its keys. */
async function openKept(kept) {
  const { license, asked, verifyingKey, latest, firstIssued, firstPlay = 0 } = kept;
  const opened = await openLicense(license, asked, (kid) => (kid === verifyingKey.kid ? verifyingKey : undefined));
  await step("bad-license", "The license that is kept contradicts itself.", () => {
    const { jti, iat, counter, session_type: sessionType } = opened.claims;
    hold(jti === kept.id && sessionType === PERSISTENT, "the license");
    hold(latest >= iat && latest >= firstIssued + firstPlay, "the latest time");
    hold(counter > 0 || firstIssued === iat, "the first license");
  });
  return opened;
}

/**
 * Whether a kept license plays now. The time is the wall clock, less what it was ahead when the license arrived, and never
 * below the latest time that was seen.
 */
function judge({ license, clockAhead, latest, firstIssued, firstPlay, release }) {
  const { nbf, exp, policy } = claimsOf(license);
  const clock = wallClock() - clockAhead, exact = Math.max(clock, latest), now = Math.floor(exact);
  const begun = firstPlay !== undefined && policy.playback_duration > 0;
  const played = begun ? firstIssued + firstPlay + policy.playback_duration : Infinity;
  const ends = Math.min(exp, played), end = played <= exp ? "playback-expired" : "license-expired";
  let reason = null;
  if (release) reason = "license-returned";
  else if (latest - Math.floor(clock) > LEEWAY) reason = "clock-set-back";
  else if (now < nbf) reason = "not-yet-available";
  else if (now >= ends) reason = end;
  return { now, ends, end, left: ends - exact, reason };
}

/** Looks at a kept license: takes note of the time, and of the first play if it plays. */
async function look(id, plays) {
  const kept = await changeKept(id, (kept) => {
    if (!kept) throw unplayable("license-returned");
    const { now, reason } = judge(kept);
    // Also where nothing plays: a clock that is set back later does not bring the license back.
    if (!["license-returned", "clock-set-back"].includes(reason)) kept.latest = now;
    if (plays && !reason) kept.firstPlay ??= now - kept.firstIssued;
    return kept;
  });
  return { kept, ...judge(kept) };
}

/** What a page may know of a kept license. */
function describe(kept) {
  const claims = claimsOf(kept.license), { ends, reason } = judge(kept), { id, kids, firstIssued, firstPlay } = kept;
  const firstPlayedAt = firstPlay === undefined ? undefined : firstIssued + firstPlay;
  return { id, contentId: claims.content_id, account: claims.sub, kids, endsAt: ends, firstPlayedAt, reason, claims };
}

// ---- The exchange
/** Reads a refusal of a service. */
function refusal(response, body, unread = { reason: "unavailable", detail: "The license service does not answer." }) {
  let problem = {};
  try { problem = JSON.parse(body) ?? {}; } catch { /* a proxy's page */ }
  const { reason, detail, server_time: serverTime } = { ...unread, ...problem };
  const { status, headers } = response;
  return new LicenseError(reason, detail, { requestId: headers.get("x-request-id"), status, serverTime, type: problem.type });
}

/** Whether the service decided against a request. If not, it may grant the same request later. */
const isRefusal = ({ status }) => status >= 400 && status < 500 && status !== 408 && status !== 429;

/** Fetches tokens from an authorization service (DASH-IF license request model), and keeps each until it ends. */
class Authorization {
  #tokens = new Map(); // URL → a token, and when it ends
  constructor(url) {
    this.url = url;
  }
  /** Returns a token for these keys and this device. `now` is the time by the service's clock. */
  async token({ kids = [], jkt }, now) {
    const url = new URL(this.url, globalThis.document?.baseURI);
    if (kids.length) url.searchParams.set("kids", kids.map(uuid).sort().join());
    if (jkt) url.searchParams.set("jkt", jkt);
    // Commas as they are, as in the model's example.
    const href = url.href.replaceAll("%2C", ",");
    const known = this.#tokens.get(href);
    if (known && performance.now() < known.until) return known.token;
    const token = await fetchToken(href);
    const { exp, iat = now } = claimsOf(token);
    this.#tokens.set(href, { token, until: performance.now() + 1000 * ((exp ?? Infinity) - iat) });
    return token;
  }
  /** The service refused a token: the next one is fetched anew. */
  forget() {
    this.#tokens.clear();
  }
}

const uuid = (kid) =>
  Array.from(decode(kid), (byte) => byte.toString(16).padStart(2, "0")).join("")
    .replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");

async function fetchToken(url) {
  const signal = AbortSignal.timeout(PATIENCE);
  const response = await fetch(url, { cache: "no-store", credentials: "include", signal });
  const body = await response.text();
  if (!response.ok) {
    const { detail = NO_TOKEN[1], type, status } = refusal(response, body, {});
    throw new LicenseError(type === NOT_AUTHORIZED ? "not-authorized" : NO_TOKEN[0], detail, { status, type });
  }
  // A page that asks the viewer to sign in is no token.
  hold(/^(text\/plain|application\/jwt)\b/.test(response.headers.get("content-type")), "the answer is no token");
  return body.trim();
}

/** Returns the URL of the authorization service that a DASH manifest names for ClearKey, if it names one. */
export function findAuthzurl(manifest) {
  const parsed = typeof manifest === "string" ? new DOMParser().parseFromString(manifest, "application/xml") : manifest;
  const isOurs = ({ localName, parentElement }) => localName.toLowerCase() === "authzurl" &&
    CLEARKEY.includes(parentElement?.getAttribute("schemeIdUri")?.toLowerCase());
  return [...parsed.getElementsByTagNameNS("https://dashif.org/CPS", "*")].find(isOurs)?.textContent.trim();
}

/** One viewer's connection to one license service. Events: `refusal` and `expired`. */
export class Client extends EventTarget {
  #token;
  #authorization;
  #mayPlay;
  #titles = new Map();
  #clockError = 0;
  #jwks = { until: 0, keys: [] };
  constructor({ url, token, authzurl, serviceId = "reelkey", device: description, kept = () => true }) {
    super();
    this.url = url.replace(/\/+$/, "");
    this.serviceId = serviceId;
    this.device = description;
    if (authzurl) this.#authorization = new Authorization(authzurl);
    this.#token = authzurl ? (wanted) => this.#authorization.token(wanted, Math.floor(wallClock()) + this.#clockError)
      : typeof token === "function" ? token : () => token;
    this.#mayPlay = kept;
    watchSessions();
    // The first license needs both.
    device().catch(() => {});
    this.#findKey().catch(() => {});
    // What was given back without a network.
    this.#returnAgain().catch(() => {});
  }
  /** Returns the thumbprint of the device key (RFC 7638), for a token that is bound to this device. */
  async jkt() {
    return (await device()).jkt;
  }
  /** EME message bytes in, JWK Set bytes out. */
  license(message) {
    return this.#told(async () => {
      const wanted = await step("bad-message", "The player's license request cannot be read.", () => {
        const { kids, content_id: contentId } = JSON.parse(text(view(message)));
        return { kids: [...new Set(kids)], contentId };
      });
      const license = await this.#find(wanted);
      const { content_id: contentId } = license.claims;
      const title = this.#titles.get(contentId) ?? new Title(this, contentId, (wanted) => this.#exchange(wanted));
      this.#titles.set(contentId, title);
      title.granted(license);
      return license.keys;
    });
  }
  /**
   * Returns the headers of a request for a key in the clear (HLS AES-128), none if the URL is not one of the service. Nobody
   * signs such a request, so its token is bound to no device.
   */
  async keyHeaders(url) {
    const whole = (one) => new URL(one, globalThis.document?.baseURI).href;
    if (!whole(url).startsWith(whole(`${this.url}/v1/hls/`))) return {};
    return { Authorization: `Bearer ${await this.#told(() => this.#fetchToken({ kids: [] }))}` };
  }
  /** Takes a title offline. */
  keepLicense(contentId, { kids } = {}) {
    // One at a time, in all tabs: a second license of a title may begin its playback period.
    const keep = async () => {
      const there = (await this.keptLicenses()).find((kept) => kept.contentId === contentId && !kept.reason);
      if (there) return there;
      const license = await this.#exchange({ kids, contentId, sessionType: PERSISTENT });
      const kept = toKeep(license);
      await step("storage", "This browser cannot store the license.", () =>
        shelf("readwrite", (store) => promised(store.add(kept, kept.id)))).catch((error) => {
        giveBack(this, license.release);
        throw error;
      });
      navigator.storage?.persist?.().catch(() => {});
      return describe(kept);
    };
    return this.#told(() => navigator.locks.request(`reelkey ${this.serviceId} ${contentId}`, keep));
  }
  /** Returns the kept licenses that this client may play. */
  async keptLicenses() {
    return (await this.#ownKept()).map(describe).filter((kept) => this.#mayPlay(kept));
  }
  /** Renews a kept license, and tells the service when the title was first played. */
  renewLicense(id) {
    return this.#told(async () => describe(await this.#renewKept(id)));
  }
  /** Gives a kept license back. From now on it does not play; it is deleted when the service's receipt has come. */
  returnLicense(id) {
    return this.#told(() => this.#return(id));
  }
  /** Runs what a page asked for, and tells of its failure. */
  async #told(run) {
    try {
      return await run();
    } catch (error) {
      announce(this, "refusal", error);
      throw error;
    }
  }
  async #ownKept() {
    const all = await step("storage", "This browser cannot store licenses.", allKept);
    return all.filter(({ asked }) => asked.serviceId === this.serviceId);
  }
  /** Returns a license: a kept one that has all that is wanted, or else the service's; without an answer, a kept one. */
  async #find(wanted) {
    const kept = await this.#findKept(wanted).catch(() => undefined);
    const ask = () => this.#exchange(wanted), play = () => this.#playKept(kept);
    if (!kept) return ask();
    if (!wanted.kids.every((kid) => kept.kids.includes(kid))) {
      return ask().catch((error) => { if (isRefusal(error)) throw error; return play(); });
    }
    try {
      return await play();
    } catch (why) {
      return ask().catch((error) => { throw isRefusal(error) ? error : why; });
    }
  }
  /** Returns the kept license that has most of the keys. One that plays comes first. */
  async #findKept({ kids, contentId }) {
    const found = (await this.#ownKept()).map((kept) => [kept, describe(kept)])
      .filter(([, shown]) => this.#mayPlay(shown))
      .map(([kept, { contentId: title, reason }]) => {
        const has = kids.length ? kids.filter((kid) => kept.kids.includes(kid)).length : Number(title === contentId);
        return { kept, has, rank: has - (reason ? 1000 : 0) };
      });
    return found.filter(({ has }) => has).sort((one, other) => other.rank - one.rank)[0]?.kept;
  }
  /** Plays a kept license: the time of the first play is stored before any key comes out. */
  async #playKept(kept) {
    let opened = await openKept(kept);
    const seen = await look(kept.id, true);
    if (seen.reason) throw unplayable(seen.reason);
    // Another tab has renewed it.
    if (seen.kept.license !== kept.license) opened = await openKept(seen.kept);
    const at = performance.now();
    return {
      ...opened, keptId: kept.id, ended: unplayable(seen.end), until: at + 1000 * seen.left,
      sentAt: at - 1000 * (seen.now - opened.claims.iat),
      renew: async () => this.#playKept(await this.#renewKept(kept.id)),
    };
  }
  async #renewKept(id) {
    const before = (await this.#ownKept()).find((kept) => kept.id === id);
    if (!before || before.release) throw unplayable("license-returned");
    const { counter, content_id: contentId } = claimsOf(before.license);
    const { kids, firstIssued, firstPlay } = before;
    const renews = { jti: id, counter, firstIssued, firstPlay };
    const license = await this.#exchange({ kids, contentId, sessionType: PERSISTENT, renews });
    return changeKept(id, (kept) => {
      if (!kept || kept.release) throw unplayable("license-returned");
      // Another tab was faster.
      if (claimsOf(kept.license).counter >= license.claims.counter) return kept;
      const fresh = { ...toKeep(license), firstIssued: kept.firstIssued };
      const firstPlay = firstPlayBy(kept, fresh.latest);
      const latest = Math.max(fresh.latest, kept.firstIssued + (firstPlay ?? 0));
      return firstPlay === undefined ? fresh : { ...fresh, firstPlay, latest };
    });
  }
  async #return(id, serverTime) {
    const before = (await this.#ownKept()).find((kept) => kept.id === id);
    if (!before) throw unplayable("license-returned");
    const { now, ends } = judge(before), iat = serverTime ?? now;
    const release = (!serverTime && before.release) ||
      await newRelease(claimsOf(before.license), iat, firstPlayBy(before, iat));
    await changeKept(id, (kept) => {
      if (!kept) throw unplayable("license-returned");
      return { ...kept, release };
    });
    for (const title of known) title.note();
    const drop = () => shelf("readwrite", (store) => promised(store.delete(id)));
    try {
      const { answer } = await this.#send(release);
      const receipt = await openReceipt(answer, release, (kid) => this.#findKey(kid));
      await drop();
      return receipt;
    } catch (error) {
      // The service has forgotten a license that has ended: there is nothing to give back.
      if (error.reason === "not-authorized" && now >= ends) return drop();
      // This device's clock is wrong: date the release by the service's clock, once.
      const isTime = ["request-stale", "bad-request"].includes(error.reason) && Number.isSafeInteger(error.serverTime);
      if (serverTime || !isTime) throw error;
      return this.#return(id, error.serverTime);
    }
  }
  async #returnAgain() {
    await Promise.allSettled((await this.#ownKept()).filter(({ release }) => release).map(({ id }) => this.#return(id)));
  }
  #fetchToken(wanted) {
    return step(...NO_TOKEN, async () => {
      const given = await this.#token(wanted);
      hold(given, "the callback returned no token");
      return `${given}`;
    });
  }
  async #exchange({ kids, contentId, renews, sessionType = "temporary" }, tried = []) {
    const jkt = await this.jkt();
    const token = await this.#fetchToken({ kids: kids ?? [], content_id: contentId, jkt });
    const iat = Math.floor(wallClock()) + this.#clockError;
    const { serviceId, device: description } = this;
    const request = { serviceId, token, kids, contentId, sessionType, iat, renews, description };
    const { body, asked } = await newRequest(request);
    try {
      const { answer, sentAt } = await this.#send(body, token);
      let verifyingKey;
      const license = await openLicense(answer, asked, async (kid) => (verifyingKey = await this.#findKey(kid)));
      const { claims } = license, life = claims.exp - claims.iat;
      if (claims.session_type !== sessionType) throw new LicenseError(...BAD_LICENSE);
      // A renewed license has the ID of the old one, so the release stays valid.
      const release = renews?.release ?? (claims.policy?.can_release ? await newRelease(claims, claims.iat) : undefined);
      verifyingKey = { kid: verifyingKey.kid, ...point(verifyingKey) };
      return { ...license, answer, asked, verifyingKey, sentAt, until: sentAt + life * 1000, release };
    } catch (error) {
      const isStale = error.reason === "request-stale" && Number.isSafeInteger(error.serverTime);
      if (isStale && !tried.includes("clock")) {
        // This device's clock is wrong: date the next request by the service's clock.
        this.#clockError = error.serverTime - Math.floor(wallClock());
        return this.#exchange({ kids, contentId, renews, sessionType }, [...tried, "clock"]);
      }
      if (this.#authorization && error.type === PROOF && !tried.includes("token")) {
        this.#authorization.forget();
        return this.#exchange({ kids, contentId, renews, sessionType }, [...tried, "token"]);
      }
      throw error;
    }
  }
  /** Sends a request. The same bytes are the same license, so they are sent again if the network fails. */
  async #send(body, token) {
    for (let attempt = 1; ; attempt++) {
      const sentAt = performance.now();
      let error, wait = 250 * 2 ** attempt * (0.75 + Math.random() / 2);
      try {
        const headers = token ? { authorization: `Bearer ${token}` } : {};
        const signal = AbortSignal.timeout(PATIENCE);
        const options = { method: "POST", body, headers, cache: "no-store", credentials: "omit", signal };
        const response = await fetch(`${this.url}/v1/license`, options);
        const answer = await response.text();
        if (response.status === 200) return { answer, sentAt };
        error = refusal(response, answer);
        if (isRefusal(error)) throw error;
        wait = Math.max(wait, 1000 * (Number(response.headers.get("retry-after")) || 0));
      } catch (cause) {
        if (cause instanceof LicenseError) throw cause;
        error = new LicenseError(...UNREACHABLE, { cause });
      }
      if (attempt === ATTEMPTS || wait > 30_000) throw error;
      await pause(wait);
    }
  }
  /** Returns the service's public key. The set is kept for its max-age, and fetched anew for an unknown KID. */
  async #findKey(kid) {
    const find = () => this.#jwks.keys.find((key) => key.kid === kid);
    if (performance.now() < this.#jwks.until && find()) return find();
    await step(...UNREACHABLE, async () => {
      const response = await fetch(`${this.url}/.well-known/jwks.json`, { cache: "no-cache", credentials: "omit" });
      hold(response.status === 200, "no key set");
      const age = /max-age=(\d+)/.exec(response.headers.get("cache-control"));
      const { keys } = await response.json();
      this.#jwks = { until: performance.now() + 1000 * (age?.[1] ?? 0), keys };
    });
    return find();
  }
}

/** Gives a license back, and waits for nothing. */
function giveBack({ url }, release) {
  // The browser sends this even if the page closes. As text/plain it needs no permission of CORS first.
  if (release) navigator.sendBeacon?.(`${url}/v1/license`, new Blob([release], { type: "text/plain" }));
}

function announce(client, type, { reason, detail, requestId }) {
  client.dispatchEvent(new CustomEvent(type, { detail: { reason, detail, requestId } }));
}

// ---- Renewal and expiry. Every session that was given a license is known, whichever player made it.
const titles = new Map(); // KID → the title whose license granted it last
const known = new Set(); // every title
const makers = new WeakMap(); // MediaKeySession → its MediaKeys
const screens = new WeakMap(); // MediaKeys → the media elements that they were set on

/** Calls a listener after a method of the browser. */
function extend(type, method, listen) {
  const original = type.prototype[method];
  type.prototype[method] = function (...words) {
    const result = original.apply(this, words);
    listen(this, words[0], result);
    return result;
  };
}

let watching = false;
/** Watches which session has which keys, which element shows them, and when the page goes. */
function watchSessions() {
  if (watching || !globalThis.MediaKeys) return;
  watching = true;
  addEventListener("pagehide", () => { for (const title of known) title.leave(); });
  setInterval(() => { for (const title of known) title.note(); }, NOTE);
  // The browser kept the page, and the viewer came back to it.
  addEventListener("pageshow", ({ persisted }) => { for (const title of persisted ? known : []) title.comeBack(); });
  extend(MediaKeys, "createSession", (keys, _, session) => makers.set(session, keys));
  extend(HTMLMediaElement, "setMediaKeys", (element, keys) => {
    if (!keys) return;
    if (!screens.has(keys)) screens.set(keys, new Set());
    screens.get(keys).add(element);
  });
  extend(MediaKeySession, "update", (session, response, done) => {
    done.then(() => {
      for (const { kid } of JSON.parse(text(view(response))).keys) titles.get(kid)?.give(session, kid);
    }).catch(() => {});
  });
}

/** The licenses of one title in one client: when its keys expire, and which sessions have them. */
class Title {
  #until = new Map(); // KID → when it expires, the last granted last
  #sessions = new Map(); // MediaKeySession → its KIDs
  #held = new Map(); // license ID → a license that is to be given back
  #license; // the last granted one: this is renewed
  #failure; #asking; #askedAt; #askTimer; #endTimer; #isLate;
  constructor(client, contentId, exchange) {
    Object.assign(this, { client, contentId, exchange });
    known.add(this);
  }
  /** Takes note of a license. */
  granted(license) {
    this.#failure = this.#askedAt = undefined;
    this.#license = license;
    for (const [id, { until }] of this.#held) if (until < performance.now()) this.#held.delete(id);
    if (license.release) this.#held.set(license.claims.jti, license);
    for (const kid of license.kids) {
      this.#until.delete(kid);
      this.#until.set(kid, license.until);
      titles.set(kid, this);
    }
    // A request names at most 64 keys: those of periods long past are forgotten.
    for (const kid of [...this.#until.keys()].slice(0, -64)) {
      this.#until.delete(kid);
      for (const held of this.#sessions.values()) held.delete(kid);
    }
    this.#plan();
  }
  /** Takes note of a key that a session has got. */
  give(session, kid) {
    if (!this.#until.has(kid)) return;
    for (const license of this.#held.values()) license.used ||= license.kids.includes(kid);
    if (!this.#sessions.has(session)) {
      this.#sessions.set(session, new Set());
      session.closed.then(() => {
        this.#sessions.delete(session);
        this.#release();
      });
    }
    this.#sessions.get(session).add(kid);
    this.#plan();
  }
  /** The page goes: gives all licenses back. */
  leave() {
    this.note();
    this.#release(true);
  }
  /** The page is back: asks for a license in place of those that were given back. */
  comeBack() {
    this.note();
    if (!this.#license?.release) return;
    this.#license = undefined;
    if (this.#sessions.size) this.#askAgain();
  }
  /** A kept license goes by the wall clock: takes note of the time, and ends playback if the clock says so. */
  async note() {
    const license = this.#license;
    if (!license?.keptId || !this.#sessions.size) return;
    const { left, reason } = await look(license.keptId).catch((error) => ({ reason: error.reason }));
    // Without a reason and without a time, IndexedDB has failed: the timer of the end remains.
    if (license !== this.#license || reason === undefined) return;
    license.until = performance.now() + (reason ? 0 : 1000 * left);
    for (const kid of license.kids) this.#until.set(kid, license.until);
    if (reason) this.#failure = { error: unplayable(reason), final: true, refused: true };
    this.#plan();
  }
  /** Gives licenses back, if no session is left: those that a session had, or all. Nobody waits for the receipts. */
  #release(all = false) {
    if (this.#sessions.size && !all) return;
    for (const [id, { used, release }] of this.#held) {
      if (!used && !all) continue; // A session is about to get its keys.
      this.#held.delete(id);
      giveBack(this.client, release);
    }
  }
  /** The rules of the license that is renewed, if it is: a delay of 0 says that renewing cannot move its end. */
  get #renewal() {
    const policy = this.#license?.claims.policy;
    return policy?.can_renew && policy.renewal_delay > 0 ? policy : undefined;
  }
  /**
   * Returns when the first of a session's keys expires: later than the license while renewals get no answer at all, but
   * never later than a kept license.
   */
  #end(session) {
    const isUnanswered = this.#failure && !this.#failure.refused && !this.#license?.keptId;
    const recovery = isUnanswered ? 1000 * (this.#renewal?.renewal_recovery_duration ?? 0) : 0;
    const end = (kid) => this.#until.get(kid) + (this.#license?.kids.includes(kid) ? recovery : 0);
    return Math.min(...[...this.#sessions.get(session)].map(end));
  }
  /** Returns when the first session ends. */
  #firstEnd() {
    return Math.min(...[...this.#sessions.keys()].map((session) => this.#end(session)));
  }
  /**
   * Whether a session has keys that expire before the license that is renewed. A renewal names no keys, so it leaves out
   * those of past crypto periods, which may still play: a new license that names them has them.
   */
  #hasOtherKeys() {
    return this.#firstEnd() < this.#license?.until;
  }
  /** Returns in how many milliseconds the service is to be asked again, if it is. */
  #wait(left) {
    if (this.#asking || this.#failure?.final) return undefined;
    const hasOtherKeys = this.#hasOtherKeys();
    if (this.#renewal && !hasOtherKeys) {
      const { renewal_delay: delay, renewal_retry_interval: retry } = this.#renewal;
      const due = this.#askedAt ? this.#askedAt + 1000 * (retry || RETRY) : this.#license.sentAt + 1000 * delay;
      return due - performance.now();
    }
    // A license that is not renewed is followed by a new one, after three quarters of what is left.
    const isOver = (this.#license?.claims.policy?.can_renew && !hasOtherKeys) || left < 500;
    return isOver ? undefined : left * (0.7 + Math.random() / 10);
  }
  /** Asks again in time, and ends playback at the end. */
  #plan() {
    clearTimeout(this.#askTimer);
    clearTimeout(this.#endTimer);
    if (!this.#sessions.size) return;
    const left = this.#firstEnd() - performance.now(), wait = this.#wait(left);
    const later = (run, wait) => setTimeout(run, Math.min(Math.max(0, wait), LONGEST_TIMEOUT));
    if (wait !== undefined) this.#askTimer = later(() => this.#askAgain(), wait);
    // While the answer is waited for that decides whether the film goes on, the player is stopped, and keeps its session.
    if (!this.#isLate) this.#endTimer = later(() => this.#expire(), left);
  }
  async #askAgain() {
    this.#askedAt = performance.now();
    // Without a player that shows the title, nobody needs a license.
    const elements = [...this.#sessions.keys()].flatMap((session) => this.#elements(session));
    if (!elements.length) return this.#plan();
    // The device slept past the end of the license: nothing plays before the answer.
    this.#isLate = !this.#failure && this.#firstEnd() <= this.#askedAt;
    const held = this.#isLate ? elements : [], stopped = held.filter(({ paused }) => !paused);
    const stop = ({ target }) => target.pause();
    for (const element of held) {
      element.pause();
      element.addEventListener("play", stop);
    }
    // The reason, if the end comes before an answer.
    const refused = this.#failure?.refused;
    this.#failure = { error: new LicenseError(...UNREACHABLE), refused };
    this.#asking = true;
    this.#plan();
    const goOn = () => {
      this.#isLate = false;
      for (const element of held) element.removeEventListener("play", stop);
    };
    try {
      await this.#ask();
      goOn();
      for (const element of stopped) element.play().catch(() => {});
    } catch (error) {
      goOn();
      // A token can be replaced before the end, and the network can return. Other refusals are final.
      const final = isRefusal(error) && !error.reason.startsWith("token");
      this.#failure = { error, final, refused: refused || isRefusal(error) };
      if (error.status && this.#sessions.size) announce(this.client, "refusal", error);
    }
    this.#asking = false;
    this.#plan();
    this.#release();
  }
  /** Renews the license, or asks for a new one where it cannot be renewed, and gives the sessions keys that are new. */
  async #ask() {
    const wanted = { kids: [...this.#until.keys()], contentId: this.contentId };
    const renewed = this.#renewal && !this.#hasOtherKeys() && this.#license;
    const renews = renewed && { ...renewed.claims, release: renewed.release };
    // Nothing else is going to use it: it is given back if the sessions are closed meanwhile.
    const asked = renewed?.renew ? renewed.renew() : this.exchange({ ...wanted, renews });
    const license = { ...(await asked), used: true };
    this.granted(license);
    for (const [session, held] of this.#sessions) {
      if (license.kids.some((kid) => !held.has(kid))) session.update(license.keys).catch(() => {});
    }
  }
  #elements(session) {
    const keys = makers.get(session);
    return [...(screens.get(keys) ?? [])].filter((element) => element.mediaKeys === keys);
  }
  #expire() {
    const now = performance.now();
    // A kept license ends by itself: nobody had to answer.
    const { error } = (this.#license?.ended && !this.#failure?.refused ? null : this.#failure) ?? {};
    const why = error ?? this.#license?.ended ?? unplayable("license-expired");
    let seen;
    for (const session of [...this.#sessions.keys()].filter((one) => this.#end(one) <= now)) {
      for (const element of this.#elements(session)) {
        element.pause();
        seen = true;
      }
      this.#sessions.delete(session);
      session.close().catch(() => {});
    }
    if (seen) announce(this.client, "expired", why);
    this.#plan();
  }
}

// ---- Players
const CONFIGURATION = [{
  initDataTypes: ["cenc", "keyids", "webm"],
  videoCapabilities: [{ contentType: 'video/mp4; codecs="avc1.42E01E"' }, { contentType: 'video/webm; codecs="vp9"' }],
  audioCapabilities: [{ contentType: 'audio/mp4; codecs="mp4a.40.2"' }, { contentType: 'audio/webm; codecs="opus"' }],
}];

/** Plays encrypted media of a media element without a player's help. Returns a function that stops it. */
export function attachEme(video, client) {
  const sessions = new Map();
  let keys;
  const open = async ({ initDataType, initData }) => {
    const name = initData && encode(new Uint8Array(initData));
    if (!name || sessions.has(name)) return;
    sessions.set(name, null);
    keys ??= navigator.requestMediaKeySystemAccess(KEY_SYSTEM, CONFIGURATION).then(async (access) => {
      const made = await access.createMediaKeys();
      await video.setMediaKeys(made);
      return made;
    });
    const session = (await keys).createSession();
    sessions.set(name, session);
    session.addEventListener("message", ({ message }) =>
      client.license(message).then((set) => session.update(set)).catch(() => sessions.delete(name)));
    await session.generateRequest(initDataType, initData);
  };
  const listen = (event) => open(event).catch((cause) =>
    announce(client, "refusal", new LicenseError("eme", "This browser cannot play this protected video.", { cause })));
  video.addEventListener("encrypted", listen);
  return () => {
    video.removeEventListener("encrypted", listen);
    for (const session of sessions.values()) session?.close().catch(() => {});
  };
}

/** Shaka Player's `RequestType`s of licenses, and of HLS keys. */
const SHAKA_LICENSE = 2, SHAKA_KEY = 6;

/** Shaka Player: call it before `load()`. A refused license is in the `data` of Shaka's error 6007; refused keys are 1001. */
export function installShaka(player, client) {
  player.configure({ drm: { servers: { [KEY_SYSTEM]: `${client.url}/v1/license` } } });
  player.getNetworkingEngine().registerRequestFilter(async (type, request) => {
    if (type === SHAKA_KEY) {
      // Shaka Player tries one URI after the other. The token is for none of them if one is another server's.
      const all = await Promise.all(request.uris.map((uri) => client.keyHeaders(uri)));
      if (all.every(({ Authorization }) => Authorization)) Object.assign(request.headers, all[0]);
    }
    // Keys in the page and HLS identity keys pass here too, as data: URIs. So does an answer that is asked for again.
    const other = request.drmInfo && request.drmInfo.keySystem !== KEY_SYSTEM;
    if (type !== SHAKA_LICENSE || other || request.uris[0].startsWith("data:")) return;
    const set = await client.license(request.body);
    Object.assign(request, { uris: [`data:application/json;base64,${btoa(text(set))}`], method: "GET", body: null });
  });
}

/** dash.js: call it before `attachSource()`. A refusal is `serverResponse` in the data of dash.js's error 114. */
export function installDashjs(player, client) {
  if (globalThis.MediaKeySession) fixDashjsInitData();
  player.setProtectionData({ [KEY_SYSTEM]: { serverURL: `${client.url}/v1/license` } });
  // dash.js waits for no error of a filter. So it reads the key set, or the refusal, from a URL without network.
  player.registerLicenseRequestFilter(async (request) => {
    // Where the manifest names ClearKey as a system of its own, dash.js hands over the message as text.
    const message = typeof request.data === "string" ? utf8(request.data) : request.data;
    const answer = await client.license(message).then(
      text, ({ reason, detail, requestId }) => JSON.stringify({ reason, detail, requestId }));
    // Without the key of one track dash.js takes another, but may stay where the decoder waits for the first.
    setTimeout(() => {
      const video = player.getVideoElement();
      if (video.readyState === 1 && answer.startsWith('{"keys')) video.currentTime += 0.2;
    }, 1000);
    const url = `data:application/json,${encodeURIComponent(answer)}`;
    Object.assign(request, { url, method: "GET", headers: {}, withCredentials: false, responseType: "json" });
  });
}

/** dash.js calls every initialization data of ClearKey "keyids", even a pssh box, which browsers then refuse. */
function fixDashjsInitData() {
  const { generateRequest } = MediaKeySession.prototype;
  MediaKeySession.prototype.generateRequest = function (type, data) {
    const box = String.fromCharCode(...view(data).subarray(4, 8));
    return generateRequest.call(this, type === "keyids" && box === "pssh" ? "cenc" : type, data);
  };
}

/** hls.js: `new Hls({...hlsConfig(client)})`. A refusal is the `error` of hls.js's error event. */
export function hlsConfig(client) {
  const sets = new WeakMap();
  return {
    emeEnabled: true,
    async xhrSetup(xhr, url) {
      const headers = Object.entries(await client.keyHeaders(url));
      // hls.js opens what is not open yet.
      if (headers.length) xhr.open("GET", url);
      for (const [name, value] of headers) xhr.setRequestHeader(name, value);
    },
    drmSystems: { [KEY_SYSTEM]: { licenseUrl: `${client.url}/v1/license` } },
    async licenseXhrSetup(xhr, _url, _context, message) {
      // hls.js calls this a second time after an error; the answer is the same.
      if (!sets.has(xhr)) sets.set(xhr, client.license(message).then((set) => sets.set(xhr, set)));
      await sets.get(xhr);
      xhr.open("GET", "data:,");
    },
    licenseResponseCallback: (xhr) => sets.get(xhr),
  };
}

/** video.js: `player.src({..., keySystems: videojsKeySystems(client)})`. The player itself shows refusals. */
export function videojsKeySystems(client) {
  return {
    [KEY_SYSTEM]: {
      supportedConfigurations: CONFIGURATION,
      getLicense(_options, message, callback) {
        client.license(message).then((set) => callback(null, set), callback);
      },
    },
  };
}
