from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest

from eudai_core.errors import ConfigError, NameTaken, PluginError
from eudai_core.settings import CoreSettings, Secret, Settings, SettingSource, setting

HIDDEN = "sk-0123456789-very-secret"


@dataclass(frozen=True, slots=True)
class Demo:
    text: str = setting("plain", "A text.")
    count: int = setting(1, "A count.", minimum=1, maximum=9)
    share: float = setting(0.5, "A share.")
    on: bool = setting(False, "A switch.")
    folder: Path = setting(Path("here"), "A folder.")
    words: tuple[str, ...] = setting((), "Words.")
    mode: Literal["fast", "slow"] = setting("fast", "A mode.")
    limit: int | None = setting(None, "A limit.")
    key: Secret[str] | None = setting(None, "A key.", aliases=("DEMO_KEY", "OTHER_KEY"))


def demo(
    environ: dict[str, str] | None = None, *, dotenv: Path | None = None, overrides: dict[str, str] | None = None
) -> Settings:
    settings = Settings.load(environ=environ or {}, dotenv=dotenv, overrides=overrides)
    settings.register("demo-plugin", "demo", Demo)
    return settings


def test_defaults() -> None:
    assert demo().section(Demo) == Demo()


@pytest.mark.parametrize(
    ("field", "text", "value"),
    [
        ("text", "a=b # c", "a=b # c"),
        ("count", "9", 9),
        ("share", "1e-1", 0.1),
        ("on", "Yes", True),
        ("on", "0", False),
        ("folder", "/tmp/x", Path("/tmp/x")),
        ("words", " a, b ,,c", ("a", "b", "c")),
        ("mode", "SLOW", "slow"),
        ("limit", "5", 5),
        ("key", HIDDEN, Secret(HIDDEN)),
        ("text", "", "plain"),  # an empty value counts as not given
    ],
)
def test_values(field: str, text: str, value: object) -> None:
    assert getattr(demo({f"EUDAI_DEMO_{field.upper()}": text}).section(Demo), field) == value


def test_a_path_may_begin_with_the_home_directory() -> None:
    assert demo({"EUDAI_DEMO_FOLDER": "~/x"}).section(Demo).folder == Path.home() / "x"


@pytest.mark.parametrize(
    ("field", "text", "expected"),
    [
        ("count", "many", "a whole number from 1 to 9"),
        ("count", "0", "a whole number from 1 to 9"),
        ("count", "10", "a whole number from 1 to 9"),
        ("share", "nan", "a number"),
        ("on", "maybe", "true or false"),
        ("mode", "warp", "one of fast, slow"),
    ],
)
def test_a_wrong_value_names_variable_source_and_what_is_expected(field: str, text: str, expected: str) -> None:
    name = f"EUDAI_DEMO_{field.upper()}"
    with pytest.raises(ConfigError) as caught:
        demo({name: text}).section(Demo)
    assert caught.value.detail == f"{name} (the environment): expected {expected}, got {text!r}."


def test_all_wrong_values_are_told_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        demo({"EUDAI_DEMO_COUNT": "x", "EUDAI_DEMO_ON": "x", "EUDAI_PORT": "x", "EUDAI_NOTHING": "x"}).check()
    for name in ("EUDAI_DEMO_COUNT", "EUDAI_DEMO_ON", "EUDAI_PORT", "EUDAI_NOTHING"):
        assert name in caught.value.detail


def test_the_order_of_the_sources(tmp_path: Path) -> None:
    dotenv, toml = tmp_path / ".env", tmp_path / "eudai.toml"
    toml.write_text('[demo]\ntext = "file"\ncount = 2\nshare = 0.2\non = true\n')
    dotenv.write_text("EUDAI_DEMO_TEXT=dotenv\nEUDAI_DEMO_COUNT=3\nEUDAI_DEMO_SHARE=0.3\n")
    environ = {"EUDAI_CONFIG": str(toml), "EUDAI_DEMO_TEXT": "environment", "EUDAI_DEMO_COUNT": "4"}
    settings = demo(environ, dotenv=dotenv, overrides={"EUDAI_DEMO_TEXT": "option"})
    values = settings.section(Demo)
    assert (values.text, values.count, values.share, values.on) == ("option", 4, 0.3, True)
    sources = [settings.explain(f"EUDAI_DEMO_{name}").source for name in ("TEXT", "COUNT", "SHARE", "ON", "MODE")]
    assert sources == [
        SettingSource.OPTION,
        SettingSource.ENVIRONMENT,
        SettingSource.DOTENV,
        SettingSource.FILE,
        SettingSource.DEFAULT,
    ]


def test_the_environment_of_the_process_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EUDAI_PORT", "81")
    assert Settings.load(dotenv=None).section(CoreSettings).port == 81


def test_dotenv_is_read_from_the_working_directory_and_not_exported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".env").write_text("EUDAI_PORT=82\nEUDAI_DEFAULT_MODEL=$HOME${HOME}\nOTHER=1\nEUDAI_HOST\n")
    monkeypatch.chdir(tmp_path)
    core = Settings.load(environ={}).section(CoreSettings)
    assert core.port == 82
    assert core.default_model == "$HOME${HOME}"
    assert core.host == "127.0.0.1"
    assert "EUDAI_PORT" not in os.environ


def test_a_flat_file_and_lists(tmp_path: Path) -> None:
    path = tmp_path / "eudai.toml"
    path.write_text('port = 83\ndemo_text = "flat"\nEUDAI_HOST = "::1"\nplugins = ["a", "b"]\n')
    settings = demo({"EUDAI_CONFIG": str(path)})
    core = settings.section(CoreSettings)
    assert (core.port, core.host, core.plugins) == (83, "::1", ("a", "b"))
    assert settings.section(Demo).text == "flat"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"port = ", "cannot be read"),
        (b"\xff", "cannot be read"),
        (b"port = 1979-05-27", "EUDAI_PORT"),
        (None, "No such file"),
    ],
)
def test_a_file_that_cannot_be_used(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "eudai.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=message):
        demo({"EUDAI_CONFIG": str(path)})


@pytest.mark.parametrize("name", ["EUDAI_DEMO_KEY", "DEMO_KEY"])
def test_a_value_may_stand_in_a_file(tmp_path: Path, name: str) -> None:
    path = tmp_path / "key"
    path.write_text(f"{HIDDEN}\n")
    settings = demo({f"{name}_FILE": str(path)})
    settings.check()
    assert settings.section(Demo).key == Secret(HIDDEN)


def test_both_forms_are_an_error(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text("x")
    settings = demo({"EUDAI_DEMO_KEY": HIDDEN, "EUDAI_DEMO_KEY_FILE": str(path)})
    with pytest.raises(ConfigError, match="EUDAI_DEMO_KEY and EUDAI_DEMO_KEY_FILE are both given") as caught:
        settings.section(Demo)
    assert HIDDEN not in caught.value.detail


def test_a_file_that_is_not_there_is_an_error() -> None:
    with pytest.raises(ConfigError, match="EUDAI_DEMO_KEY_FILE names a file that cannot be read: /nowhere"):
        demo({"EUDAI_DEMO_KEY_FILE": "/nowhere"}).section(Demo)


def test_aliases_and_which_name_wins(tmp_path: Path) -> None:
    assert demo({"OTHER_KEY": "b"}).section(Demo).key == Secret("b")
    assert demo({"OTHER_KEY": "b", "DEMO_KEY": "a"}).section(Demo).key == Secret("a")
    dotenv = tmp_path / ".env"
    dotenv.write_text("EUDAI_DEMO_KEY=own\n")
    assert demo({"DEMO_KEY": "a"}, dotenv=dotenv).section(Demo).key == Secret("own")
    assert demo({"DEMO_KEY": "a"}).explain("demo_key").where == "DEMO_KEY in the environment"


def test_unknown_keys_are_errors_with_a_suggestion_all_at_once(tmp_path: Path) -> None:
    dotenv = tmp_path / ".env"
    dotenv.write_text("EUDAI_DEMO_TXT=1\nSOMETHING=2\n")
    with pytest.raises(ConfigError) as caught:
        demo({"EUDAI_PRT": "1", "EUDAI_QQQQQQ": "2", "PATH": "x"}, dotenv=dotenv).check()
    assert caught.value.detail.splitlines() == [
        "EUDAI_PRT (the environment) is no known setting. Did you mean EUDAI_PORT?",
        "EUDAI_QQQQQQ (the environment) is no known setting. Remove it, or check its name.",
        f"EUDAI_DEMO_TXT (the file {dotenv}) is no known setting. Did you mean EUDAI_DEMO_TEXT?",
    ]


def test_keys_of_the_test_suite_are_no_settings() -> None:
    demo({"EUDAI_TEST_ANYTHING": "1", "EUDAI_REQUIRE_POSTGRES": "1"}).check()


def test_keys_of_a_withdrawn_section_are_no_mistakes() -> None:
    settings = demo({"EUDAI_DEMO_TEXT": "x", "EUDAI_DEMO_COUNT": "no number"})
    settings.withdraw("demo-plugin")
    settings.check()
    with pytest.raises(PluginError, match="no settings section has the schema Demo"):
        settings.section(Demo)


def test_a_secret_is_shown_nowhere(tmp_path: Path) -> None:
    settings = demo({"EUDAI_DEMO_KEY": HIDDEN, "EUDAI_SECRET_KEY": HIDDEN * 2})
    texts = [repr(settings.section(Demo)), repr(settings.section(CoreSettings)), repr(settings.all())]
    texts.append(repr(settings.explain("EUDAI_DEMO_KEY")))
    for text in texts:
        assert HIDDEN not in text
    assert settings.explain("EUDAI_DEMO_KEY").value == "********"


@dataclass(frozen=True, slots=True)
class SecretNumber:
    pin: Secret[int] | None = setting(None, "A number.")


def test_the_error_for_a_wrong_secret_does_not_show_it() -> None:
    settings = Settings.load(environ={"EUDAI_SAFE_PIN": HIDDEN}, dotenv=None)
    settings.register("safe", "safe", SecretNumber)
    with pytest.raises(ConfigError, match="EUDAI_SAFE_PIN") as caught:
        settings.section(SecretNumber)
    assert HIDDEN not in repr(caught.value)
    assert caught.value.__cause__ is None
    assert HIDDEN not in settings.explain("EUDAI_SAFE_PIN").problem


def test_explain() -> None:
    told = demo({"EUDAI_DEMO_COUNT": "4"}).explain("demo_count")
    assert (told.key, told.value, told.source) == ("EUDAI_DEMO_COUNT", "4", SettingSource.ENVIRONMENT)
    assert (told.help, told.default, told.owner) == ("A count.", "1", "demo-plugin")
    assert demo().explain("EUDAI_DEMO_LIMIT").value == "not set"
    assert "expected a whole number" in demo({"EUDAI_DEMO_COUNT": "x"}).explain("demo_count").problem
    with pytest.raises(ConfigError, match=r"No setting is called prt. Did you mean EUDAI_PORT\?"):
        demo().explain("prt")


def test_every_setting_of_the_core_has_a_meaning_that_is_a_sentence() -> None:
    for told in Settings.load(environ={}, dotenv=None).all():
        assert told.help.endswith(".")
        assert told.help[0].isupper()


def test_the_data_directory_follows_xdg() -> None:
    assert Settings.load(environ={}, dotenv=None).section(CoreSettings).data_dir == Path.home() / ".local/share/eudai"
    environ = {"XDG_DATA_HOME": "/data"}
    assert Settings.load(environ=environ, dotenv=None).section(CoreSettings).data_dir == Path("/data/eudai")
    environ = {"XDG_DATA_HOME": "relative"}
    assert (
        Settings.load(environ=environ, dotenv=None).section(CoreSettings).data_dir == Path.home() / ".local/share/eudai"
    )


def broken_schemas() -> list[tuple[str, Any]]:
    @dataclass
    class Thawed:
        text: str = setting("x", "Text.")

    @dataclass(frozen=True)
    class Undeclared:
        text: str = "x"

    @dataclass(frozen=True)
    class OddType:
        text: dict[str, str] | None = setting(None, "Text.")

    @dataclass(frozen=True)
    class Clashing:
        key: str = setting("x", "Text.")
        key_file: str = setting("x", "Text.")

    return [
        ("must be a frozen dataclass", Thawed),
        ("declare field text with eudai_core.settings.setting", Undeclared),
        ("cannot be read from a variable", OddType),
        ("hides the file form of EUDAI_ODD_KEY", Clashing),
        ("is no dataclass", int),
    ]


@pytest.mark.parametrize(("message", "schema"), broken_schemas())
def test_a_schema_that_cannot_be_one_of_settings(message: str, schema: Any) -> None:
    with pytest.raises(PluginError, match=message):
        Settings.load(environ={}, dotenv=None).register("odd", "odd", schema)


def test_a_section_that_is_taken_names_both() -> None:
    with pytest.raises(NameTaken, match="section 'demo' of other is taken by demo-plugin"):
        demo().register("other", "demo", SecretNumber)


@dataclass(frozen=True, slots=True)
class Limit:
    limit: int = setting(1, "Limit.")


def test_a_variable_that_is_taken_names_its_owner() -> None:
    with pytest.raises(NameTaken, match="EUDAI_QUEUE_LIMIT of other is a setting of eudai already"):
        demo().register("other", "queue", Limit)


@dataclass(frozen=True, slots=True)
class Range:
    low: int = setting(1, "Low.")
    high: int = setting(2, "High.")

    def __post_init__(self) -> None:
        if self.low > self.high:
            raise ValueError("low is above high")


def test_values_that_do_not_fit_together() -> None:
    settings = Settings.load(environ={"EUDAI_R_LOW": "5"}, dotenv=None)
    settings.register("ranges", "r", Range)
    with pytest.raises(ConfigError, match="The settings of ranges do not fit together: low is above high"):
        settings.check()
