"""eudai's core: contracts, hook specs, the plugin host, services, the chat engine and context assembly.

Nothing is imported here, so that ``eudai --help`` stays cheap: take names from the modules that hold them,
``eudai_core.app``, ``eudai_core.hooks``, ``eudai_core.contracts``, ``eudai_core.model``, ``eudai_core.errors``.
"""

__version__ = "0.1.0"

API_VERSION = (0, 1)
"""Version of hooks and contracts. A plugin loads when the majors match and its minor is not above ours."""

__all__ = ["API_VERSION", "__version__"]
