"""What comes with a message: its kind, name, size and the handle to fetch it by, never its bytes."""

from collections.abc import Iterator

from telegram import Message

from core.events import Attachment
from core.storage.plain_text import clean

SERVICE = tuple(
    "new_chat_members left_chat_member new_chat_title new_chat_photo delete_chat_photo group_chat_created "
    "supergroup_chat_created channel_chat_created message_auto_delete_timer_changed migrate_to_chat_id "
    "migrate_from_chat_id pinned_message successful_payment refunded_payment users_shared chat_shared "
    "connected_website write_access_allowed passport_data proximity_alert_triggered boost_added "
    "chat_background_set checklist_tasks_done checklist_tasks_added direct_message_price_changed "
    "forum_topic_created forum_topic_edited forum_topic_closed forum_topic_reopened "
    "general_forum_topic_hidden general_forum_topic_unhidden giveaway_created giveaway_completed "
    "managed_bot_created paid_message_price_changed poll_option_added poll_option_deleted "
    "suggested_post_approved suggested_post_approval_failed suggested_post_declined suggested_post_paid "
    "suggested_post_refunded video_chat_scheduled video_chat_started video_chat_ended "
    "video_chat_participants_invited web_app_data chat_owner_left chat_owner_changed".split()
)
"""What Telegram itself notes in a chat: nobody's words. Our importer leaves the same out."""


def is_service(message: Message) -> bool:
    return any(getattr(message, name, None) for name in SERVICE)


def attachments_of(message: Message) -> tuple[Attachment, ...]:
    """Everything that came with it, by the names our importer gives; what has no name yet is `unsupported`."""
    found = tuple(_attachments(message))
    if found or message.text:
        return found
    return () if is_service(message) else (Attachment(kind="unsupported"),)


def _attachments(message: Message) -> Iterator[Attachment]:
    yield from _recordings(message)
    yield from _files(message)
    yield from _told(message)


def _recordings(message: Message) -> Iterator[Attachment]:
    if voice := message.voice:
        yield Attachment(
            kind="voice_message",
            media_type=clean(voice.mime_type or ""),
            size_bytes=voice.file_size,
            reference=voice.file_id,
        )
    if note := message.video_note:
        yield Attachment(kind="video_message", size_bytes=note.file_size, reference=note.file_id)


def _files(message: Message) -> Iterator[Attachment]:
    if message.photo:
        largest = message.photo[-1]
        yield Attachment(kind="photo", size_bytes=largest.file_size, reference=largest.file_id)
    if sticker := message.sticker:
        yield Attachment(
            kind="sticker",
            caption=clean(sticker.emoji or ""),
            size_bytes=sticker.file_size,
            reference=sticker.file_id,
        )
    # An animation comes with the same file as a document, for clients that know no animations.
    document = None if message.animation else message.document
    named = {
        "animation": message.animation,
        "audio_file": message.audio,
        "video_file": message.video,
        "file": document,
    }
    for kind, file in named.items():
        if file:
            yield Attachment(
                kind=kind,
                name=clean(file.file_name or ""),
                caption=clean(getattr(file, "title", None) or ""),
                media_type=clean(file.mime_type or ""),
                size_bytes=file.file_size,
                reference=file.file_id,
            )


def _told(message: Message) -> Iterator[Attachment]:
    """What is no file: places, people, questions, lists."""
    if place := message.venue:
        yield Attachment(kind="location", caption=clean(f"{place.title}, {place.address}".strip(", ")))
    elif spot := message.location:
        yield Attachment(kind="location", caption=f"{spot.latitude:.5f}, {spot.longitude:.5f}")
    if contact := message.contact:
        name = f"{contact.first_name} {contact.last_name or ''}".strip()
        yield Attachment(kind="contact", name=clean(name), caption=clean(contact.phone_number))
    if poll := message.poll:
        answers = [option.text for option in poll.options]
        yield Attachment(kind="poll", caption=clean("\n".join([poll.question, *answers])))
    if todo := message.checklist:
        tasks = [task.text for task in todo.tasks]
        yield Attachment(kind="todo", caption=clean("\n".join([todo.title, *tasks])))
    if dice := message.dice:
        yield Attachment(kind="dice", caption=f"{dice.emoji} {dice.value}")
