"""A page's back end in Python: POST /token with {"content_id": ..., "jkt": ...} answers with a token for Reelkey.

It needs the package `cryptography`. Run it behind the site's own HTTPS server, on the origin of the page.
Deliberately absent: a real sign-in (see SESSIONS) and TLS.
"""
import base64, json, os, re, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils

ISSUER = os.environ.get("ISSUER", "https://auth.example")  # as in `reelkey issuer add`
AUDIENCE = "reelkey"  # service_id of reelkey.toml
LIFE = 600  # seconds

# PLACEHOLDER. Replace it with your site's session store: who the viewer is, what the viewer may watch, and where the
# viewer is. Find out the region yourself, for example from the address of the connection; never take it from the page.
if not os.environ.get("DEMO_SESSION"):
    raise SystemExit("DEMO_SESSION is not set")
SESSIONS = {os.environ["DEMO_SESSION"]: {"sub": "alice", "contents": ["movies/bunny"], "region": "US"}}

with open(os.environ.get("ISSUER_KEY", "issuer.jwk")) as file:
    JWK = json.load(file)
KEY = ec.derive_private_key(int.from_bytes(base64.urlsafe_b64decode(JWK["d"] + "=="), "big"), ec.SECP256R1())


def encode(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def sign(claims):
    """Returns a compact JWS with ES256 (RFC 7515, RFC 7518 section 3.4)."""
    header = {"typ": "JWT", "alg": "ES256", "kid": JWK["kid"]}
    message = ".".join(encode(json.dumps(part).encode()) for part in (header, claims))
    r, s = utils.decode_dss_signature(KEY.sign(message.encode(), ec.ECDSA(hashes.SHA256())))
    return f"{message}.{encode(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


def token(headers, body):
    """Returns the status and the text of the answer."""
    if headers.get_content_type() != "application/json":  # a form on a foreign page cannot send this
        return 415, "send JSON"
    cookie = re.search(r"(?:^|;\s*)session=([^;]*)", headers.get("Cookie", ""))
    viewer = SESSIONS.get(cookie and cookie[1])
    if viewer is None:
        return 401, "sign in first"
    try:
        wanted = json.loads(body)
        content, jkt = wanted["content_id"], wanted.get("jkt")
        if jkt is not None and not re.fullmatch(r"[A-Za-z0-9_-]{43}", jkt):
            return 400, "jkt is no thumbprint"
    except (ValueError, RecursionError, TypeError, KeyError, AttributeError):
        return 400, "send content_id and jkt"
    if content not in viewer["contents"]:
        return 403, "this title is not available to this account"
    now = int(time.time())
    claims = {"iss": ISSUER, "sub": viewer["sub"], "aud": AUDIENCE, "iat": now, "exp": now + LIFE}
    claims |= {"content_id": content, "region": viewer["region"]}
    return 200, sign(claims | ({"cnf": {"jkt": jkt}} if jkt else {}))


class Handler(BaseHTTPRequestHandler):
    timeout = 10  # seconds

    def do_POST(self):
        length = self.headers.get("Content-Length", "")
        if self.path != "/token" or not re.fullmatch("[0-9]{1,4}", length):
            return self.send_error(404)
        status, text = token(self.headers, self.rfile.read(int(length)))
        self.send_response(status)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(text.encode())


server = ThreadingHTTPServer(("127.0.0.1", int(os.environ.get("PORT", "8080"))), Handler)
print(f"http://127.0.0.1:{server.server_port}/token", flush=True)
server.serve_forever()
