"""What a file or a page looks like to somebody who is about to change it, in a few characters.

Projects, instructions and conversations count their versions. Files and pages do not: their versions are those of
their bytes, and a page gets new ones by itself. Their revision is made of what users can change, so that nobody's
change is lost, and nobody is refused because a text was read meanwhile.
"""

from __future__ import annotations

import hashlib

from eudai_core.errors import StaleVersion
from eudai_core.model import FileRecord, Url

__all__ = ["check_revision", "file_revision", "url_revision"]


def file_revision(file: FileRecord) -> str:
    """Return the revision of a file: of its bytes, its name, and whether it is pinned."""
    return f"v{file.current.number}-{_digest(file.filename, str(file.pinned))}"


def url_revision(url: Url) -> str:
    """Return the revision of a page: of its address, its description, and whether it is pinned."""
    return f"u-{_digest(url.url, url.description, str(url.pinned))}"


def check_revision(what: str, expected: str | None, found: str) -> None:
    """Return when ``expected`` is the revision that was found, or None.

    Raises:
        StaleVersion: it is another one.
    """
    if expected is not None and expected != found:
        raise StaleVersion(f"The {what} was changed meanwhile: get it again, then change what is there.")


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]
