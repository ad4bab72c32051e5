"""An authorization service: a viewer who is signed in gets a token for the titles that the account may watch.

    GET  /authorize?kids=UUID,UUID  the token as text/plain, or a problem document (DASH-IF license request model)
    POST /login                     {"name": ..., "password": ...} begins a session, as a cookie
    POST /logout                    ends it

    python3 auth_service.py CONFIG.json        README.md beside this file explains the configuration
    python3 auth_service.py --hash             reads a password and prints the line for "password"

The Python 3 standard library is enough. It listens on 127.0.0.1, behind the site's HTTPS server. Deliberately absent: TLS,
sign-up, a limit on guessed passwords (the HTTPS server has one), and sessions that outlive the process.
"""
import base64, getpass, hashlib, hmac, json, re, secrets, sys, time
from http.cookies import CookieError, SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

PROBLEMS = "https://dashif.org/drm-problems/"
UUID = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
SESSION_LIFE = 12 * 3600  # seconds


def hash_password(password, salt):
    return hashlib.scrypt(password.encode(), salt=salt, n=2**14, r=8, p=1).hex()


if sys.argv[1:] == ["--hash"]:
    salt = secrets.token_bytes(16)
    sys.exit(print(f"{salt.hex()}:{hash_password(getpass.getpass(), salt)}"))
if len(sys.argv) != 2:
    sys.exit(__doc__)
with open(sys.argv[1]) as file:
    CONFIG = json.load(file)
with open(CONFIG["secret_file"], "rb") as file:  # the file of `reelkey issuer add --secret-file`, mode 0600
    SECRET = file.read().rstrip(b"\r\n")
with open(CONFIG["keys_file"]) as file:  # the output of `reelkey key list --json`
    TITLES = {key["kid"]: key["content_id"] for key in json.load(file)}
sessions = {}  # cookie → the account's name, and when the session ends


class Problem(Exception):
    """An answer that is no token. `detail` is for the viewer."""

    def __init__(self, status, title, detail, kind="about:blank"):
        self.status, self.document = status, {"type": kind, "title": title, "status": status, "detail": detail}


def encode(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def sign(claims):
    """Returns a compact JWS with HS256 (RFC 7515, RFC 7518 section 3.2)."""
    parts = ({"typ": "JWT", "alg": "HS256"}, claims)
    message = ".".join(encode(json.dumps(part).encode()) for part in parts)
    return f"{message}.{encode(hmac.digest(SECRET, message.encode(), 'sha256'))}"


def authorize(name, query):
    """Returns a token for those of the wanted keys that the account may have."""
    account = CONFIG["accounts"][name]
    kids = query.get("kids", [""])[0].lower().split(",")
    jkt = query.get("jkt", [None])[0]  # the browser module sends it: the token is then of no use on another device
    if len(kids) > 64 or not all(map(UUID.fullmatch, kids)) or (jkt and not re.fullmatch("[A-Za-z0-9_-]{43}", jkt)):
        raise Problem(400, "Bad request", "kids is a list of key IDs, with commas between them.")
    owned = [kid for kid in kids if TITLES.get(kid) in account["titles"]]
    if not owned:
        raise Problem(403, "Not authorized", "Your account does not have this title.", PROBLEMS + "not-authorized")
    title, now = TITLES[owned[0]], int(time.time())
    claims = {"iss": CONFIG["issuer"], "sub": name, "aud": CONFIG["audience"], "iat": now, "exp": now + CONFIG["token_life"]}
    # No key that was not asked for, and those of one title: a token has one policy and one entitlement.
    claims |= {"content_id": title, "authorized_kids": [kid for kid in owned if TITLES[kid] == title]}
    # policy_id, entitlement_id, license_not_after and region, where the entitlement says so (docs/API.md).
    claims |= account["titles"][title]
    return sign(claims | ({"cnf": {"jkt": jkt}} if jkt else {}))


class Handler(BaseHTTPRequestHandler):
    timeout = 10  # seconds

    def session(self):
        """Returns the cookie and the name of the account that is signed in."""
        try:
            cookie = SimpleCookie(self.headers.get("Cookie", ""))["session"].value
        except (CookieError, KeyError):
            cookie = ""
        name, ends = sessions.get(cookie, (None, 0))
        if time.time() >= ends or name not in CONFIG["accounts"]:
            raise Problem(401, "Not signed in", "Sign in to watch this title.")
        return cookie, name

    def login(self):
        length = self.headers.get("Content-Length", "")
        # A form of a foreign page cannot send JSON.
        if self.headers.get_content_type() != "application/json" or not re.fullmatch("[0-9]{1,4}", length):
            raise Problem(415, "Unsupported media type", "Send JSON.")
        try:
            wanted = json.loads(self.rfile.read(int(length)))
            name, password = str(wanted["name"]), str(wanted["password"])
        except (ValueError, RecursionError, TypeError, KeyError):
            raise Problem(400, "Bad request", "Send name and password.") from None
        salt, expected = CONFIG["accounts"].get(name, {"password": "00:00"})["password"].split(":")
        if not hmac.compare_digest(hash_password(password, bytes.fromhex(salt)), expected):
            raise Problem(403, "Wrong password", "The name or the password is wrong.")
        cookie, now = secrets.token_urlsafe(32), time.time()
        for old in [old for old, (_, ends) in list(sessions.items()) if ends <= now]:
            sessions.pop(old, None)
        sessions[cookie] = (name, now + SESSION_LIFE)
        # SameSite=None in place of Lax, if the page is on another site than this service.
        return f"session={cookie}; Max-Age={SESSION_LIFE}; Path=/; Secure; HttpOnly; SameSite=Lax"

    def answer(self, status, kind, text, more=()):
        self.send_response(status)
        headers = [("Content-Type", kind), ("Cache-Control", "no-store"), ("Vary", "Origin"), *more]
        if self.headers.get("Origin") in CONFIG["origins"]:
            headers += [("Access-Control-Allow-Origin", self.headers["Origin"]), ("Access-Control-Allow-Credentials", "true")]
            headers += [("Access-Control-Allow-Headers", "content-type")]
        for header in headers:
            self.send_header(*header)
        self.end_headers()
        self.wfile.write(text.encode())

    def handle_request(self):
        try:
            if self.headers.get("Origin", CONFIG["origins"][0]) not in CONFIG["origins"]:
                raise Problem(403, "Foreign page", "This page may not ask for tokens.")
            url = urlsplit(self.path)
            match self.command, url.path:
                case "GET", "/authorize":
                    _, name = self.session()
                    self.answer(200, "text/plain", authorize(name, parse_qs(url.query)))
                case "POST", "/login":
                    self.answer(200, "text/plain", "signed in", [("Set-Cookie", self.login())])
                case "POST", "/logout":
                    sessions.pop(self.session()[0], None)
                    self.answer(200, "text/plain", "signed out")
                case "OPTIONS", "/login" | "/logout":
                    self.answer(200, "text/plain", "")
                case _:
                    raise Problem(404, "Not found", "There is nothing at this address.")
        except Problem as problem:
            self.answer(problem.status, "application/problem+json", json.dumps(problem.document))

    do_GET = do_POST = do_OPTIONS = handle_request


server = ThreadingHTTPServer(("127.0.0.1", CONFIG.get("port", 8081)), Handler)
print(f"http://localhost:{server.server_port}/authorize", flush=True)
server.serve_forever()
