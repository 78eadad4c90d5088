"""One HTML file with the figures of every adapter and their plots; nothing is loaded from elsewhere."""

import base64
import html
import io
from collections.abc import Sequence
from typing import Any, cast

from core.errors import NotConfigured
from trainer.adapters import Adapter

STYLE = (
    "body{font:15px system-ui;margin:2rem auto;max-width:60rem;color:#222}"
    "table{border-collapse:collapse}td,th{padding:.3rem .7rem;border-bottom:1px solid #ddd;text-align:left}"
    "img{max-width:100%}"
)
ROWS = ("base", "base_memory", "active", "candidate", "wrong_person")


def page(adapters: Sequence[Adapter]) -> str:
    """All adapters, newest first, as one document."""
    judged = [adapter for adapter in adapters if adapter.scores.get("rows")]
    parts = [_adapter(adapter) for adapter in judged] or ["<p>No adapter was judged yet.</p>"]
    course = _image(_course(judged)) if judged else ""
    return (
        f"<!doctype html><meta charset=utf-8><title>Locum: L2</title><style>{STYLE}</style>"
        "<h1>L2, night by night</h1><p>Bits per byte of the owner's true next message, on held-out chats: "
        f"less is better. Bars are 90 % intervals.</p>{course}{''.join(parts)}"
    )


def _adapter(adapter: Adapter) -> str:
    rows = "".join(
        f"<tr><td>{name}<td>{_shown(told['rows'][name])}"
        f"<td>{_shown(choice['recall_at_1']) if (choice := told.get('choices', {}).get(name)) else ''}"
        f"<td>{_shown(choice['mrr']) if choice else ''}</tr>"
        for told in [adapter.scores]
        for name in ROWS
        if name in told["rows"]
    )
    gains = "".join(
        f"<li>{label}: {_shown(adapter.scores[name])}"
        for name, label in (
            ("against_base", "candidate minus base"),
            ("against_memory", "candidate minus base with memory"),
            ("against_active", "candidate minus the adapter that served"),
            ("personal", "wrong person's adapter minus candidate"),
        )
        if adapter.scores.get(name)
    )
    return (
        f"<h2>{html.escape(adapter.name)}: {html.escape(adapter.state)}</h2><p>{html.escape(adapter.reason)}</p>"
        f"<table><tr><th>row<th>bits/byte<th>R@1<th>MRR</tr>{rows}</table><ul>{gains}</ul>"
        f"<p>{adapter.scores['moments']} moments in {adapter.scores['clusters']} conversation weeks, base "
        f"{html.escape(adapter.base_model)}.</p>"
    )


def _course(judged: Sequence[Adapter]) -> bytes:
    """PNG: every row of every judged night."""
    pyplot = _pyplot()
    figure, axes = pyplot.subplots(figsize=(8, 3.5), dpi=110)
    nights = list(reversed(judged))
    for name in ROWS:
        points = [
            (x, night.scores["rows"][name]) for x, night in enumerate(nights) if name in night.scores["rows"]
        ]
        if points:
            axes.errorbar(
                [x for x, _ in points],
                [told["value"] for _, told in points],
                yerr=[
                    [max(told["value"] - told["low"], 0) for _, told in points],
                    [max(told["high"] - told["value"], 0) for _, told in points],
                ],
                marker="o",
                capsize=3,
                label=name,
            )
    axes.set_xticks(range(len(nights)), [night.name for night in nights])
    axes.set_ylabel("bits/byte")
    axes.legend(fontsize=8)
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", bbox_inches="tight")
    pyplot.close(figure)
    return drawn.getvalue()


def _pyplot() -> Any:
    try:
        import matplotlib as mpl  # noqa: PLC0415 -- for this page alone

        cast("Any", mpl).use("Agg")
        from matplotlib import pyplot as plt  # noqa: PLC0415 -- after the choice of a backend
    except ImportError as error:
        raise NotConfigured("The report's plots need matplotlib: pip install 'locum[train]'.") from error
    return cast("Any", plt)


def _image(png: bytes) -> str:
    return f"<img alt='bits per byte, night by night' src='data:image/png;base64,{base64.b64encode(png).decode()}'>"


def _shown(interval: dict[str, float]) -> str:
    return f"{interval['value']:.3f} [{interval['low']:.3f}, {interval['high']:.3f}]"
