// A player in JavaScript: the license exchange with the npm package jose and keys that the platform keeps.
//
// usage: node player.mjs JOSE URL CA SERVICE_ID CONTENT_ID [--life]  < token  > JSON
//
// The device key and the keys that licenses are sealed to are WebCrypto keys that cannot be exported. It asks over HTTP/2
// and TLS, as a browser does, and compares what a device has to compare. With --life it walks through the life of licenses
// with three devices of one account: granted, renewed, released, refused, kept and played without a connection, returned.

import { readFileSync } from "node:fs";
import { connect } from "node:http2";
import { pathToFileURL } from "node:url";

const [josePath, url, caFile, serviceId, contentId, life] = process.argv.slice(2);
const jose = await import(pathToFileURL(josePath));
const { subtle } = globalThis.crypto;
const bytes = (text) => new TextEncoder().encode(text);
const read = (bytes) => JSON.parse(new TextDecoder().decode(bytes));
const sha256 = async (text) => jose.base64url.encode(new Uint8Array(await subtle.digest("SHA-256", bytes(text))));
const seconds = () => Math.floor(Date.now() / 1000);

function hold(condition, what) {
  if (!condition) throw new Error(what);
}

/** A connection to the service. */
async function connection() {
  const session = connect(url, { ca: readFileSync(caFile) });
  await new Promise((done, failed) => session.on("connect", done).on("error", failed));
  hold(session.alpnProtocol === "h2", "HTTP/2 was not chosen");
  return session;
}
let session = await connection();

function send(method, path, headers = {}, body = "") {
  return new Promise((done, failed) => {
    const head = { ":method": method, ":path": path, ...headers };
    const stream = session.request(head, { endStream: !body });
    let status, answer = "";
    stream.setEncoding("utf8");
    stream.on("response", (response) => { status = response[":status"]; });
    stream.on("data", (part) => { answer += part; });
    stream.on("end", () => done({ status, answer }));
    stream.on("error", failed);
    if (body) stream.end(body);
  });
}

const token = readFileSync(0, "utf8").trim();
const serviceKeys = JSON.parse((await send("GET", "/.well-known/jwks.json")).answer);

class Refused extends Error {
  constructor(status, problem) {
    super(`${status} ${problem}`);
    this.problem = { status, ...JSON.parse(problem) };
  }
}

/** Sends a request. Returns the claims of the answer, a JWS of the service with this `typ`, and the answer itself. */
async function post(body, typ, headers) {
  const { status, answer } = await send("POST", "/v1/license", headers, body);
  if (status !== 200) throw new Refused(status, answer);
  return { claims: await verified(answer, typ), answer };
}

// jose compares times with a clock; a device compares them with its request (below).
async function verified(answer, typ) {
  const jwks = jose.createLocalJWKSet(serviceKeys);
  const { payload, protectedHeader } = await jose.compactVerify(answer, jwks, { algorithms: ["ES256"] });
  hold(protectedHeader.typ === typ, "typ");
  return read(payload);
}

const sealingPair = () => subtle.generateKey({ name: "ECDH", namedCurve: "P-256" }, false, ["deriveBits"]);

async function unseal(license, sealing) {
  const { plaintext } = await jose.compactDecrypt(license.keys, sealing.privateKey, {
    keyManagementAlgorithms: ["ECDH-ES"],
    contentEncryptionAlgorithms: ["A256GCM"],
  });
  return read(plaintext).keys;
}

/** A device key, and what it asks of the service. */
class Device {
  static async make() {
    const device = new Device();
    device.pair = await subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, false, ["sign", "verify"]);
    await subtle.exportKey("jwk", device.pair.privateKey).then(
      () => { throw new Error("the device key can be exported"); },
      () => {},
    );
    // With key_ops and ext, as WebCrypto writes them.
    device.jwk = await subtle.exportKey("jwk", device.pair.publicKey);
    device.jkt = await jose.calculateJwkThumbprint(device.jwk);
    return device;
  }
  /** Signs a request. A release has no `sealing` key pair, and may have no token. */
  async asks(request_type, { sealing, bearer, ...more }) {
    const claims = {
      aud: serviceId, iat: seconds(), jti: jose.base64url.encode(crypto.getRandomValues(new Uint8Array(16))),
      request_type, session_type: "temporary", ...more,
    };
    if (sealing) claims.enc_jwk = await subtle.exportKey("jwk", sealing.publicKey);
    if (bearer) claims.ath = await sha256(bearer);
    const body = await new jose.CompactSign(bytes(JSON.stringify(claims)))
      .setProtectedHeader({ typ: "license-request+jwt", alg: "ES256", jwk: this.jwk })
      .sign(this.pair.privateKey);
    return { claims, body, sealing, headers: bearer ? { authorization: `Bearer ${bearer}` } : {} };
  }
  /** Sends a request. Returns the license, its keys and the answer as it came. */
  async license({ claims, body, sealing, headers }) {
    const { claims: license, answer } = await post(body, "license+jwt", headers);
    hold(license.iss === serviceId, "iss");
    hold(license.nonce === claims.jti, "nonce");
    hold(license.cnf.jkt === this.jkt, "cnf.jkt");
    hold(license.session_type === claims.session_type, "session_type");
    hold(license.nbf <= license.iat && license.iat < license.exp, "times");
    hold(Math.abs(license.iat - claims.iat) <= 120, "iat");
    const header = jose.decodeProtectedHeader(license.keys);
    hold(Object.keys(header).sort().join() === "alg,apu,apv,enc,epk", "the header of keys");
    hold(header.apu === jose.base64url.encode(serviceId), "apu");
    hold(header.apv === (await sha256(body.slice(0, body.lastIndexOf(".")))), "apv");
    return { license, keys: await unseal(license, sealing), answer };
  }
  async new(more) {
    const asked = { sealing: await sealingPair(), bearer: token, content_id: contentId, ...more };
    return this.license(await this.asks("NEW", asked));
  }
  async renew({ jti, counter, session_type }, more) {
    const asked = { sealing: await sealingPair(), bearer: token, license_id: jti, session_type, ...more };
    const renewed = await this.license(await this.asks("RENEWAL", asked));
    hold(renewed.license.jti === jti && renewed.license.counter > counter, "the renewed license");
    return renewed;
  }
  /** Gives a license back. Returns the receipt. */
  async release({ jti, session_type }, more) {
    const { claims, body, headers } = await this.asks("RELEASE", { license_id: jti, session_type, ...more });
    const { claims: receipt } = await post(body, "license-release+jwt", headers);
    hold(receipt.iss === serviceId, "iss");
    hold(receipt.nonce === claims.jti, "nonce");
    hold(receipt.jti === jti, "jti");
    hold(receipt.cnf.jkt === this.jkt, "cnf.jkt");
    return receipt;
  }
}

/** The problem document that a request is refused with (RFC 9457). */
const refusal = (promise) => promise.then(
  () => { throw new Error("granted"); },
  (error) => { if (error instanceof Refused) return error.problem; throw error; },
);

/** Temporary licenses: granted, renewed, refused to a second stream and a third device, released. */
async function streams(told) {
  const [first, second, third] = await Promise.all([1, 2, 3].map(() => Device.make()));
  const asked = await first.asks("NEW", { sealing: await sealingPair(), bearer: token, content_id: contentId });
  ({ license: told.license, keys: told.keys } = await first.license(asked));
  ({ license: told.renewed, keys: told.renewed_keys } = await first.renew(told.license));
  told.second_stream = await refusal(second.new());
  told.foreign_renewal = await refusal(second.renew(told.license));
  told.foreign_release = await refusal(second.release(told.license));
  told.receipt = await first.release(told.renewed);
  told.repeated_receipt = await first.release(told.renewed);
  told.repeated_new = await refusal(first.license(asked));
  told.renewal_after_release = await refusal(first.renew(told.renewed));
  const { license: other } = await second.new();
  told.second_receipt = await second.release(other, { bearer: token });
  told.third_device = await refusal(third.new());
  return first;
}

/** Opens a kept license without a connection. `ahead` is how far the service's clock is ahead of this one. */
async function offline({ answer, sealing, ahead }, device) {
  hold(session.closed, "there is a connection");
  const license = await verified(answer, "license+jwt");
  hold(license.cnf.jkt === device.jkt, "cnf.jkt");
  const now = seconds() + ahead;
  hold(license.iat <= now + 120 && now < license.exp, "the times");
  return { license, keys: await unseal(license, sealing) };
}

/** A persistent license: kept, played without a connection, renewed, and returned with its first play. */
async function download(told, device) {
  const session_type = "persistent-license", sealing = await sealingPair();
  const { license, answer } = await device.new({ session_type, sealing });
  const kept = { answer, sealing, ahead: license.iat - seconds() };
  session.close();
  ({ license: told.kept, keys: told.kept_keys } = await offline(kept, device));
  session = await connection();
  const first_play = Math.max(0, seconds() + kept.ahead - license.iat);
  const renewed = await device.renew(license, { sealing, first_play });
  session.close();
  told.kept_renewed = renewed.license;
  ({ keys: told.kept_renewed_keys } = await offline({ ...kept, answer: renewed.answer }, device));
  session = await connection();
  told.kept_receipt = await device.release(renewed.license, { first_play });
  told.kept_renewal_after_return = await refusal(device.renew(renewed.license, { sealing }));
}

const told = {};
if (life) {
  await download(told, await streams(told));
} else {
  ({ license: told.license, keys: told.keys } = await (await Device.make()).new());
}
console.log(JSON.stringify(told));
session.close();
