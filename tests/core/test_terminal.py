"""Words of contacts on the owner's terminal."""

from io import StringIO

from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from rich.table import Table

from core.commands.reply import out, print_slate
from core.terminal import harmless, said


@given(st.text())
def test_no_control_character_is_left_but_tab_and_newline(text: str) -> None:
    assert not any(ord(each) in {*range(32), *range(127, 160)} - {9, 10} for each in harmless(text))


def test_brackets_stay_brackets_in_lines_and_in_tables() -> None:
    screen = Console(file=StringIO(), width=200)
    table = Table("fact")
    table.add_row(said("[/] [red]\\[x]"))
    screen.print(said("[/dim] [link=http://x]y[/link]"), table)
    assert isinstance(screen.file, StringIO)
    assert "[/dim] [link=http://x]y[/link]" in screen.file.getvalue()
    assert "[/] [red]\\[x]" in screen.file.getvalue()


def test_a_slate_shows_a_contacts_words_as_they_are() -> None:
    evidence = {"sent_at": "2026-01-01", "sender": "[b]Ines", "text": "[/dim]\x1b[2J over"}
    draft = {
        "text": "[yes]",
        "intent": "agree",
        "origin": "model",
        "confidence": 0.5,
        "risks": ["promise"],
        "note": "",
    }
    with out.capture() as shown:
        print_slate(
            {
                "chat": "[/]",
                "incoming": ["[/bold] are you in?"],
                "why": "",
                "drafts": [{**draft, "evidence": [evidence]}],
            }
        )
    text = shown.get()
    assert "[/]: [/bold] are you in?" in text
    assert "[yes]" in text
    assert "[b]Ines: [/dim]\N{REPLACEMENT CHARACTER}[2J over" in text
