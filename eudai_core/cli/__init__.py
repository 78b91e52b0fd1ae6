"""The command line: ``eudai``, whose commands are found through the entry-point group ``eudai.commands``.

Importing this package, and showing its help, imports click and the standard library only.
"""

from eudai_core.cli.root import (
    main,
    root,
)

__all__ = ["main", "root"]
