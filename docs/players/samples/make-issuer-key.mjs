// Makes the key of an issuer of tokens: issuer.jwk, private, mode 0600, for the back end; issuer.jwks.json, public, for
// `reelkey issuer add --jwks`. It needs the package `jose`, and replaces no file.

import { writeFileSync } from "node:fs";
import { calculateJwkThumbprint, exportJWK, generateKeyPair } from "jose";

const { privateKey } = await generateKeyPair("ES256", { extractable: true });
const jwk = await exportJWK(privateKey);
jwk.kid = await calculateJwkThumbprint(jwk);
const { d, ...shown } = jwk;
writeFileSync("issuer.jwk", JSON.stringify(jwk), { mode: 0o600, flag: "wx" });
writeFileSync("issuer.jwks.json", JSON.stringify({ keys: [{ ...shown, alg: "ES256", use: "sig" }] }), { flag: "wx" });
