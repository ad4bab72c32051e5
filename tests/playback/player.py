"""A player in another language: the license exchange with a JOSE library and no code of the project.

usage: player.py URL SERVICE_ID CONTENT_ID [KID ...]  < token  > JSON
       player.py --life FOLDER URL SERVICE_ID CONTENT_ID  < token  > JSON

The first form prints the license's claims and the opened keys. The second one walks through the life of
licenses with three devices of one account: granted, renewed, released, refused, kept in FOLDER and played
from there, returned. Everything that a device has to compare is compared here, by the specification's words.
"""

import hashlib
import json
import sys
import time
import urllib.error
import urllib.request
import uuid
from base64 import urlsafe_b64decode, urlsafe_b64encode
from pathlib import Path

from jwcrypto import jwe, jwk, jws


def b64u(data):
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def b64u_decode(text):
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


def public(key):
    return {name: key.export_public(as_dict=True)[name] for name in ("kty", "crv", "x", "y")}


def new_key():
    return jwk.JWK.generate(kty="EC", crv="P-256")


def signed(device, claims):
    header = {"typ": "license-request+jwt", "alg": "ES256", "jwk": public(device)}
    token = jws.JWS(json.dumps(claims))
    token.add_signature(device, alg="ES256", protected=json.dumps(header))
    return token.serialize(compact=True)


def verify(answer, typ, keys):
    header = json.loads(b64u_decode(answer.split(".")[0]))
    assert header["typ"] == typ and header["alg"] == "ES256", header
    token = jws.JWS()
    token.deserialize(answer)
    token.verify(keys.get_key(header["kid"]), alg="ES256")
    return json.loads(token.payload)


def hold(license, claims, body, device):
    assert license["iss"] == claims["aud"]
    assert license["nonce"] == claims["jti"]
    assert license["cnf"]["jkt"] == device.thumbprint()
    assert license["session_type"] == claims["session_type"]
    assert license["nbf"] <= license["iat"] < license["exp"]
    assert abs(license["iat"] - claims["iat"]) <= 120
    header = json.loads(b64u_decode(license["keys"].split(".")[0]))
    assert sorted(header) == ["alg", "apu", "apv", "enc", "epk"], header
    assert (header["alg"], header["enc"]) == ("ECDH-ES", "A256GCM")
    assert b64u_decode(header["apu"]).decode() == claims["aud"]
    signing_input = body.rsplit(".", 1)[0].encode()
    assert b64u_decode(header["apv"]) == hashlib.sha256(signing_input).digest()


def unseal(license, sealing):
    sealed = jwe.JWE(algs=["ECDH-ES", "A256GCM"])
    sealed.deserialize(license["keys"], key=sealing)
    return json.loads(sealed.payload)["keys"]


class Refused(Exception):
    """A problem document of the service (RFC 9457)."""

    def __init__(self, status, problem):
        super().__init__(f"{status} {problem}")
        self.status, self.problem = status, problem


class Service:
    def __init__(self, url, service_id):
        self.url, self.service_id = url, service_id
        self.keys = jwk.JWKSet.from_json(self.fetch("/.well-known/jwks.json"))

    def fetch(self, path, body=None, token=None):
        headers = {"Authorization": "Bearer " + token} if token else {}
        request = urllib.request.Request(self.url + path, body and body.encode(), headers)
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return answer.read().decode()
        except urllib.error.HTTPError as refused:
            raise Refused(refused.code, json.loads(refused.read())) from None


class Device:
    """A device key, and what it asks of the service."""

    def __init__(self, service):
        self.service, self.key = service, new_key()

    def asks(self, request_type, token, sealing=None, session_type="temporary", **more):
        """The claims of a request and the request. A release has no `sealing` key."""
        claims = {
            "aud": self.service.service_id,
            "iat": int(time.time()),
            "jti": b64u(uuid.uuid4().bytes + uuid.uuid4().bytes),
            "request_type": request_type,
            "session_type": session_type,
            "device": {"name": "independent player", "client": "jwcrypto"},
        }
        if sealing:
            claims["enc_jwk"] = public(sealing)
        if token:
            claims["ath"] = b64u(hashlib.sha256(token.encode()).digest())
        claims.update(more)
        return claims, signed(self.key, claims)

    def license(self, asked, sealing, token):
        """Sends a request, and returns the license, its keys and the answer as it came."""
        claims, body = asked
        answer = self.service.fetch("/v1/license", body, token)
        license = verify(answer, "license+jwt", self.service.keys)
        hold(license, claims, body, self.key)
        return license, unseal(license, sealing), answer

    def new(self, token, content_id, **more):
        sealing = new_key()
        return self.license(self.asks("NEW", token, sealing, content_id=content_id, **more), sealing, token)

    def renew(self, token, license, sealing=None, **more):
        sealing = sealing or new_key()
        kind = license["session_type"]
        asked = self.asks("RENEWAL", token, sealing, kind, license_id=license["jti"], **more)
        renewed, keys, answer = self.license(asked, sealing, token)
        assert renewed["jti"] == license["jti"] and renewed["counter"] > license["counter"]
        return renewed, keys, answer

    def release(self, license, token=None, **more):
        """Gives a license back, and returns the receipt."""
        kind = license["session_type"]
        claims, body = self.asks("RELEASE", token, None, kind, license_id=license["jti"], **more)
        receipt = verify(self.service.fetch("/v1/license", body, token), "license-release+jwt", self.service.keys)
        assert receipt["iss"] == claims["aud"]
        assert receipt["nonce"] == claims["jti"]
        assert receipt["jti"] == license["jti"]
        assert receipt["cnf"]["jkt"] == self.key.thumbprint()
        return receipt


def refusal(run, *words, **more):
    try:
        run(*words, **more)
    except Refused as refused:
        return {"status": refused.status, **refused.problem}
    raise AssertionError("granted")


def streams(service, token, content_id):
    """Temporary licenses: granted, renewed, refused to a second stream and a third device, released."""
    first, second, third = (Device(service) for _ in range(3))
    sealing = new_key()
    asked = first.asks("NEW", token, sealing, content_id=content_id)
    license, keys, _ = first.license(asked, sealing, token)
    renewed, renewed_keys, _ = first.renew(token, license)
    told = {"license": license, "keys": keys, "renewed": renewed, "renewed_keys": renewed_keys}
    told["second_stream"] = refusal(second.new, token, content_id)
    told["foreign_renewal"] = refusal(second.renew, token, license)
    told["foreign_release"] = refusal(second.release, license)
    told["receipt"] = first.release(renewed)
    told["repeated_receipt"] = first.release(renewed)
    told["repeated_new"] = refusal(first.license, asked, sealing, token)
    told["renewal_after_release"] = refusal(first.renew, token, renewed)
    other, _, _ = second.new(token, content_id)
    told["second_receipt"] = second.release(other, token)
    told["third_device"] = refusal(third.new, token, content_id)
    return told, first


def keep(folder, device, sealing, license, answer):
    """Writes what playback without a connection needs."""
    kept = {
        "device": device.key.export(as_dict=True),
        "sealing": sealing.export(as_dict=True),
        "service": device.service.keys.export(private_keys=False, as_dict=True),
        "license": answer,
        # How far the service's clock is ahead of this one.
        "ahead": license["iat"] - int(time.time()),
    }
    Path(folder, "kept.json").write_text(json.dumps(kept))


def offline(folder):
    """Opens the kept license with what is in the folder alone."""
    kept = json.loads(Path(folder, "kept.json").read_text())
    license = verify(kept["license"], "license+jwt", jwk.JWKSet.from_json(json.dumps(kept["service"])))
    assert license["cnf"]["jkt"] == jwk.JWK(**kept["device"]).thumbprint()
    now = int(time.time()) + kept["ahead"]
    assert license["iat"] <= now + 120 and now < license["exp"]
    return license, unseal(license, jwk.JWK(**kept["sealing"]))


def download(folder, device, token, content_id):
    """A persistent license: kept, played from the folder, renewed, and returned with its first play."""
    sealing = new_key()
    asked = device.asks("NEW", token, sealing, "persistent-license", content_id=content_id)
    license, _, answer = device.license(asked, sealing, token)
    keep(folder, device, sealing, license, answer)
    played, keys = offline(folder)
    first_play = max(0, int(time.time()) - license["iat"])
    renewed, _, answer = device.renew(token, license, sealing, first_play=first_play)
    keep(folder, device, sealing, renewed, answer)
    again, renewed_keys = offline(folder)
    receipt = device.release(again, first_play=first_play)
    Path(folder, "kept.json").unlink()
    return {
        "kept": played, "kept_keys": keys, "kept_renewed": renewed, "kept_renewed_keys": renewed_keys,
        "kept_receipt": receipt, "kept_renewal_after_return": refusal(device.renew, token, again, sealing),
    }


def main(words):
    token = sys.stdin.read().strip()
    if words[0] == "--life":
        _, folder, url, service_id, content_id = words
        told, device = streams(Service(url, service_id), token, content_id)
        told.update(download(folder, device, token, content_id))
    else:
        url, service_id, content_id, *kids = words
        kids = [b64u(uuid.UUID(kid).bytes) for kid in kids]
        license, keys, _ = Device(Service(url, service_id)).new(token, content_id, kids=kids)
        told = {"license": license, "keys": keys}
    json.dump(told, sys.stdout)


main(sys.argv[1:])
