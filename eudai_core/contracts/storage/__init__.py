"""Storage: short units of work over one repository per concern.

Leaving a unit of work without ``commit()`` rolls it back. A unit of work is never open while a model streams, a file
uploads or a page loads. Repositories return values, never live rows. All of them raise ``StorageUnavailable`` within
two seconds when the database does not answer, ``NotFound`` where an object is asked for by an id that is not there,
and ``Conflict`` where a unique name is taken.
"""

from eudai_core.contracts.storage.accounts import Sessions, Users
from eudai_core.contracts.storage.conversations import Conversations, Messages
from eudai_core.contracts.storage.documents import Documents
from eudai_core.contracts.storage.projects import Projects
from eudai_core.contracts.storage.runs import Contexts, Events, Runs
from eudai_core.contracts.storage.unit_of_work import Storage, UnitOfWork
from eudai_core.contracts.storage.upkeep import Jobs, PluginStates

__all__ = [
    "Contexts",
    "Conversations",
    "Documents",
    "Events",
    "Jobs",
    "Messages",
    "PluginStates",
    "Projects",
    "Runs",
    "Sessions",
    "Storage",
    "UnitOfWork",
    "Users",
]
