"""The chunker: whole thoughts, exact ranges, nothing lost."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from eudai_context.paragraphs import ParagraphChunker
from eudai_core.model import Passage

ROOT = Path(__file__).parents[2]


def split(text: str, name: str = "a.md") -> list[Passage]:
    return list(ParagraphChunker().split(text, name=name, media_type="text/markdown"))


def check(text: str, passages: list[Passage]) -> None:
    covered = 0
    for number, passage in enumerate(passages):
        assert passage.number == number
        assert text[passage.start : passage.end] == passage.text
        assert passage.text == passage.text.strip()
        assert 0 < len(passage.text) <= 960
        assert not text[covered : passage.start].strip()
        covered = passage.end
    assert not text[covered:].strip()


_lines = st.text(alphabet=st.sampled_from("ab. \t#`~-\r\u2028\u0085世。"), max_size=120)


@given(st.lists(_lines, max_size=40).map("\n".join), st.sampled_from(["a.md", "a.py"]))
def test_every_character_is_in_exactly_one_passage(text: str, name: str) -> None:
    check(text, split(text, name))


@given(st.text(alphabet=st.sampled_from("ab .\n世。"), min_size=700, max_size=4000))
def test_long_paragraphs_are_cut(text: str) -> None:
    check(text, split(text))


def test_real_text_gives_passages_of_the_wanted_size() -> None:
    for path in (ROOT / "LICENSE", ROOT / "README.md", ROOT / "eudai_core" / "errors.py"):
        text = path.read_text(encoding="utf-8")
        check(text, split(text, path.name))
    sizes = [len(passage.text) for passage in split((ROOT / "LICENSE").read_text(encoding="utf-8"))]
    assert sum(sizes) / len(sizes) > 300


def test_a_heading_begins_a_passage_and_names_it() -> None:
    body = "Some words that fill this section well. " * 6
    passages = split(f"# One\n\n{body}\n\n## Two\n\n{body}\n\nTail without end.")
    assert [p.heading for p in passages] == ["One", "Two"]
    assert passages[1].text.startswith("## Two")


def test_short_sections_share_a_passage() -> None:
    passages = split("# A\n\nOne.\n\n# B\n\nTwo.\n\n# C\n\nThree.")
    assert [p.text.count("#") for p in passages] == [3]


def test_a_heading_never_stands_alone() -> None:
    passages = split("# Title\n\n" + "word " * 158)
    assert len(passages) == 1


def test_a_fenced_block_is_kept_whole() -> None:
    code = "```python\n" + "\n\n".join(f"line_{n} = {n}" for n in range(30)) + "\n```"
    assert len(code) < 800
    passages = split("Intro text. " * 50 + f"\n\n{code}\n\n" + "Outro text. " * 50)
    assert any(code in passage.text for passage in passages)


def test_sentences_are_not_cut_in_long_paragraphs() -> None:
    text = " ".join(f"This is sentence number {n} of one long paragraph." for n in range(100))
    assert all(passage.text.endswith(".") for passage in split(text))


def test_a_definition_begins_a_passage_in_code() -> None:
    function = "def name_{n}(argument):\n" + "".join(f"    step_{m} = argument + {m}\n" for m in range(12))
    passages = split("\n\n".join(function.replace("{n}", str(n)) for n in range(6)), "a.py")
    assert [p.text.partition("(")[0] for p in passages] == [f"def name_{n}" for n in range(6)]
    assert passages[3].heading == "def name_3(argument):"
