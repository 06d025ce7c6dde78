"""URLs of documents, and the form in which two of them are compared."""

import json
import re
from collections.abc import Iterator
from urllib.parse import unquote

_SCHEME = re.compile(r"^https?://", re.IGNORECASE)
_URL = re.compile(
    r"(?:[a-z][a-z0-9+.-]*://)?(?:[^/?#]*@)?(?:www\.)?([^/?#]*)([^?#]*)(\?[^#]+)?", re.IGNORECASE
)
_MARK = "://"


def urls_of(own: str | None, metadata: str | None) -> Iterator[str]:
    """Yield the URLs of a document: its own id, and fields kept beside it, that are one."""
    if own is not None and _SCHEME.match(own):
        yield own
    if metadata and _MARK in metadata:
        for value in json.loads(metadata).values():
            if isinstance(value, str) and _SCHEME.match(value):
                yield value


def hosts_of(own: str | None, metadata: str | None) -> Iterator[str]:
    """Yield the host of each URL of a document, without ``www.`` and port."""
    for url in urls_of(own, metadata):
        yield host_of(url)


def host_of(url: str) -> str:
    """Return the host of a URL, without ``www.`` and port."""
    return plain_url(url).partition("/")[0].partition("?")[0].partition(":")[0]


def plain_url(url: str) -> str:
    """Return a URL as it is compared: without scheme, ``www.``, fragment and a last slash.

    Host in small letters, ports of http and https left out. A path keeps its letters.
    """
    found = _URL.match(url.strip(" \t\r\n"))
    host, path, query = found.groups("") if found else ("", "", "")
    host = re.sub(r":(?:80|443)$", "", host.lower())
    return f"{host}{path.rstrip('/')}{query}"


def spellings_of(url: str) -> tuple[str, ...]:
    """Return a plain URL or a host, and the same with its host in the other spelling, if any.

    A host in letters beyond ASCII is ``bücher.example`` to a reader and ``xn--bcher-kva.example``
    to a machine (RFC 5891), and a corpus may have either.
    """
    import idna

    host = re.split(r"[/?:]", url, maxsplit=1)[0]
    if host.isascii() and "xn--" not in host:
        return (url,)
    try:
        machine = idna.encode(host, uts46=True).decode("ascii")
        hosts = (host, machine, idna.decode(machine))  # the last has its letters composed
    except UnicodeError:
        return (url,)
    return tuple(dict.fromkeys(f"{one}{url[len(host) :]}" for one in hosts))


def decoded(url: str) -> str:
    """Return a plain URL with its percent-encoding undone, where that gives UTF-8.

    A browser copies a URL encoded, and a corpus may have it either way.
    """
    try:
        return unquote(url, errors="strict")
    except UnicodeDecodeError:
        return url
