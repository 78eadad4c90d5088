"""What the Bot API's methods do to a double's world: who may send what where, and how it refuses."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from bots.doubles.telegram_shapes import Json, check_message, copied
from bots.doubles.telegram_world import World, buttons, private_chat
from bots.words import utf16_length

BOT_ID = 7000
MOST_TEXT = 4096
MOST_BUTTON_BYTES = 64

ABILITIES = (
    "can_join_groups can_read_all_group_messages supports_inline_queries supports_guest_queries "
    "can_connect_to_business"
).split()


class Refused(Exception):
    """What Telegram answers instead of a result."""

    def __init__(self, code: int, description: str, **parameters: int) -> None:
        super().__init__(description)
        self.code, self.description, self.parameters = code, description, parameters


class Methods:
    """One method of the Bot API each, by its name in our spelling. Updates and webhooks are the server's."""

    def __init__(self, world: World, *, topics: bool, validate: bool) -> None:
        self.world, self.topics, self.validate = world, topics, validate
        self.abilities = dict.fromkeys(ABILITIES, True)
        """What @BotFather turned on."""
        self.typing: list[Json] = []
        self.streamed: dict[int, list[str]] = defaultdict(list)
        """What the owner saw of each draft while it was being written."""
        self._topics = 0

    # ─── who is who ───────────────────────────────────────────────────────────────────────────

    def _do_get_me(self, form: Json) -> Json:
        del form
        return self.world.bot | self.abilities | {"has_topics_enabled": self.topics}

    def _do_get_chat(self, form: Json) -> Json:
        if int(form["chat_id"]) != self.world.owner["id"]:
            raise Refused(400, "Bad Request: chat not found")
        chat = private_chat(self.world.owner)
        return chat | {"accent_color_id": 0, "max_reaction_count": 11, "accepted_gift_types": NO_GIFTS}

    def _do_get_business_connection(self, form: Json) -> Json:
        connection = self.world.connections.get(form["business_connection_id"])
        if connection is None:
            raise Refused(400, "Bad Request: business connection not found")
        return connection

    def _do_set_my_commands(self, form: Json) -> bool:
        del form
        return True

    # ─── sending ──────────────────────────────────────────────────────────────────────────────

    def _do_send_message(self, form: Json) -> Json:
        content: Json = {"text": _sendable(form["text"])}
        if entities := form.get("entities"):
            content["entities"] = _within(entities, form["text"])
        return self._post(form, content)

    def _do_send_document(self, form: Json) -> Json:
        file_id = f"doc-{len(self.world.files)}"
        content: bytes = form["document"]
        self.world.files[file_id] = content
        document: Json = {"file_id": file_id, "file_unique_id": file_id, "file_size": len(content)}
        caption = {"caption": form["caption"]} if "caption" in form else {}
        return self._post(form, {"document": document, **caption})

    def _post(self, form: Json, content: Json) -> Json:
        chat_id = int(form["chat_id"])
        more = {"reply_markup": form["reply_markup"]} if _is_inline(form.get("reply_markup")) else {}
        if "message_thread_id" in form:
            more |= {"message_thread_id": int(form["message_thread_id"]), "is_topic_message": True}
        if connection_id := form.get("business_connection_id"):
            self._may_reply(connection_id, chat_id)
            chat = private_chat({"id": chat_id, "first_name": "Contact"})
            sent = {"business_connection_id": connection_id, "sender_business_bot": self.world.bot}
            return self._stands("business", chat, self.world.owner, content | more | sent)
        if chat_id < 0:
            return self._stands("group", self._group(chat_id), self.world.bot, content | more)
        chat = private_chat({"id": chat_id, "first_name": "Somebody"})
        return self._stands("bot", chat, self.world.bot, content | more)

    def _stands(self, space: Any, chat: Json, sender: Json, content: Json) -> Json:
        if self.validate:
            check_message({"message_id": 1, "date": 0, "chat": chat, "from": sender, **content})
        return self.world.post(space, chat, sender, content)

    def _may_reply(self, connection_id: str, chat_id: int) -> None:
        """The rules of a business connection: alive, with the right, within 24 hours."""
        connection = self.world.connections.get(connection_id)
        if connection is None or not connection["is_enabled"]:
            raise Refused(400, "Bad Request: business connection not found")
        if not connection["rights"].get("can_reply"):
            raise Refused(400, "Bad Request: BUSINESS_CONNECTION_NOT_ALLOWED")
        if not self.world.window_is_open(chat_id):
            raise Refused(400, "Bad Request: BUSINESS_PEER_INVALID")

    def _group(self, chat_id: int) -> Json:
        if chat_id not in self.world.groups:
            raise Refused(403, "Forbidden: bot is not a member of the supergroup chat")
        return self.world.groups[chat_id]

    # ─── changing, deleting ───────────────────────────────────────────────────────────────────

    def _do_edit_message_text(self, form: Json) -> Json:
        message = self._mine(form)
        changed = copied(message) | {"text": _sendable(form["text"])}
        for name in ("entities", "reply_markup"):
            changed.pop(name, None)
            if name in form:
                changed[name] = form[name]
        if changed == message:
            raise Refused(400, "Bad Request: message is not modified")
        message.clear()
        message |= changed
        return message

    def _mine(self, form: Json) -> Json:
        """The message of ours that a request names."""
        chat_id, message_id = int(form["chat_id"]), int(form["message_id"])
        space = "business" if "business_connection_id" in form else "group" if chat_id < 0 else "bot"
        message = self.world.messages[space, chat_id].get(message_id)
        if message is None:
            raise Refused(400, "Bad Request: message to edit not found")
        if BOT_ID not in (message["from"]["id"], message.get("sender_business_bot", {}).get("id")):
            raise Refused(400, "Bad Request: message can't be edited")
        return message

    def _do_delete_message(self, form: Json) -> bool:
        return self._delete(form, [int(form["message_id"])])

    def _do_delete_messages(self, form: Json) -> bool:
        return self._delete(form, form["message_ids"])

    def _delete(self, form: Json, message_ids: Iterable[int]) -> bool:
        chat_id = int(form["chat_id"])
        space = "group" if chat_id < 0 else "bot"
        for message_id in message_ids:
            self.world.messages[space, chat_id].pop(message_id, None)
        return True

    def _do_delete_business_messages(self, form: Json) -> bool:
        connection = self._do_get_business_connection(form)
        if not connection.get("rights", {}).get("can_delete_sent_messages"):
            raise Refused(400, "Bad Request: BUSINESS_CONNECTION_NOT_ALLOWED")
        for space, messages in self.world.messages.items():
            for message_id in form["message_ids"] if space[0] == "business" else ():
                messages.pop(message_id, None)
        return True

    def _do_read_business_message(self, form: Json) -> bool:
        self._do_get_business_connection(form)
        return True

    # ─── answers, typing, streaming, topics, files ────────────────────────────────────────────

    def _do_answer_callback_query(self, form: Json) -> bool:
        del form
        return True

    _do_answer_inline_query = _do_answer_callback_query

    def _do_answer_guest_query(self, form: Json) -> Json:
        return {"inline_message_id": f"guest-{form['guest_query_id']}"}

    def _do_send_chat_action(self, form: Json) -> bool:
        if connection_id := form.get("business_connection_id"):
            self._may_reply(connection_id, int(form["chat_id"]))
        self.typing.append(form)
        return True

    def _do_send_message_draft(self, form: Json) -> bool:
        if int(form["chat_id"]) < 0 or int(form["draft_id"]) == 0:
            raise Refused(400, "Bad Request: TEXTDRAFT_PEER_INVALID")
        self.streamed[int(form["draft_id"])].append(form.get("text", ""))
        return True

    def _do_create_forum_topic(self, form: Json) -> Json:
        if not self.topics:
            raise Refused(400, "Bad Request: the chat is not a forum")
        self._topics += 1
        return {"message_thread_id": 900 + self._topics, "name": form["name"], "icon_color": 7322096}

    def _do_get_file(self, form: Json) -> Json:
        file_id = form["file_id"]
        content = self.world.files.get(file_id)
        if content is None:
            raise Refused(400, "Bad Request: invalid file_id")
        return {
            "file_id": file_id,
            "file_unique_id": file_id,
            "file_size": len(content),
            "file_path": file_id,
        }


NO_GIFTS = dict.fromkeys(
    (
        "unlimited_gifts",
        "limited_gifts",
        "unique_gifts",
        "premium_subscription",
        "gifts_from_channels",
    ),
    False,
)


def _is_inline(markup: Json | None) -> bool:
    """True for buttons under a message, which must fit; a forced reply leaves none."""
    if not markup or "inline_keyboard" not in markup:
        return False
    for button in buttons({"reply_markup": markup}):
        if len(button.get("callback_data", "").encode()) > MOST_BUTTON_BYTES:
            raise Refused(400, "Bad Request: BUTTON_DATA_INVALID")
        if not 1 <= len(button.get("copy_text", {"text": "-"})["text"]) <= 256:  # noqa: PLR2004 -- Telegram's
            raise Refused(400, "Bad Request: BUTTON_COPY_TEXT_INVALID")
    return True


def _sendable(text: str) -> str:
    if not text.strip():
        raise Refused(400, "Bad Request: message text is empty")
    if utf16_length(text) > MOST_TEXT:
        raise Refused(400, "Bad Request: message is too long")
    return text


def _within(entities: list[Json], text: str) -> list[Json]:
    if any(entity["offset"] + entity["length"] > utf16_length(text) for entity in entities):
        raise Refused(400, "Bad Request: ENTITY_BOUNDS_INVALID")
    return entities
