"""The broker of run, with a listener for each way in, and what a client needs to come in (environment of its program):

    INTEROP_SASL, INTEROP_TLS, INTEROP_MTLS, INTEROP_SASL_TLS   addresses of the listeners beside the plain one
    INTEROP_CA, INTEROP_OTHER_CA           PEM files: the authority of the broker, and one that knows nothing of it
    INTEROP_CERTIFICATE, INTEROP_KEY       PEM files of a client, and both in one: INTEROP_PAIR
    INTEROP_USER, INTEROP_PASSWORD         of PLAIN, SCRAM-SHA-256 and SCRAM-SHA-512
    INTEROP_TOKEN, INTEROP_TOKEN_ENDS_MS   of OAUTHBEARER
"""
import base64
import hashlib
import hmac
import json
import os
import re
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "broker"))
import sluice_broker  # noqa: E402
from certificates import Authority  # noqa: E402

USER, PASSWORD = "interop", "what, nobody = guesses"
MECHANISMS = "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER"
TOKEN_S = 3600
# What the broker says of those that must be refused.
EXPECTED = re.compile(r"login .*(failed|refused)|TLS handshake|tls.*handshake", re.I)


def part(raw):
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def token(secret, ends_s):
    """A JSON web token (RFC 7519), signed with HMAC-SHA-256."""
    head = part(json.dumps({"alg": "HS256", "typ": "JWT"}).encode())
    body = part(json.dumps({"sub": USER, "iat": int(time.time()), "exp": ends_s}).encode())
    return f"{head}.{body}." + part(hmac.new(secret, f"{head}.{body}".encode(), hashlib.sha256).digest())


class Listeners:
    """A started broker; environment is for programs of clients."""

    def __init__(self, binary, folder, settings):
        os.makedirs(folder, exist_ok=True)
        sluice_broker.SLUICE = binary
        secret = os.urandom(32)
        jwks = os.path.join(folder, "jwks.json")
        with open(jwks, "w", encoding="ascii") as file:
            json.dump({"keys": [{"kty": "oct", "k": part(secret)}]}, file)
        ca, other = Authority(folder), Authority(folder, "other")
        server = ca.issue("server", "/CN=localhost")
        client = ca.issue("client", "/O=Sluice/CN=" + USER)
        pair = os.path.join(folder, "pair.pem")
        with open(pair, "w", encoding="ascii") as file:
            for path in (client.key, client.certificate):
                file.write(open(path, encoding="ascii").read())
        ends_s = int(time.time()) + TOKEN_S
        self.environment = {
            "INTEROP_CA": ca.path, "INTEROP_OTHER_CA": other.path, "INTEROP_CERTIFICATE": client.certificate,
            "INTEROP_KEY": client.key, "INTEROP_PAIR": pair, "INTEROP_USER": USER, "INTEROP_PASSWORD": PASSWORD,
            "INTEROP_TOKEN": token(secret, ends_s), "INTEROP_TOKEN_ENDS_MS": str(ends_s * 1000)}
        own = [f"tls.certificate={server.certificate}", f"tls.key={server.key}"]
        logins = [f"sasl.mechanisms={MECHANISMS}"]
        given = [f"security.oauth.jwks_file={jwks}", "groups.consumer_heartbeat_interval=300 ms"]
        for name, more in (("sasl", logins), ("tls", own), ("sasl_tls", own + logins),
                           ("mtls", own + [f"tls.ca={ca.path}", "tls.client_auth=required"])):
            address = f"127.0.0.1:{sluice_broker.free_port()}"
            self.environment["INTEROP_" + name.upper()] = address
            given += [f"kafka.listeners.{name}.{key}" for key in [f"listen={address}"] + more]
        self.broker = sluice_broker.Broker(*given, *settings)
        for mechanism in ("SCRAM-SHA-256", "SCRAM-SHA-512"):
            code, _, error = self.broker.run("user", "add", USER, "--mechanism", mechanism,
                                             stdin=PASSWORD.encode() + b"\n")
            assert code == 0, error
