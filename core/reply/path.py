"""The reply path, from a message that arrives to a label that is learned. Read it from top to bottom.

    receive   a bot's event is written to the inbox; only then is its platform acknowledged
    settle    events become messages and turns; a burst is waited out; what changes a turn restarts it
    decide    policy, then whether the owner would answer at all, then what is at risk
    recall    what may be used in this chat: its own lines, what was said before, how the owner answered
    compose   candidates: the owner's past replies, the model's drafts, an expert's answer, a deferral
    criticise candidates that the owner would not have written are dropped, each with its reason
    gate      at most three drafts of different intents; the decision is lowered where it must be
    deliver   a card for the owner, or under `auto` one send through the outbox
    learn     what the owner does with a draft becomes its label (apply.py, press.py, learn.py)

Between the transactions nothing is held: a process that dies anywhere leaves rows from which another
goes on, and what a stale worker brings back too late is thrown away.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta

import numpy as np
import psycopg
import structlog
from numpy.typing import NDArray
from psycopg_pool import PoolTimeout

from core.cancelled import is_cancelled
from core.clock import Clock
from core.errors import BadInput, ModelError
from core.events import Event
from core.ids import OwnerId
from core.memory.traces import are_there, what_is_known_now
from core.models.faces import Embedder, Generator, embed_questions
from core.models.outside import Outside
from core.models.serving import serves
from core.reply.adapters import may_serve, serving_order
from core.reply.apply import Timing, apply_event
from core.reply.cards import open_card, write_slate
from core.reply.compose import ActiveAdapter, Candidate, compose, past_candidates, prompt_context
from core.reply.compose import deferral as honest_deferral
from core.reply.criticise import criticise
from core.reply.decide import Judgement, decide
from core.reply.disclosure import disclosed
from core.reply.egress import KEPT_HERE, for_outside, held_back, may_be_sent
from core.reply.expert import Expert
from core.reply.gate import Slate, auto_draft, gate
from core.reply.inbox import (
    Lane,
    count_attempt,
    lock_lane,
    mark_applied,
    next_event,
    read_event,
    set_aside,
    write_event,
)
from core.reply.journal import Journal, counted
from core.reply.lanes import hold_lane, holds
from core.reply.outbox import queue_send
from core.reply.patience import Patience
from core.reply.recall import Recalled, recall
from core.reply.situation import Account, Situation, read_account, read_situation
from core.reply.travel import asking, find_question, write_question
from core.reply.turns import Turn, finish_turn, is_current, postpone_turn, retry_turn, start_turn
from core.storage.database import Database
from core.vocabulary import Decision, DraftOrigin, Origin, TurnState

log = structlog.get_logger()

MOST_ATTEMPTS = 5
"""Tries at applying one event before it is set aside with its error."""


def no_step(name: str) -> None:
    """Nothing happens between steps, unless somebody watches."""
    del name


async def nobody_is_told(owner_id: OwnerId, topic: str) -> None:
    """Nobody looks while it happens."""
    del owner_id, topic


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyPath:
    """Everything the path needs; `on_step` is told the name of each step as it begins."""

    database: Database
    embedder: Embedder | None
    generator: Generator | None
    clock: Clock
    timing: Timing
    worker: str
    expert: Expert | None = None
    outside: Outside = field(default_factory=Outside)
    disclosure: str = ""
    """What the first reply sent unasked to a chat ends with; see disclosure.py."""
    patience: Patience = field(default_factory=Patience)
    on_step: Callable[[str], None] = no_step
    tell: Callable[[OwnerId, str], Awaitable[None]] = nobody_is_told
    """Told what is being worked on, as `turn:12`, for whoever is looking; see storage/live.py."""

    # ─── receive ─────────────────────────────────────────────────────────────────────────────

    async def receive(self, account: Account, event: Event) -> bool:
        """Whether the event is new. When this returns, it is safe and its platform may be told so."""
        self.on_step("receive")
        async with self.database.owner(account.owner_id) as connection:
            return await write_event(connection, account.owner_id, account.id, event)

    # ─── settle ──────────────────────────────────────────────────────────────────────────────

    async def work(self, lane: Lane) -> None:
        """Bring a lane up to date: apply what arrived, answer what is due."""
        while await self._apply_next(lane):
            pass
        async with hold_lane(self.database, lane, self.worker, self.patience) as epoch:
            if epoch is not None:
                while await self._answer_next(lane, epoch):
                    pass

    async def _apply_next(self, lane: Lane) -> bool:
        """Apply the lane's oldest event together with its mark; False when there is nothing more to apply now."""
        self.on_step("settle")
        async with self.database.owner(lane.owner_id) as connection:
            await lock_lane(connection, lane)
            queued = await next_event(connection, lane)
            if queued is None:
                return False
            account = await read_account(connection, lane.owner_id, lane.account_id)
            try:
                async with connection.transaction():
                    event = read_event(queued)
                    await apply_event(connection, account, event, self.clock.now(), self.timing)
            except (psycopg.OperationalError, PoolTimeout):
                raise  # the database's trouble, not the event's: no try is counted
            except Exception as error:  # noqa: BLE001 -- around one event: the lane must go on after a bad one
                attempts = await count_attempt(connection, lane.owner_id, queued.id)
                log.warning("event.failed", event_id=queued.id, attempts=attempts, error=type(error).__name__)
                if attempts < MOST_ATTEMPTS:
                    return False
                await set_aside(connection, lane.owner_id, queued.id, type(error).__name__)
                return True
            self.on_step("settled")
            more = await mark_applied(connection, lane.owner_id, queued.id)
        log.info("event.applied", kind=event.kind, event_id=queued.id)
        return more

    async def _answer_next(self, lane: Lane, epoch: int) -> bool:
        """Answer the lane's next due turn; False when nothing is due."""
        self.on_step("start")
        async with self.database.owner(lane.owner_id) as connection:
            if not await holds(connection, lane, epoch):
                return False
            turn = await start_turn(connection, lane, self.clock.now())
        if turn is None:
            return False
        try:
            async with self._while_current(lane.owner_id, turn):
                await self._answer(lane, epoch, turn)
        except StaleTurnError:
            log.info("turn.superseded", turn_id=turn.id, version=turn.version)
        except (psycopg.OperationalError, PoolTimeout):
            raise
        except Exception as error:  # noqa: BLE001 -- around one turn: the lane's other turns must go on
            log.warning("turn.failed", turn_id=turn.id, attempts=turn.attempts, error=type(error).__name__)
            async with self.database.owner(lane.owner_id) as connection:
                wait = timedelta(seconds=self.patience.retry * turn.attempts)
                await retry_turn(connection, lane.owner_id, turn, self.clock.now() + wait)
        return True

    # ─── decide … deliver ────────────────────────────────────────────────────────────────────

    async def _answer(self, lane: Lane, epoch: int, turn: Turn) -> None:
        journal = Journal()
        self.on_step("read")
        async with self.database.owner(lane.owner_id) as connection:
            account = await read_account(connection, lane.owner_id, lane.account_id)
            known = await what_is_known_now(connection)
            situation = await read_situation(connection, account, turn, self.clock.now())
        journal.note(
            "settle", counted(len(situation.incoming), "message"), messages=[m.id for m in situation.incoming]
        )

        self.on_step("decide")
        judgement = decide(situation)
        journal.note("decide", judgement.decision, why=judgement.why, risks=sorted(judgement.risks))
        if judgement.wait_until is not None:
            async with self.database.owner(lane.owner_id) as connection:
                await postpone_turn(connection, lane.owner_id, turn, judgement.wait_until)
            return
        if judgement.decision is Decision.SILENT:
            await self._deliver(lane, epoch, turn, _silence(judgement), journal, known)
            return

        await self.tell(lane.owner_id, f"turn:{turn.id}")
        slate = await self.draft(situation, judgement, journal)
        await self._deliver(lane, epoch, turn, slate, journal, known)

    async def draft(self, situation: Situation, judgement: Judgement, journal: Journal) -> Slate:
        """The slate for a situation, stored or supposed; writes nothing and sends nothing."""
        self.on_step("recall")
        vector, model = await self._embed(situation.text)
        recalled = await recall(self.database, situation, vector, model)
        adapter = await self._active_adapter(situation.account.owner_id)
        journal.note(
            "recall",
            f"{counted(len(recalled.memories), 'memory', 'memories')}, "
            f"{counted(len(recalled.answered), 'past reply', 'past replies')}",
            memories=[memory.id for memory in recalled.memories],
            past=[past.asked_id for past in recalled.answered],
            recent=len(recalled.recent),
        )

        self.on_step("compose")
        candidates, trouble = await self._compose(situation, recalled, adapter)
        asked = [candidate.model for candidate in candidates if candidate.origin is DraftOrigin.EXPERT]
        journal.note("compose", counted(len(candidates), "candidate"), trouble=trouble, expert=asked)

        self.on_step("criticise")
        judged = criticise(situation, recalled, prompt_context(situation, recalled), candidates)
        dropped = [candidate.dropped for candidate in judged if candidate.dropped]
        journal.note("criticise", f"{len(dropped)} dropped", reasons=dropped)

        self.on_step("gate")
        slate = gate(judgement, judged, trust_model=adapter is not None)
        slate = asking(slate, await find_question(self.database, situation, self.embedder))
        journal.note(
            "gate",
            slate.decision,
            why=slate.why,
            shown=[candidate.origin for candidate in slate.shown],
            left_out=[candidate.dropped for candidate in slate.left_out],
        )
        return slate

    async def _embed(self, text: str) -> tuple[NDArray[np.float32] | None, str]:
        """The vector and its model's name; without one, recall goes by words alone."""
        if self.embedder is None:
            return None, ""
        try:
            # Before the call: another model may take over while this one works.
            name = self.embedder.name
            vectors = await embed_questions(self.embedder, [text])
        except ModelError as error:
            log.warning("embedder.failed", error=type(error).__name__)
            return None, ""
        return vectors[0], name

    async def _active_adapter(self, owner_id: OwnerId) -> ActiveAdapter | None:
        """The adapter that the model drafts with; None where it cannot, and then its base drafts.

        While a newly promoted one is loading, the one before it drafts on.
        """
        if self.generator is None:
            return None
        async with self.database.owner(owner_id) as connection:
            known = await serving_order(connection, owner_id)
        try:
            for adapter in known:
                if await serves(self.generator, adapter.name):
                    return adapter
        except ModelError:  # which composing will tell
            return None
        return None

    async def _compose(
        self, situation: Situation, recalled: Recalled, adapter: ActiveAdapter | None
    ) -> tuple[tuple[Candidate, ...], str]:
        """Candidates; a model that fails costs its drafts, not the slate."""
        generator, expert, shown, trouble = await self._allowed(situation, recalled)
        try:
            return await compose(situation, recalled, generator, adapter, expert, shown), trouble
        except (ModelError, BadInput) as error:  # a script that costs many tokens outgrows a small context
            log.warning("model.failed", error=type(error).__name__)
            return (*past_candidates(situation, recalled), honest_deferral(situation, recalled)), type(
                error
            ).__name__

    async def _allowed(
        self, situation: Situation, recalled: Recalled
    ) -> tuple[Generator | None, Expert | None, Recalled, str]:
        """The models that may be asked, what they may be shown, and why not all of it."""
        outside = self.outside.model and self.generator is not None
        asks_outside = self.outside.expert and self.expert is not None
        if not (outside or asks_outside):
            return self.generator, self.expert, recalled, ""
        owner_id = situation.account.owner_id
        async with self.database.owner(owner_id) as connection:
            held = await held_back(connection, owner_id, situation, recalled)
        shown = for_outside(recalled, held) if outside else recalled
        if may_be_sent(situation, held):
            return self.generator, self.expert, shown, ""
        return (
            None if outside else self.generator,
            None if asks_outside else self.expert,
            shown,
            KEPT_HERE.format(platform=situation.account.platform),
        )

    async def _deliver(
        self, lane: Lane, epoch: int, turn: Turn, slate: Slate, journal: Journal, known: str
    ) -> None:
        """Write the outcome in one transaction, if the turn and the lane are still ours.

        `known`: what was seen of memory when drafting began; drafts on what was edited since are made anew.
        """
        self.on_step("deliver")
        owner_id = lane.owner_id
        state = TurnState.SILENT if slate.decision is Decision.SILENT else TurnState.SUGGESTED
        async with self.database.owner(owner_id) as connection:
            if not await holds(connection, lane, epoch):
                raise StaleTurnError
            rests_on = [each for draft in (*slate.shown, *slate.left_out) for each in draft.evidence]
            wrote = {draft.adapter.id for draft in (*slate.shown, *slate.left_out) if draft.adapter}
            if not (
                await are_there(connection, owner_id, rests_on, known)
                and await may_serve(connection, owner_id, wrote)
            ):
                await retry_turn(connection, owner_id, turn, self.clock.now())
                return
            if not await finish_turn(connection, owner_id, turn, state):
                raise StaleTurnError
            drafts = await write_slate(connection, owner_id, turn, slate)
            chosen = auto_draft(slate)
            if chosen is not None:
                await queue_send(
                    connection,
                    owner_id,
                    turn,
                    drafts[0],
                    await disclosed(connection, owner_id, turn.chat_id, chosen.text, self.disclosure),
                    Origin.AUTO,
                    not_before=self.clock.now() + self.timing.unsend,
                )
            if slate.question is not None:
                await write_question(connection, owner_id, turn.chat_id, turn.id, slate.question)
            if state is TurnState.SUGGESTED:
                await open_card(connection, owner_id, turn)
            journal.note("deliver", "auto" if chosen else state, drafts=[int(draft) for draft in drafts])
            await journal.write(connection, owner_id, turn)
            self.on_step("delivered")
        log.info("turn.finished", turn_id=turn.id, decision=slate.decision, drafts=len(drafts))

    @asynccontextmanager
    async def _while_current(self, owner_id: OwnerId, turn: Turn) -> AsyncGenerator[None]:
        """Run the body until something newer changes the turn; then stop it, whatever it waits for."""
        body = asyncio.current_task()
        stale = False

        async def watch() -> None:
            nonlocal stale
            while not is_cancelled():
                await asyncio.sleep(self.patience.watch)
                with suppress(psycopg.OperationalError, PoolTimeout):
                    async with self.database.owner(owner_id) as connection:
                        current = await is_current(connection, owner_id, turn)
                    if not current and not finished and body is not None:
                        stale = True
                        body.cancel()
                        return

        finished = False
        watcher = asyncio.create_task(watch())
        try:
            yield
        except asyncio.CancelledError:
            if not stale:
                raise
            if body is not None and body.cancelling() > 1:
                raise  # whoever runs this wants it to end, too
            raise StaleTurnError from None
        finally:
            finished = True
            if stale and body is not None:
                body.uncancel()  # the watcher's own, whatever error the body made of it
            watcher.cancel()
            await asyncio.gather(watcher, return_exceptions=True)


class StaleTurnError(Exception):
    """Something newer has changed the turn; what this worker has is void."""


def _silence(judgement: Judgement) -> Slate:
    return Slate(decision=Decision.SILENT, why=judgement.why, shown=(), left_out=())
