"""Running one test on every database, also where it opens the application itself.

``chosen()`` are the settings of the database that the fixture ``every_database`` chose for the running test; helpers
that open an application add them to its settings.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest

__all__ = ["chosen", "every_database"]

_chosen: dict[str, str] = {}


def chosen() -> Mapping[str, str]:
    """Return the settings of the database of the running test; none for SQLite in the data directory."""
    return dict(_chosen)


@pytest.fixture(params=["sqlite", "postgres"])
def every_database(request: pytest.FixtureRequest) -> Iterator[str]:
    """Run the test on SQLite in its data directory, and on an empty PostgreSQL database of its own."""
    if request.param == "postgres":
        _chosen["EUDAI_DATABASE_URL"] = str(request.getfixturevalue("postgres_url"))
    yield str(request.param)
    _chosen.clear()
