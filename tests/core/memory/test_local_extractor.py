"""Each rule, with what it takes at its word and what it does not."""

from datetime import UTC, datetime, timedelta
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
    "My birthday is soon",
    "I turned into a pumpkin",
    "my number is up",
    "my boss is a nightmare",
    "I should get a cat",
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


RETOLD = {
    "I used to live in Rome": "Mara used to live in Rome (told 2026-05-13)",
    "I left Lisbon": "Mara left Lisbon (told 2026-05-13)",
    "I turned 30 pages": "Mara turned 30 pages (told 2026-05-13)",
    "Just yesterday I joined a nearby rowing club. So good!": "Mara joined a nearby rowing club on 2026-05-12",
    "I've been carving wooden spoons, it's calming": "Mara has been carving wooden spoons (told 2026-05-13)",
    "We cycled to the lighthouse, so fun": "Mara and others cycled to the lighthouse (told 2026-05-13)",
    "My aunt and I planted tulips last week": "Mara and Mara's aunt planted tulips in the week of 2026-05-04",
    "My oldest lamp was made in Denmark": "Mara's oldest lamp was made in Denmark (told 2026-05-13)",
    "I read this book about glaciers": "Mara read a book about glaciers (told 2026-05-13)",
    "I repaired my roof because it leaked": "Mara repaired their roof (told 2026-05-13)",
    "Still waiting for the plumber": "Mara is waiting for the plumber (told 2026-05-13)",
    "I want to build a rowing boat": "Mara wants to build a rowing boat",
    "Gardening keeps me calm before exams": "Gardening keeps Mara calm before exams",
    "I have a dog-eared book": "Mara has a dog-eared book",
    "I'll repaint the shed on Friday": "Mara will repaint the shed on 2026-05-15",
}


@pytest.mark.parametrize("text", RETOLD)
def test_a_plain_sentence_of_ones_own_life_is_retold_with_its_date(text: str) -> None:
    assert [claim.statement for claim in read(text).claims] == [RETOLD[text]]


def test_she_is_who_was_spoken_of_before() -> None:
    statements = [
        claim.statement for claim in read("My daughter is at camp. She won a chess tournament!").claims
    ]
    assert statements[-1] == "Mara's daughter won a chess tournament (told 2026-05-13)"


@pytest.mark.parametrize(
    "text",
    [
        "I loved it there",
        "I think the museum closes early",
        "I'm so glad about the garden party",
        "I'd have visited Lisbon",
        "I almost visited the lighthouse museum",
        "If it rains, I'm staying in the cabin",
        "I took your umbrella from the office, haha",
        "She won a chess tournament",
        "I didn't visit the lighthouse museum",
        "Thanks for the garden photos",
        "[shares an image: I visited the lighthouse museum]",
    ],
)
def test_courtesy_conjecture_and_what_leans_on_something_else_are_left(text: str) -> None:
    assert read(text) == Extracted()


def talk(*lines: tuple[Person, str]) -> Extracted:
    """A direct chat of Mara and Ines, a minute a line."""
    said = tuple(
        Said(
            message_id=MessageId(number),
            speaker=speaker,
            addressee=INES if speaker == MARA else MARA,
            text=text,
            sent_at=WEDNESDAY + timedelta(minutes=number),
            audience_id=AudienceId(1),
            may_profile=True,
        )
        for number, (speaker, text) in enumerate(lines, start=1)
    )
    zone = ZoneInfo("Europe/Stockholm")
    return extract(Session(chat_id=ChatId(1), said=said, people=(MARA, INES, KIT), time_zone=zone))


ANSWERS = {
    ("Where do you work?", "At the harbour"): "Mara works at the harbour",
    ("so where do you live now?", "Bergen!"): "Mara lives in Bergen",
    ("What do you do for a living?", "A nurse"): "Mara is a nurse",
    ("When is your birthday?", "5 June"): "Mara's birthday is June 5",
    ("How old are you?", "34"): "Mara is 34 years old",
    ("What are you reading at the moment?", "Moby Dick"): "Mara is reading Moby Dick (told 2026-05-13)",
    ("Are you vegan?", "yes"): "Mara is vegan",
    ("How many kids do you have?", "two"): "Mara has two kids",
    ("What's your cat's name?", "Pip"): "Mara has a cat called Pip",
}


@pytest.mark.parametrize("asked", ANSWERS)
def test_a_question_and_its_short_answer_state_something_together(asked: tuple[str, str]) -> None:
    (claim,) = talk((INES, asked[0]), (MARA, asked[1])).claims
    assert (claim.statement, claim.subject, claim.hearsay) == (ANSWERS[asked], MARA, False)
    assert claim.sources == (MessageId(1), MessageId(2))


@pytest.mark.parametrize(
    "asked",
    [
        ("Where do you work?", "why?"),
        ("Where do you work?", "No idea"),
        ("Where do you work?", "it depends"),
        ("Are you vegan?", "no"),
        ("Are you sure?", "yes"),
        ("Do you have any tips?", "yes"),
        ("Where do you work? And where do you live?", "Bergen"),
    ],
)
def test_an_answer_that_leaves_it_open_states_nothing(asked: tuple[str, str]) -> None:
    assert talk((INES, asked[0]), (MARA, asked[1])).claims == ()


def test_what_one_says_of_the_other_is_theirs_once_they_say_yes_and_nobodys_once_no() -> None:
    (confirmed,) = talk((INES, "You live in Bergen."), (MARA, "Yes, since May")).claims
    assert (confirmed.statement, confirmed.hearsay) == ("Mara lives in Bergen", False)
    assert confirmed.sources == (MessageId(1), MessageId(2))
    assert talk((INES, "You live in Bergen."), (MARA, "nope")).claims == ()
    (open_still,) = talk((INES, "You live in Bergen."), (MARA, "how is the weather there?")).claims
    assert open_still.hearsay
