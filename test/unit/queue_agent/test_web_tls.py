"""Hosts that share an address, as customers of one network of caches do."""

import asyncio
import contextlib
import datetime
import ssl

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from queue_agent.errors import InputError
from queue_agent.inputs import network
from queue_agent.inputs.web import Web


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A file with a certificate for a.test, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.now(datetime.UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a.test")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), serial_number=1)
    builder = builder.not_valid_before(now - datetime.timedelta(1)).not_valid_after(now + datetime.timedelta(1))
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName("a.test")]), critical=False)
    form = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    file = tmp_path_factory.mktemp("tls") / "certificate.pem"
    signed = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    file.write_bytes(signed + key.private_bytes(serialization.Encoding.PEM, *form))
    return file


@contextlib.asynccontextmanager
async def tls_site(certificate):
    """A server for a.test; gives its port, and the Host of each request."""
    seen = []

    async def serve(reader, writer):
        with contextlib.suppress(asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            seen.extend(line for line in head.split(b"\r\n") if line.startswith(b"host:"))
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            await writer.drain()
        writer.close()

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    async with await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context) as server:
        yield server.sockets[0].getsockname()[1], seen


@pytest.fixture
async def trusting(certificate, monkeypatch):
    """Trusts that certificate, and finds every name at one address."""

    async def resolve(host, port, executor, *, allow_loopback):
        return ["127.0.0.1"]

    context = ssl.create_default_context(cafile=certificate)
    monkeypatch.setattr(network, "resolve", resolve)
    monkeypatch.setattr(httpx, "create_ssl_context", lambda **_: context)
    monkeypatch.setattr("queue_agent.inputs.web.PAUSES_S", (0, 0))
    async with Web(allow_loopback=True) as web:
        yield web


async def test_each_hosts_certificate_is_checked_though_another_at_its_address_was_just_read(certificate, trusting):
    async with tls_site(certificate) as (port, seen):
        assert await trusting.get(f"https://a.test:{port}/x", lambda _: None) == b"ok"
        with pytest.raises(InputError, match=r"could not be fetched from b\.test"):
            await trusting.get(f"https://b.test:{port}/x", lambda _: None)
        assert seen == [f"host: a.test:{port}".encode()]
