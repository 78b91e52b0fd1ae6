"""Storage: short units of work over one repository per concern.

Leaving a unit of work without ``commit()`` rolls it back. A unit of work is never open while a model streams, a file
uploads or a page loads. Repositories return values, never live rows. All of them raise ``StorageUnavailable`` within
two seconds when the database does not answer, ``NotFound`` where an object is asked for by an id that is not there or
something is added to what is not there, and ``Conflict`` where a unique name or an id is taken. After an error leave
the unit of work; nothing more can be done in it.

Text may hold every code point but NUL and the halves of surrogate pairs; with these it is ``InvalidInput``, whether it
is to be stored or looked for. Times are aware, and come back in UTC to the microsecond. Mappings are JSON. Pages are
given newest first; a cursor that is not one of ours is ``InvalidInput`` for ``$.cursor``.

``eudai_core.testing.StorageSuite`` checks all of it.
"""

from eudai_core.contracts.storage.accounts import ApiKeys, Invites, LoginFailures, Sessions, SigningKeys, Users
from eudai_core.contracts.storage.conversations import Conversations, Messages
from eudai_core.contracts.storage.documents import Documents, Urls
from eudai_core.contracts.storage.portable import (
    Loading,
    PortableDatabase,
    PortableStorage,
    Row,
    RowSource,
    Snapshot,
    TableShape,
)
from eudai_core.contracts.storage.projects import Projects
from eudai_core.contracts.storage.runs import Contexts, Events, Runs
from eudai_core.contracts.storage.sql import OffersSql, Sql
from eudai_core.contracts.storage.unit_of_work import Storage, UnitOfWork
from eudai_core.contracts.storage.upkeep import Answers, Jobs, PluginStates

__all__ = [
    "Answers",
    "ApiKeys",
    "Contexts",
    "Conversations",
    "Documents",
    "Events",
    "Invites",
    "Jobs",
    "Loading",
    "LoginFailures",
    "Messages",
    "OffersSql",
    "PluginStates",
    "PortableDatabase",
    "PortableStorage",
    "Projects",
    "Row",
    "RowSource",
    "Runs",
    "Sessions",
    "SigningKeys",
    "Snapshot",
    "Sql",
    "Storage",
    "TableShape",
    "UnitOfWork",
    "Urls",
    "Users",
]
