"""The reading of an export: who, where, when and how much, before anything is stored."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from core.errors import BadInput
from core.events import Person
from core.history.record import (
    Broken,
    Entry,
    HistoryChat,
    HistoryMessage,
    OwnerClue,
    Reader,
    Skipped,
    unusable,
)
from core.history.spool import Spool
from core.vocabulary import ChatKind

MOST_ERRORS = 50
"""Broken records that are listed; beyond, they are counted."""

AccountKey = tuple[str, str]
"""Platform and account."""


@dataclass(slots=True, kw_only=True)
class Stay:
    """When somebody was seen in a chat: from the first message or list to the list without them."""

    person: Person
    joined: datetime
    seen: datetime
    left: datetime | None = None


@dataclass(slots=True, kw_only=True)
class SurveyedChat:
    chat: HistoryChat
    messages: int = 0
    first: datetime
    last: datetime
    sent: Counter[str] = field(default_factory=Counter[str])
    stays: dict[str, list[Stay]] = field(default_factory=dict[str, list[Stay]])
    listed: bool = False

    def see(self, message: HistoryMessage) -> None:
        self.messages += 1
        self.first, self.last = min(self.first, message.sent_at), max(self.last, message.sent_at)
        self.sent[message.sender.id] += 1
        if message.chat is not self.chat:
            self._relist(message)
        self._present(message.sender, message.sent_at)

    def _relist(self, message: HistoryMessage) -> None:
        """Another member list than the last one: the missing have left, the new have joined."""
        members = message.chat.members
        changed = not self.listed or members != self.chat.members
        self.chat = message.chat
        if members is None or not changed:
            return
        self.listed = True
        now = {person.id for person in members}
        for person in members:
            self._present(person, message.sent_at)
        for key, stays in self.stays.items():
            if key not in now and stays[-1].left is None:
                stays[-1].left = message.sent_at

    def _present(self, person: Person, at: datetime) -> None:
        stays = self.stays.get(person.id)
        if stays is None:
            self.stays[person.id] = [Stay(person=person, joined=at, seen=at)]
        elif stays[-1].left is not None:
            if at > stays[-1].left:
                stays.append(Stay(person=person, joined=at, seen=at))
        elif at < stays[-1].joined:
            stays[-1].joined = at
        elif at > stays[-1].seen:
            stays[-1].seen = at


@dataclass(slots=True, kw_only=True)
class Survey:
    """What an export holds; `owners` is filled in by `find_owner`."""

    format: str
    messages: int = 0
    chats: dict[tuple[str, str, str], SurveyedChat] = field(
        default_factory=dict[tuple[str, str, str], SurveyedChat]
    )
    skipped: Counter[str] = field(default_factory=Counter[str])
    errors: list[Broken] = field(default_factory=list[Broken])
    errors_total: int = 0
    clues: list[OwnerClue] = field(default_factory=list[OwnerClue])
    owners: dict[AccountKey, str] = field(default_factory=dict[AccountKey, str])
    how: str = ""

    def see(self, entry: Entry) -> bool:
        """Whether it is a message that can be stored."""
        if isinstance(entry, HistoryMessage):
            return self._see_message(entry)
        if isinstance(entry, Skipped):
            self.skipped[entry.kind] += 1
        elif isinstance(entry, OwnerClue):
            if entry not in self.clues:
                self.clues.append(entry)
        else:
            self._see_broken(entry)
        return False

    def _see_message(self, message: HistoryMessage) -> bool:
        if reason := unusable(message):
            self._see_broken(Broken(file="", position=f"message {message.id[:40]}", reason=reason))
            return False
        self.messages += 1
        chat = message.chat
        found = self.chats.get((chat.platform, chat.account, chat.id))
        if found is None:
            bare = HistoryChat(
                platform=chat.platform, account=chat.account, id=chat.id, kind=chat.kind, title=chat.title
            )
            found = SurveyedChat(chat=bare, first=message.sent_at, last=message.sent_at)
            self.chats[chat.platform, chat.account, chat.id] = found
        found.see(message)
        return True

    def _see_broken(self, broken: Broken) -> None:
        self.errors_total += 1
        if len(self.errors) < MOST_ERRORS:
            self.errors.append(broken)

    def accounts(self) -> list[AccountKey]:
        return sorted({(platform, account) for platform, account, _ in self.chats})

    def of_account(self, key: AccountKey) -> list[SurveyedChat]:
        return [chat for (platform, account, _), chat in self.chats.items() if (platform, account) == key]

    def senders(self, key: AccountKey) -> Counter[str]:
        """Messages by sender id, over all chats of an account."""
        counts: Counter[str] = Counter()
        for chat in self.of_account(key):
            counts.update(chat.sent)
        return counts

    def known_ids(self, key: AccountKey) -> set[str]:
        """Everyone who wrote or was listed in an account's chats."""
        return {person for chat in self.of_account(key) for person in chat.stays}

    def one_sided(self) -> list[SurveyedChat]:
        """Chats in which one person alone speaks: an export of only one's own messages, mostly."""
        return [
            chat
            for chat in self.chats.values()
            if len(chat.sent) == 1 and chat.messages > 1 and chat.chat.kind != ChatKind.PUBLIC
        ]


def take_survey(
    reader: Reader, on_progress: Callable[[int], None] = lambda _: None, spool: Spool | None = None
) -> Survey:
    """Reads the whole export once, into the spool if one is given.

    Memory grows with people and chats, not with messages.
    """
    survey = Survey(format=reader.format)
    for number, entry in enumerate(reader.entries()):
        if survey.see(entry) and spool is not None and isinstance(entry, HistoryMessage):
            spool.add(entry)
        if number % 1000 == 0:
            on_progress(reader.bytes_read)
    if spool is not None:
        spool.finish()
    on_progress(reader.bytes_read)
    if not survey.messages and not survey.skipped:
        raise BadInput(
            f"Nothing in it could be read as {reader.format}: "
            + (f"{survey.errors[0].reason}." if survey.errors else "it holds no messages.")
        )
    return survey


Ask = Callable[[AccountKey, Sequence[tuple[str, int]]], str]
"""Asks the person at the terminal which of the candidates (id, messages) the owner is."""


def find_owner(survey: Survey, given: Sequence[str], ask: Ask | None) -> None:
    """Fills in who the owner is in each account, or raises `BadInput`; it is never guessed.

    In order: `--owner`, what the export itself says, the terminal.
    """
    _refuse_strangers(survey, given)
    hows: list[str] = []
    for key in survey.accounts():
        owner, how = _given(survey, key, given) or _clue(survey, key) or _asked(survey, key, ask)
        survey.owners[key] = owner
        if how not in hows:
            hows.append(how)
    survey.how = "; ".join(hows)


def _candidates(given: Sequence[str], key: AccountKey) -> Iterable[str]:
    for item in given:
        platform, _, rest = item.partition(":")
        if rest and platform == key[0]:
            yield rest
        yield item


def _given(survey: Survey, key: AccountKey, given: Sequence[str]) -> tuple[str, str] | None:
    known = survey.known_ids(key)
    found = sorted({item for item in _candidates(given, key) if item in known or _is_clue(survey, key, item)})
    if len(found) > 1:
        raise BadInput(f"--owner names {len(found)} different senders of {key[0]}: give one, as {key[0]}:ID.")
    return (found[0], "given with --owner") if found else None


def _is_clue(survey: Survey, key: AccountKey, item: str) -> bool:
    return any((clue.platform, clue.account, clue.id) == (*key, item) for clue in survey.clues)


def _refuse_strangers(survey: Survey, given: Sequence[str]) -> None:
    for item in given:
        if not any(_given(survey, key, [item]) for key in survey.accounts()):
            raise BadInput(f"--owner {item}: nobody with that id wrote here. {_listing(survey)}")


def _clue(survey: Survey, key: AccountKey) -> tuple[str, str] | None:
    clues = [c for c in survey.clues if (c.platform, c.account) == key]
    certain = {clue.id: clue.how for clue in clues if clue.certain}
    if len(certain) == 1:
        return next(iter(certain.items()))
    if not clues and key[1] in survey.senders(key):
        return key[1], "the account's name is the id of a sender"
    return None


def _asked(survey: Survey, key: AccountKey, ask: Ask | None) -> tuple[str, str]:
    counts = survey.senders(key).most_common(9)
    if ask is None:
        raise BadInput(f"Who the owner is in {key[0]} is not certain. {_listing(survey, key)}")
    return ask(key, counts), "asked at the terminal"


def _listing(survey: Survey, only: AccountKey | None = None) -> str:
    """The likeliest ids by number of messages, as a sentence."""
    parts: list[str] = []
    for key in [only] if only else survey.accounts():
        parts += [f"{name} ({count})" for name, count in survey.senders(key).most_common(5)]
        parts += [f"{clue.id}: {clue.how}" for clue in survey.clues if (clue.platform, clue.account) == key]
    return f"Say it with --owner ID; senders by messages: {', '.join(parts) or 'none'}."


def describe_owner(survey: Survey) -> Mapping[str, object]:
    return {"ids": sorted(set(survey.owners.values())), "how": survey.how}
