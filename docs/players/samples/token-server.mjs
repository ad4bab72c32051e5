// A page's back end in Node: POST /token with {"content_id": ..., "jkt": ...} answers with a token for Reelkey.
//
// It needs the package `jose`. Run it behind the site's own HTTPS server, on the origin of the page.
// Deliberately absent: a real sign-in (see SESSIONS) and TLS.

import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { importJWK, SignJWT } from "jose";

const ISSUER = process.env.ISSUER ?? "https://auth.example"; // as in `reelkey issuer add`
const AUDIENCE = "reelkey"; // service_id of reelkey.toml
const LIFE = 600; // seconds

// PLACEHOLDER. Replace it with your site's session store: who the viewer is, what the viewer may watch, and where the
// viewer is. Find out the region yourself, for example from the address of the connection; never take it from the page.
if (!process.env.DEMO_SESSION) throw new Error("DEMO_SESSION is not set");
const SESSIONS = new Map([[process.env.DEMO_SESSION, { sub: "alice", contents: ["movies/bunny"], region: "US" }]]);

const jwk = JSON.parse(readFileSync(process.env.ISSUER_KEY ?? "issuer.jwk", "utf8"));
const key = await importJWK(jwk, "ES256");

/** Reads a body of at most 9999 bytes. */
async function read(request) {
  let body = "";
  for await (const part of request) {
    body += part;
    if (body.length > 9999) throw new Error("too long");
  }
  return JSON.parse(body);
}

/** Returns the status and the text of the answer. */
async function token(request) {
  // A form on a foreign page cannot send this type.
  if (request.headers["content-type"]?.split(";")[0] !== "application/json") return [415, "send JSON"];
  const cookie = /(?:^|;\s*)session=([^;]*)/.exec(request.headers.cookie ?? "");
  const viewer = SESSIONS.get(cookie?.[1]);
  if (!viewer) return [401, "sign in first"];
  const { content_id, jkt } = (await read(request).catch(() => null)) ?? {};
  if (typeof content_id !== "string") return [400, "send content_id and jkt"];
  if (jkt != null && !/^[A-Za-z0-9_-]{43}$/.test(jkt)) return [400, "jkt is no thumbprint"];
  if (!viewer.contents.includes(content_id)) return [403, "this title is not available to this account"];
  const iat = Math.floor(Date.now() / 1000);
  const claims = { iss: ISSUER, sub: viewer.sub, aud: AUDIENCE, iat, exp: iat + LIFE, content_id, region: viewer.region };
  if (jkt) claims.cnf = { jkt };
  return [200, await new SignJWT(claims).setProtectedHeader({ typ: "JWT", alg: "ES256", kid: jwk.kid }).sign(key)];
}

const server = createServer(async (request, response) => {
  const isToken = request.method === "POST" && request.url === "/token";
  const [status, text] = isToken ? await token(request) : [404, "there is nothing at this address"];
  response.writeHead(status, { "content-type": "text/plain", "cache-control": "no-store" }).end(text);
});
server.listen(Number(process.env.PORT ?? 8080), "127.0.0.1", () => {
  console.log(`http://127.0.0.1:${server.address().port}/token`);
});
