"""A person's figures for the terminal."""

from typing import Any

from rich.console import Console
from rich.table import Table


def print_report(report: dict[str, Any], console: Console) -> None:
    """The table, the differences that matter, and what was met or missed."""
    console.print(
        f"{report['file']}, person {report['person']}, wrong person {report['wrong_person']}, "
        f"{report['base']}: {report['moments']} {report['part']} moments in {report['clusters']} "
        "conversations; 90 % intervals.",
        highlight=False,
    )
    written = report["style"]["rows"]
    rows = Table("row", "bits/byte", "R@1 of 20", "MRR", "style AUC", "copied")
    for name, row in report["rows"].items():
        style = written.get(name)
        rows.add_row(
            name,
            _shown(row["bits_per_byte"]),
            _shown(row["recall_at_1"]),
            _shown(row["mrr"]),
            _shown(style["auc"]) if style else "",
            f"{style['copy_rate']:.3f}" if style else "",
        )
    console.print(rows)
    console.print(
        f"Personal part {_shown(report['personal_part'])} bits/byte; the owner's halves are told apart with an "
        f"AUC of {report['style']['floor']:.3f}.",
        highlight=False,
    )
    goals = Table("goal", "", "figure")
    for goal in report["goals"]:
        goals.add_row(goal["goal"], "met" if goal["met"] else "missed", goal["figure"])
    console.print(goals)


def _shown(interval: dict[str, float]) -> str:
    return f"{interval['value']:.3f} [{interval['low']:.3f}, {interval['high']:.3f}]"
