// One HTTP/2 connection that stays open, and new ones beside it: usage: node connection.mjs URL CA
//
// For every line on standard input it asks over the connection that it opened first and over a new one, and prints the
// two answers and the fingerprints of the certificates that they were given under.

import { readFileSync } from "node:fs";
import { connect } from "node:http2";
import { createInterface } from "node:readline";

const [url, caFile] = process.argv.slice(2);

function open() {
  return new Promise((done, failed) => {
    const session = connect(url, { ca: readFileSync(caFile) });
    session.on("error", failed);
    session.on("connect", () => done(session));
  });
}

function ask(session) {
  return new Promise((done, failed) => {
    const stream = session.request({ ":path": "/healthz" });
    stream.on("response", (head) => done({
      status: head[":status"],
      certificate: session.socket.getPeerCertificate().fingerprint256,
    }));
    stream.on("error", failed);
    stream.resume();
  });
}

const first = await open();
for await (const _ of createInterface({ input: process.stdin })) {
  const second = await open();
  console.log(JSON.stringify([await ask(first), await ask(second)]));
  second.close();
}
first.close();
