"""Show and check settings."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from eudai_core.cli.running import print_json, print_table, quiet
from eudai_core.errors import ConfigError

if TYPE_CHECKING:
    from eudai_core.settings import Settings

__all__ = ["config"]


@click.group()
def config() -> None:
    """Show and check settings."""


@config.command()
@click.argument("key")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def explain(key: str, as_json: bool) -> None:
    """Tell the value, the source and the meaning of one setting, such as EUDAI_PORT or port."""
    told = _settings().explain(key)
    if as_json:
        print_json(asdict(told))
    else:
        click.echo(f"{told.key} = {told.value}" if not told.problem else told.key)
        click.echo(f"  {told.help}")
        click.echo(f"  from: {told.where}")
        click.echo(f"  default: {told.default}")
        click.echo(f"  expected: {told.expected}")
        click.echo(f"  of: {told.owner}")
    if told.problem:
        raise ConfigError(told.problem)


@config.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def show(as_json: bool) -> None:
    """List every setting with its value and its source; secrets are not shown."""
    told = _settings().all()
    if as_json:
        print_json([asdict(one) for one in told])
        return
    rows = [(one.key, one.source.value, f"wrong: {one.problem}" if one.problem else one.value) for one in told]
    print_table(("SETTING", "SOURCE", "VALUE"), rows)


@config.command()
def check() -> None:
    """Check all settings as a server would at its start; exit code 3 when one is wrong."""
    from eudai_core.plugins import PluginHost
    from eudai_core.settings import CoreSettings
    from eudai_core.settings.secret_key import KEY_FILE, secret_key

    quiet()
    host = PluginHost.compose()
    host.check()
    core = host.settings.section(CoreSettings)
    if (core.data_dir / KEY_FILE).exists():  # a check makes nothing, so that a missing key is left to the server
        secret_key(core)
    click.echo("The settings are usable.")


def _settings() -> Settings:
    """Return the settings of the core and of all plugins; of the core alone when the plugins cannot be loaded."""
    from eudai_core.plugins import PluginHost
    from eudai_core.settings import Settings

    quiet()
    try:
        return PluginHost.compose(strict=False).settings
    except ConfigError:
        return Settings.load()
