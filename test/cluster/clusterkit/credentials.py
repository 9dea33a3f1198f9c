"""Certificates of a control plane: one authority, one server certificate, one client of everything."""

import base64
import datetime
import ipaddress

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_DAY = datetime.timedelta(days=1)


class Credentials:
    """Writes ca.crt, tls.crt with tls.key (server and client in one, as KEDA wants it) and accounts.key."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir(parents=True)
        self._authority_key = ec.generate_private_key(ec.SECP256R1())
        self._authority = self._certificate("authority", self._authority_key, authority=True)
        key = ec.generate_private_key(ec.SECP256R1())
        self._write("ca.crt", self._authority)
        self._write("tls.crt", self._certificate("rig", key))
        self._write_key("tls.key", key)
        self._write_key("accounts.key", rsa.generate_private_key(public_exponent=65537, key_size=2048))

    def path(self, name):
        return self.folder / name

    def kubeconfig(self, server):
        """Write a kubeconfig that may do everything; gives its path."""
        encoded = {
            name: base64.b64encode(self.path(name).read_bytes()).decode() for name in ("ca.crt", "tls.crt", "tls.key")
        }
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "rig",
            "contexts": [{"name": "rig", "context": {"cluster": "rig", "user": "rig"}}],
            "clusters": [
                {"name": "rig", "cluster": {"server": server, "certificate-authority-data": encoded["ca.crt"]}}
            ],
            "users": [
                {
                    "name": "rig",
                    "user": {"client-certificate-data": encoded["tls.crt"], "client-key-data": encoded["tls.key"]},
                }
            ],
        }
        path = self.path("kubeconfig")
        path.write_text(yaml.safe_dump(content))
        path.chmod(0o600)
        return path

    def _certificate(self, name, key, *, authority=False):
        now = datetime.datetime.now(datetime.UTC)
        subject = x509.Name(
            [
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, "system:masters"),
                x509.NameAttribute(NameOID.COMMON_NAME, name),
            ]
        )
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject if authority else self._authority.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _DAY)
            .not_valid_after(now + 30 * _DAY)
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        )
        if not authority:
            names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
            usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False).add_extension(
                x509.ExtendedKeyUsage(usages), critical=False
            )
        return builder.sign(self._authority_key, hashes.SHA256())

    def _write(self, name, certificate):
        self.path(name).write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def _write_key(self, name, key):
        plain = serialization.NoEncryption()
        text = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
        self.path(name).write_bytes(text)
        self.path(name).chmod(0o600)
