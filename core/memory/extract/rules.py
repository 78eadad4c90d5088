# ruff: noqa: E501 -- a pattern is read on one line
"""What counts as a statement about oneself: patterns over one clause, and how each is told.

Every pattern begins where the clause begins: what somebody else thinks, or only supposes, never does.
Groups: `name` must be a proper name; `free` is a few of the speaker's own words, in which "my" and "you"
are resolved; the rest are closed vocabularies or numbers.
"""

import re
from dataclasses import dataclass
from typing import Literal

from core.memory.extract.dates import Lean

Dating = Literal["none", "told", "needed"]
"""Whether a statement carries a date: never, where one was said, or not a statement without one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    kind: str
    pattern: re.Pattern[str]
    statement: str
    """In the third person: {who}, and the pattern's groups."""
    key: str
    confidence: float
    slot: str = ""
    dating: Dating = "none"
    lean: Lean = "past"
    of_others: bool = True
    """Whether one may say it of somebody else."""
    ends: str = ""
    """The key of what this ends, from the pattern's groups: see `Claim.ends`."""
    ends_slot: str = ""


NOW = (
    r"(?:\s+(?:just|finally|now|actually|currently|still|officially|recently|also|really|already|only|even))*"
)
I = rf"^I{NOW}\s+"  # noqa: E741 -- the pronoun
I_AM = rf"^I'm{NOW}\s+"
I_HAVE = rf"^I(?:'ve)?{NOW}\s+"
NAME = r"(?P<name>\S.*)"
FREE = r"(?P<free>\S.*)"
END = r"\s*[.!…]*$"

PETS = r"dog|cat|puppy|kitten|rabbit|bunny|parrot|hamster|horse|turtle|tortoise|guinea pig|bird|snake|lizard"
PARTNERS = r"wife|husband|partner|girlfriend|boyfriend|fiancée?|spouse"
RELATIVES = (
    r"sister|brother|mother|mom|mum|father|dad|daughter|son|grandmother|grandma|grandfather|grandpa|aunt|uncle"
    r"|cousin|niece|nephew|boss|manager|roommate|flatmate|landlord|neighbou?r|best friend|mother-in-law"
    r"|father-in-law|sister-in-law|brother-in-law|stepmother|stepfather|therapist|doctor|dentist|coach"
)
PROFESSIONS = (
    r"nurse|doctor|teacher|engineer|developer|designer|programmer|lawyer|accountant|chef|cook|writer|journalist"
    r"|architect|artist|musician|photographer|student|electrician|plumber|carpenter|baker|barista|scientist"
    r"|researcher|professor|therapist|psychologist|dentist|pharmacist|vet|veterinarian|pilot|mechanic|analyst"
    r"|consultant|counsel(?:l)?or|coach|librarian|translator|editor|product manager|project manager|manager"
    r"|social worker|paramedic|firefighter|police officer|data scientist|software engineer|physiotherapist"
)
DIETS = r"vegetarian|vegan|pescatarian|pescetarian|gluten[- ]free|lactose intolerant|dairy[- ]free|teetotal|sober|keto|halal|kosher"
ILLNESSES = (
    r"asthma|diabetes|migraines?|epilepsy|arthritis|covid|the flu|pneumonia|anxiety|depression|adhd|insomnia"
    r"|high blood pressure|celiac disease|coeliac disease|a concussion|gastritis|appendicitis|tonsillitis"
)
BODY = r"arm|leg|wrist|ankle|foot|toe|finger|thumb|hand|elbow|knee|shoulder|collarbone|nose|rib|ribs|hip|back|jaw|tooth"
THINGS = (
    r"phone|laptop|computer|tablet|camera|bike|bicycle|car|van|motorbike|scooter|boat|house|flat|apartment|piano"
    r"|guitar|violin|telescope|tent|watch|desk|sofa|couch|bed|printer|sewing machine|keyboard|console|drone"
)
EVENTS = (
    r"(?:job |doctor'?s? |dentist'?s? |vet )?(?:interview|appointment|exam|meeting|surgery|operation|flight|deadline"
    r"|audition|recital|concert|gig|race|marathon|tournament|competition|presentation|demo|game|match|wedding|check-?up"
    r"|driving test|date|performance|show|conference)"
)
GOING = (
    r"going|flying|travell?ing|driving|heading|moving|visiting|starting|leaving|seeing|taking|attending|hosting|running"
    r"|having|getting|performing|presenting|meeting|volunteering|competing|throwing|joining|launching|opening"
)


def rule(
    kind: str,
    pattern: str,
    statement: str,
    key: str,
    confidence: float,
    *,
    slot: str = "",
    dating: Dating = "none",
    lean: Lean = "past",
    of_others: bool = True,
    ends: str = "",
    ends_slot: str = "",
) -> Rule:
    return Rule(
        kind=kind,
        pattern=re.compile(pattern, re.IGNORECASE),
        statement=statement,
        key=key,
        confidence=confidence,
        slot=slot,
        dating=dating,
        lean=lean,
        of_others=of_others,
        ends=ends,
        ends_slot=ends_slot,
    )


HOME = (
    rule("home", rf"{I}live in {NAME}", "{who} lives in {name}", "{name}", 0.9, slot="home_city"),
    rule("home", rf"{I_AM}(?:living|based) in {NAME}", "{who} lives in {name}", "{name}", 0.85, slot="home_city"),
    rule(
        "home", rf"{I_HAVE}moved (?:back )?(?:from [\w-]+(?: [\w-]+)? )?(?:in)?to {NAME}", "{who} moved to {name}", "{name}", 0.9,
        slot="home_city", dating="told",
    ),
    rule(
        "plan", rf"{I_AM}(?:going to move|moving) (?:back )?to {NAME}", "{who} plans to move to {name}",
        "move to {name}", 0.85, dating="told", lean="future",
    ),
    rule(
        "home", rf"{I_AM}(?:originally )?from {NAME}", "{who} is from {name}", "{name}", 0.8, slot="origin"
    ),
    rule("home", rf"{I}(?:grew up|was born) in {NAME}", "{who} grew up in {name}", "{name}", 0.85, slot="origin"),
)  # fmt: skip
WORK = (
    rule("work", rf"{I}work (?:at|for) {NAME}", "{who} works at {name}", "{name}", 0.9, slot="employer"),
    rule("work", rf"{I_AM}working (?:at|for) {NAME}", "{who} works at {name}", "{name}", 0.8, slot="employer"),
    rule(
        "work", rf"{I_HAVE}(?:started|start|got|accepted|taken|took|landed|found)(?: working|(?: an?| the| my)?(?: new)? (?:job|position|internship))"
        rf" (?:at|with) {NAME}", "{who} works at {name}", "{name}", 0.85, slot="employer", dating="told",
    ),
    rule(
        "work", rf"{I}work as an? (?P<job>[\w ]{{0,24}}?(?:{PROFESSIONS}))\b", "{who} works as a {job}", "{job}", 0.9,
        slot="job",
    ),
    rule(
        "work", rf"{I_AM}an? (?P<job>(?:\w+ ){{0,2}}?(?:{PROFESSIONS})){END}", "{who} is a {job}", "{job}", 0.8,
        slot="job",
    ),
    rule("work", rf"{I_HAVE}(?:quit|resigned from|left) my job\b", "{who} quit their job", "quit", 0.85, dating="told"),
    rule(
        "work", rf"{I_HAVE}(?:lost my job|(?:been|got|was) (?:laid off|fired|made redundant))\b",
        "{who} lost their job", "lost job", 0.85, dating="told",
    ),
    rule("work", rf"{I_HAVE}(?:been|got|was) promoted\b", "{who} was promoted", "promoted", 0.85, dating="told"),
    rule(
        "work", rf"{I_HAVE}(?:got|landed|found|started|accepted|taken|took) (?:an?|the|my) (?:new )?job\b(?! (?:at|with))",
        "{who} has a new job", "new job", 0.75, dating="told",
    ),
    rule("work", rf"{I_HAVE}(?:opened|started|launched) my own (?P<thing>store|shop|business|company|studio|restaurant|caf[eé]|blog|agency)\b",
          "{who} started their own {thing}", "own {thing}", 0.85, dating="told"),
    rule(
        "education", rf"{I_HAVE}graduated(?: (?:from|at) {NAME})?", "{who} graduated from {name}", "graduated {name}", 0.85,
        dating="told",
    ),
    rule("education", rf"{I}study at {NAME}", "{who} studies at {name}", "{name}", 0.85, slot="school"),
)  # fmt: skip
DIET = (
    rule(
        "diet", rf"{I_AM}(?:an? )?(?P<diet>{DIETS})(?: now| these days| since .{{3,20}})?{END}", "{who} is {diet}", "{diet}", 0.9,
        slot="diet",
    ),
    rule(
        "diet", rf"{I_HAVE}(?:became|become|gone|went|turned|been) (?:an? )?(?P<diet>{DIETS})\b", "{who} is {diet}",
        "{diet}", 0.85, slot="diet",
    ),
    rule(
        "diet", rf"{I_HAVE}(?:stopped eating|quit|quit eating|given up|gave up|cut out) (?P<food>meat|fish|dairy|sugar|gluten|alcohol|coffee|smoking|drinking|caffeine|soda)\b",
        "{who} gave up {food}", "no {food}", 0.85,
    ),
    rule(
        "diet", rf"{I}don't (?:eat|drink) (?P<food>meat|fish|pork|beef|dairy|gluten|alcohol|coffee|sugar|eggs|seafood|shellfish|milk)\b(?: anymore)?",
        "{who} does not have {food}", "no {food}", 0.85,
    ),
    rule("diet", r"^(?:no )?meat,?(?: and)? no fish\b(?! (?:left|today|here|there))", "{who} eats no meat and no fish", "no meat no fish", 0.75, of_others=False),
    rule(
        "health", rf"{I_AM}(?:\w+ly )?allergic to (?P<free>[\w' -]{{3,40}}?)(?= and (?!\w+$)|,|{END}| so | but )", "{who} is allergic to {free}",
        "allergic {free}", 0.9,
    ),
)  # fmt: skip
HEALTH = (
    rule(
        "health", rf"{I_HAVE}(?P<verb>broke|broken|sprained|fractured|dislocated|twisted|injured|tore) my (?P<side>left |right )?(?P<part>{BODY})\b",
        "{who} {verb} their {side}{part}", "hurt {part}", 0.85, dating="told",
    ),
    rule(
        "health", rf"{I}(?:was|got|have been|'ve been) diagnosed with (?P<illness>{ILLNESSES}|[\w-]+)\b", "{who} was diagnosed with {illness}",
        "{illness}", 0.9, dating="told",
    ),
    rule("health", rf"{I}have (?P<illness>{ILLNESSES})\b", "{who} has {illness}", "{illness}", 0.8),
    rule("health", rf"{I_HAVE}tested positive for (?P<illness>\w+)", "{who} tested positive for {illness}", "{illness}", 0.9, dating="told"),
    rule(
        "health", rf"{I_AM}(?:having|getting) (?P<what>surgery|an operation|an mri|a root canal)\b", "{who} is having {what}",
        "{what}", 0.8, dating="needed", lean="future",
    ),
)  # fmt: skip
FAMILY = (
    rule("family", rf"{I_HAVE}(?:got|gotten) (?P<what>engaged|married|divorced)\b", "{who} got {what}", "{what}", 0.9, dating="told"),
    rule("family", rf"{I_AM}(?P<what>pregnant|engaged|married|divorced|single){END}", "{who} is {what}", "{what}", 0.8),
    rule(
        "family", rf"{I_AM}getting (?P<what>married|divorced)\b", "{who} is getting {what}", "{what}", 0.85, dating="told",
        lean="future",
    ),
    rule(
        "family", rf"{I}have (?P<count>an?|one|two|three|four|five|[1-9]) (?P<who_else>kids?|children|child|sons?|daughters?|brothers?|sisters?|siblings?)\b",
        "{who} has {count} {who_else}", "{count} {who_else}", 0.85,
    ),
    rule(
        "family", r"^my (?P<rel>wife|husband|partner|girlfriend|sister|daughter|cousin|niece) is (?:pregnant|expecting)\b",
        "{who}'s {rel} is pregnant", "{rel} pregnant", 0.85,
    ),
    rule(
        "relation", rf"^my (?P<rel>{PARTNERS})(?:'s name is|,? is called|,| is named)? {NAME}", "{who}'s {rel} is {name}", "{rel} {name}", 0.8,
        slot="partner",
    ),
    rule(
        "relation", rf"^my (?P<rel>(?:(?:older|younger|little|big|twin|new|old) )?(?:{RELATIVES}))(?:'s name is|,? is called|,| is named)? {NAME}",
        "{who}'s {rel} is {name}", "{rel} {name}", 0.8,
    ),
)  # fmt: skip
DATES = (
    rule("birthday", r"^my birthday is\b(?P<rest>.*)", "{who}'s birthday is {day}", "{day}", 0.9, slot="birthday", dating="needed", lean="future"),
    rule("birthday", r"^(?:it's|its|today is) my birthday\b(?P<rest>.*)", "{who}'s birthday is {day}", "{day}", 0.85, slot="birthday", dating="needed", lean="future"),
    rule("age", rf"^(?:{NOW}\s*)?I(?:'ve)?{NOW} turned (?P<age>[1-9]\d)\b(?!\w|%| pages| degrees)", "{who} turned {age}", "{age}", 0.85, slot="age", dating="told"),
    rule("age", rf"{I_AM}(?P<age>[1-9]\d) years old\b", "{who} is {age} years old", "{age}", 0.9, slot="age"),
    rule("age", rf"{I_AM}turning (?P<age>[1-9]\d)\b", "{who} turns {age}", "turns {age}", 0.85, dating="needed", lean="future"),
)  # fmt: skip
PLANS = (
    rule(
        "plan", rf"{I_AM}(?P<verb>{GOING})\b(?P<free>.*)", "{who} plans: {verb} {free}", "{verb} {free} {date}", 0.75,
        dating="needed", lean="future",
    ),
    rule(
        "plan", rf"{I}(?:have|'ve got|got) (?:an?|my|the) (?P<free>(?:[\w']+ ){{0,2}}?{EVENTS})\b", "{who} has {article} {free}",
        "{free} {date}", 0.75, dating="needed", lean="future",
    ),
    rule(
        "plan", rf"^my (?P<free>(?:[\w']+ ){{0,2}}?{EVENTS}) is\b", "{who} has {article} {free}", "{free} {date}", 0.8,
        dating="needed", lean="future",
    ),
    rule(
        "plan", rf"^I{NOW} start (?P<free>(?:my |a |the )?(?:new job|new role|work|school|course|internship|[\w' ]{{2,20}}(?:class|course|classes)))\b",
        "{who} starts {free}", "start {free} {date}", 0.75, dating="needed", lean="future",
    ),
    rule(
        "whereabouts", rf"^I'll{NOW} be in {NAME}", "{who} is in {name}", "{name} {date}", 0.75, dating="needed", lean="future",
    ),
    rule(
        "whereabouts", rf"^I(?:'m|'ll be){NOW} (?:away|off|off work|on vacation|on holiday|on leave|out of office|travell?ing)\b.*?\b(?:until|till|through)\b(?P<after>.*)",
        "{who} is away until {date}", "away until {date}", 0.8, dating="needed", lean="future",
    ),
    rule(
        "whereabouts", rf"^I(?:'m|'ll be){NOW} (?:away|on vacation|on holiday|out of office|off work|travell?ing)\b(?P<rest>.*)",
        "{who} is away", "away {date}", 0.75, dating="needed", lean="future",
    ),
    rule(
        "plan", rf"{I_HAVE}(?:signed up for|enrolled in|registered for) (?P<free>an? [\w' -]{{3,40}}?)(?=[,.!]|$| (?:in|on|for|next|this|last|to|because|with|at)\b)",
        "{who} signed up for {free}", "{free}", 0.75, dating="told", of_others=False,
    ),
)  # fmt: skip
THINGS_AND_TASTES = (
    rule(
        "pet", rf"^I(?:'ve)?{NOW} (?:have|got|adopted|bought|rescued) (?:an?|another|two|my)? ?(?:\w+ )?(?P<pet>{PETS})s? (?:named|called) {NAME}",
        "{who} has a {pet} called {name}", "{pet} {name}", 0.9,
    ),
    rule("pet", rf"^my (?P<pet>{PETS})(?:'s name is| is called| is named|,|) {NAME}", "{who} has a {pet} called {name}", "{pet} {name}", 0.85),
    rule("pet", rf"^I(?:'ve)?{NOW} (?:adopted|rescued|got) an? (?:(?:new|little|small|old|rescue|white|black|grey|gray|brown|orange) )*(?P<pet>{PETS})(?!\w| called| named|s)\b", "{who} got a {pet}", "{pet}", 0.8, dating="told"),
    rule("pet", rf"^I{NOW} (?:have|own) an? (?:(?:little|small|big|old|young|rescue|white|black|grey|gray|brown|orange) )*(?P<pet>{PETS})(?: now)?{END}", "{who} has a {pet}", "{pet}", 0.8),
    rule("possession", rf"^I(?:'ve)?{NOW} (?:got|bought|ordered) (?:an?|my)(?: brand)? new (?P<thing>{THINGS})\b", "{who} got a new {thing}", "new {thing}", 0.8, dating="told"),
    rule("possession", rf"^I(?:'ve)?{NOW} (?:bought|purchased) an? (?P<thing>{THINGS})\b", "{who} bought a {thing}", "{thing}", 0.8, dating="told"),
    rule("contact_detail", r"^(?:my |it's me,? )?(?:new phone,? )?(?:new )?(?:phone )?(?:number|mobile|cell)(?: is|:| now is)\s*(?P<phone>\+?\d[\d ()-]{6,18}\d)", "{who}'s phone number is {phone}", "{phone}", 0.9, slot="phone", of_others=False),
    rule("contact_detail", r"^my (?:new )?(?:e-?mail|email address)(?: address)?(?: is|:)\s*(?P<email>[\w.+-]+@[\w-]+\.[\w.-]*\w)", "{who}'s email address is {email}", "{email}", 0.9, slot="email", of_others=False),
    rule("contact_detail", r"^my (?:new )?address(?: is|:)\s*(?P<address>(?=[^!?]*\d)[^!?]{6,70}?)[.!]*$", "{who}'s address is {address}", "{address}", 0.85, slot="address", of_others=False),
    rule(
        "preference", r"^my (?:all[- ]time )?favou?rite (?P<thing>[\w ]{3,24}?) (?:is|are|has to be) (?P<free>(?!also|not|when|how|because|that|this|so\b|the best)[\w' -]{2,40}?)(?=[,.!]|$| (?:because|since|and|but|so|for|by|it|which)\b)",
        "{who}'s favourite {thing} is {free}", "{thing} {free}", 0.85, of_others=False,
    ),
    rule(
        "preference", rf"^I{NOW} (?P<verb>love|enjoy|adore|can't stand|dislike|prefer) (?P<free>(?!it|the |no |spending |any|this|that|these|those|you|your|him|her|his|them|their|how|when|what|where|who|hearing|seeing|the way|the fact|the idea|us\b|our|being|getting|having|all|some|every|one|to )[a-z][\w' -]{{2,48}}?)(?=[.!,]|$| (?:because|since|but|so|too|as well|especially)\b)",
        "{who} {verb} {free}", "{verb} {free}", 0.65, of_others=False,
    ),
    rule("language", rf"^I{NOW} speak (?P<lang>(?:fluent |some |a little )?[A-Z]\w+(?:(?:, | and )[A-Z]\w+)*){END}", "{who} speaks {lang}", "{lang}", 0.85),
    rule("hobby", rf"^I(?:'m|'ve)?{NOW} (?:learning|started learning|been learning) (?P<free>(?!a ton|a lot|so much|more|about|that|from)(?:to |how to )?[\w' -]{{3,30}}?)(?=[,.!]|$| (?:because|since|and|but|so|for|with|from|at|on|by|as)\b)", "{who} is learning {free}", "learn {free}", 0.75, of_others=False),
    rule("hobby", rf"^I{NOW} play (?:the )?(?P<thing>piano|guitar|violin|drums|clarinet|cello|flute|bass|saxophone|trumpet|ukulele|football|soccer|tennis|basketball|chess|volleyball|hockey|badminton|golf|rugby|handball)\b", "{who} plays {thing}", "{thing}", 0.85),
    rule("hobby", rf"^I(?:'ve)?{NOW} (?:started|taken up|took up|picked up) (?P<thing>yoga|running|climbing|bouldering|painting|pottery|knitting|swimming|cycling|gardening|baking|surfing|meditat(?:ion|ing)|dancing|photography|hiking|kickboxing|woodworking|journaling)\b", "{who} took up {thing}", "{thing}", 0.85, dating="told"),
)  # fmt: skip
PAST_EVENTS = (
    rule(
        "event", rf"^I(?:'ve)?{NOW} (?P<verb>went (?:to|on|camping|hiking|swimming|skiing|climbing|sailing|surfing|fishing|kayaking|shopping)|visited|attended|joined|finished|completed|won|met up with|met with|met|hosted|organi[sz]ed|ran|climbed|participated in|performed|volunteered|launched|opened|passed|failed|applied (?:to|for)|signed up for|enrolled in|baked|painted|built|saw|watched|took|made|lost|found|bought|sold|donated|started|painted)\b(?P<free>.*)",
        "{who} {verb} {free}", "{verb} {free} {date}", 0.7, dating="needed", of_others=False,
    ),
    rule(
        "event", rf"^I{NOW} (?P<verb>passed|failed|won|aced|finished|completed|joined) (?P<free>(?:my|the|an?) [\w' -]{{3,50}}?)(?=[,.!]|$| (?:because|since|and|but|so|in|at|on|with|after|last|this)\b)",
        "{who} {verb} {free}", "{verb} {free}", 0.7, dating="told", of_others=False,
    ),
)  # fmt: skip
RULES: tuple[Rule, ...] = (
    *HOME,
    *WORK,
    *DIET,
    *HEALTH,
    *FAMILY,
    *DATES,
    *PLANS,
    *THINGS_AND_TASTES,
    *PAST_EVENTS,
)

PROMISE = re.compile(
    r"^(?:I'll|I promise (?:to|I'll)|I'm going to)\s+(?:definitely |totally |just |also )?"
    r"(?P<verb>send|bring|call|pay|text|email|review|finish|check|book|buy|pick up|share|forward|return|fix|write|print"
    r"|prepare|lend|transfer|order|read|cook|bake|meet|drop off|drop|get back to|give|make(?! sure)|show|update|deliver|feed|water)\b"
    r"(?P<free>.*)$",
    re.IGNORECASE,
)
