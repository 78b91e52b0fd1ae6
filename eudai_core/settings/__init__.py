"""Settings: typed sections over options, the environment, ``.env``, a TOML file and defaults."""

from eudai_core.settings.core import (
    SECRET_KEY_PLACEHOLDER,
    CoreSettings,
)
from eudai_core.settings.schema import (
    Variable,
    setting,
)
from eudai_core.settings.secret import (
    REDACTED,
    Secret,
)
from eudai_core.settings.secret_key import (
    secret_key,
)
from eudai_core.settings.sections import (
    Explanation,
    Settings,
)
from eudai_core.settings.sources import (
    SettingSource,
    Sources,
    load_environment,
)

__all__ = [
    "REDACTED",
    "SECRET_KEY_PLACEHOLDER",
    "CoreSettings",
    "Explanation",
    "Secret",
    "SettingSource",
    "Settings",
    "Sources",
    "Variable",
    "load_environment",
    "secret_key",
    "setting",
]
