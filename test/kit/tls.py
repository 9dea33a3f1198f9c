"""TLS before a server of a test: a proxy with a certificate of a local authority, as a reverse proxy in production."""

import asyncio
import contextlib
import datetime
import ipaddress
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from aiohttp import ClientSession, ClientTimeout, web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_HOST = "127.0.0.1"
_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length"}


@dataclass(frozen=True)
class TlsProxy:
    """``host`` has the port; clients must trust ``authority``, a PEM file."""

    host: str
    authority: Path


@contextlib.contextmanager
def tls_before(url: str, folder: Path) -> Iterator[TlsProxy]:
    """Serve what a server has at ``url``, a scheme and a host, by TLS too."""
    authority, chain = _certificates(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain)
    loop, started, port = asyncio.new_event_loop(), threading.Event(), []

    async def serve() -> None:
        async with ClientSession(timeout=ClientTimeout(), auto_decompress=False) as session:

            async def forward(request: web.Request) -> web.StreamResponse:
                headers = {name: value for name, value in request.headers.items() if name.lower() not in _HOP}
                sent = {"data": await request.read(), "headers": {**headers, "X-Forwarded-Proto": "https"}}
                target = f"{url}{request.raw_path}"
                async with session.request(request.method, target, allow_redirects=False, **sent) as got:
                    kept = {name: value for name, value in got.headers.items() if name.lower() not in _HOP}
                    answer = web.StreamResponse(status=got.status, headers=kept)
                    with contextlib.suppress(ConnectionError):  # the client may go before the end
                        await answer.prepare(request)
                        async for piece in got.content.iter_any():
                            await answer.write(piece)
                        await answer.write_eof()
                    return answer

            app = web.Application(client_max_size=2**26)
            app.router.add_route("*", "/{path:.*}", forward)
            runner = web.AppRunner(app, access_log=None, shutdown_timeout=0)
            await runner.setup()
            await web.TCPSite(runner, _HOST, 0, ssl_context=context).start()
            port.append(runner.addresses[0][1])
            started.set()
            await ended.wait()
            await runner.cleanup()

    ended = asyncio.Event()
    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),), daemon=True)
    thread.start()
    started.wait()
    try:
        yield TlsProxy(f"{_HOST}:{port[0]}", authority)
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join()


def _certificates(folder: Path) -> tuple[Path, Path]:
    """An authority's certificate, and a file with the key and the certificate that it has given to the proxy."""
    now, name = datetime.datetime.now(datetime.UTC), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "tests")])

    def certificate(
        key: ec.EllipticCurvePrivateKey, subject: x509.Name, signer: ec.EllipticCurvePrivateKey, **of: bool
    ):
        names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(_HOST))])
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.BasicConstraints(path_length=None, **of), critical=True)
            .add_extension(names, critical=False)
            .sign(signer, hashes.SHA256())
            .public_bytes(serialization.Encoding.PEM)
        )

    root, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    own = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, _HOST)])
    authority, chain = folder / "authority.pem", folder / "chain.pem"
    authority.write_bytes(certificate(root, name, root, ca=True))
    plain = serialization.NoEncryption()
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    chain.write_bytes(pem + certificate(key, own, root, ca=False))
    return authority, chain
