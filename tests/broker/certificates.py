"""Authorities and certificates for tests, made by openssl: small keys of P-256, so that a test does not wait for them.

    ca = Authority(folder)                       # ca.path
    broker = ca.issue("broker", "/CN=localhost") # .certificate, .key: paths of PEM files
    ca.revoke("list", [broker])                  # the path of a revocation list
"""
import os
import subprocess


def openssl(*arguments, stdin=None):
    done = subprocess.run(["openssl", *arguments], input=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert done.returncode == 0, (arguments, done.stderr.decode())
    return done.stdout


class Pair:
    def __init__(self, certificate, key):
        self.certificate, self.key = certificate, key


class Authority:
    def __init__(self, folder, name="ca"):
        self.folder = folder
        self.path, self.key = os.path.join(folder, name + ".pem"), os.path.join(folder, name + ".key")
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-keyout", self.key,
                "-out", self.path, "-subj", "/CN=" + name)

    def issue(self, name, subject, days=1, more=()):
        """days 0: it has expired."""
        base = os.path.join(self.folder, name)
        openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", base + ".key", "-out",
                base + ".csr", "-subj", subject, *more)
        with open(base + ".ext", "w") as file:
            file.write("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
        openssl("x509", "-req", "-in", base + ".csr", "-CA", self.path, "-CAkey", self.key, "-CAcreateserial", "-days", str(days or -1),
                "-extfile", base + ".ext", "-out", base + ".pem")
        return Pair(base + ".pem", base + ".key")

    def revoke(self, name, pairs=(), until="20991231000000Z"):
        base = os.path.join(self.folder, name)
        with open(base + ".index", "w") as index:
            for pair in pairs:
                serial = openssl("x509", "-in", pair.certificate, "-noout", "-serial").decode().strip().split("=")[1]
                index.write("R\t991231000000Z\t200101000000Z\t%s\tunknown\t/CN=revoked\n" % serial)
        with open(base + ".cnf", "w") as file:
            file.write("[ca]\ndefault_ca=it\n[it]\ndatabase=%s.index\ndefault_md=sha256\n" % base)
        openssl("ca", "-config", base + ".cnf", "-gencrl", "-keyfile", self.key, "-cert", self.path, "-crl_lastupdate", "20200101000000Z",
                "-crl_nextupdate", until, "-out", base + ".pem")
        return base + ".pem"
