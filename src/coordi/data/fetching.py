"""Photos by address: the one thing that coordi gets from other machines, for a command that names their hosts."""

from __future__ import annotations

import http.client
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import NamedTuple
from urllib.parse import SplitResult, quote, urljoin, urlsplit

from coordi.artifacts import Progress, clear_write_errors, no_progress
from coordi.data.photos import format_of, not_a_photo
from coordi.data.source import fetched_name
from coordi.errors import DataError

_REDIRECTS = 5
_UNFINISHED = ".part"
_BLOCK = 2**16
_SECONDS_TO_CONNECT = 10.0
_PORTS = {"http": 80, "https": 443}
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_UNICAST = ipaddress.ip_network("2000::/3")  # all that IANA has given out; others hold IPv4 addresses, or are of a site
_REDIRECTING = (301, 302, 303, 307, 308)
# An address as it stands may have spaces and letters of any script; what is quoted already stays so.
_PLAIN = "%/:=&?~#+!$,;'@()*[]"


def is_public(ip: str) -> bool:
    """Whether an IP address is one of the internet: not of this machine, its network or a cloud's own services."""
    address = ipaddress.ip_address(ip)
    mapped = getattr(address, "sixtofour", None)
    if address in _NAT64:
        mapped = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    elif address.version == 6 and address not in _UNICAST:
        return False
    return address.is_global and not address.is_multicast and (mapped is None or mapped.is_global)


class _RefusedError(Exception):
    """Why an address gave no photo, in a user's words."""


class Fetched(NamedTuple):
    """Numbers of photos that were fetched and that were there before, and why each other item has none, by its id."""

    new: int
    before: int
    failed: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class PhotoFetcher:
    """Gets photos over HTTP and HTTPS, from some hosts alone.

    A host's name is resolved once for each request, and the connection goes to an IP address that was checked, also
    after a redirect. Cookies, credentials and proxies aren't used.

    Attributes:
        hosts: Accepted hosts in lower case and ASCII: ``cdn.example.com`` for the usual ports of HTTP and HTTPS,
            ``cdn.example.com:8443`` for that port alone.
        max_bytes: Maximum size of a photo.
        seconds: Maximum time for one address, redirects included.
        accepts: Whether an IP address may be connected to.
    """

    hosts: frozenset[str]
    max_bytes: int = 20 * 2**20
    seconds: float = 60.0
    accepts: Callable[[str], bool] = is_public
    _tls: ssl.SSLContext = field(default_factory=ssl.create_default_context)

    @classmethod
    def of_hosts(cls, hosts: Sequence[str], max_bytes: int) -> PhotoFetcher:
        """A fetcher for hosts as users write them; a ``DataError`` for what is no host."""
        return cls(frozenset(map(_allowed, hosts)), max_bytes)

    def fetch_all(
        self, addresses: Mapping[str, Sequence[str]], folder: Path, workers: int = 4, progress: Progress = no_progress
    ) -> Fetched:
        """Store a photo of each item, by its id: the first of its addresses that gives one. Photos that are in the
        folder already aren't fetched again, so an interrupted call is resumed by the same one.
        """
        with clear_write_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
        there = {path.stem for path in folder.iterdir() if path.suffix != _UNFINISHED}
        left = {key: row for key, row in addresses.items() if there.isdisjoint(map(fetched_name, row))}
        failed: dict[str, str] = {}
        locks = {address: threading.Lock() for row in left.values() for address in row}  # items may share a photo
        stored: set[str] = set()
        with ThreadPoolExecutor(workers) as pool:
            results = pool.map(lambda row: self._first_of(row, folder, locks, stored), left.values())
            for count, (key, problem) in enumerate(zip(left, results, strict=True), 1):
                failed |= {} if problem is None else {key: problem}
                progress(count, len(left))
        return Fetched(len(left) - len(failed), len(addresses) - len(left), failed)

    def _first_of(
        self, addresses: Sequence[str], folder: Path, locks: Mapping[str, threading.Lock], stored: set[str]
    ) -> str | None:
        """Why none of an item's addresses gave a photo; None if one did."""
        problems = []
        for address in addresses:
            with locks[address]:
                if address in stored:
                    return None
                try:
                    content = self.fetch(address)
                except _RefusedError as error:
                    text = f"{address}: {error}"  # of which a host may have written a part
                    problems.append("".join(letter if letter.isprintable() else " " for letter in text))
                    continue
                _store(content, folder, fetched_name(address))
                stored.add(address)
            return None
        return "; ".join(problems)

    def fetch(self, address: str) -> bytes:
        """Bytes of the photo at an address; raises an error that says why there are none."""
        ends = time.monotonic() + self.seconds
        for _ in range(_REDIRECTS + 1):
            try:
                answer = self._ask(address, ends)
                address = urljoin(address, answer) if isinstance(answer, str) else address
            except (OSError, http.client.HTTPException, ValueError) as error:
                self._check_time(ends)
                raise _RefusedError(f"can't be fetched ({type(error).__name__}: {error})") from error
            if isinstance(answer, bytes):
                if format_of(answer) is None:
                    raise _RefusedError(not_a_photo(answer))
                return answer
        raise _RefusedError(f"more than {_REDIRECTS} redirects")

    def _ask(self, address: str, ends: float) -> bytes | str:
        """The content at an address, or the address that it redirects to."""
        parts = urlsplit(address)
        ip, host, port = self._checked(parts)
        path = f"{parts.path or '/'}{f'?{parts.query}' if parts.query else ''}"
        self._check_time(ends)
        connection = _PinnedConnection(ip, host, port, self._tls if parts.scheme == "https" else None, ends)
        try:
            connection.request(
                "GET",
                quote(path, safe=_PLAIN),
                headers={"Accept": "image/*", "User-Agent": f"coordi/{metadata.version('coordi')}"},
            )
            response = connection.getresponse()
            if response.status in _REDIRECTING and response.headers.get("Location"):
                return str(response.headers["Location"])
            if response.status != http.client.OK:
                raise _RefusedError(f"the host answered {response.status} {response.reason}")
            content, size = bytearray(), response.length  # None where the host doesn't say it
            while (size is None or len(content) < size) and (block := response.read1(_BLOCK)):
                content += block
                if len(content) > self.max_bytes:
                    raise _RefusedError(f"larger than {self.max_bytes / 2**20:g} MiB (--max-mb)")
                self._check_time(ends)
            self._check_time(ends)
            if size is not None and len(content) < size:
                raise _RefusedError(f"cut short: {len(content):,} of {size:,} bytes came; run the same command again")
            return bytes(content)
        finally:
            connection.end()

    def _check_time(self, ends: float) -> None:
        if time.monotonic() >= ends:
            raise _RefusedError(f"took longer than {self.seconds:g} s")

    def _checked(self, parts: SplitResult) -> tuple[str, str, int]:
        """An IP address that may be connected to, the host and the port."""
        if parts.scheme not in _PORTS:
            raise _RefusedError("only http and https are fetched")
        if parts.username is not None or parts.password is not None:
            raise _RefusedError("it holds a name or a password, which isn't sent")
        host, port = _ascii(parts.hostname or ""), parts.port or _PORTS[parts.scheme]
        name = host if port == _PORTS[parts.scheme] else f"{host}:{port}"
        if self.hosts.isdisjoint((name, f"{host}:{port}")):
            raise _RefusedError(f"the host {name or '(none)'} isn't allowed; add --allow {name or 'HOST'}")
        ips = [str(row[4][0]) for row in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
        if not ips or not all(map(self.accepts, ips)):
            raise _RefusedError(f"the host {host} leads into a private network ({', '.join(ips)})")
        return ips[0], host, port


def _ascii(host: str) -> str:
    """A host's name as it is resolved: ``bücher.example`` as ``xn--bcher-kva.example``."""
    return host.strip().lower().rstrip(".").encode("idna").decode("ascii")


def _allowed(given: str) -> str:
    name, colon, port = given.strip().rstrip(".").partition(":")
    with suppress(UnicodeError):
        host = _ascii(name)
        if host and not set(host) & set("/@*?#[]\\ ") and (not colon or (port.isdecimal() and int(port) < 2**16)):
            return f"{host}:{int(port)}" if colon else host
    raise DataError(f"--allow {given!r} is no host; give its name alone, such as cdn.example.com")


def _store(content: bytes, folder: Path, name: str) -> None:
    kind = str(format_of(content)).lower()
    path = folder / f"{name}.{'jpg' if kind == 'jpeg' else kind}"
    unfinished = path.with_suffix(_UNFINISHED)
    with clear_write_errors(path):
        unfinished.write_bytes(content)
        unfinished.replace(path)


class _PinnedConnection(http.client.HTTPConnection):
    """A connection to an IP address that was checked, whatever its host's name resolves to a moment later. It is shut
    when its time is over, also for a host that sends its headers a byte at a time.
    """

    def __init__(self, ip: str, host: str, port: int, tls: ssl.SSLContext | None, ends: float) -> None:
        super().__init__(host, port, timeout=_SECONDS_TO_CONNECT)
        self._ip = ip
        self._tls = tls
        self._ends = ends
        self._timer: threading.Timer | None = None
        self.default_port = _PORTS["http" if tls is None else "https"]

    def connect(self) -> None:
        """Connect, and check the host's certificate if it is asked by HTTPS."""
        self.sock = socket.create_connection((self._ip, self.port), self.timeout)
        if self._tls is not None:
            self.sock = self._tls.wrap_socket(self.sock, server_hostname=self.host, do_handshake_on_connect=False)
        self._timer = threading.Timer(max(self._ends - time.monotonic(), 0), _shut, (self.sock,))
        self._timer.daemon = True
        self._timer.start()
        if isinstance(self.sock, ssl.SSLSocket):
            self.sock.do_handshake()

    def end(self) -> None:
        """Close the connection for good; ``http.client`` closes it by itself before an answer is read."""
        if self._timer is not None:
            self._timer.cancel()
        self.close()


def _shut(connected: socket.socket) -> None:
    with suppress(OSError):
        socket.socket.shutdown(connected, socket.SHUT_RDWR)  # that of TLS would change what is being read
