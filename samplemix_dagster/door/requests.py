"""What may come in: every rule of the door, over the plain parts of a request.

Dagster's webserver starts whatever it is asked to, by anybody and in any form. A browser sends such
requests for any page that is open, so each rule here is one that a page of somebody else cannot
meet: it does not know the token, cannot choose ``Host``, ``Origin`` or ``Sec-Fetch-Site``, cannot
send JSON without asking first, and does not see an answer. Nothing here sends or receives.
"""

import hmac
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qsl, quote, urlencode

Headers = Sequence[tuple[bytes, bytes]]
GRAPHQL = "/graphql"
_TOKEN_BYTES = 32


@dataclass(frozen=True, slots=True)
class Pass:
    """What opens the door of one start: the token, the cookie that it is exchanged for."""

    port: int
    token: str = field(default_factory=lambda: secrets.token_urlsafe(_TOKEN_BYTES), repr=False)
    session: str = field(default_factory=lambda: secrets.token_urlsafe(_TOKEN_BYTES), repr=False)

    @property
    def address(self) -> str:
        """The address without the token."""
        return f"http://127.0.0.1:{self.port}/"

    @property
    def address_with_token(self) -> str:
        """The address that lets in; it is for the terminal and no log."""
        return f"{self.address}?token={self.token}"

    @property
    def cookie_name(self) -> str:
        """Browsers share cookies between ports, so each port has a name of its own."""
        return f"samplemix_{self.port}"

    @property
    def hosts(self) -> tuple[str, ...]:
        """What ``Host`` may be."""
        names = ("127.0.0.1", "localhost")
        bare = names if self.port == 80 else ()  # browsers leave out http's own port
        return (*(f"{name}:{self.port}" for name in names), *bare)

    def set_cookie(self) -> str:
        """The header that gives a browser its cookie; scripts of a page never see it."""
        return f"{self.cookie_name}={self.session}; Path=/; HttpOnly; SameSite=Strict"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request goes no further."""

    status: int
    words: str


def refused_by_place(headers: Headers, passed: Pass) -> Refusal | None:
    """Refuse what a page of somebody else sends, whoever is logged in."""
    hosts = values(headers, b"host")
    if len(hosts) != 1 or hosts[0].lower() not in passed.hosts:
        return Refusal(403, f"This address is {' or '.join(passed.hosts)} and no other.")
    origins = values(headers, b"origin")
    if origins and origins != [f"http://{hosts[0]}"] and origins != [f"http://{hosts[0].lower()}"]:
        return Refusal(403, "This request comes from another page.")
    sites = values(headers, b"sec-fetch-site")
    if any(site.strip().lower() not in {"same-origin", "none"} for site in sites):
        return Refusal(403, "This request comes from another site: paste the address instead.")
    return None


def is_known(headers: Headers, passed: Pass) -> bool:
    """Whether a request carries the cookie or the token of this start."""
    return any(
        [
            *(_same(value, passed.session) for value in _cookies(headers, passed.cookie_name)),
            *(_same(value, passed.token) for value in _bearers(headers)),
        ]
    )


def exchange(query: bytes, path: str, passed: Pass) -> str | None:
    """Return where a request with the right token goes on, without it; None for any other."""
    pairs = parse_qsl(query.decode("latin-1"), keep_blank_values=True)
    given = [value for name, value in pairs if name == "token"]
    if len(given) != 1 or not _same(given[0], passed.token):
        return None
    rest = urlencode([(name, value) for name, value in pairs if name != "token"])
    # One slash in front: two would name another host.
    return quote("/" + path.lstrip("/\\")) + (f"?{rest}" if rest else "")


def refused_by_form(method: str, path: str, headers: Headers, query: bytes) -> Refusal | None:
    """Refuse what could change something in a form that a page can send without being asked."""
    if method not in {"GET", "HEAD", "POST"}:
        return Refusal(405, f"{method} is for nothing here.")
    if method == "POST":
        types = values(headers, b"content-type")
        if len(types) != 1 or types[0].partition(";")[0].strip().lower() != "application/json":
            return Refusal(415, "A POST is JSON: Content-Type: application/json.")
        return None
    asked = parse_qsl(query.decode("latin-1"), keep_blank_values=True)
    queries = [value for name, value in asked if name == "query"]
    if path.rstrip("/") == GRAPHQL and not all(only_reads(text) for text in queries):
        return Refusal(405, "What changes something is sent by POST, as JSON.")
    return None


def only_reads(text: str, kinds: Iterable[str] = ("query",)) -> bool:
    """Whether a GraphQL document can be read, and has operations of these kinds alone."""
    from graphql import GraphQLError, OperationDefinitionNode, parse

    try:
        document = parse(text)
    except (GraphQLError, RecursionError):
        return False
    found = [one for one in document.definitions if isinstance(one, OperationDefinitionNode)]
    return bool(found) and all(one.operation.value in set(kinds) for one in found)


def values(headers: Headers, name: bytes) -> list[str]:
    """Return every value of a header."""
    return [value.decode("latin-1") for key, value in headers if key.lower() == name]


def _cookies(headers: Headers, name: str) -> list[str]:
    found = []
    for line in values(headers, b"cookie"):
        try:
            morsel = SimpleCookie(line).get(name)
        except CookieError:
            continue
        if morsel is not None:
            found.append(morsel.value)
    return found


def _bearers(headers: Headers) -> list[str]:
    found = []
    for line in values(headers, b"authorization"):
        scheme, _, given = line.partition(" ")
        if scheme.lower() == "bearer":
            found.append(given.strip())
    return found


def _same(one: str, other: str) -> bool:
    """Whether two secrets are equal, in a time that does not tell where they differ."""
    return hmac.compare_digest(one.encode("utf-8", "surrogatepass"), other.encode())
