"""The owner's business connection: whose chats we may read, and what we may do in them."""

import json
from collections import OrderedDict
from dataclasses import asdict, dataclass, replace

import structlog
from telegram import BusinessBotRights, BusinessConnection
from telegram.error import BadRequest, Forbidden, TelegramError

from bots.telegram.api import Api, trouble
from core.bot import BotState

log = structlog.get_logger()

MOST_REMEMBERED = 500
MOST_EARLIER = 20

TOO_MUCH = (
    "can_edit_name can_edit_bio can_edit_profile_photo can_edit_username can_change_gift_settings "
    "can_view_gifts_and_stars can_convert_gifts_to_stars can_transfer_and_upgrade_gifts can_transfer_stars "
    "can_manage_stories can_delete_all_messages"
).split()
"""Rights that Locum never uses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """What the owner allows, as Telegram said it last."""

    id: str
    user_chat_id: int
    """Where the bot may talk to the owner."""
    enabled: bool
    can_reply: bool
    can_delete: bool
    too_much: tuple[str, ...] = ()
    """Rights that were granted and that nobody asked for."""
    earlier: tuple[str, ...] = ()
    """Ids that this connection had before; updates that waited may still carry one."""

    @property
    def can_send(self) -> bool:
        return self.enabled and self.can_reply

    @property
    def detail(self) -> str:
        """What is wrong with it, and the cure; empty where nothing is."""
        if not self.enabled:
            return "Telegram: Locum was taken out of your chats. Settings → Chat Automation brings it back."
        if not self.can_reply:
            return (
                "Telegram: Locum may read your chats but not reply. Settings → Chat Automation → "
                "allow “Reply to messages”."
            )
        return ""


class Connections:
    """The one connection that counts. Everybody else's are known only so as to be left alone."""

    def __init__(self, owner_id: str, state: BotState) -> None:
        self._owner_id, self._state = owner_id, state
        self._foreign: OrderedDict[str, None] = OrderedDict()
        self.current: Connection | None = None

    @property
    def _key(self) -> str:
        return f"connection:{self._owner_id}"

    async def load(self) -> None:
        """Read what was known before a restart."""
        kept = await self._state.get(self._key)
        if kept is not None:
            raw = json.loads(kept)
            lists = {name: tuple(raw[name]) for name in ("too_much", "earlier")}
            self.current = Connection(**(raw | lists))

    async def learn(self, told: BusinessConnection) -> Connection | None:
        """Take note of a connection; None if it is somebody else's."""
        if str(told.user.id) != self._owner_id:
            self._leave_alone(told.id)
            return None
        before = self.current
        if before is None or before.id == told.id:
            self.current = _connection(told, before.earlier if before else ())
        elif told.is_enabled or not before.enabled:
            self.current = _connection(told, (*before.earlier, before.id))
        else:  # the end of an earlier connection, told after the next one began
            self.current = replace(before, earlier=_latest((*before.earlier, told.id)))
        await self._state.put(self._key, json.dumps(asdict(self.current)))
        return self.current

    async def is_owners(self, api: Api, connection_id: str) -> bool:
        """Whether a message with this id is from the owner's chats. Telegram is asked once about a new id."""
        current = self.current
        if current and connection_id in (current.id, *current.earlier):
            return True
        if connection_id in self._foreign:
            return False
        return await self._ask(api, connection_id)

    async def refresh(self, api: Api) -> None:
        """Ask what the connection allows by now: it may have changed while nobody listened."""
        if self.current is not None:
            try:
                await self.learn(await api.get_business_connection(self.current.id))
            except TelegramError as error:
                log.info("connection.unrefreshed", error=type(error).__name__)

    async def _ask(self, api: Api, connection_id: str) -> bool:
        try:
            told = await api.get_business_connection(connection_id)
        except (BadRequest, Forbidden):
            # Nobody can say any more whose it was, so it is nobody's.
            self._leave_alone(connection_id)
            return False
        except TelegramError as error:
            raise trouble(error) from None
        return await self.learn(told) is not None

    def _leave_alone(self, connection_id: str) -> None:
        self._foreign[connection_id] = None
        if len(self._foreign) > MOST_REMEMBERED:
            self._foreign.popitem(last=False)


def _connection(told: BusinessConnection, earlier: tuple[str, ...]) -> Connection:
    rights = told.rights or BusinessBotRights()
    return Connection(
        id=told.id,
        user_chat_id=told.user_chat_id,
        enabled=told.is_enabled,
        can_reply=bool(rights.can_reply),
        can_delete=bool(rights.can_delete_sent_messages),
        too_much=tuple(name for name in TOO_MUCH if getattr(rights, name, None)),
        earlier=_latest(tuple(one for one in earlier if one != told.id)),
    )


def _latest(earlier: tuple[str, ...]) -> tuple[str, ...]:
    return earlier[-MOST_EARLIER:]
