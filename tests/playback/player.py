"""A player in another language: the license exchange with a JOSE library and no code of the project.

usage: player.py URL SERVICE_ID CONTENT_ID [KID ...]  < token  > JSON

Prints the license's claims and the opened keys. Everything that a device has to compare is compared
here, by the specification's words.
"""

import hashlib
import json
import sys
import time
import urllib.request
import uuid
from base64 import urlsafe_b64decode, urlsafe_b64encode

from jwcrypto import jwe, jwk, jws


def b64u(data):
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def b64u_decode(text):
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


def public(key):
    return {name: key.export_public(as_dict=True)[name] for name in ("kty", "crv", "x", "y")}


def request(service_id, content_id, kids, token, device, sealing):
    header = {"typ": "license-request+jwt", "alg": "ES256", "jwk": public(device)}
    claims = {
        "aud": service_id,
        "iat": int(time.time()),
        "jti": b64u(uuid.uuid4().bytes + uuid.uuid4().bytes),
        "request_type": "NEW",
        "session_type": "temporary",
        "content_id": content_id,
        "kids": [b64u(uuid.UUID(kid).bytes) for kid in kids],
        "enc_jwk": public(sealing),
        "ath": b64u(hashlib.sha256(token.encode()).digest()),
        "device": {"name": "independent player", "client": "jwcrypto"},
    }
    token = jws.JWS(json.dumps(claims))
    token.add_signature(device, alg="ES256", protected=json.dumps(header))
    return token.serialize(compact=True), claims


def fetch(url, body=None, token=None):
    headers = {"Authorization": "Bearer " + token} if token else {}
    with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=20) as answer:
        return answer.read().decode()


def verify(answer, keys):
    header = json.loads(b64u_decode(answer.split(".")[0]))
    assert header["typ"] == "license+jwt" and header["alg"] == "ES256", header
    token = jws.JWS()
    token.deserialize(answer)
    token.verify(keys.get_key(header["kid"]), alg="ES256")
    return json.loads(token.payload)


def hold(license, claims, body, device):
    assert license["iss"] == claims["aud"]
    assert license["nonce"] == claims["jti"]
    assert license["cnf"]["jkt"] == device.thumbprint()
    assert license["nbf"] <= license["iat"] < license["exp"]
    assert abs(license["iat"] - claims["iat"]) <= 120
    header = json.loads(b64u_decode(license["keys"].split(".")[0]))
    assert sorted(header) == ["alg", "apu", "apv", "enc", "epk"], header
    assert (header["alg"], header["enc"]) == ("ECDH-ES", "A256GCM")
    assert b64u_decode(header["apu"]).decode() == claims["aud"]
    signing_input = body.rsplit(".", 1)[0].encode()
    assert b64u_decode(header["apv"]) == hashlib.sha256(signing_input).digest()


def main():
    url, service_id, content_id, *kids = sys.argv[1:]
    token = sys.stdin.read().strip()
    device = jwk.JWK.generate(kty="EC", crv="P-256")
    sealing = jwk.JWK.generate(kty="EC", crv="P-256")
    body, claims = request(service_id, content_id, kids, token, device, sealing)
    answer = fetch(url + "/v1/license", body.encode(), token)
    keys = jwk.JWKSet.from_json(fetch(url + "/.well-known/jwks.json"))
    license = verify(answer, keys)
    hold(license, claims, body, device)
    sealed = jwe.JWE(algs=["ECDH-ES", "A256GCM"])
    sealed.deserialize(license.pop("keys"), key=sealing)
    opened = json.loads(sealed.payload)
    json.dump({"license": license, "keys": opened["keys"]}, sys.stdout)


main()
