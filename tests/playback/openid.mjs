// An OpenID provider on this machine: the npm package oidc-provider.
//
// usage: node openid.mjs OIDC_PROVIDER JOSE  < commands  > answers
//
// The first line of output is the issuer. Then each line of input is a command: `token` prints an access token for a
// machine (client credentials, RFC 9068); `rotate` gives the provider a new key before the old one, so that it signs with
// the new one.

import { createServer } from "node:http";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const [providerPath, josePath] = process.argv.slice(2);
const { Provider } = await import(pathToFileURL(providerPath));
const jose = await import(pathToFileURL(josePath));

const keys = [];
async function addKey() {
  const { privateKey } = await jose.generateKeyPair("ES256", { extractable: true });
  const jwk = await jose.exportJWK(privateKey);
  keys.unshift({ ...jwk, alg: "ES256", use: "sig", kid: `key-${keys.length + 1}` });
}

let handle;
const server = createServer((request, response) => handle(request, response));
await new Promise((done) => server.listen(0, "127.0.0.1", done));
const issuer = `http://127.0.0.1:${server.address().port}`;

function provide() {
  const resource = {
    scope: "play",
    audience: "reelkey",
    accessTokenTTL: 600,
    accessTokenFormat: "jwt",
    jwt: { sign: { alg: "ES256" } },
  };
  const provider = new Provider(issuer, {
    clients: [
      {
        client_id: "tv",
        client_secret: "a secret of a test",
        grant_types: ["client_credentials"],
        response_types: [],
        redirect_uris: [],
        id_token_signed_response_alg: "ES256",
      },
    ],
    jwks: { keys },
    ttl: { ClientCredentials: 600 },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      resourceIndicators: { enabled: true, getResourceServerInfo: () => resource },
    },
    extraTokenClaims: () => ({ "https://reelkey.example/content_id": "movies/bunny" }),
  });
  handle = provider.callback();
}

async function token() {
  const answer = await fetch(`${issuer}/token`, {
    method: "POST",
    headers: { authorization: `Basic ${btoa("tv:" + encodeURIComponent("a secret of a test"))}` },
    body: new URLSearchParams({ grant_type: "client_credentials", scope: "play", resource: "urn:example:films" }),
  });
  const document = await answer.json();
  if (!answer.ok) throw new Error(JSON.stringify(document));
  return document.access_token;
}

await addKey();
provide();
console.log(issuer);
for await (const command of createInterface({ input: process.stdin })) {
  if (command === "token") console.log(await token());
  if (command === "rotate") {
    await addKey();
    provide();
    console.log("rotated");
  }
}
process.exit(0);
