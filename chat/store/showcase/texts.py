"""Sentences, titles, and names, put together from a stock by a random generator with a seed."""

from random import Random

FIRST_NAMES = """
Ada Amara Anton Beatriz Björn Chiara Dmitri Elif Emeka Farah Grace Hana Hugo Ines Ivan Jamal Jana Kenji Leila
Lena Liam Linus Maja Marco Mei Miguel Nadia Noah Olga Omar Paula Priya Quentin Rosa Samir Sofia Tariq Uma Viktor
Wanda Yara Yusuf Zoë
""".split()  # noqa: SIM905  readable
LAST_NAMES = """
Adeyemi Andersson Bauer Becker Costa Dubois Fischer Garcia Haddad Hansen Ito Jansen Kaya Keller Kim Kowalski
Lindqvist Martin Mbeki Moreau Müller Nakamura Nowak Okafor Papadopoulos Park Patel Pereira Rossi Sato Schmidt
Silva Singh Suzuki Tanaka Torres Vogel Wagner Weber Yilmaz Zhang
""".split()  # noqa: SIM905  readable

TOPICS = (
    "the quarterly report",
    "the onboarding guide",
    "our refund policy",
    "the release notes",
    "the pricing page",
    "a failing test",
    "the database migration",
    "a slow query",
    "the newsletter",
    "the job posting",
    "the contract",
    "the meeting in Lisbon",
    "the support inbox",
    "a customer complaint",
    "the travel expenses",
    "the style guide",
    "the API client",
    "the backup plan",
    "the school trip",
    "the recipe",
    "the budget for next year",
    "the press release",
    "a memory leak",
    "the translation",
    "the warehouse stock",
    "the seating plan",
)
QUESTIONS = (
    "Can you summarise {0} in three points?",
    "What should I check in {0} before Friday?",
    "Write a short reply about {0}, please.",
    "Why does {0} take so long, and what can we do?",
    "Compare {0} with {1}. Which one first?",
    "I don't understand {0}. Explain it as if I were new here.",
    "Turn {0} into a table.",
    "Is there anything missing in {0}?",
    "How would you explain {0} to a customer?",
    "Thanks! And what about {0}?",
)
STATEMENTS = (
    "The main point of {0} is that it saves everybody time.",
    "Begin with {0}, because the rest depends on it.",
    "For {0}, two people are enough if they talk to each other early.",
    "I would keep {0} as it is, and write down why.",
    "There are three risks in {0}: time, money, and a missing owner.",
    "Most of the work on {0} is done; what remains is a careful reading.",
    "If {0} has to wait, tell those who rely on it today.",
    "The numbers of {0} look right, but the second column needs a source.",
    "Ask someone outside of the team to read {0} once.",
    "A good next step for {0} is a list of open questions.",
)
LISTS = ("- Check {0}\n- Ask about {1}\n- Decide by Thursday", "1. Read {0}\n2. Fix {1}\n3. Tell the others")
CODE = '```python\ndef check(rows):\n    """What {0} needs."""\n    return [row for row in rows if row.done]\n```'
TABLE = "| what | who | when |\n|---|---|---|\n| {0} | Lena | Monday |\n| {1} | Omar | Thursday |"
THOUGHTS = "The user asks about {0}. I should be brief, and mention {1} only if it helps."


def topic(rng: Random) -> str:
    return rng.choice(TOPICS)


def title(rng: Random) -> str:
    text = topic(rng)
    return text[0].upper() + text[1:]


def question(rng: Random) -> str:
    return rng.choice(QUESTIONS).format(topic(rng), topic(rng))


def answer(rng: Random) -> str:
    parts = [" ".join(rng.choice(STATEMENTS).format(topic(rng)) for _ in range(rng.randint(1, 4)))]
    extra = rng.random()
    if extra < 0.2:
        parts.append(rng.choice(LISTS).format(topic(rng), topic(rng)))
    elif extra < 0.28:
        parts.append(CODE.format(topic(rng)))
    elif extra < 0.34:
        parts.append(TABLE.format(topic(rng), topic(rng)))
    return "\n\n".join(parts)


def thought(rng: Random) -> str:
    return THOUGHTS.format(topic(rng), topic(rng))
