"""What a bot says to /privacy: what is kept, how long, who else gets it, in sentences that the rows bear out."""

from urllib.parse import urlsplit

from core.models.outside import leaves_machine
from core.reply.situation import Account, source_of
from core.settings import Settings
from core.storage.database import Database


async def privacy_text(database: Database, account: Account, settings: Settings) -> str:
    """For the owner of the account, as its consents stand now."""
    async with database.owner(account.owner_id) as connection:
        source = await source_of(connection, account)
        cursor = await connection.execute(
            """
            SELECT s.may_draft, s.may_profile, s.may_train, s.may_leave,
                   (SELECT (a.settings ->> 'retention_days')::integer FROM accounts a
                    WHERE a.owner_id = s.owner_id AND a.id = %s)
            FROM sources s WHERE s.owner_id = %s AND s.id = %s""",
            [account.id, account.owner_id, source],
        )
        row = await cursor.fetchone()
    assert row is not None, "its source was ensured"  # noqa: S101 -- for the type checker
    may_draft, may_profile, may_train, may_leave, days = row
    kept = f"for {days} days" if days else "until you forget it"
    sentences = [
        f"Locum keeps what is said in the {account.platform.title()} chats that it listens to, {kept}.",
        f"It is kept in your own database{_where(settings)}. Groups are listened to only where you said so.",
        "It is used to draft replies for you." if may_draft else "Nothing is drafted from it.",
        "Facts about people are noted from it." if may_profile else "No profiles of people are made from it.",
        "Your own messages teach a model of your voice." if may_train else "No model is trained on it.",
        _leaving(settings, may_leave=bool(may_leave)),
        "Every message sent is noted, with who asked for it.",
        "forget NAME removes a person or a chat everywhere; export NAME gives you all that is kept.",
    ]
    return "\n".join(sentences)


def _where(settings: Settings) -> str:
    """Whose machine the database is on, where it is not this one."""
    if settings.database_url is None:
        return " on this machine"
    host = urlsplit(settings.database_url.get_secret_value()).hostname
    return f" at {host}" if host else ""


def _leaving(settings: Settings, *, may_leave: bool) -> str:
    named = {
        "the model that drafts": settings.model_url,
        "the teacher that reads": settings.teacher_url,
        "the expert that is asked": settings.expert_url,
    }
    elsewhere = [f"{what} ({urlsplit(url).hostname})" for what, url in named.items() if leaves_machine(url)]
    if leaves_machine(settings.transcriber_url) and may_leave:
        heard = (
            f"Voice messages are sent to {urlsplit(settings.transcriber_url).hostname} to be written down. "
        )
    else:
        heard = ""
    if not elsewhere:
        return f"{heard}Nothing else leaves this machine." if heard else "Nothing of it leaves this machine."
    if may_leave:
        return f"{heard}Parts of it are sent to {', '.join(elsewhere)}."
    return f"{heard}It is not sent to {', '.join(elsewhere)}: you have not allowed it."
