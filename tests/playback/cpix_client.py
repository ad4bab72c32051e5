"""A packager in another language: CPIX documents by PyPI's cpix, encrypted keys opened by cryptography.

usage: cpix_client.py URL NAME SECRET CONTENT [SCHEMA]  > JSON

Prints the keys of CONTENT, each as {"kid", "key", "track"}. Every way to them is tried and compared: the whole title, a request
of its KIDs, and the same request encrypted to a certificate in each form. SCHEMA is the schema of CPIX 2.4; answers
are validated against it, and against the older one that the library brings, as far as that knows what is in them.
"""

import datetime
import hmac
import json
import sys
import urllib.error
import urllib.request
from base64 import b64decode, b64encode

import cpix
from cryptography import x509
from cryptography.hazmat.primitives import hashes, keywrap, padding, serialization
from cryptography.hazmat.primitives.asymmetric import padding as rsa_padding
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from lxml import etree

url, name, secret, content = sys.argv[1:5]
schema = etree.XMLSchema(etree.parse(sys.argv[5])) if len(sys.argv) > 5 else None

CPIX = "{urn:dashif:org:cpix}"
PSKC = "{urn:ietf:params:xml:ns:keyprov:pskc}"
ENC = "{http://www.w3.org/2001/04/xmlenc#}"
OAEP = rsa_padding.OAEP(rsa_padding.MGF1(hashes.SHA1()), hashes.SHA1(), None)


def ask(path, body=None, speke=None):
    request = urllib.request.Request(url + path, data=body)
    credentials = b64encode(f"{name}:{secret}".encode()).decode()
    request.add_header("Authorization", f"Basic {credentials}")
    request.add_header("Content-Type", "application/xml")
    if speke:
        request.add_header("X-Speke-Version", speke)
    with urllib.request.urlopen(request) as answer:
        return answer.read()


def validated(answer):
    """The document, which holds to the schema of CPIX 2.4 where that is at hand."""
    if schema is not None:
        schema.assertValid(etree.fromstring(answer))
    return answer


def tracks(document):
    return {rule.kid: rule.intended_track_type for rule in document.usage_rules}


def plain(answer):
    document = cpix.parse(answer)
    return {key.kid: b64decode(key.cek) for key in document.content_keys}


def request(kids):
    """A request for these keys, as the library writes it."""
    document = cpix.CPIX(content_id=content)
    for kid in kids:
        document.content_keys.append(cpix.ContentKey(kid=kid))
        for system in (cpix.WIDEVINE_SYSTEM_ID, cpix.PLAYREADY_SYSTEM_ID):
            document.drm_systems.append(cpix.DRMSystem(kid=kid, system_id=system))
    return document


def certificate(key):
    named = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "packager")])
    now = datetime.datetime.now(datetime.timezone.utc)
    made = x509.CertificateBuilder().subject_name(named).issuer_name(named).public_key(key.public_key())
    made = made.serial_number(1).not_valid_before(now).not_valid_after(now + datetime.timedelta(days=1))
    return made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


def encrypted_to(key, document):
    """The request with a DeliveryData for this key."""
    root = document.element()
    der = b64encode(certificate(key)).decode()
    data = etree.fromstring(
        '<DeliveryDataList xmlns="urn:dashif:org:cpix" xmlns:ds="http://www.w3.org/2000/09/xmldsig#"><DeliveryData>'
        f"<DeliveryKey><ds:X509Data><ds:X509Certificate>{der}</ds:X509Certificate></ds:X509Data></DeliveryKey>"
        "</DeliveryData></DeliveryDataList>"
    )
    root.insert(0, data)
    return etree.tostring(root)


def cipher_value(element):
    return b64decode(element.find(f".//{ENC}CipherValue").text)


def opened(answer, key, mac_path):
    """The keys of an encrypted answer; every MAC is compared."""
    root = etree.fromstring(answer)
    data = root.find(f".//{CPIX}DeliveryData")
    document_key = key.decrypt(cipher_value(data.find(f"{CPIX}DocumentKey")), OAEP)
    method = data.find(f"{CPIX}MACMethod")
    assert method.get("Algorithm") == "http://www.w3.org/2001/04/xmldsig-more#hmac-sha512"
    mac_key = key.decrypt(b64decode(method.find(mac_path).text), OAEP)
    assert (len(document_key), len(mac_key)) == (32, 64)
    keys = {}
    for element in root.iterfind(f".//{CPIX}ContentKey"):
        assert element.find(f".//{PSKC}PlainValue") is None
        value = cipher_value(element)
        mac = b64decode(element.find(f".//{PSKC}ValueMAC").text)
        assert hmac.compare_digest(mac, hmac.digest(mac_key, value, "sha512"))
        algorithm = element.find(f".//{ENC}EncryptionMethod").get("Algorithm")
        if algorithm.endswith("#kw-aes256"):
            opened_key = keywrap.aes_key_unwrap(document_key, value)
        else:
            assert algorithm == "http://www.w3.org/2001/04/xmlenc#aes256-cbc"
            decryptor = Cipher(algorithms.AES(document_key), modes.CBC(value[:16])).decryptor()
            unpadder = padding.PKCS7(128).unpadder()
            opened_key = unpadder.update(decryptor.update(value[16:]) + decryptor.finalize())
            opened_key += unpadder.finalize()
        keys[element.get("kid")] = opened_key
    return keys


whole = validated(ask(f"/v1/keys/cpix/{content}"))
document = cpix.parse(whole)
keys = plain(whole)
named = tracks(document)
assert keys and named.keys() == keys.keys(), named
# The library's schema is of an earlier version, without schemes and with another name of the multivariant playlist.
old = etree.fromstring(whole)
for element in old.iter(f"{CPIX}ContentKey"):
    del element.attrib["commonEncryptionScheme"]
for element in old.iter(f"{CPIX}HLSSignalingData"):
    element.set("playlist", element.get("playlist").replace("multiVariant", "master"))
assert cpix.validate(old)[0] is True, cpix.validate(old)

asked = request(keys)
again = validated(ask(f"/v1/keys/cpix/{content}", etree.tostring(asked.element())))
assert plain(again) == keys
for system in cpix.parse(again).drm_systems:
    assert system.pssh, "every system is signalled"

bit_lengths = (2048, 3072)
for bits in bit_lengths:
    own = rsa.generate_private_key(public_exponent=65537, key_size=bits)
    secured = encrypted_to(own, request(keys))
    expected = {str(kid): key for kid, key in keys.items()}
    shapes = {
        "aws": f"{CPIX}Key/{PSKC}EncryptedValue/{ENC}CipherData/{ENC}CipherValue",
        "axinom": f"{CPIX}Key/{ENC}CipherData/{ENC}CipherValue",
        "schema": f"{PSKC}MACKey/{ENC}CipherData/{ENC}CipherValue",
    }
    for shape, path in shapes.items():
        for values in ("aes256-cbc", "kw-aes256"):
            answer = ask(f"/v1/keys/cpix/{content}?mac={shape}&values={values}", secured)
            assert opened(answer, own, path) == expected, (shape, values)
            read = cpix.parse(answer)
            assert len(read.content_keys) == len(keys) and len(read.delivery_datas) == 1
            if shape == "schema":
                validated(answer)
    # SPEKE gets the form of AWS.
    answer = ask("/v1/keys/speke", secured.replace(b"contentId=", b"id=") if b"contentId=" in secured else secured)
    assert opened(answer, own, shapes["aws"]) == expected

try:
    ask(f"/v1/keys/cpix/{content}", b"<!DOCTYPE x [<!ENTITY e SYSTEM 'file:///etc/passwd'>]><x>&e;</x>")
    raise AssertionError("a document type was read")
except urllib.error.HTTPError as error:
    assert error.code == 400 and b"document type" in error.read()

print(json.dumps([{"kid": kid.hex, "key": key.hex(), "track": named[kid]} for kid, key in keys.items()]))
