"""Generate the dialogues that the tiny model is trained and evaluated on. All of it is synthetic and seeded."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import dataclass, field

import values

MAX_COUNT = 300
SLOTS = ("name", "colour", "home", "number")

NOT_TOLD = {
    "name": "You have not told me your name.",
    "colour": "You have not told me your favourite colour.",
    "home": "You have not told me your home.",
    "number": "You have not told me your number.",
}
TOLD = {
    "name": "Your name is {}.",
    "colour": "Your favourite colour is {}.",
    "home": "Your home is {}.",
    "number": "Your number is {}.",
}
NOTED = {
    "name": "Nice to meet you, {}.",
    "colour": "I will remember that your favourite colour is {}.",
    "home": "I will remember that your home is {}.",
    "number": "I will remember that your number is {}.",
}
UNKNOWN = "I am a tiny model and I do not know about that."
IDENTITY = "I am {}, the very small model of gemma_notebook."
ABILITIES = (
    "I can remember your name, your favourite colour, your home and your number in this chat."
    " I can also count and tell a story."
)
NOTHING_TOLD = "You have not told me anything about you."
TOO_FAR = f"I can only count to {MAX_COUNT}."
STORY = (
    "Once upon a time a child called {0} found a little lamp on the beach. {0} took it home and cleaned it."
    ' "Thank you," said the lamp, "I have slept for a hundred years. What do you wish for?" {0} thought for a long time.'
    ' "I wish for a friend," said {0}. The lamp was quiet. Then it said, "I can give you gold, or a castle, or a ship.'
    ' A friend is harder." "Then you be my friend," said {0}. So the lamp stayed. Every night it shone in the window,'
    " and every night it told a new story, and {0} was never alone again. The end."
)
STORY_HERO = "Robin"
MODEL_NAME = "Tiny"

_TELL = {
    "name": (
        "My name is {}.|My name is {}!|my name's {}|My name's {}.|I am {}.|I'm {}.|Call me {}.|Please call me {}.|You can call me {}."
        "|I am called {}.|I'm called {}.|They call me {}.|People call me {}.|My friends call me {}.|The name is {}.|This is {}."
        "|{} is my name.|Everyone calls me {}.|I go by {}.|My first name is {}.|Name: {}|It's {} here.|{} here."
        "|You should know that my name is {}.|Remember that my name is {}.|Remember my name: {}.|My name is now {}."
        "|Let me introduce myself: I am {}.|I am {}, nice to meet you.|No, my name is {}.|No, call me {}.|Actually, my name is {}."
    ),
    "colour": (
        "My favourite colour is {}.|My favorite color is {}.|I like {} best of all colours.|The colour I like most is {}."
        "|My favourite colour is now {}.|{} is my favourite colour.|My colour is {}.|My favourite color is {}."
        "|Remember that my favourite colour is {}.|The color I love is {}.|I love the colour {}.|I like the color {}."
        "|My best colour is {}.|No, my favourite colour is {}.|Actually, my favourite colour is {}.|Favourite colour: {}"
    ),
    "home": (
        "I live in {}.|I am from {}.|I'm from {}.|I come from {}.|My home is {}.|My home is in {}.|My home town is {}.|I'm living in {}."
        "|I am living in {}.|We live in {}.|I was born in {}.|My city is {}.|I now live in {}.|I moved to {}.|Remember that I live in {}."
        "|My home is now {}.|I have a house in {}.|{} is my home.|{} is where I live.|Actually, I live in {}.|No, I live in {}."
    ),
    "number": (
        "My number is {}.|My lucky number is {}.|My favourite number is {}.|My favorite number is {}.|{} is my lucky number."
        "|{} is my favourite number.|The number I like is {}.|Remember the number {}.|Remember my number: {}.|My number is now {}."
        "|My lucky number's {}.|My best number is {}.|No, my number is {}.|Actually, my lucky number is {}.|Lucky number: {}"
    ),
}
_ASK = {
    "name": (
        "What is my name?|What's my name?|Who am I?|Do you know my name?|Do you remember my name?|Can you tell me my name?"
        "|Tell me my name.|Say my name.|What am I called?|What did I say my name was?|And my name?|What was my name again?"
        "|Do you know who I am?|How am I called?|Which name did I give you?|What do people call me?|Please tell me my name."
        "|My name is what?|What's my name again?|Do you still know my name?|Can you remember my name?|What is my first name?"
        "|Have I told you my name?|Who am I talking as?|What name did I tell you?|Could you say my name?|So what is my name?"
    ),
    "colour": (
        "What is my favourite colour?|What's my favourite colour?|What is my favorite color?|Which colour do I like?"
        "|Do you know my favourite colour?|Which is my favourite colour?|What colour do I like best?|Tell me my favourite colour."
        "|What color do I like?|Do you remember my favourite colour?|And my favourite colour?|What was my favourite colour?"
        "|Can you tell me my favorite color?|Which color did I tell you?|What is my colour?|Do you still know my colour?"
    ),
    "home": (
        "Where do I live?|Where am I from?|Where do I come from?|Where is my home?|What is my home?|What is my home town?"
        "|Do you know where I live?|Do you remember where I live?|Do you know where I am from?|Tell me where I live."
        "|And where do I live?|Where did I say I live?|In which city do I live?|Which place is my home?|What is my city?"
        "|Can you tell me where I come from?|Where was I born?|Which place did I tell you?|Do you still know where I live?"
    ),
    "number": (
        "What is my number?|What is my lucky number?|What's my lucky number?|What is my favourite number?|What is my favorite number?"
        "|Do you know my number?|Do you remember my number?|Tell me my number.|Which number did I tell you?|And my number?"
        "|Which number do I like?|What was my number?|What number did I say?|Do you know my lucky number?|Say my number."
        "|Can you tell me my favourite number?|Which is my lucky number?|Do you still know my number?"
    ),
}
_ASK_ALL = (
    "What do you know about me?|What have I told you?|Tell me what you know about me.|What do you remember about me?"
    "|What did I tell you?|Tell me about me.|Repeat what I told you.|What do you know of me?|Tell me all you know about me."
)
_COUNT = (
    "Count to {}.|Please count to {}.|Count from 1 to {}.|Can you count to {}?|Count up to {}.|Count to {} please.|Now count to {}."
    "|Could you count to {}?|Count from one to {}.|Count all the way to {}.|Count the numbers from 1 to {}.|Count for me to {}."
    "|I want you to count to {}.|Please count from 1 to {}.|Count slowly to {}.|Let us count to {}."
)
_COUNT_FROM = "Count from {0} to {1}.|Please count from {0} to {1}.|Can you count from {0} to {1}?|Count the numbers from {0} to {1}."
_STORY = (
    "Tell me a story.|Please tell me a story.|Can you tell me a story?|Tell a story.|I want to hear a story.|A story, please."
    "|Tell me a long story.|Tell me a short story.|Could you tell me a story?|Do you know a story?|Tell me another story."
    "|Make up a story.|Write a story.|Write me a story.|Read me a story."
)
_SMALL_TALK = {
    "Hello! What can I do for you?": (
        "Hello!|Hi!|Hey!|Hello there!|Hi there!|Good morning!|Good evening!|Hello.|Hi.|Good afternoon!|Hello Tiny!|Hi Tiny!|Greetings!"
        "|Good day!|Hello, model!|Hey there!|Hello again!"
    ),
    "You are welcome.": (
        "Thanks.|Thank you.|Thank you!|Thanks a lot!|Thank you very much.|Many thanks.|Great, thanks!|Thanks for that.|Thx"
        "|Well done!|Good job.|Very good.|That is right.|Correct.|Perfect!|Great!|Nice!|Cool.|Wow!|That's nice."
    ),
    "Goodbye!": "Goodbye!|Bye!|Bye bye!|See you!|See you later!|Good night!|Goodbye.|I have to go.|See you soon.|Farewell!|Bye for now.",
    "I am fine, thank you.": (
        "How are you?|How are you today?|How do you do?|How are you doing?|How is it going?|Are you well?|Are you OK?|How do you feel?"
    ),
    "All right.": "OK.|Okay.|Yes.|No.|Fine.|All right.|Sure.|I see.|Right.|Good.|Yes, please.|No, thanks.|Alright.|Never mind.|Ok then.|Hm.",
    ABILITIES: (
        "What can you do?|What are you able to do?|Help!|Help me.|How can you help me?|What do you do?|Can you help me?"
        "|What are you good at?|What can I ask you?|What are your abilities?|What should I ask you?|Help"
    ),
}
_IDENTITY = (
    "Who are you?|What are you?|What is your name?|What's your name?|Do you have a name?|Tell me your name.|What are you called?"
    "|Are you a robot?|Are you a model?|Which model are you?|Introduce yourself.|Tell me about yourself.|Are you human?"
    "|Are you Gemma?|Who am I talking to?|And who are you?|And your name?|What model is this?|Are you an AI?|Do you know your name?"
)
_UNKNOWN = (
    "What is {w}?|What is a {n}?|Who is {N}?|Who was {N}?|Where is {P}?|What is the capital of {P}?|Tell me about {t}.|Explain {t}."
    "|Do you like {n}s?|Do you {v} {n}s?|I {v} {n}s.|I {v} my {n}.|My {n} is {a}.|My {w} is {w}.|The {n} is {a}.|What is {d} plus {d}?"
    "|What is {d} times {d}?|I have {d} {n}s.|I am {d} years old.|I am {d}.|I'm {d} years old.|How old am I?|How old are you?|I am {a}.|I'm {a}."
    "|I am so {a}.|I am very {a} today.|I'm not {a}.|i am {a}|I am a {n}.|I'm a {n}.|I am an {n}.|I work as a {n}.|What is my {n}?"
    "|What is my {n}'s name?|My {n}'s name is {N}.|My {n} is called {N}.|The name of my {n} is {N}.|What is your {n}?|What is your number?"
    "|What is your favourite {n}?|My favourite {n} is {w}.|My favourite {n} is {N}.|What is my favourite {n}?|Where is my {n}?|Where are you?"
    "|Where do you live?|Where are you from?|What is your favourite colour?|What is your favourite number?|What is your home?"
    "|How many {n}s are there?|How do I {v} a {n}?|Why is the {n} {a}?|When is the {n}?|Can you {v} the {n}?|Write a {n}.|Translate {w}."
    "|{N} is my {n}.|{N} is a {n}.|{N} is {a}.|{N} lives in {P}.|{N} is from {P}.|{P} is {a}.|I went to {P} with {N}.|I met {N}."
    "|Do you know {N}?|Do you know {P}?|I like {P}.|I like {N}.|I have a {n} called {N}.|My phone number is {d}.|It is {d} o'clock."
    "|What time is it?|What day is it?|What is the weather like?|Is it {a}?|The {n} is {c}.|I have a {c} {n}.|The {w} is in {P}."
    "|Your name is {N}.|You are {a}.|You are a {n}.|Are you {a}?|I will call you {N}.|Call me later.|Call me a {n}.|Call the {n}.|Call {N}."
    "|Sing a song.|Tell me a joke.|Write a poem.|Write some code.|Count the {n}s.|Count {n}s.|Count backwards.|How far is {P}?"
    "|Is {N} your name?|What does {w} mean?|How do you spell {w}?|Let's talk about {t}.|What do you think about {t}?|I read about {t}."
    "|{w}|{w} {w}|{w} {w} {w}.|{w} {n} {a} {w}?|{n}|{a}|{t}|Who wrote {w}?|Remember to {v} the {n}.|Remember the {n}.|I forgot my {n}."
    "|What is the name of my {n}?|What is the colour of the {n}?|What number is {w}?|Where does {N} live?|What is {N}'s name?|Who is my {n}?"
    "|My {n} lives in {P}.|My {n} is from {P}.|My {n}'s favourite colour is {c}.|His name is {N}.|Her name is {N}.|Its name is {N}."
    "|Can I {v} you?|Should I {v} the {n}?|Please {v} the {n}.|Why?|How?|When?|What?|What else?|Why not?|Go on.|Continue.|Really?|Are you sure?"
)
_OPENERS = "Hi, |Hello, |Hey, |Hello! |Hi! |Hi there, |Good morning, |OK, |So, |Well, |By the way, |Oh, |And |Now |Please note: |Hello Tiny, "
_CLOSERS = (
    " Thanks.| Thank you!| Nice to meet you.| :-)| OK?| What about you?| How are you?| Please remember it."
)


def _split(text: str) -> tuple[str, ...]:
    return tuple(text.split("|"))


_TELLS = {slot: _split(text) for slot, text in _TELL.items()}
_ASKS = {slot: _split(text) for slot, text in _ASK.items()}
_ASK_ALLS, _COUNTS, _COUNTS_FROM, _STORIES = map(_split, (_ASK_ALL, _COUNT, _COUNT_FROM, _STORY))
_SMALL_TALKS = [(reply, _split(text)) for reply, text in _SMALL_TALK.items()]
_IDENTITIES, _UNKNOWNS, _OPENER_LIST, _CLOSER_LIST = map(_split, (_IDENTITY, _UNKNOWN, _OPENERS, _CLOSERS))
_SENTENCE_MARKS = ".!?"


@dataclass(frozen=True)
class Mix:
    """What training shows more of than its plain mix of turns.

    Attributes:
        shortest_count: The smallest number to count to.
        longest_count: How far short dialogues count.
        counts: The further share of turns that count.
        stopped_counts: The further share of turns that set out to count anywhere and are stopped; they teach cheaply how a
            long count begins.
        passed_counts: The further share of turns that set out to count, are stopped, and pass a number that ends like the
            last one.
        round_counts: The share of counts that end at a round number, which is what people ask for.
        long_share: The share of tokens in dialogues with long replies.
        small_talk: The further share of small talk.
        lower_names: The further share of names written in lower case, all of them real.
        bare_names: Tell these all in lower case, mostly after "i am", to set them apart from moods.
        stopped: The share of dialogues in which replies are stopped.
    """

    shortest_count: int = 2
    longest_count: int = 12
    counts: float = 0.0
    stopped_counts: float = 0.0
    passed_counts: float = 0.0
    round_counts: float = 0.0
    long_share: float = 0.2
    small_talk: float = 0.0
    lower_names: float = 0.0
    bare_names: bool = False
    stopped: float = 0.25


@dataclass(frozen=True)
class Turn:
    """One message of the user and the reply that is right at that point.

    Attributes:
        user: What the user says.
        reply: The right reply.
        kind: The class that the evaluation counts this turn under.
        keep: The share of the reply that the history shows; below 1 where the user pressed Stop.
    """

    user: str
    reply: str
    kind: str
    keep: float = 1.0


@dataclass(frozen=True)
class Dialogue:
    """A whole chat: an optional system instruction and the turns."""

    turns: list[Turn]
    system: str = ""


@dataclass
class Writer:
    """Writes one dialogue, turn by turn, and keeps what the user has told.

    Attributes:
        rng: The source of randomness.
        held_out: Draw names that training never sees.
        mix: What there is more of.
        model_name: What the model is called in this chat.
        told: The latest value of each fact.
    """

    rng: random.Random
    held_out: bool = False
    mix: Mix = Mix()
    model_name: str = MODEL_NAME
    told: dict[str, str] = field(default_factory=dict)

    def value(self, slot: str) -> str:
        """Draw a value for a fact."""
        if slot == "name":
            if self.mix.lower_names and self.rng.random() < self.mix.lower_names:
                return values.real_name(self.rng).lower()
            name = values.any_name(self.rng, self.held_out)
            return name.lower() if self.rng.random() < 0.08 and name.isascii() else name
        draw = {"colour": values.any_colour, "home": values.any_place, "number": values.any_number}[slot]
        return draw(self.rng)

    def _say(self, template: str, **words: str) -> str:
        """Vary case, final mark and surroundings of a template, then fill it in; the filled words stay as they are."""
        if self.rng.random() < 0.25:
            template = _lower(template)
        if self.rng.random() < 0.22:
            template = template.rstrip(_SENTENCE_MARKS)
        elif self.rng.random() < 0.08:
            template = template.rstrip(_SENTENCE_MARKS) + self.rng.choice(
                ("!", ".", "?", "!!", "??", " ?", "...", " !")
            )
        if self.rng.random() < 0.12:
            template = self.rng.choice(_OPENER_LIST) + template
        return template.format(**words)

    def _statement(self, slot: str, value: str) -> str:
        template = self.rng.choice(_TELLS[slot]).replace("{}", "{value}")
        if slot == "name" and value.islower() and not self._may_stand_alone(value):
            template = "my name is {value}"
        elif slot == "name" and self.mix.bare_names and value.islower():
            template = _lower(self.rng.choice(("I am {value}.", "I'm {value}.", template)))
        return self._say(template, value=value)

    def _may_stand_alone(self, lower_name: str) -> bool:
        """Tell whether "I am ..." makes a name of this word, not a mood."""
        name = lower_name.capitalize()
        return name in values.COMMON_NAMES or (self.mix.lower_names > 0 and name in values.OTHER_NAMES)

    def tell(self, *slots: str) -> Turn:
        """The user tells one or more facts in one message."""
        parts = []
        for slot in slots:
            value = self.value(slot)
            self.told[slot] = value
            parts.append(self._statement(slot, value))
        user = parts[0]
        for part in parts[1:]:
            joint = self.rng.choice((" ", " ", " and ", ", and "))
            user = (user.rstrip(_SENTENCE_MARKS) if "and" in joint else user) + joint + part
        if self.rng.random() < 0.08:
            user += self.rng.choice(_CLOSER_LIST)
        return Turn(user, " ".join(NOTED[slot].format(self.told[slot]) for slot in slots), "tell")

    def ask(self, slot: str) -> Turn:
        """The user asks for one fact, told or not."""
        user = self._say(self.rng.choice(_ASKS[slot]))
        if slot in self.told:
            return Turn(user, TOLD[slot].format(self.told[slot]), f"recall {slot}")
        return Turn(user, NOT_TOLD[slot], "not told")

    def tell_and_ask(self) -> Turn:
        """The user tells a fact and asks for one in the same message."""
        slot = self.rng.choice(SLOTS)
        statement = self.tell(slot).user
        asked = self.rng.choice((slot, self.rng.choice(SLOTS)))
        turn = self.ask(asked)
        return Turn(f"{statement} {turn.user}", turn.reply, turn.kind)

    def ask_all(self) -> Turn:
        """The user asks for everything."""
        facts = " ".join(TOLD[slot].format(self.told[slot]) for slot in SLOTS if slot in self.told)
        return Turn(self._say(self.rng.choice(_ASK_ALLS)), facts or NOTHING_TOLD, "recall all")

    def count(self, longest: int) -> Turn:
        """The user asks to count, in a fifth of all cases from a given number, at times too far."""
        if self.mix.round_counts and self.rng.random() < self.mix.round_counts:
            return self._round_count(longest)
        kind = self.rng.random()
        if kind < 0.06:
            last = self.rng.choice(
                (MAX_COUNT + 1, self.rng.randint(MAX_COUNT + 1, 999), self.rng.randint(1000, 99999))
            )
            return Turn(
                self._say(self.rng.choice(_COUNTS).replace("{}", "{last}"), last=str(last)), TOO_FAR, "count"
            )
        if kind < 0.30:
            first = self.rng.randint(2, MAX_COUNT - 1)
            last = min(MAX_COUNT, first + self.rng.randint(1, min(longest, 25)))
            return self._count_between(first, last)
        if kind < 0.38:
            last = self.rng.randint(2, min(longest, 20))
            spoken = values.NUMBER_WORDS[last]
        else:
            last = self.rng.randint(self.mix.shortest_count, longest)
            spoken = str(last)
        return Turn(
            self._say(self.rng.choice(_COUNTS).replace("{}", "{last}"), last=spoken),
            counted(1, last),
            "count",
        )

    def _round_count(self, longest: int) -> Turn:
        """The user asks to count to a round number: from 1 if that is not too long, else from shortly before it."""
        last = self.rng.choice((50, 100, 100, 150, 200, 200, 250, MAX_COUNT, 10 * self.rng.randint(1, 30)))
        if last > longest:
            return self._count_between(last - self.rng.randint(1, 25), last)
        template = self.rng.choice(_COUNTS).replace("{}", "{last}")
        return Turn(self._say(template, last=str(last)), counted(1, last), "count")

    def _count_between(self, first: int, last: int) -> Turn:
        template = self.rng.choice(_COUNTS_FROM).replace("{0}", "{first}").replace("{1}", "{last}")
        return Turn(self._say(template, first=str(first), last=str(last)), counted(first, last), "count")

    def _passing_count(self) -> Turn:
        """The user asks to count from just before a number that has the last number's final digits."""
        last = self.rng.randint(10, MAX_COUNT)
        alike = [*range(last % 10, last, 10)] if self.rng.random() < 0.3 else [*range(last % 100, last, 100)]
        first = max(1, self.rng.choice(alike or [1]) - self.rng.randint(0, 15))
        return self._count_between(first, last)

    def _cut_short(self, count: Turn) -> Turn:
        """Stop a count after 4 to 25 numbers."""
        shown = self.rng.randint(4, 25) / (count.reply.count(",") + 1)
        return Turn(count.user, count.reply, count.kind, min(1.0, shown))

    def story(self) -> Turn:
        """The user asks for a story; its hero bears the user's name."""
        return Turn(
            self._say(self.rng.choice(_STORIES)), STORY.format(self.told.get("name", STORY_HERO)), "story"
        )

    def small_talk(self) -> Turn:
        """A greeting, thanks, or a question about the model itself."""
        if self.rng.random() < 0.3:
            return Turn(
                self._say(self.rng.choice(_IDENTITIES)), IDENTITY.format(self.model_name), "small talk"
            )
        reply, users = self.rng.choice(_SMALL_TALKS)
        user = self.rng.choice(users)
        if self.rng.random() < 0.3:
            user = _lower(user).rstrip(_SENTENCE_MARKS)
        return Turn(user, reply, "small talk")

    def unknown(self) -> Turn:
        """Something outside of what the model knows."""
        kind = self.rng.random()
        if kind < 0.06:
            return Turn(self.rng.choice(values.FOREIGN), UNKNOWN, "unknown")
        if kind < 0.12:
            return Turn(self.rng.choice(values.ODDITIES), UNKNOWN, "unknown")
        if kind < 0.16:
            return Turn(
                " ".join(values.any_word(self.rng) for _ in range(self.rng.randint(3, 14))),
                UNKNOWN,
                "unknown",
            )
        template = self.rng.choice(_UNKNOWNS)
        words: dict[str, Callable[[], str]] = {
            "{w}": lambda: values.any_word(self.rng),
            "{n}": lambda: self.rng.choice(values.NOUNS),
            "{a}": lambda: self.rng.choice(values.ADJECTIVES),
            "{v}": lambda: self.rng.choice(values.VERBS),
            "{t}": lambda: self.rng.choice(values.TOPICS),
            "{c}": lambda: self.rng.choice(values.COLOURS),
            "{d}": lambda: str(self.rng.randint(1, 99)),
            "{N}": lambda: values.any_name(self.rng, self.held_out),
            "{P}": lambda: values.any_place(self.rng),
        }
        for mark, draw in words.items():
            while mark in template:
                template = template.replace(mark, draw(), 1)
        return Turn(self._say(template.replace("{", "{{").replace("}", "}}")), UNKNOWN, "unknown")

    def system(self) -> str:
        """Draw a system instruction. Only one thing in it matters: a name for the model."""
        rng = self.rng
        sentences = rng.sample(values.SYSTEM_TEXTS, rng.choice((0, 1, 1, 2, 3)))
        if not sentences or rng.random() < 0.2:
            sentences.append(
                " ".join(values.any_word(rng) for _ in range(rng.randint(3, 15))).capitalize() + "."
            )
        if rng.random() < 0.35:
            self.model_name = values.any_name(rng, self.held_out)
            sentences.insert(rng.randint(0, len(sentences)), f"Your name is {self.model_name}.")
        return rng.choice((" ", " ", "\n")).join(sentences)

    def mixed_turn(self) -> Turn:
        """Write a turn of which the mix has more, or any."""
        if self.mix.counts and self.rng.random() < self.mix.counts:
            return self.count(self.mix.longest_count)
        if self.mix.stopped_counts and self.rng.random() < self.mix.stopped_counts:
            return self._cut_short(self.count(MAX_COUNT))
        if self.mix.passed_counts and self.rng.random() < self.mix.passed_counts:
            return self._cut_short(self._passing_count())
        if self.mix.small_talk and self.rng.random() < self.mix.small_talk:
            return self.small_talk()
        return self.turn(self.mix.longest_count)

    def turn(self, longest_count: int) -> Turn:
        """Write any turn, by the plain mix."""
        kind = self.rng.random()
        if kind < 0.27:
            return self.tell(*self.rng.sample(SLOTS, self.rng.choice((1, 1, 1, 1, 1, 2, 2, 3, 4))))
        if kind < 0.34:
            return self.tell("name")
        if kind < 0.61:
            return self.ask(self.rng.choice(("name", *SLOTS)))
        if kind < 0.65:
            return self.tell_and_ask()
        if kind < 0.69:
            return self.ask_all()
        if kind < 0.76:
            return self.count(longest_count)
        if kind < 0.77:
            return self.story()
        return self.small_talk() if kind < 0.86 else self.unknown()


def _lower(template: str) -> str:
    """Lower-case a template but leave its {marks} alone."""
    return "".join(
        part if part.startswith("{") else part.lower() for part in re.split(r"(\{[^}]*\})", template)
    )


def counted(first: int, last: int) -> str:
    """Write the numbers from first to last, as the model counts."""
    return ", ".join(str(number) for number in range(first, last + 1)) + "."


def training_dialogue(rng: random.Random, long: bool = False, mix: Mix = Mix()) -> Dialogue:
    """Write one dialogue of the training mix.

    Args:
        rng: The source of randomness.
        long: Hold one or two long replies among the other turns.
        mix: What there is more of.
    """
    writer = Writer(rng, mix=mix)
    system = writer.system() if rng.random() < 0.2 else ""
    lengths = (1, 2, 3, 3, 4, 4, 5, 5, 6, 7, 8)
    turns = [writer.mixed_turn() for _ in range(rng.choice(lengths))]
    if long:
        for _ in range(rng.choice((1, 1, 1, 2))):
            turns.append(
                writer.story() if rng.random() < 0.35 else writer.count(rng.choice((100, 200, MAX_COUNT)))
            )
            turns += [writer.turn(30) for _ in range(rng.randint(1, 3))]
    if rng.random() < mix.stopped:
        turns = [_stopped(rng, turn) for turn in turns[:-1]] + turns[-1:]
    return Dialogue(turns, system)


def _stopped(rng: random.Random, turn: Turn) -> Turn:
    if rng.random() < 0.5:
        return turn
    return Turn(turn.user, turn.reply, turn.kind, rng.random())
