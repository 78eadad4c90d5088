"""The console's page in a real Chromium, with the real reply path behind it."""

import asyncio
import re

from playwright.async_api import Locator, Page, expect

from core.events import MessageNew, Person
from core.memory.people import ensure_account, ensure_chat
from core.vocabulary import ChatKind
from tests.bots.console.scene import Scene, core_at_work

QUESTION = "Can you water the plants again next week?"
PAST_REPLY = "Sure, I still have the key"


async def play_dana(page: Page, scene: Scene) -> None:
    await page.get_by_label("Contact to play").select_option(str(scene.dana))
    await expect(page.get_by_label("Write as Dana")).to_be_visible()


async def write(page: Page, text: str, *, pen: str = "Write as Dana") -> None:
    field = page.get_by_label(pen)
    await field.fill(text)
    await field.press("Enter")


def messages(page: Page) -> Locator:
    return page.get_by_label("Messages").get_by_role("listitem")


def past_reply(page: Page) -> Locator:
    return page.get_by_role("region", name=re.compile("^Draft")).filter(has_text=PAST_REPLY)


async def rows(scene: Scene, query: str) -> list[tuple[object, ...]]:
    async with scene.database.owner(scene.owner_id) as connection:
        return list(await (await connection.execute(query.encode())).fetchall())


async def test_a_line_typed_as_a_contact_becomes_an_event_of_the_bot(scene: Scene, page: Page) -> None:
    await scene.bot.start()
    await play_dana(page, scene)
    await write(page, QUESTION)
    event = await asyncio.wait_for(anext(aiter(scene.bot.events())), 10)
    assert isinstance(event, MessageNew)
    assert (event.text, event.sender.id) == (QUESTION, f"contact-{scene.dana}")
    await expect(page.get_by_label("Write as Dana")).to_have_value("")


async def test_a_line_looks_delivered_only_when_core_has_it(scene: Scene, page: Page) -> None:
    await play_dana(page, scene)
    await write(page, QUESTION)
    await expect(messages(page)).to_contain_text([QUESTION])
    await expect(page.get_by_text("not delivered yet")).to_be_visible()
    async with core_at_work(scene):
        await expect(page.get_by_text("not delivered yet")).to_have_count(0)
        await expect(messages(page)).to_contain_text([QUESTION])


async def test_a_draft_with_its_evidence_is_sent_and_stands_in_the_chat(answered: Scene, page: Page) -> None:
    await play_dana(page, answered)
    await write(page, QUESTION)
    draft = past_reply(page)
    await expect(draft).to_be_visible()
    await draft.get_by_text("Rests on").click()
    await expect(draft.get_by_text("Can you water the plants while I am away?")).to_be_visible()
    await draft.get_by_role("button", name="Send").click()
    await expect(messages(page)).to_contain_text([QUESTION, PAST_REPLY])
    await expect(messages(page).last).to_contain_text("draft, sent as it was")
    assert await rows(answered, "SELECT outcome FROM labels WHERE final_text IS NOT NULL") == [("sent",)]


async def test_an_edited_draft_is_sent_in_the_owners_words(answered: Scene, page: Page) -> None:
    await play_dana(page, answered)
    await write(page, QUESTION)
    await past_reply(page).get_by_role("button", name="Edit").click()
    wording = page.get_by_label("Your wording")
    await expect(wording).to_have_value(PAST_REPLY)
    await wording.fill("Sure! Monday and Thursday, I have the key")
    await page.get_by_role("button", name="Send edited").click()
    await expect(messages(page)).to_contain_text([QUESTION, "Sure! Monday and Thursday, I have the key"])
    await expect(messages(page).last).to_contain_text("draft, edited by you")
    assert await rows(answered, "SELECT outcome, final_text FROM labels WHERE final_text IS NOT NULL") == [
        ("edited", "Sure! Monday and Thursday, I have the key")
    ]


async def test_what_the_owner_is_editing_survives_the_page_changing_around_it(
    answered: Scene, page: Page
) -> None:
    await play_dana(page, answered)
    await write(page, QUESTION)
    await past_reply(page).get_by_role("button", name="Edit").click()
    await page.get_by_label("Your wording").fill("half a thou")
    await page.get_by_role("button", name=re.compile("^Why these drafts")).click()
    await expect(page.get_by_role("region", name="Why", exact=True)).to_be_visible()
    await expect(page.get_by_label("Your wording")).to_have_value("half a thou")


async def test_a_discarded_card_leaves_the_desk(answered: Scene, page: Page) -> None:
    await play_dana(page, answered)
    await write(page, QUESTION)
    await past_reply(page).get_by_role("button", name="Discard").click()
    await expect(page.get_by_text("Nothing waits for you.")).to_be_visible()
    await expect(messages(page)).to_have_count(1)


async def test_why_tells_what_each_stage_decided(answered: Scene, page: Page) -> None:
    await play_dana(page, answered)
    await write(page, QUESTION)
    await page.get_by_role("button", name=re.compile("^Why these drafts")).click()
    reasons = page.get_by_role("region", name="Why", exact=True)
    for stage in ("Settle", "Decide", "Recall", "Compose", "Gate", "Deliver"):
        await expect(reasons.get_by_text(stage, exact=True)).to_be_visible()


async def test_muting_a_card_turns_the_chat_off(answered: Scene, page: Page) -> None:
    await play_dana(page, answered)
    await write(page, QUESTION)
    await page.get_by_role("button", name="Mute Dana Reis").click()
    await expect(page.get_by_role("radio", name="Off")).to_have_attribute("aria-checked", "true")
    await expect(page.get_by_text("Nothing waits for you.")).to_be_visible()


async def test_the_owner_who_types_by_hand_takes_over(answered: Scene, page: Page) -> None:
    await play_dana(page, answered)
    await write(page, QUESTION)
    await expect(past_reply(page)).to_be_visible()
    await page.get_by_role("radio", name="Mara (you)").click()
    await write(page, "On it, don't worry", pen="Write as Mara, by hand")
    await expect(page.get_by_text("Nothing waits for you.")).to_be_visible()
    await expect(messages(page).last).to_contain_text("typed by you")
    assert await rows(answered, "SELECT origin FROM messages ORDER BY id DESC LIMIT 1") == [("typed",)]


async def test_someone_new_can_be_played(answered: Scene, page: Page) -> None:
    await page.get_by_label("Contact to play").select_option("new")
    await page.get_by_label("Their name").fill("Otto <b>Bold</b>")
    await page.get_by_label("Their name").press("Enter")
    await write(page, "Do you sell the bicycle?", pen="Write as Otto")
    await expect(messages(page)).to_contain_text(["Otto <b>Bold</b>"])
    assert await rows(answered, "SELECT count(*) FROM contacts WHERE display_name LIKE 'Otto%'") == [(1,)]


async def test_a_choice_is_not_lost_when_the_people_change_around_it(scene: Scene, page: Page) -> None:
    select = page.get_by_label("Contact to play")
    before = await select.element_handle()
    async with scene.database.owner(scene.owner_id) as connection:
        account = await ensure_account(connection, scene.owner_id, "telegram", "mara")
        otto = Person(id="1002", name="Otto Berg")
        await ensure_chat(
            connection, scene.owner_id, account, "1002", ChatKind.DIRECT, "Otto Berg", members=[otto]
        )
    await expect(select.get_by_role("option", name="Otto Berg")).to_have_count(1, timeout=20_000)
    assert before is not None
    await before.select_option("new")  # as a hand does that was already on its way
    await expect(page.get_by_label("Their name")).to_be_visible()


async def test_words_of_a_contact_are_never_markup(answered: Scene, page: Page) -> None:
    await play_dana(page, answered)
    hostile = "<img src=x onerror=\"document.title='owned'\"> {{ 7*7 }} can you?"
    await write(page, hostile)
    await expect(messages(page)).to_contain_text([hostile])
    await expect(page).to_have_title("Locum")


async def test_a_played_contact_is_the_one_that_memory_knows(answered: Scene, page: Page) -> None:
    await play_dana(page, answered)
    await expect(page.get_by_label("Facts", exact=True)).to_contain_text("Dana lives in Lisbon")
    await expect(page.get_by_label("Not true any more")).to_contain_text("Dana lives in Porto")
    fact = page.get_by_role("listitem").filter(has_text="Dana climbs on Thursdays")
    await fact.get_by_text("Known from").click()
    await expect(fact.get_by_text("Are you coming to the climbing hall on Thursday?")).to_be_visible()
    await write(page, QUESTION)
    await expect(past_reply(page)).to_be_visible()
    assert await rows(answered, "SELECT count(*) FROM contacts") == [(1,)]


def fact(page: Page, text: str) -> Locator:
    return page.get_by_role("listitem").filter(has_text=text).filter(has=page.get_by_role("button"))


async def test_a_fact_is_put_right_in_the_owners_words(scene: Scene, page: Page) -> None:
    await play_dana(page, scene)
    await fact(page, "Dana lives in Lisbon").get_by_role("button", name="Correct").click()
    wording = page.get_by_label("As it should be")
    await expect(wording).to_have_value("Dana lives in Lisbon")
    await wording.fill("Dana lives in Lisbon <b>Alfama</b>")
    await page.get_by_role("button", name="Save").click()
    await expect(fact(page, "Dana lives in Lisbon <b>Alfama</b>")).to_contain_text("your words")
    assert await rows(scene, "SELECT statement_before FROM fact_edits") == [("Dana lives in Lisbon",)]


async def test_a_fact_is_pinned_hidden_and_used_again(scene: Scene, page: Page) -> None:
    await play_dana(page, scene)
    await fact(page, "Dana climbs").get_by_role("button", name="Pin").click()
    await expect(page.get_by_label("Facts", exact=True).get_by_role("listitem").first).to_contain_text(
        "pinned"
    )
    await fact(page, "Dana climbs").get_by_role("button", name="Hide").click()
    await expect(page.get_by_label("Hidden facts")).to_contain_text("Dana climbs")
    assert await rows(scene, "SELECT statement FROM facts WHERE hidden AND pinned") == [
        ("Dana climbs on Thursdays",)
    ]
    await fact(page, "Dana climbs").get_by_role("button", name="Use again").click()
    await expect(page.get_by_label("Hidden facts")).to_be_hidden()
    assert await rows(scene, "SELECT count(*) FROM facts WHERE hidden") == [(0,)]


async def test_a_fact_is_removed_with_a_second_press_and_its_message_stays(scene: Scene, page: Page) -> None:
    await play_dana(page, scene)
    await fact(page, "Dana climbs").get_by_role("button", name="Remove").click()
    assert await rows(scene, "SELECT count(*) FROM facts") == [(3,)]
    await page.get_by_role("button", name="Remove for good").click()
    await expect(fact(page, "Dana climbs")).to_have_count(0)
    assert await rows(scene, "SELECT count(*) FROM facts") == [(2,)]
    assert await rows(scene, "SELECT count(*) FROM messages WHERE text LIKE '%climbing hall%'") == [(1,)]


async def test_facts_are_found_by_words_of_theirs_or_of_what_was_said(scene: Scene, page: Page) -> None:
    await play_dana(page, scene)
    await page.get_by_label("Find a fact").fill("balcony lisbon")
    await expect(fact(page, "Dana lives in Lisbon")).to_be_visible()
    await expect(fact(page, "Dana climbs")).to_have_count(0)
    await page.get_by_label("Find a fact").fill("piano")
    await expect(page.get_by_text("None of it has these words.")).to_be_visible()


async def test_stopping_everything_is_seen_and_holds(answered: Scene, page: Page) -> None:
    await page.get_by_role("button", name="Stop everything").click()
    await expect(page.get_by_role("alert").filter(has_text="Stopped. Nothing leaves")).to_be_visible()
    assert await rows(answered, "SELECT kill_switch FROM policies WHERE chat_id IS NULL") == [(True,)]
    await page.get_by_role("button", name="Let Locum work again").click()
    await expect(page.get_by_role("button", name="Stop everything")).to_be_visible()
    assert await rows(answered, "SELECT kill_switch FROM policies WHERE chat_id IS NULL") == [(False,)]


async def test_a_pause_is_seen_and_ends(answered: Scene, page: Page) -> None:
    await page.get_by_role("button", name="Pause for one hour").click()
    await expect(page.get_by_text("Paused until")).to_be_visible()
    await page.get_by_role("button", name="Resume").click()
    await expect(page.get_by_role("button", name="Pause for one hour")).to_be_visible()
    assert await rows(answered, "SELECT paused_until FROM policies WHERE chat_id IS NULL") == [(None,)]


async def test_the_mode_of_a_chat_can_be_set(answered: Scene, page: Page) -> None:
    await play_dana(page, answered)
    await page.get_by_role("radio", name="Auto").click()
    await expect(page.get_by_role("radio", name="Auto")).to_have_attribute("aria-checked", "true")
    assert await rows(answered, "SELECT mode FROM policies WHERE chat_id IS NOT NULL") == [("auto",)]


async def test_a_second_page_sees_what_the_first_one_does(answered: Scene, page: Page) -> None:
    second = await page.context.new_page()
    await second.goto(answered.console.address)
    await play_dana(page, answered)
    await play_dana(second, answered)
    await write(page, QUESTION)
    await expect(messages(second)).to_contain_text([QUESTION])
    await expect(past_reply(second)).to_be_visible()


async def test_the_first_view_shows_whom_the_owner_heard_from_last(answered: Scene, page: Page) -> None:
    await expect(page.get_by_label("Contact to play")).to_have_value(str(answered.dana))
    await expect(page.get_by_label("Write as Dana")).to_be_visible()
    await expect(page.get_by_label("Facts", exact=True)).to_contain_text("Dana lives in Lisbon")


async def test_who_was_chosen_first_stays_chosen(answered: Scene, page: Page) -> None:
    await page.get_by_label("Contact to play").select_option("new")
    await page.get_by_label("Their name").fill("Otto Bold")
    await page.get_by_label("Their name").press("Enter")
    await write(page, "Do you sell the bicycle?", pen="Write as Otto")
    await expect(messages(page)).to_have_count(1)
    await expect(page.get_by_label("Write as Otto")).to_be_visible()


async def test_the_owner_can_ask_for_drafts_where_locum_stayed_silent(answered: Scene, page: Page) -> None:
    await play_dana(page, answered)
    ask = page.get_by_role("button", name="Suggest a reply")
    await expect(ask).to_be_hidden()
    await write(page, "ok")
    await expect(page.get_by_label("What Locum does")).to_contain_text("stays silent")
    await ask.click()
    await expect(page.get_by_role("region", name=re.compile("^Draft")).first).to_be_visible()
    assert await rows(answered, "SELECT bool_or(asked) FROM turns") == [(True,)]


async def test_a_narrow_screen_shows_one_view_at_a_time(answered: Scene, page: Page) -> None:
    await page.set_viewport_size({"width": 390, "height": 844})
    await play_dana(page, answered)
    await write(page, QUESTION)
    await page.get_by_role("button", name=re.compile("^Desk")).click()
    await expect(past_reply(page)).to_be_visible()
    await expect(page.get_by_label("Messages")).to_be_hidden()
    width = await page.evaluate("document.documentElement.scrollWidth")
    assert width <= 390


async def test_the_page_asks_nobody_else_for_anything(scene: Scene, page: Page) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    await page.reload()
    await expect(page.get_by_label("Contact to play")).to_be_visible()
    assert asked
    assert all(url.startswith((scene.console.address, "data:")) for url in asked)
