"""What one owner may see of another's: nothing, in any table."""

from collections.abc import AsyncGenerator

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from core.ids import OwnerId
from core.owners import ensure_owner
from core.storage.database import Database
from tests.core.storage.every_table import counts, fill, tables


async def test_every_table_but_the_migrations_forces_row_level_security(conninfo: str) -> None:
    async with await psycopg.AsyncConnection.connect(conninfo) as connection:
        cursor = await connection.execute("""
            SELECT c.relname FROM pg_class c WHERE c.relnamespace = 'locum'::regnamespace AND c.relkind = 'r'
            AND NOT (c.relrowsecurity AND c.relforcerowsecurity) ORDER BY 1""")
        assert [row[0] for row in await cursor.fetchall()] == ["schema_migrations"]


async def test_the_application_sees_its_owner_and_nobody_else(database: Database, owner: OwnerId) -> None:
    async with database.owner(owner) as connection:
        cursor = await connection.execute("SELECT id FROM owners")
        assert await cursor.fetchall() == [(owner,)]
    async with database.owner(OwnerId(owner + 1)) as connection:
        cursor = await connection.execute("SELECT id FROM owners")
        assert await cursor.fetchall() == []


async def test_the_application_is_neither_superuser_nor_table_owner(
    database: Database, owner: OwnerId
) -> None:
    async with database.owner(owner) as connection:
        cursor = await connection.execute(
            "SELECT current_user, rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user"
        )
        assert await cursor.fetchone() == ("locum_app", False)


async def test_a_row_for_another_owner_is_refused(database: Database, owner: OwnerId) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        async with database.owner(owner) as connection:
            await connection.execute(
                "INSERT INTO sources (owner_id, kind, platform) VALUES (%s, 'export', 'slack')", [owner + 1]
            )


@pytest.fixture
async def others(conninfo: str, database: Database, owner: OwnerId) -> OwnerId:
    """Another owner, with rows in every table; `owner` has the same rows under the same ids."""
    other = await ensure_owner(database, "noor")
    await fill(conninfo, owner)
    await fill(conninfo, other)
    return other


@pytest.fixture(params=["missing", "empty", "unknown"])
async def stranger(
    request: pytest.FixtureRequest, conninfo: str, others: OwnerId
) -> AsyncGenerator[psycopg.AsyncConnection]:
    """The application's role, naming no owner at all, an empty one, or one that does not exist."""
    assert others
    async with await psycopg.AsyncConnection.connect(
        make_conninfo(conninfo, user="locum_app"), autocommit=True
    ) as connection:
        if request.param != "missing":
            owner_id = "" if request.param == "empty" else "424242"
            await connection.execute("SELECT set_config('locum.owner_id', %s, false)", [owner_id])
        yield connection


async def count(connection: psycopg.AsyncConnection, table: str) -> int:
    statement = sql.SQL("SELECT count(*) FROM locum.{}").format(sql.Identifier(table))
    row = await (await connection.execute(statement)).fetchone()
    assert row is not None
    return int(row[0])


async def touch(connection: psycopg.AsyncConnection, table: str, *, where: str = "true") -> int:
    """Rows that an update of nothing and a deletion reached; the role may lack the right altogether."""
    key = "id" if table == "owners" else "owner_id"
    reached = 0
    for statement in (
        sql.SQL("UPDATE locum.{table} SET {key} = {key} WHERE {where}"),
        sql.SQL("DELETE FROM locum.{table} WHERE {where}"),
    ):
        written = statement.format(table=sql.Identifier(table), key=sql.Identifier(key), where=sql.SQL(where))  # pyright: ignore[reportArgumentType] -- `where` is this file's own
        reached += (await connection.execute(written)).rowcount
    return reached


async def test_the_small_world_has_rows_in_every_table(conninfo: str, others: OwnerId) -> None:
    assert others
    found = await counts(conninfo)
    assert [table for table, rows in found.items() if rows < 2] == []


async def test_without_its_owner_the_application_sees_and_changes_nothing_in_any_table(
    conninfo: str, stranger: psycopg.AsyncConnection
) -> None:
    before = await counts(conninfo)
    names = await tables(conninfo)
    assert {table: await count(stranger, table) for table in names} == dict.fromkeys(names, 0)
    assert {table: await touch(stranger, table) for table in names} == dict.fromkeys(names, 0)
    assert await counts(conninfo) == before


async def test_one_owner_sees_half_of_every_table_and_reaches_nothing_of_the_other_half(
    conninfo: str, database: Database, owner: OwnerId, others: OwnerId
) -> None:
    before = await counts(conninfo)
    names = [table for table in await tables(conninfo) if table != "owners"]
    async with database.owner(owner) as connection:
        for table in names:
            assert await count(connection, table) * 2 == before[table], table
            assert await touch(connection, table, where=f"owner_id = {int(others)}") == 0, table
    assert await counts(conninfo) == before


async def test_no_table_takes_a_row_in_another_owners_name(
    conninfo: str, database: Database, owner: OwnerId, others: OwnerId
) -> None:
    # Of statements' sources, a trigger looks for the statement first, and finds none.
    refusals = (psycopg.errors.InsufficientPrivilege, psycopg.errors.IntegrityConstraintViolation)
    for table in await tables(conninfo):
        columns = await insertable(conninfo, table)
        with pytest.raises(refusals):
            async with database.owner(owner) as connection:
                await connection.execute(
                    sql.SQL(
                        "INSERT INTO locum.{} ({}) SELECT {} FROM (SELECT (r).* FROM jsonb_populate_record("
                        "NULL::locum.{}, %s) r) r"
                    ).format(
                        sql.Identifier(table),
                        sql.SQL(", ").join(map(sql.Identifier, columns)),
                        sql.SQL(", ").join(map(sql.Identifier, columns)),
                        sql.Identifier(table),
                    ),
                    [await somebodys_row(conninfo, table, others)],
                )


async def insertable(conninfo: str, table: str) -> list[str]:
    async with await psycopg.AsyncConnection.connect(conninfo) as connection:
        cursor = await connection.execute(
            "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0"
            " AND NOT attisdropped AND attgenerated = ''",
            [f"locum.{table}"],
        )
        return [str(row[0]) for row in await cursor.fetchall()]


async def somebodys_row(conninfo: str, table: str, owner_id: OwnerId) -> str:
    """A true row of that owner, as JSON."""
    key = "id" if table == "owners" else "owner_id"
    statement = sql.SQL("SELECT to_jsonb(r)::text FROM locum.{} r WHERE {} = %s LIMIT 1")
    async with await psycopg.AsyncConnection.connect(conninfo) as connection:
        cursor = await connection.execute(
            statement.format(sql.Identifier(table), sql.Identifier(key)), [owner_id]
        )
        row = await cursor.fetchone()
    assert row is not None, table
    return str(row[0])


SWEEPERS_TEXT = {
    "handle", "display_name", "time_zone", "platform", "name", "lane", "state", "held_by", "platform_chat_id",
}  # fmt: skip
"""The columns of text that the sweeper may read: names of owners and accounts, states, platform ids."""


async def test_the_sweeper_reads_ids_and_times_and_never_what_was_said(
    conninfo: str, database: Database, others: OwnerId
) -> None:
    assert others
    async with await psycopg.AsyncConnection.connect(conninfo) as connection:
        cursor = await connection.execute("""
            SELECT c.relname, a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
            JOIN pg_type t ON t.oid = a.atttypid
            WHERE c.relnamespace = 'locum'::regnamespace AND c.relkind = 'r' AND a.attnum > 0
            AND t.typcategory NOT IN ('N', 'D', 'B') AND has_column_privilege('locum_sweep', c.oid, a.attnum, 'SELECT')
            ORDER BY 1, 2""")
        readable = {str(column) for _, column in await cursor.fetchall()}
    assert readable <= SWEEPERS_TEXT
    for statement in (
        "SELECT event FROM inbox_events", "SELECT error FROM inbox_events", "SELECT text FROM outbox",
        "SELECT token_encrypted FROM accounts", "SELECT text FROM messages", "SELECT text FROM drafts",
        "SELECT statement FROM facts",
    ):  # fmt: skip
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            async with database.sweep() as connection:
                await connection.execute(statement.encode())
    async with database.sweep() as connection:
        for table in ("inbox_events", "turns", "outbox"):
            statement = sql.SQL("SELECT owner_id, id FROM {}").format(sql.Identifier(table))
            cursor = await connection.execute(statement)
            assert len(await cursor.fetchall()) == 2, table


@pytest.mark.parametrize(
    "arguments",
    [(None, "owner", None), (1, None, None), (1, "everybody", 1), (1, "owner", 1), (1, "contact", None)],
)
async def test_who_may_learn_what_is_never_answered_without_an_owner_and_a_reader(
    database: Database, owner: OwnerId, arguments: tuple[int | None, str | None, int | None]
) -> None:
    with pytest.raises(psycopg.errors.InvalidParameterValue):
        async with database.owner(owner) as connection:
            await connection.execute("SELECT * FROM readable_audiences(%s, %s, %s)", arguments)


READS_OF_ONE_OWNER = {
    "build_vector_index": "build_vector_index(%(owner)s, 'model', 3)",
    "known_commitments": "known_commitments(%(owner)s, 'owner', NULL, NULL, 10)",
    "known_summaries": "known_summaries(%(owner)s, 'owner', NULL, NULL, 'saffron', NULL, 10)",
    "known_topics": "known_topics(%(owner)s, 'owner', NULL, NULL, 'spices', 10)",
    "last_said": "last_said(%(owner)s, 'owner', NULL, 1, 10)",
    "facts_kept_back": "facts_kept_back(%(owner)s, 1, 'saffron', NULL, '', 10)",
    "known_facts": "known_facts(%(owner)s, 'owner', NULL, NULL, NULL, NULL, 10)",
    "known_facts_of": "known_facts_of(%(owner)s, 'owner', NULL, NULL, NULL, NULL, 10, false, ARRAY[1]::bigint[])",
    "read_messages": "read_messages(%(owner)s, 'owner', NULL, ARRAY[1, 2, 3, 4]::bigint[])",
    "readable_audiences": "(SELECT audience_id FROM readable_audiences(%(owner)s, 'owner', NULL)) a",
    "recall_memory": "recall_memory(%(owner)s, 'owner', NULL, 'saffron', NULL, '', 'infinity', 10, 10, 10)",
    "recent_turns": "recent_turns(%(owner)s, 1, NULL, 'infinity', 10)",
    "search_memory": "search_memory(%(owner)s, 'owner', NULL, 'saffron', NULL, '', 10, 10)",
    "search_memory_exactly": "search_memory_exactly(%(owner)s, 'owner', NULL, 'saffron', NULL, '', 10)",
    "weigh_memory": "weigh_memory(%(owner)s, 'owner', NULL, 'saffron', NULL, '')",
}
"""Every function that runs with more rights than the application and takes an owner."""


async def test_functions_with_more_rights_than_the_application_are_all_known_here(conninfo: str) -> None:
    async with await psycopg.AsyncConnection.connect(conninfo) as connection:
        cursor = await connection.execute("""
            SELECT DISTINCT proname FROM pg_proc WHERE pronamespace = 'locum'::regnamespace AND prosecdef
            AND 'p_owner_id' = ANY (proargnames) AND has_function_privilege('locum_app', oid, 'EXECUTE')""")
        assert {str(row[0]) for row in await cursor.fetchall()} == READS_OF_ONE_OWNER.keys()


@pytest.mark.parametrize("call", READS_OF_ONE_OWNER.values(), ids=READS_OF_ONE_OWNER.keys())
async def test_no_function_answers_about_another_owner(
    database: Database, owner: OwnerId, others: OwnerId, call: str
) -> None:
    with pytest.raises((psycopg.errors.InsufficientPrivilege, psycopg.errors.InvalidParameterValue)):
        async with database.owner(owner) as connection:
            await connection.execute(f"SELECT * FROM {call}".encode(), {"owner": others})  # noqa: S608 -- this file's own words
