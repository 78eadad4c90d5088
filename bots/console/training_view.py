"""How L2 is doing: what serves, the night under way, the nights before, and the versions with their gain."""

from bots.console.parts import Rows, tag, when
from core.training_status import PastRun, TrainingStatus, UnderWay, Version

NO_NIGHT = "No night yet. 'locum train --now' begins one."


class TrainingPart:
    """A part of the page's right side; built where it is made."""

    def __init__(self) -> None:
        with tag("section", "training", aria_label="Training"):
            tag("h3", "eyebrow", "Training")
            self._serving = tag("p", "text", "")
            under_way = tag("ul", "", aria_label="Night under way")
            with tag("details", "evidence"):
                self._summary = tag("summary", "", "Nights and versions")
                self._empty = tag("p", "muted", NO_NIGHT)
                with tag("ul", ""):
                    past = tag("li", "")
                    versions = tag("li", "")
        with past:
            past_rows = tag("ul", "facts", aria_label="Last nights")
        with versions:
            version_rows = tag("ul", "facts", aria_label="Adapter versions")
        self._under_way = Rows[UnderWay](under_way, key=lambda night: night.run_id, draw=_draw_under_way)
        self._past = Rows[PastRun](past_rows, key=lambda run: run.run_id, draw=_draw_past, classes="fact")
        self._versions = Rows[Version](
            version_rows, key=lambda one: one.name, draw=_draw_version, classes="fact"
        )

    def show(self, training: TrainingStatus) -> None:
        self._serving.set_text(training.serving)
        self._under_way.show((training.under_way,) if training.under_way else ())
        self._past.show(training.past)
        self._versions.show(training.versions)
        self._empty.set_visibility(not (training.past or training.versions or training.under_way))


def _draw_under_way(night: UnderWay) -> None:
    tag("p", "text", night.sentence)
    if not night.silent:
        tag("progress", "", value=f"{night.share:.3f}", max="1", aria_label="Share of the night that is done")
        tag("p", "muted fine", " · ".join(part for part in (night.device, night.told) if part))


def _draw_past(run: PastRun) -> None:
    tag("p", "text", run.sentence)
    tag("p", "meta", f"run {run.run_id} · {run.state} · {when(run.started_at)}")


def _draw_version(version: Version) -> None:
    tag("p", "state", " · ".join(part for part in (version.name, version.state) if part))
    if version.gain:
        tag("p", "muted", f"{version.gain} bits/byte against the base")
    tag("p", "meta", when(version.created_at))
