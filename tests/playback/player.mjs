// A player in JavaScript: the license exchange with the npm package jose and keys that the platform keeps.
//
// usage: node player.mjs JOSE URL CA SERVICE_ID CONTENT_ID  < token  > JSON
//
// The device key and the key that the license is sealed to are WebCrypto keys that cannot be exported. It asks over
// HTTP/2 and TLS, as a browser does, and compares what a device has to compare.

import { readFileSync } from "node:fs";
import { connect } from "node:http2";
import { pathToFileURL } from "node:url";

const [josePath, url, caFile, serviceId, contentId] = process.argv.slice(2);
const jose = await import(pathToFileURL(josePath));
const { subtle } = globalThis.crypto;
const bytes = (text) => new TextEncoder().encode(text);
const sha256 = async (text) => jose.base64url.encode(new Uint8Array(await subtle.digest("SHA-256", bytes(text))));

function hold(condition, what) {
  if (!condition) throw new Error(what);
}

const session = connect(url, { ca: readFileSync(caFile) });
await new Promise((done, failed) => session.on("connect", done).on("error", failed));
hold(session.alpnProtocol === "h2", "HTTP/2 was not chosen");

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
const device = await subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, false, ["sign", "verify"]);
const sealing = await subtle.generateKey({ name: "ECDH", namedCurve: "P-256" }, false, ["deriveBits"]);
await subtle.exportKey("jwk", device.privateKey).then(
  () => { throw new Error("the device key can be exported"); },
  () => {},
);
// With key_ops and ext, as WebCrypto writes them.
const deviceJwk = await subtle.exportKey("jwk", device.publicKey);
const claims = {
  aud: serviceId,
  iat: Math.floor(Date.now() / 1000),
  jti: jose.base64url.encode(crypto.getRandomValues(new Uint8Array(16))),
  request_type: "NEW",
  session_type: "temporary",
  content_id: contentId,
  enc_jwk: await subtle.exportKey("jwk", sealing.publicKey),
  ath: await sha256(token),
};
const request = await new jose.CompactSign(bytes(JSON.stringify(claims)))
  .setProtectedHeader({ typ: "license-request+jwt", alg: "ES256", jwk: deviceJwk })
  .sign(device.privateKey);
const granted = await send("POST", "/v1/license", { authorization: `Bearer ${token}` }, request);
hold(granted.status === 200, granted.answer);

const jwks = jose.createLocalJWKSet(JSON.parse((await send("GET", "/.well-known/jwks.json")).answer));
// jose compares times with a clock; a device compares them with its request (below).
const { payload, protectedHeader } = await jose.compactVerify(granted.answer, jwks, { algorithms: ["ES256"] });
hold(protectedHeader.typ === "license+jwt", "typ");
const license = JSON.parse(new TextDecoder().decode(payload));
hold(license.iss === serviceId, "iss");
hold(license.nonce === claims.jti, "nonce");
hold(license.cnf.jkt === (await jose.calculateJwkThumbprint(deviceJwk)), "cnf.jkt");
hold(license.nbf <= license.iat && license.iat < license.exp, "times");
hold(Math.abs(license.iat - claims.iat) <= 120, "iat");
const header = jose.decodeProtectedHeader(license.keys);
hold(Object.keys(header).sort().join() === "alg,apu,apv,enc,epk", "the header of keys");
hold(header.apu === jose.base64url.encode(serviceId), "apu");
hold(header.apv === (await sha256(request.slice(0, request.lastIndexOf(".")))), "apv");
const opened = await jose.compactDecrypt(license.keys, sealing.privateKey, {
  keyManagementAlgorithms: ["ECDH-ES"],
  contentEncryptionAlgorithms: ["A256GCM"],
});
const { keys } = JSON.parse(new TextDecoder().decode(opened.plaintext));
delete license.keys;
console.log(JSON.stringify({ license, keys }));
session.close();
