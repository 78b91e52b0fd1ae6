"""Every link inside the repository leads somewhere."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

ROOT = Path(__file__).resolve().parents[2]
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def pages() -> list[Path]:
    return sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def anchors(path: Path) -> set[str]:
    """Return the anchors that GitHub makes of a page's headings."""
    headings = HEADING.findall(FENCE.sub("", path.read_text("utf-8")))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken(source: Path, root: Path = ROOT) -> list[str]:
    """Return the links of a page that lead nowhere."""
    found = []
    for link in LINK.findall(FENCE.sub("", source.read_text("utf-8"))):
        target = urlsplit(link)
        if target.scheme:
            continue
        path = (source.parent / unquote(target.path)).resolve() if target.path else source
        if not _leads_somewhere(path, target.fragment, root):
            found.append(f"{source.relative_to(root)}: {link}")
    return found


def _leads_somewhere(path: Path, anchor: str, root: Path) -> bool:
    if not path.exists() or not path.is_relative_to(root):
        return False
    return path.suffix != ".md" or not anchor or anchor in anchors(path)


def test_every_relative_link_resolves() -> None:
    assert [link for source in pages() for link in broken(source)] == []


def test_a_broken_link_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    text = "# A `title`\n[here](#a-title) [gone](gone.md) [lost](page.md#nowhere) [out](..)\n```\n[code](no)\n```\n"
    page.write_text(text, "utf-8")
    assert broken(page, tmp_path) == ["page.md: gone.md", "page.md: page.md#nowhere", "page.md: .."]


def test_the_index_names_every_page() -> None:
    index = (ROOT / "docs" / "README.md").read_text("utf-8")
    named = {(ROOT / "docs" / link).resolve() for link in LINK.findall(index)}
    docs = ROOT / "docs"
    assert {path.name for path in docs.rglob("*.md") if path not in named} == {"README.md"}
