"""Tracking URIs: what kind of store each names, where it lies, and how it may be shown."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING
from urllib.parse import unquote

from ckpt_migrate.errors import StoreNotFoundError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

HIDDEN = "***"
KNOWN_FORMS = (
    "a folder (mlruns), file:…, sqlite:///…, the path of a .db file, postgresql://…, mysql://…, mssql://…, "
    "http(s)://…, databricks"
)

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_SERVERS = frozenset({"http", "https", "databricks"})
_DATABASES = frozenset({"postgresql", "mysql", "mssql"})
_CONTAINER_SCHEMES = ("wasb:", "wasbs:", "abfs:", "abfss:")  # here `name@` is a container, no user

_AUTHORITY = re.compile(r"(?<=://)[^/?#\s]*")
_LOGIN = re.compile(r"^(\s*(?:[A-Za-z][A-Za-z0-9+.-]*:/+|//+)?)(?!(?:file|dbfs|sqlite):)[^/:@\s]+:(?!/).*@", re.DOTALL)
_SECRET_PARAMETER = re.compile(
    r"(?i)([?&;#][^=&;#\s]*"
    r"(?:pass|pwd|secret|token|key|sig|auth|cred|user|uid|login|odbc_connect|account|session|code)"
    r"[^=&;#\s]*=)[^&;#\s]*"
)


class StoreKind(str, Enum):
    """The kinds of store, each with its own reader."""

    FILES = "files"
    SQLITE = "sqlite"
    DATABASE = "database"
    SERVER = "server"


@dataclass(frozen=True, slots=True)
class StoreAddress:
    """A tracking URI, understood.

    Attributes:
        kind: Which reader it takes.
        target: The existing path of a folder or SQLite file; the whole URI, credentials in it, for the rest.
        uri: As the user gave it, credentials masked.
    """

    kind: StoreKind
    target: str = field(repr=False)
    uri: str


def mask_credentials(uri: str) -> str:
    """Return a URI that can be shown: user names, passwords, tokens and secret query values become `***`.

    >>> mask_credentials("postgresql://bob:s3cret@db.example:5432/mlflow?sslpassword=x&sslmode=require")
    'postgresql://***@db.example:5432/mlflow?sslpassword=***&sslmode=require'
    >>> mask_credentials("sqlite:///mlflow.db")
    'sqlite:///mlflow.db'
    """
    shown = uri
    match = _AUTHORITY.search(uri)
    if match is not None and not uri.lower().startswith(_CONTAINER_SCHEMES):
        start, end = match.span()
        user, at, _ = match[0].rpartition("@")
        if at:
            shown = f"{uri[:start]}{HIDDEN}@{uri[start + len(user) + 1 :]}"
        elif re.search(r":(?!\d*$)", match[0]) and "@" in uri[end:]:
            # A slash or another delimiter stands unescaped in the password: hide up to the last @.
            shown = f"{uri[:start]}{HIDDEN}@{uri.rpartition('@')[2]}"
    else:
        # With one slash or no scheme it is no URI, and a slip that is shown in an error.
        shown = _LOGIN.sub(rf"\1{HIDDEN}@", uri)
    return _SECRET_PARAMETER.sub(rf"\1{HIDDEN}", shown)


def scrub(text: str, uri: str) -> str:
    """Return a text, such as a driver's message about this URI, without the credentials of the URI."""
    clean = text.replace(uri, mask_credentials(uri))
    match = _AUTHORITY.search(uri)
    userinfo = match[0].rpartition("@")[0] if match is not None else ""
    for part in (userinfo, *userinfo.split(":", 1)):
        for secret in {part, unquote(part)}:
            if secret:
                clean = re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", HIDDEN, clean)
    for parameter in _SECRET_PARAMETER.finditer(uri):
        secret = parameter[0][len(parameter[1]) :]
        if secret:
            clean = clean.replace(secret, HIDDEN).replace(unquote(secret), HIDDEN)
    return re.sub(r"(?<=://)[^/@\s]*@", f"{HIDDEN}@", clean)


def parse_uri(uri: str) -> StoreAddress:
    """Return what a tracking URI names.

    Raises:
        StoreNotFoundError: It names a file or folder that does not exist.
        UsageError: Its scheme is unknown, or it is malformed.
    """
    shown = mask_credentials(uri)
    if not uri.strip():
        raise UsageError("the tracking URI is empty", remedy=f"It is {KNOWN_FORMS}.")
    if "\x00" in uri:
        raise UsageError("the tracking URI holds a NUL character", remedy=f"It is {KNOWN_FORMS}.")
    if uri == "databricks":
        return StoreAddress(StoreKind.SERVER, uri, shown)
    match = _SCHEME.match(uri)
    if match is None or os.path.exists(uri):
        return _local_address((uri, unquote(uri), os.path.expanduser(uri)), shown)
    scheme = match[1].lower()
    base = scheme.partition("+")[0]
    if scheme == "file":
        return _local_address(_file_uri_paths(uri, shown), shown)
    if base == "sqlite":
        return _sqlite_address(uri, shown)
    if scheme in _SERVERS:
        return StoreAddress(StoreKind.SERVER, uri, shown)
    if base in _DATABASES:
        return StoreAddress(StoreKind.DATABASE, uri, shown)
    raise UsageError(f"the scheme {match[1]}: is not known", where=shown, remedy=f"A tracking URI is {KNOWN_FORMS}.")


def local_path(uri: str) -> str | None:
    """Return the path of the folder or file that a tracking URI names; None where it names none that is here."""
    try:
        address = parse_uri(uri)
    except (StoreNotFoundError, UsageError):
        return None
    return address.target if address.kind in {StoreKind.FILES, StoreKind.SQLITE} else None


def _local_address(candidates: Sequence[str], shown: str) -> StoreAddress:
    """Return the first path that exists, as a file store when it is a folder and a database when it is a file."""
    for path in candidates:
        if os.path.isdir(path):
            return StoreAddress(StoreKind.FILES, path, shown)
        if os.path.exists(path):
            return StoreAddress(StoreKind.SQLITE, path, shown)
    raise StoreNotFoundError(
        "there is no such file or folder",
        where=shown,
        remedy=f"Check --tracking-uri; relative paths start at the current folder, {os.getcwd()}.",
    )


def _file_uri_paths(uri: str, shown: str) -> tuple[str, ...]:
    rest = uri[len("file:") :]
    if rest.startswith("//"):
        host, slash, path = rest[2:].partition("/")
        if host == ".":
            rest = f"./{path}"
        elif host in ("", "localhost", "127.0.0.1"):
            rest = slash + path
        else:
            raise UsageError(
                f"the file URI names another machine, {host.rpartition('@')[2]}",
                where=shown,
                remedy="Mount its folder here and give the path, or write file:///absolute/path.",
            )
    # A # or ? may stand for itself or begin a fragment, which MLflow drops; the path that exists decides.
    return unquote(rest), rest, unquote(re.split(r"[?#]", rest, maxsplit=1)[0])


def _sqlite_address(uri: str, shown: str) -> StoreAddress:
    match = re.fullmatch(r"[^:]+://(?P<host>[^/]*)/(?P<path>.*)", uri, re.DOTALL)
    if match is None or match["host"] or match["path"] in ("", ":memory:"):
        raise UsageError(
            "the URI names no database file",
            where=shown,
            remedy="Write sqlite:///relative/path.db or sqlite:////absolute/path.db.",
        )
    path = match["path"]
    plain = path.partition("?")[0]
    candidates = [path, plain, unquote(plain)]
    candidates += [name[len("file:") :] for name in candidates if name.startswith("file:")]
    for name in candidates:
        if os.path.isdir(name):
            raise UsageError("this is a folder, no database file", where=shown, remedy=f"Give {name} itself.")
        if os.path.exists(name):
            return StoreAddress(StoreKind.SQLITE, name, shown)
    raise StoreNotFoundError(
        "there is no such database file",
        where=shown,
        remedy=(
            "sqlite:/// with three slashes is relative to the current folder, with four absolute; "
            f"looked for {os.path.abspath(plain)}."
        ),
    )
