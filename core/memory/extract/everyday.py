# ruff: noqa: E501 -- a pattern is read on one line
"""The small things that people say of their days: habits, kin, what they cannot eat, where they will be."""

from core.memory.extract.dates import LONG_WEEKDAY
from core.memory.extract.rules import (
    BODY,
    END,
    EVENTS,
    I_AM,
    I_HAVE,
    NAME,
    NOW,
    PARTNERS,
    PETS,
    PROFESSIONS,
    RELATIVES,
    I,
    rule,
)

KIN = rf"(?:(?:older|younger|little|big|twin|eldest|youngest) )?(?:{RELATIVES}|{PARTNERS})"
OFTEN = (
    rf"(?P<often>every (?:other |second |single )?(?:day|morning|evening|night|week|weekend|month|summer|winter|spring|autumn|{LONG_WEEKDAY})"
    rf"|(?:on )?(?:{LONG_WEEKDAY})s(?: and (?:{LONG_WEEKDAY})s)?|(?:once|twice|(?:two|three|four|five) times) (?:a|per) (?:day|week|month|year))"
)
DOES = {
    "climb": "climbs", "run": "runs", "swim": "swims", "cycle": "cycles", "bike": "bikes", "walk": "walks",
    "dance": "dances", "paint": "paints", "draw": "draws", "knit": "knits", "sew": "sews", "bake": "bakes",
    "garden": "gardens", "surf": "surfs", "ski": "skis", "sail": "sails", "row": "rows", "box": "boxes",
    "meditate": "meditates", "journal": "journals", "volunteer": "volunteers", "train": "trains", "teach": "teaches",
    "work": "works", "cook": "cooks", "read": "reads", "commute": "commutes", "drive": "drives", "go": "goes",
    "do": "does", "have": "has", "take": "takes", "play": "plays", "practise": "practises", "practice": "practices",
    "sing": "sings", "hike": "hikes", "write": "writes", "visit": "visits", "call": "calls", "eat": "eats",
    "drink": "drinks", "sleep": "sleeps", "get up": "gets up", "wake up": "wakes up", "go to bed": "goes to bed",
    "smoke": "smokes", "study": "studies", "skateboard": "skateboards", "fish": "fishes",
}  # fmt: skip
"""What one does, in the third person."""
SPORTS = "climb|run|swim|cycle|dance|paint|draw|knit|sew|bake|garden|surf|ski|sail|row|box|meditate|journal|volunteer|skateboard|hike"
DOING = "|".join(sorted(DOES, key=len, reverse=True))
ACTIVITY = (
    r"climbing|bouldering|running|swimming|yoga|pilates|choir|football|soccer|tennis|badminton|basketball|volleyball|hockey"
    r"|dance class|dancing|pottery|laundry|cleaning|therapy|gym|band practice|rehearsal|training|pub quiz|quiz night|board games"
)
FOOD = (
    r"meat|fish|pork|beef|chicken|lamb|dairy|gluten|alcohol|coffee|sugar|eggs?|seafood|shellfish|milk|(?:oat|soy|cow'?s) milk|nuts|peanuts"
    r"|wheat|bread|lactose|cheese|mushrooms?|tomato(?:es)?|onions?|garlic|coriander|cilantro|caffeine|soda|chocolate|spicy food|olives|raisins"
)
FEARS = r"heights|flying|spiders|snakes|dogs|the dark|needles|the dentist|water|deep water|clowns|public speaking|thunder(?:storms)?|birds|mice|rats|wasps|bees"
FIELDS = (
    r"marketing|finance|sales|hr|it|tech|healthcare|education|retail|advertising|publishing|construction|logistics|insurance|banking"
    r"|hospitality|journalism|research|politics|law|film|fashion|real estate|customer service|public relations|software"
)
SUBJECTS = (
    r"law|medicine|biology|chemistry|physics|math(?:s|ematics)?|history|economics|psychology|sociology|philosophy|linguistics|literature"
    r"|architecture|engineering|computer science|nursing|design|art|art history|music|business|politics|political science|geography|journalism"
    r"|education|veterinary medicine|pharmacy|accounting|marketing|statistics|data science|counsel(?:l)?ing"
)
NOT_A_THING = (
    r"(?!it\b|the way|the fact|the idea|this|that|these|those|you|your|him|her|his|them|their|how|when|what|where|who|being|getting"
    r"|having|all|some|every|one\b|to |any|much|a lot|us\b|our|myself|seeing|hearing|looking|talking|knowing|feeling)"
)
TASTE_END = r"(?=[.!,]|$| (?:because|since|but|so|too|as well|especially|at all)\b)"
GOT = r"job|flat|apartment|house|place|position|role|scholarship|visa|internship|grant|mortgage|promotion"

HABITS = (
    rule("habit", rf"^I(?: (?:usually|always|normally|generally))?{NOW} (?P<does>{DOING})\b(?P<free>(?: [\w'-]+){{0,5}}?) {OFTEN}\b", "{who} {does} {free} {often}", "{does} {free} {often}", 0.8, of_others=False),
    rule("habit", rf"^(?P<often>(?:on )?(?:{LONG_WEEKDAY})s|every (?:day|morning|evening|{LONG_WEEKDAY})),? I(?: (?:usually|always))? (?P<does>{DOING})\b(?P<free>(?: [\w'-]+){{0,5}}?){END}", "{who} {does} {free} {often}", "{does} {free} {often}", 0.8, of_others=False),
    rule("habit", rf"^(?P<weekday>{LONG_WEEKDAY})(?:s|'s)?(?: is| are|'s)?(?: always)?(?: my)? (?P<thing>{ACTIVITY})\b(?! (?:was|is|has|got|time\b))", "{who} has {thing} on {weekday}s", "{thing} {weekday}s", 0.75, of_others=False),
    rule("habit", rf"^I{NOW} (?P<does>bike|cycle|walk|run|drive|commute|skate|swim) (?P<free>(?:everywhere|to (?:work|school|uni|the office)))\b", "{who} {does} {free}", "{does} {free}", 0.8, of_others=False),
    rule("habit", rf"^I{NOW} take the (?P<thing>bus|train|tram|metro|subway|ferry) to (?P<where>work|school|uni|the office)\b", "{who} takes the {thing} to {where}", "{thing} to {where}", 0.8, of_others=False),
    rule("habit", rf"^I{NOW} work (?P<how>from home|remotely|part[- ]time|full[- ]time|nights|night shifts|shifts|weekends)\b(?! (?:today|tomorrow|tonight|this|next|on|until))", "{who} works {how}", "{how}", 0.8),
    rule("hobby", rf"^I{NOW} (?P<does>{SPORTS}){END}", "{who} {does}", "{does}", 0.7, of_others=False),
    rule("hobby", r"^I(?:'ve| have) been (?P<doing>climbing|running|swimming|painting|dancing|knitting|sailing|surfing|skiing|boxing|meditating|drawing|baking|gardening|hiking|bouldering|volunteering|journaling) (?P<since>for (?:\w+ ){1,3}?(?:years|months|decades)|since (?:\d{4}|(?:I was|I were) (?:\d+|a kid|a child|little|young)|childhood))\b", "{who} has been {doing} {since}", "{doing}", 0.8, of_others=False),
)  # fmt: skip
TRAITS = (
    rule("diet", rf"^I{NOW} (?:can't|cannot|don't|never) (?:eat|drink|have|do) (?P<food>{FOOD})\b(?! (?:today|tonight|tomorrow|here|there|before|after|until|on|in|for|at|this|right now))", "{who} does not have {food}", "no {food}", 0.8),
    rule("diet", rf"{I_HAVE}(?:stopped|quit|given up|gave up|cut out)(?: (?:eating|drinking|having|using|with|on))? (?:the )?(?P<food>{FOOD})\b", "{who} gave up {food}", "no {food}", 0.8),
    rule("diet", rf"{I_AM}(?P<food>lactose|gluten|fructose)[- ]intolerant\b", "{who} is {food} intolerant", "{food} intolerant", 0.9),
    rule("diet", rf"^I (?P<verb>don't|never) (?P<does>drink|smoke)(?: any ?more| at all| alcohol)?{END}", "{who} does not {does}", "no {does}", 0.85),
    rule("trait", rf"^I (?:don't|can't|never learned to) (?P<does>drive|swim|cook|dance|sing)(?: at all)?{END}", "{who} does not {does}", "no {does}", 0.7),
    rule("trait", rf"^I don't have an? (?P<thing>car|driving licen[cs]e|licen[cs]e|tv|television|dishwasher|washing machine)(?: any ?more)?{END}", "{who} has no {thing}", "no {thing}", 0.8, of_others=False),
    rule("preference", rf"^I{NOW} don't (?:really |particularly |even )?(?:like|enjoy) (?P<free>{NOT_A_THING}[a-z][\w' -]{{2,40}}?){TASTE_END}", "{who} does not like {free}", "dislike {free}", 0.65, of_others=False),
    rule("preference", rf"^I(?: do)?{NOW} (?:really )?like (?P<free>{NOT_A_THING}(?!the |a |an )[a-z][\w' -]{{2,40}}?){TASTE_END}", "{who} likes {free}", "like {free}", 0.6, of_others=False),
    rule("preference", rf"{I_AM}(?:a (?:big|huge|real|lifelong) )fan of (?P<free>{NOT_A_THING}[\w' -]{{2,40}}?){TASTE_END}", "{who} is a fan of {free}", "fan {free}", 0.75, of_others=False),
    rule("preference", rf"{I_AM}(?:really |big |super |totally )?into (?P<free>{NOT_A_THING}(?!the |a |an |pieces)[a-z][\w' -]{{2,40}}?){TASTE_END}", "{who} is into {free}", "into {free}", 0.65, of_others=False),
    rule("preference", rf"^(?P<free>{NOT_A_THING}[\w' -]{{2,30}}?) (?:is|are) my (?:all[- ]time )?favou?rite (?P<thing>[\w]{{3,20}}){END}", "{who}'s favourite {thing} is {free}", "{thing} {free}", 0.8, of_others=False),
    rule("trait", rf"{I_AM}(?:\w+ )?(?:afraid|scared|terrified) of (?P<fear>{FEARS})\b", "{who} is afraid of {fear}", "afraid {fear}", 0.8, of_others=False),
    rule("trait", rf"{I_AM}(?:an? )?(?P<trait>left[- ]handed|colou?r[- ]?blind|short[- ]sighted|near[- ]sighted|dyslexic|deaf|an introvert|an extrovert|introvert|extrovert|morning person|night owl|early bird|only child|retired|self-employed|unemployed|trans|gay|bisexual|lesbian|non-binary){END}", "{who} is {a_trait}", "{trait}", 0.8),
    rule("trait", rf"^I wear (?P<thing>glasses|contacts|contact lenses|hearing aids)(?: now)?{END}", "{who} wears {thing}", "{thing}", 0.8),
    rule("age", rf"{I_AM}(?P<age>1[4-9]|[2-9]\d)(?: years old)?(?: now| today)?{END}", "{who} is {age} years old", "{age}", 0.75, slot="age"),
    rule("birthday", rf"{I}was born in (?P<year>19\d\d|20[012]\d)\b", "{who} was born in {year}", "born {year}", 0.9),
)  # fmt: skip
WORK_AND_STUDY = (
    rule("work", rf"{I_AM}(?:working as )?an? (?P<job>(?:\w+ ){{0,2}}?(?:{PROFESSIONS})) (?:at|for|with) {NAME}", "{who} is a {job} at {name}", "{job}", 0.85, slot="job"),
    rule("work", rf"{I_AM}(?:working|employed) as an? (?P<job>(?:\w+ ){{0,2}}?(?:{PROFESSIONS}))\b", "{who} works as a {job}", "{job}", 0.85, slot="job"),
    rule("work", rf"{I}work in (?P<field>{FIELDS})\b", "{who} works in {field}", "{field}", 0.85, slot="field"),
    rule("work", rf"{I_HAVE}been (?:working )?(?:at|with) {NAME}(?= (?:for|since)\b)(?<!home)", "{who} works at {name}", "{name}", 0.75, slot="employer"),
    rule("education", rf"^I(?:'m{NOW} studying|{NOW} study) (?P<subject>{SUBJECTS})(?: (?:at|in) {NAME})?", "{who} studies {subject}", "{subject}", 0.85, slot="subject"),
    rule("education", rf"{I_AM}(?:doing|finishing|starting|writing) (?:my|an?) (?P<what>phd|master'?s(?: thesis| degree)?|bachelor'?s(?: thesis| degree)?|internship|apprenticeship|thesis|dissertation)\b", "{who} is doing a {what}", "{what}", 0.8),
    rule("education", rf"{I_HAVE}(?:got|gotten|been accepted) into {NAME}", "{who} got into {name}", "into {name}", 0.75, dating="told"),
    rule("event", rf"{I_HAVE}(?:got|gotten) (?:the|my) (?P<thing>{GOT}){END}", "{who} got the {thing}", "got {thing}", 0.75, of_others=False),
)  # fmt: skip
PEOPLE = (
    rule("relation", rf"^{NAME} is my (?P<rel>{KIN}){END}", "{who}'s {rel} is {name}", "{rel} {name}", 0.85, of_others=False),
    rule("relation", rf"^my (?P<rel>{KIN})(?: (?:is|lives|moved|is based))(?: back)? (?:in|to) {NAME}", "{who}'s {rel} lives in {name}", "{rel} in {name}", 0.65, of_others=False),
    rule("relation", rf"^my (?P<rel>{KIN}) (?:works (?:at|for)) {NAME}", "{who}'s {rel} works at {name}", "{rel} at {name}", 0.85, of_others=False),
    rule("relation", rf"^my (?P<rel>{KIN}|friend|best friend) (?:is|works as) an? (?P<job>{PROFESSIONS})\b", "{who}'s {rel} is a {job}", "{rel} {job}", 0.8, of_others=False),
    rule("relation", rf"^my (?P<rel>{KIN})(?: just)? (?:got|is) (?P<what>married|engaged|divorced|promoted|retired)\b", "{who}'s {rel} got {what}", "{rel} {what}", 0.8, dating="told", of_others=False),
    rule("relation", rf"^my (?P<rel>{KIN})(?: has|'s)?(?: just)? (?:passed away|died)\b", "{who}'s {rel} died", "{rel} died", 0.9, dating="told", of_others=False),
    rule("relation", rf"^my (?P<rel>grandma|grandmother|grandpa|grandfather|{KIN})(?:'s|s| is)?(?: back)? in (?:the )?hospital\b", "{who}'s {rel} is in hospital", "{rel} hospital", 0.8, of_others=False),
    rule("relation", rf"^my (?P<rel>{KIN}) (?:has|owns) an? (?P<free>(?:[\w-]+ )?(?:cabin|boat|car|house|farm|shop|store|restaurant|bakery|dog|cat|horse|band|garden))\b(?! (?:accident|problem))", "{who}'s {rel} has a {free}", "{rel} has {free}", 0.8, of_others=False),
    rule("relation", rf"^my (?P<rel>son|daughter) is (?P<age>[1-9]\d?|two|three|four|five|six|seven|eight|nine|ten)(?: years old)?{END}", "{who}'s {rel} is {age} years old", "{rel} {age}", 0.85, of_others=False),
    rule("relation", r"^my (?P<pet>kids?|twins|children) are (?P<age>[1-9]\d? and [1-9]\d?)\b", "{who}'s {pet} are {age} years old", "{pet} {age}", 0.85, of_others=False),
    rule("plan", rf"^my (?P<rel>{KIN}|parents|kids|friends) (?:is|are) (?P<doing>visiting|coming|coming over|arriving|coming to visit|coming to stay|moving in|getting married|flying in)\b", "{who}'s {rel} visiting: {doing}", "{rel} {doing} {date}", 0.75, dating="needed", lean="future", of_others=False),
    rule("family", rf"{I_AM}(?:expecting|having) (?P<what>a baby|twins|a boy|a girl)\b", "{who} is expecting {what}", "expecting {what}", 0.85),
    rule("family", rf"{I_HAVE}been (?P<what>married|together|divorced|single) (?P<since>for (?:\w+ ){{1,2}}?(?:years|months)|since \d{{4}})\b", "{who} has been {what} {since}", "{what} {since}", 0.8, of_others=False),
    rule("pet", rf"^my (?P<pet>{PETS})(?:'s name is|,? (?:is )?(?:called|named)) {NAME}", "{who} has a {pet} called {name}", "{pet} {name}", 0.9, of_others=False),
)  # fmt: skip
OUT_AND_ABOUT = (
    rule("whereabouts", rf"^I(?:'m|'ll be){NOW} (?:back |still )?in {NAME}", "{who} is in {name}", "{name} {date}", 0.75, dating="needed", lean="future", of_others=False),
    rule("whereabouts", rf"^I(?:'m|'ll be){NOW} (?P<state>out all day|home|at home|working from home|off work|off|out of office|in the office|on call|working nights|on nights)\b(?! (?:of|to|the|with|this (?:afternoon|morning|evening)|early)\b)", "{who} is {state}", "{state} {date}", 0.75, dating="needed", lean="future", of_others=False),
    rule("plan", rf"^I(?:'ve)?{NOW} (?:have|got) (?:an?|my|the)? ?(?P<free>(?:[\w']+ ){{0,2}}?(?:shift|night shift|class|lesson|viewing|rehearsal|scan|mri|physio|haircut|call|meeting|checkup|dentist|party|dinner|lecture|workshop|reunion|{EVENTS}))\b", "{who} has {article} {free}", "{free} {date}", 0.75, dating="needed", lean="future", of_others=False),
    rule("plan", r"^my (?P<thing>train|flight|plane|bus|ferry|boat) (?P<does>leaves|departs|arrives|lands)\b", "{who}'s {thing} {does}", "{thing} {does} {date}", 0.8, dating="needed", lean="future", of_others=False),
    rule("plan", r"^I(?:'ve)?(?: just| finally)? booked (?P<free>(?:flights?|tickets?|a table|a room|an? (?:appointment|hotel|flat|cabin|train|flight)|(?:the|my) (?:flights?|tickets?|trains?|cabin|hotel|appointment))(?: [\w'-]+){0,4}?)(?=[,.!]|$| (?:because|since|and|but|so)\b)", "{who} booked {free}", "booked {free} {date}", 0.75, dating="told", lean="future", of_others=False),
    rule("possession", rf"{I_HAVE}(?:sold|gave away|given away) my (?P<thing>(?:old )?(?:car|bike|bicycle|flat|house|piano|guitar|camera|boat|van|motorbike|laptop|couch|sofa))\b", "{who} sold or gave away their {thing}", "gone {thing}", 0.8, dating="told", of_others=False),
    rule("possession", rf"{I_HAVE}(?P<lost>lost|dropped|broke) my (?P<thing>phone|laptop|camera|wallet|keys|glasses|bike|tablet|watch|passport)\b", "{who} {lost} their {thing}", "lost {thing} {date}", 0.8, dating="told", of_others=False),
    rule("possession", rf"{I}own an? (?P<free>(?:[\w-]+ )?(?:car|bike|bicycle|van|motorbike|boat|house|flat|apartment|cabin|piano|guitar|violin|telescope|sewing machine|drone|farm))\b", "{who} owns a {free}", "{free}", 0.8, of_others=False),
    rule("possession", r"^my (?P<thing>bike|bicycle|car|phone|laptop|wallet|passport|bag) (?:just )?(?:got|was|has been) (?P<what>stolen|damaged)\b", "{who}'s {thing} was {what}", "{thing} {what}", 0.8, dating="told", of_others=False),
    rule("health", rf"{I_HAVE}(?:had|got) (?P<what>a cold|covid|the flu|surgery|an operation|a fever|food poisoning|a root canal|an? mri|stitches|a migraine)\b", "{who} had {what}", "{what} {date}", 0.75, dating="needed", of_others=False),
    rule("health", rf"^my (?P<part>(?:left |right )?(?:{BODY})) is (?P<what>broken|sprained|fractured|in a cast|dislocated)\b", "{who}'s {part} is {what}", "{part} {what}", 0.8, of_others=False),
    rule("event", r"^we (?:just |all |both |finally )?(?P<verb>went (?:to|on|camping|hiking|swimming|skiing|climbing|sailing|surfing|fishing|kayaking|biking|shopping)|visited|attended|hosted|moved into|adopted)\b(?P<free>.*)", "{who} {verb} {free}", "{verb} {free} {date}", 0.65, dating="needed", of_others=False),
)  # fmt: skip
EVERYDAY = (*HABITS, *TRAITS, *WORK_AND_STUDY, *PEOPLE, *OUT_AND_ABOUT)

PRESUPPOSED = rule(
    "family",
    r"^.*?\bmy (?:(?:older|younger|little|big|twin|eldest|youngest|oldest) )?"
    r"(?P<kin>sister|brother|wife|husband|girlfriend|boyfriend|fianc[ée]e?|daughter|son|kids|children|twins|niece|nephew|cousin|grandson"
    r"|granddaughter|roommate|flatmate|stepsister|stepbrother)s?\b"
    r"(?!-in-law| in law| from another| figure)(?!.*\b(?:died|passed away|ex|late|left me|divorced?|broke up|broken up)\b)",
    "{who} has {a_kin}",
    "{kin}",
    0.7,
    of_others=False,
)
"""Who is mentioned as one's own is there, whatever is said of them."""
