"""Each rule, with what it takes at its word and what it does not."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from core.ids import AudienceId, ChatId, ContactId, MessageId
from core.memory.extract.claims import Extracted, Person, Said, Session
from core.memory.extract.dates import find_clock, find_when
from core.memory.extract.local import extract

MARA = Person(contact_id=None, name="Mara")
INES = Person(contact_id=ContactId(1), name="Ines Kallio")
KIT = Person(contact_id=ContactId(2), name="Kit Okafor")
WEDNESDAY = datetime(2026, 5, 13, 12, tzinfo=UTC)


def read(text: str, speaker: Person = MARA, addressee: Person | None = INES) -> Extracted:
    said = Said(
        message_id=MessageId(1),
        speaker=speaker,
        addressee=addressee,
        text=text,
        sent_at=WEDNESDAY,
        audience_id=AudienceId(1),
        may_profile=True,
    )
    zone = ZoneInfo("Europe/Stockholm")
    return extract(Session(chat_id=ChatId(1), said=(said,), people=(MARA, INES, KIT), time_zone=zone))


STATED = {
    "I live in Lisbon now, it's sunny": "Mara lives in Lisbon",
    "i live in lisbon": "Mara lives in Lisbon",
    "ok so I moved to Gothenburg yesterday": "Mara moved to Gothenburg (2026-05-12)",
    "I'm moving to Berlin in September!": "Mara plans to move to Berlin (2026-09)",
    "I'm originally from Turku": "Mara is from Turku",
    "I work at Tallyard": "Mara works at Tallyard",
    "I've started a new job at Blue Heron last week": "Mara works at Blue Heron (the week of 2026-05-04)",
    "I'm a nurse": "Mara is a nurse",
    "I work as a freelance translator": "Mara works as a freelance translator",
    "I quit my job yesterday": "Mara quit their job (2026-05-12)",
    "I got promoted!": "Mara was promoted",
    "I lost my job.": "Mara lost their job",
    "I'm vegetarian now": "Mara is vegetarian",
    "im vegan": "Mara is vegan",
    "I don't eat meat": "Mara does not have meat",
    "I stopped eating fish": "Mara gave up fish",
    "I'm allergic to peanuts": "Mara is allergic to peanuts",
    "I sprained my left wrist yesterday": "Mara sprained their left wrist (2026-05-12)",
    "I was diagnosed with asthma": "Mara was diagnosed with asthma",
    "We talked and I got engaged!": "Mara got engaged",
    "I have two kids": "Mara has two kids",
    "My sister is called Signe": "Mara's sister is Signe",
    "my husband Colm cooks": "Mara's husband is Colm",
    "My birthday is on June 5th": "Mara's birthday is June 5",
    "It's my birthday tomorrow": "Mara's birthday is May 14",
    "I'm 34 years old": "Mara is 34 years old",
    "I'm flying to Lisbon on Friday": "Mara plans: flying to Lisbon (2026-05-15)",
    "I have a dentist appointment tomorrow": "Mara has a dentist appointment (2026-05-14)",
    "I'll be in Oslo next week": "Mara is in Oslo (the week of 2026-05-18)",
    "I'm away until Monday": "Mara is away until 2026-05-18",
    "I'm off from Monday until 3 August. Anneli has the files": "Mara is away until 2026-08-03",
    "I'm on holiday from tomorrow": "Mara is away (2026-05-14)",
    "as of today im vegetarian": "Mara is vegetarian",
    "no meat no fish since 1 may!": "Mara eats no meat and no fish",
    "i have a cat now": "Mara has a cat",
    "new phone new number: +46 70 000 00 17. the old one is gone": "Mara's phone number is +46 70 000 00 17",
    "I adopted a cat yesterday": "Mara got a cat (2026-05-12)",
    "I have a dog named Biscuit": "Mara has a dog called Biscuit",
    "My cat's name is Pip": "Mara has a cat called Pip",
    "I got a new phone": "Mara got a new phone",
    "my new number is +46 70 000 00 17": "Mara's phone number is +46 70 000 00 17",
    "My email is mara@example.org.": "Mara's email address is mara@example.org",
    "My favourite colour is green": "Mara's favourite colour is green",
    "I love pottery": "Mara loves pottery",
    "I can't stand mushrooms": "Mara cannot stand mushrooms",
    "I speak Finnish": "Mara speaks Finnish",
    "I play the cello": "Mara plays cello",
    "I took up climbing": "Mara took up climbing",
    "I went to a poetry reading last Friday": "Mara went to a poetry reading (2026-05-08)",
    "I passed my driving test": "Mara passed Mara's driving test",
}


@pytest.mark.parametrize("text", STATED)
def test_a_plain_statement_becomes_a_fact(text: str) -> None:
    claims = read(text).claims
    assert [(claim.statement, claim.hearsay) for claim in claims] == [(STATED[text], False)]


NOT_STATED = (
    "Do I live in Lisbon?",
    "If I live in Lisbon I need a bike",
    "I wish I lived in Lisbon",
    "I would live in Lisbon",
    "I don't live in Lisbon",
    "I live in fear",
    "I live in a box haha",
    "I basically live in Lisbon at this point",
    'she said "I live in Lisbon"',
    "> I live in Lisbon",
    "He said I live in Lisbon",
    "When I live in Lisbon I eat well",
    "Maybe I moved to Oslo in a dream",
    "I moved to the couch",
    "I work at night",
    "I'm a mess",
    "I'm a vegetable",
    "I'm dead",
    "haha I'm basically dead",
    "I'm not vegetarian",
    "I'm thinking of going vegan",
    "I have a lot of meetings",
    "I have a feeling",
    "I'm going to scream tomorrow lol",
    "I'm going to the shop",
    "I love you",
    "I love it when you do that",
    "I love this",
    "I hate everyone",
    "I got a cold shoulder",
    "I have a dog-eared book",
    "My birthday is soon",
    "I turned 30 pages",
    "I turned into a pumpkin",
    "my number is up",
    "my boss is a nightmare",
    "I should get a cat",
    "I used to live in Rome",
    "I went to bed",
    "jag bor i Lissabon",
    "ich wohne in Berlin",
    "I'm pregnant with ideas",
    "",
)


@pytest.mark.parametrize("text", NOT_STATED)
def test_what_is_not_stated_becomes_nothing(text: str) -> None:
    assert read(text) == Extracted()


EVERYDAY = {
    "I run every Sunday": "Mara runs every Sunday",
    "I have choir on Wednesdays": "Mara has choir on Wednesdays",
    "On Mondays I teach ceramics": "Mara teaches ceramics on Mondays",
    "thursdays are pottery": "Mara has pottery on Thursdays",
    "I cycle to work": "Mara cycles to work",
    "I work from home": "Mara works from home",
    "I've been sailing since 2011": "Mara has been sailing since 2011",
    "I don't smoke": "Mara does not smoke",
    "I can't eat shellfish": "Mara does not have shellfish",
    "I'm lactose intolerant": "Mara is lactose intolerant",
    "I don't like olives": "Mara does not like olives",
    "I'm a huge fan of brass bands": "Mara is a fan of brass bands",
    "Teal is my favourite colour": "Mara's favourite colour is Teal",
    "I'm terrified of heights": "Mara is afraid of heights",
    "I'm left-handed": "Mara is left-handed",
    "I'm a night owl": "Mara is a night owl",
    "I'm 41": "Mara is 41 years old",
    "I was born in 1985": "Mara was born in 1985",
    "I'm a nurse at Elmhurst": "Mara is a nurse at Elmhurst",
    "I work in logistics": "Mara works in logistics",
    "I'm studying linguistics at Lund": "Mara studies linguistics",
    "I'm doing my phd": "Mara is doing a phd",
    "i got the apartment!!": "Mara got the apartment",
    "Hanne is my sister": "Mara's sister is Hanne",
    "my brother lives in Tampere": "Mara's brother lives in Tampere",
    "My aunt works at Varvet": "Mara's aunt works at Varvet",
    "my uncle passed away last week": "Mara's uncle died (the week of 2026-05-04)",
    "my son is four": "Mara's son is four years old",
    "I'm in Bergen until Sunday": "Mara is in Bergen (2026-05-17)",
    "Tomorrow I'm working from home": "Mara is working from home (2026-05-14)",
    "I've got a haircut on Friday": "Mara has a haircut (2026-05-15)",
    "My flight leaves on Saturday": "Mara's flight leaves (2026-05-16)",
    "I booked a table for Friday": "Mara booked a table (2026-05-15)",
    "I dropped my phone yesterday": "Mara dropped their phone (2026-05-12)",
    "lost my wallet yesterday": "Mara lost Mara's wallet (2026-05-12)",
    "my bike got stolen": "Mara's bike was stolen",
    "I own a sewing machine": "Mara owns a sewing machine",
    "we went camping last weekend": "Mara went camping (the weekend of 2026-05-09)",
    "Last week I joined a rowing club": "Mara joined a rowing club (the week of 2026-05-04)",
    "I moved from Turku to Oslo": "Mara moved to Oslo",
    "the call with my sister is at five": "Mara has a sister",
    "my kids adore snow": "Mara has kids",
}  # fmt: skip


@pytest.mark.parametrize("text", EVERYDAY)
def test_what_one_says_of_ones_days_becomes_a_fact(text: str) -> None:
    claims = read(text).claims
    assert [claim.statement for claim in claims] == [EVERYDAY[text]]


ENDED = {
    "I no longer live in Lisbon": ("Mara no longer lives in Lisbon", ("home_city", "lisbon")),
    "I don't live in Lisbon anymore": ("Mara no longer lives in Lisbon", ("home_city", "lisbon")),
    "I don't work at Tallyard any more": ("Mara no longer works at Tallyard", ("employer", "tallyard")),
    "I'm no longer vegan": ("Mara is no longer vegan", ("diet", "vegan")),
    "I'm not vegan anymore": ("Mara is no longer vegan", ("diet", "vegan")),
    "I don't play the cello anymore": ("Mara no longer plays cello", ("", "cello")),
    "I don't have a dog anymore": ("Mara no longer has a dog", ("", "dog")),
    "I cancelled my dentist appointment": ("Mara cancelled the dentist appointment", ("", "appointment")),
    "My flight was cancelled": ("Mara's flight is cancelled", ("", "flight")),
}


@pytest.mark.parametrize("text", ENDED)
def test_what_has_ended_says_what_it_ends(text: str) -> None:
    (claim,) = read(text).claims
    assert (claim.statement, claim.ends) == ENDED[text]


@pytest.mark.parametrize(
    "text",
    [
        "Do you run every Sunday?",
        "I'd run every Sunday if I had shoes",
        "I don't run on Sundays",
        "I don't like it when you do that",
        "I like you",
        "I'm into it",
        "I'm 100",
        "I'm 20 minutes late",
        "I'm home",
        "I'm off to bed tonight",
        "I don't have a clue",
        "I can't do today",
        "my brother-in-law is loud",
        "my sister from another mother",
        "my ex-husband called",
        "she said my sister is late",
        "I don't live in a barn",
        "I'm not a doctor",
        "I'm not vegan",
        "I got the joke",
        "I left Lisbon",
        "lost my mind",
        "booked solid",
        "every day is a gift",
        "Tuesday was fun",
    ],
)
def test_talk_that_resembles_a_statement_becomes_nothing(text: str) -> None:
    assert read(text) == Extracted()


HEARSAY = {
    "Kit moved to Oslo last week": (KIT, "Kit Okafor moved to Oslo (the week of 2026-05-04)"),
    "Kit is vegan": (KIT, "Kit Okafor is vegan"),
    "Kit Okafor works at Tallyard": (KIT, "Kit Okafor works at Tallyard"),
    "You live in Bergen.": (INES, "Ines Kallio lives in Bergen"),
}


@pytest.mark.parametrize("text", HEARSAY)
def test_what_one_says_of_another_is_hearsay_and_takes_no_slot(text: str) -> None:
    (claim,) = read(text).claims
    assert (claim.subject, claim.statement, claim.hearsay, claim.slot) == (*HEARSAY[text], True, "")


PROMISES = {
    "I'll send you the photos tomorrow": ("Mara will send Ines Kallio the photos (due 2026-05-14)", True),
    "ill bring tape on friday": ("Mara will bring tape (due 2026-05-15)", True),
    "I'll pay you back": ("Mara will pay Ines Kallio back", False),
    "I promise to call you": ("Mara will call Ines Kallio", False),
}


@pytest.mark.parametrize("text", PROMISES)
def test_a_promise_becomes_a_commitment(text: str) -> None:
    (promise,) = read(text).promises
    assert (promise.statement, promise.due_at is not None) == PROMISES[text]
    assert promise.contact_id == INES.contact_id


@pytest.mark.parametrize(
    "text",
    ["I'll never call you", "I'll send it", "Will you send me the photos?", "I'll bring it up if I must"],
)
def test_what_is_no_promise_binds_nobody(text: str) -> None:
    assert read(text).promises == ()


def test_in_company_nobody_in_particular_is_promised_anything() -> None:
    assert read("I'll send you the photos tomorrow", addressee=None).promises == ()


def test_a_plan_is_over_when_its_last_day_is() -> None:
    (claim,) = read("I'm flying to Lisbon on Friday").claims
    assert claim.valid_to == datetime(2026, 5, 15, 22, tzinfo=UTC)


WHEN = (
    ("tomorrow", "future", "2026-05-14"),
    ("on Friday", "future", "2026-05-15"),
    ("on Friday", "past", "2026-05-08"),
    ("next Friday", "future", "2026-05-22"),
    ("last Monday", "past", "2026-05-11"),
    ("on 5 June", "future", "2026-06-05"),
    ("June 5th, 2027", "future", "2027-06-05"),
    ("on March 2", "future", "2027-03-02"),
    ("on March 2", "past", "2026-03-02"),
    ("Thursday the 21st", "future", "2026-05-21"),
    ("in two weeks", "future", "the week of 2026-05-25"),
    ("three months ago", "past", "2026-02"),
    ("two days ago", "past", "2026-05-11"),
    ("this weekend", "future", "the weekend of 2026-05-16"),
    ("next month", "future", "2026-06"),
    ("in September", "future", "2026-09"),
    ("2026-07-01", "future", "2026-07-01"),
    ("on Wednesday", "future", None),
    ("on 31 February", "future", None),
    ("I may go", "future", None),
    ("soon", "future", None),
)


@pytest.mark.parametrize(("text", "lean", "label"), WHEN)
def test_a_date_is_a_day_of_the_calendar_or_nothing(text: str, lean: str, label: str | None) -> None:
    when = find_when(text, WEDNESDAY, "future" if lean == "future" else "past")
    assert (when.label if when else None) == label


def test_an_hour_is_read_as_written() -> None:
    assert str(find_clock("see you at 8:30pm")) == "20:30:00"
    assert find_clock("at 99") is None
