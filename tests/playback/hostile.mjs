// Clients that ask for nothing: usage: node hostile.mjs URL CA BODIES SESSIONS
//
// Keeps BODIES connections with a request whose body never comes, and SESSIONS connections of HTTP/2 with 64 such requests
// each, which send PINGs all the time. One that is closed comes back. Prints a line once all of them have begun.

import { readFileSync } from "node:fs";
import { connect } from "node:http2";
import tls from "node:tls";

const [url, caFile, bodies, sessions] = process.argv.slice(2);
const ca = readFileSync(caFile);
const { hostname: host, port } = new URL(url);
const ignore = () => {};

function body() {
  const socket = tls.connect({ host, port, ca, servername: "localhost", ALPNProtocols: ["http/1.1"] });
  socket.on("secureConnect", () =>
    socket.write("POST /v1/license HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nab"));
  socket.on("error", ignore);
  socket.on("close", () => setTimeout(body, 100));
  socket.resume();
}

function flood() {
  const session = connect(url, { ca });
  const pings = setInterval(() => session.destroyed || session.ping(ignore), 100);
  session.on("error", ignore);
  session.on("close", () => {
    clearInterval(pings);
    setTimeout(flood, 100);
  });
  session.on("connect", () => {
    for (let at = 0; at < 64; at += 1) {
      const head = { ":method": "POST", ":path": "/v1/license", "content-length": "1000" };
      const stream = session.request(head, { endStream: false });
      stream.on("error", ignore);
      stream.write("ab", ignore);
      stream.resume();
    }
  });
}

for (let at = 0; at < Number(bodies); at += 1) body();
for (let at = 0; at < Number(sessions); at += 1) flood();
setTimeout(() => console.log("begun"), 1000);
