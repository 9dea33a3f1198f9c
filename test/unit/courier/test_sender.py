"""Receivers that nobody should trust."""

import contextlib
import datetime
import socket
import ssl
import threading

import httpcore
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from courier.sender import WebhookSender

HEADERS = {"webhook-id": "a-completed-1"}
PEM = serialization.Encoding.PEM
BODY = b'{"type":"job.completed"}'


@contextlib.contextmanager
def receiver(answer, tls=None):
    """A server that hands each request's connection to a function; gives its URL and the requests so far."""
    requests = []

    def serve(listener):
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=handle, args=(connection,), daemon=True).start()

    def handle(plain):
        with contextlib.suppress(OSError), tls.wrap_socket(plain, True) if tls else plain as connection:
            request = b""
            while not request.endswith(BODY):
                request += connection.recv(65_536)
            requests.append(request)
            answer(connection)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, args=(listener,), daemon=True).start()
        yield "http://127.0.0.1:{1}".format(*listener.getsockname()), requests
        listener.shutdown(socket.SHUT_RDWR)


def says(data):
    return lambda connection: connection.sendall(data)


@pytest.fixture
def sender():
    return WebhookSender(allow_private=True)


def test_a_request_is_a_post_with_the_given_body_and_headers_at_the_urls_own_path(sender, monkeypatch):
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")  # which is not used
    with receiver(says(b"HTTP/1.1 204 No Content\r\n\r\n")) as (url, requests):
        answer = sender.post(f"{url}/a;b=1/%7e?x=1&y=%20#part", HEADERS, BODY)
    assert (answer.status, answer.problem) == (204, None)
    head, _, body = requests[0].partition(b"\r\n\r\n")
    line, *lines = head.decode().split("\r\n")
    assert line == "POST /a;b=1/%7e?x=1&y=%20 HTTP/1.1"
    assert {one.lower() for one in lines} >= {
        "webhook-id: a-completed-1",
        "content-type: application/json",
        f"content-length: {len(BODY)}",
        f"host: {url.removeprefix('http://')}",
    }
    assert body == BODY


@pytest.mark.parametrize(
    ("head", "status", "problem"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0", 200, None),
        (b"HTTP/1.1 299 Fine\r\nContent-Length: 0", 299, None),
        (b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 201 Created\r\nContent-Length: 0", 201, None),
        (b"HTTP/1.1 304 Not Modified", 304, "The receiver answered 304; redirects are not followed."),
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0", 404, "The receiver answered 404."),
        (b"HTTP/1.1 410 Gone\r\nContent-Length: 0", 410, "The receiver answered 410."),
        (b"SSH-2.0-OpenSSH_9.2", None, "The receiver did not answer (RemoteProtocolError)."),
        (b"HTTP/1.1 200 OK" + b"\r\na: b" * 10_000, None, "The receiver did not answer (RemoteProtocolError)."),
    ],
)
def test_only_an_answer_of_2xx_is_a_success(sender, head, status, problem):
    with receiver(says(head + b"\r\n\r\n")) as (url, _):
        answer = sender.post(url, HEADERS, BODY)
    assert (answer.status, answer.problem, answer.is_gone) == (status, problem, status == 410)


def test_a_retry_after_is_read_whatever_its_letters(sender):
    with receiver(says(b"HTTP/1.1 503 Busy\r\nRETRY-AFTER: 12\xe9\r\nContent-Length: 0\r\n\r\n")) as (url, _):
        assert sender.post(url, HEADERS, BODY).retry_after == "12é"


@pytest.mark.parametrize("head", [b"", b"HTTP/1.1 200 OK\r\nA: b"])
def test_a_receiver_that_does_not_finish_its_headers_is_left_after_a_while(head):
    left = threading.Event()

    def stall(connection):
        connection.sendall(head)
        connection.recv(1)
        left.set()

    with receiver(stall) as (url, _):
        answer = WebhookSender(allow_private=True, timeout_s=0.2).post(url, HEADERS, BODY)
    assert answer.problem == "The receiver did not answer within 0.2 s."
    assert left.wait(60)


@pytest.mark.parametrize("sent", [b"x" * 65_536, b"x", b""])
def test_a_body_that_never_ends_or_never_comes_changes_nothing_and_is_not_read(sender, monkeypatch, sent):
    left = threading.Event()

    def flood(connection):
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 999999999999\r\n\r\n")
        try:
            while sent:
                connection.sendall(sent)
            connection.recv(1)
        finally:
            left.set()

    monkeypatch.setattr("courier.sender._READ_S", 0.1 if len(sent) < 2 else 60)
    with receiver(flood) as (url, _):
        answer = sender.post(url, HEADERS, BODY)
    assert (answer.status, answer.problem) == (200, None)
    assert left.wait(60)


def test_a_receiver_that_does_not_listen_or_hangs_up_is_a_failure(sender):
    with receiver(says(b"")) as (url, _):
        assert sender.post(url, HEADERS, BODY).problem == "The receiver did not answer (RemoteProtocolError)."
    assert sender.post(url, HEADERS, BODY).problem == "The receiver did not answer (ConnectError)."


HOSTS = "127.0.0.1 localhost 10.0.0.1 169.254.169.254 [::1] [fd00:ec2::254] [::ffff:127.0.0.1] [64:ff9b::a9fe:a9fe]"
SPELLINGS = "2130706433 0x7f.1 0177.1 127.1 0 rebinding.test a.localhost"


@pytest.mark.parametrize("host", [*HOSTS.split(), *SPELLINGS.split()])
def test_no_spelling_of_a_private_host_is_dialled(monkeypatch, host):
    look_up = socket.getaddrinfo

    def resolve(name, port, **more):
        if name == "rebinding.test":  # public among private, as in an attack
            return [(2, 1, 6, "", (address, port)) for address in ("8.8.8.8", "192.168.0.1")]
        return look_up(name, port, **more)

    async def dial(self, host, *_):
        raise AssertionError(f"{host} is dialled")

    monkeypatch.setattr("socket.getaddrinfo", resolve)
    monkeypatch.setattr(httpcore.AnyIOBackend, "connect_tcp", dial)
    answer = WebhookSender(allow_private=False).post(f"https://{host}/", HEADERS, BODY)
    assert answer.status is None
    assert "public internet" in answer.problem or "could not be resolved" in answer.problem


def test_without_private_addresses_http_is_not_spoken():
    answer = WebhookSender(allow_private=False).post("http://example.com/", HEADERS, BODY)
    assert answer.problem.startswith("The URL must be a URL such as https://example.com/path, with https and a host")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A certificate of localhost, with its key, that nobody vouches for but itself."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), serial_number=1)
        .not_valid_before(now - datetime.timedelta(1))
        .not_valid_after(now + datetime.timedelta(1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    kind = (serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    file = tmp_path_factory.mktemp("tls") / "localhost.pem"
    file.write_bytes(key.private_bytes(PEM, *kind) + made.public_bytes(PEM))
    return file


@pytest.mark.parametrize(
    ("trusted", "host", "status"), [(True, "localhost", 200), (True, "127.0.0.1", None), (False, "localhost", None)]
)
def test_a_receiver_must_have_a_trusted_certificate_of_its_name(monkeypatch, certificate, trusted, host, status):
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(certificate)
    with receiver(says(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), tls) as (url, requests):
        place = url.replace("http://127.0.0.1", f"https://{host}")
        answer = WebhookSender(allow_private=True).post(place, HEADERS, BODY)
    assert answer.status == status
    assert len(requests) == (1 if status else 0)
