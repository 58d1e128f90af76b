"""Generate the dialogues that the tiny model is trained and evaluated on. All of it is synthetic and seeded."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import drills
import forms
import manners
import results
import sentences
import thoughts
import tools
import values
from sentences import MAX_COUNT, SLOTS

_SENTENCE_MARKS = ".!?"
# What makes a name of any word.
_CLEARLY_NAMED = ("my name is {value}", "My name is {value}.", "Call me {value}.", "people call me {value}")


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
        sums: The further share of sums of small numbers.
        small_talk: The further share of small talk.
        lower_names: The further share of names written in lower case, all of them real.
        bare_names: Tell these all in lower case, mostly after "i am", to set them apart from moods.
        rare_names: The further share of names with letters beyond ASCII.
        stopped: The share of dialogues in which replies are stopped.
        instructed: The share of dialogues with a system instruction to follow.
        tools: The share of dialogues with tools.
        forms: The share of dialogues that fill forms.
        thinking: The share of dialogues in which the model thinks.
        topics: The share of short dialogues that are all about topics to refuse, and others.
        bare_topics: The share of these with nothing else: one topic is forbidden, and the user asks for it or for another.
        drills: The share of short dialogues that drill what else is slow to learn.
        calls: The share of short dialogues that are all calls, or all forms.
        renamed: The share of invented tools in the chats of calls that have a name of their own.
        fewest_tools: How many tools the chats of calls have at the fewest.
        direct: The share of calls in these chats before which the user says something that no tool is for.
        untold: The share of the drills that ask for a fact that was not told.
    """

    shortest_count: int = 2
    longest_count: int = 12
    counts: float = 0.0
    stopped_counts: float = 0.0
    passed_counts: float = 0.0
    round_counts: float = 0.0
    long_share: float = 0.15
    sums: float = 0.0
    small_talk: float = 0.0
    lower_names: float = 0.0
    bare_names: bool = False
    rare_names: float = 0.0
    stopped: float = 0.25
    instructed: float = 0.22
    tools: float = 0.30
    forms: float = 0.10
    thinking: float = 0.15
    topics: float = 0.0
    bare_topics: float = 0.4
    drills: float = 0.0
    calls: float = 0.0
    renamed: float = 0.0
    fewest_tools: int = 1
    direct: float = 0.0
    untold: float = 0.0


@dataclass(frozen=True)
class Turn:
    """One message of the user, or the results of tools, and the reply that is right at that point.

    Attributes:
        user: What the user says.
        reply: The right reply.
        kind: The class that the evaluation counts this turn under.
        keep: The share of the reply that the history shows; below 1 where the user pressed Stop.
        short: The reply in the short style, if that is another.
        manner: What a polite model says first.
        thought: What the model thinks before it replies, if asked to think.
        thinks: Whether it is asked to.
        cut: Whether a budget ended the thought, which then teaches nothing.
        results: What the tools returned, as the model sees it; this turn then has no user.
        free: The ranges of the reply that teach nothing, because a grammar decides on them.
    """

    user: str
    reply: str
    kind: str
    keep: float = 1.0
    short: str = ""
    manner: str = ""
    thought: str = ""
    thinks: bool = False
    cut: bool = False
    results: tuple[str, ...] = ()
    free: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True)
class Dialogue:
    """A whole chat: an optional system instruction, the declared tools and the turns."""

    turns: list[Turn]
    system: str = ""
    tools: tuple[str, ...] = ()


@dataclass
class Writer:
    """Writes one dialogue, turn by turn, and keeps what the user has told.

    Attributes:
        rng: The source of randomness.
        held_out: Draw names and values that training never sees.
        mix: What there is more of.
        instruction: The system instruction of this chat.
        toolbox: The tools of this chat.
        told: The latest value of each fact.
    """

    rng: random.Random
    held_out: bool = False
    mix: Mix = Mix()
    instruction: manners.Instruction = field(default_factory=manners.Instruction)
    toolbox: list[tools.Tool] = field(default_factory=list)
    told: dict[str, str] = field(default_factory=dict)

    def instruct(self, *wanted: str, only: bool = False) -> None:
        """Begin with a system instruction that asks for these things, and perhaps says others."""
        for slot in self.instruction.told:  # of one that this takes the place of
            self.told.pop(slot, None)
        self.instruction = manners.instruction(self.rng, self.held_out, wanted, only)
        self.told.update(self.instruction.told)

    def dialogue(self, turns: list[Turn]) -> Dialogue:
        """Make a chat of turns."""
        return Dialogue(turns, self.instruction.text, tuple(tool.declaration() for tool in self.toolbox))

    def value(self, slot: str) -> str:
        """Draw a value for a fact."""
        if slot != "name":
            return values.draw(manners.VALUES[slot], self.rng, self.held_out)
        if self.mix.lower_names and self.rng.random() < self.mix.lower_names:
            return values.real_name(self.rng).lower()
        if self.mix.rare_names and self.rng.random() < self.mix.rare_names:
            return values.rare_name(self.rng, self.held_out)
        name = values.any_name(self.rng, self.held_out)
        return name.lower() if self.rng.random() < 0.08 and name.isascii() else name

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
            template = self.rng.choice(sentences.OPENERS) + template
        return template.format(**words)

    # Facts about the user

    def _statement(self, slot: str, value: str) -> str:
        template = self.rng.choice(sentences.TELL[slot]).replace("{}", "{value}")
        if slot == "name" and value.islower() and not self._may_stand_alone(value):
            template = self.rng.choice(_CLEARLY_NAMED)
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
            user += self.rng.choice(sentences.CLOSERS)
        return Turn(
            user,
            " ".join(sentences.NOTED[slot].format(self.told[slot]) for slot in slots),
            "tell",
            short=f"Hello, {self.told['name']}." if "name" in slots else "Noted.",
            manner="Thank you. ",
            thought=thoughts.telling({slot: self.told[slot] for slot in slots}),
        )

    def ask(self, slot: str) -> Turn:
        """The user asks for one fact, told or not."""
        user = self._say(self.rng.choice(sentences.ASK[slot]))
        return self.recall(slot, user)

    def recall(self, slot: str, user: str) -> Turn:
        """The right reply to a question for one fact."""
        thought = thoughts.asking(slot, self.told.get(slot))
        if slot not in self.told:
            reply = sentences.NOT_TOLD[slot]
            return Turn(user, reply, "not told", short="Not told.", manner="I am sorry. ", thought=thought)
        value = self.told[slot]
        reply = sentences.TOLD[slot].format(value)
        return Turn(user, reply, f"recall {slot}", short=f"{value}.", manner="Certainly. ", thought=thought)

    def tell_and_ask(self) -> Turn:
        """The user tells a fact and asks for one in the same message."""
        slot = self.rng.choice(SLOTS)
        statement = self.tell(slot).user
        asked = self.rng.choice((slot, self.rng.choice(SLOTS)))
        turn = self.ask(asked)
        return replace(turn, user=f"{statement} {turn.user}")

    def ask_all(self) -> Turn:
        """The user asks for everything."""
        told = {slot: self.told[slot] for slot in SLOTS if slot in self.told}
        return Turn(
            self._say(self.rng.choice(sentences.ASK_ALL)),
            " ".join(sentences.TOLD[slot].format(value) for slot, value in told.items())
            or sentences.NOTHING_TOLD,
            "recall all",
            short=", ".join(told.values()) + "." if told else "Nothing.",
            manner="Certainly. " if told else "I am sorry. ",
            thought=thoughts.asking_all(list(told)),
        )

    # Counting, sums, echoes, lists

    def count(self, longest: int) -> Turn:
        """The user asks to count, in a fifth of all cases from a given number, at times too far."""
        if self.mix.round_counts and self.rng.random() < self.mix.round_counts:
            return self._round_count(longest)
        kind = self.rng.random()
        if kind < 0.06:
            last = self.rng.choice(
                (MAX_COUNT + 1, self.rng.randint(MAX_COUNT + 1, 999), self.rng.randint(1000, 99999))
            )
            user = self._say(self.rng.choice(sentences.COUNT).replace("{}", "{last}"), last=str(last))
            thought = thoughts.too_far(last)
            return Turn(
                user, sentences.TOO_FAR, "count", short="Too far.", manner="I am sorry. ", thought=thought
            )
        if kind < 0.30:
            first = self.rng.randint(2, MAX_COUNT - 1)
            last = min(MAX_COUNT, first + self.rng.randint(1, min(longest, 25)))
            return self._count_between(first, last)
        if kind < 0.38:
            last = self.rng.randint(2, min(longest, 20))
            return self._count_to(last, values.NUMBER_WORDS[last])
        last = self.rng.randint(self.mix.shortest_count, longest)
        return self._count_to(last, str(last))

    def _count_to(self, last: int, spoken: str) -> Turn:
        user = self._say(self.rng.choice(sentences.COUNT).replace("{}", "{last}"), last=spoken)
        return counting(user, 1, last)

    def _round_count(self, longest: int) -> Turn:
        """The user asks to count to a round number: from 1 if that is not too long, else from shortly before it."""
        last = self.rng.choice((50, 100, 100, 150, 200, 200, 250, MAX_COUNT, 10 * self.rng.randint(1, 30)))
        if last > longest:
            return self._count_between(last - self.rng.randint(1, 25), last)
        return self._count_to(last, str(last))

    def _count_between(self, first: int, last: int) -> Turn:
        template = self.rng.choice(sentences.COUNT_FROM).replace("{0}", "{first}").replace("{1}", "{last}")
        return counting(self._say(template, first=str(first), last=str(last)), first, last)

    def _passing_count(self) -> Turn:
        """The user asks to count from just before a number that has the last number's final digits."""
        last = self.rng.randint(10, MAX_COUNT)
        alike = [*range(last % 10, last, 10)] if self.rng.random() < 0.3 else [*range(last % 100, last, 100)]
        first = max(1, self.rng.choice(alike or [1]) - self.rng.randint(0, 15))
        return self._count_between(first, last)

    def begin_to_count(self) -> Turn:
        """The user asks to count, however far, and stops the reply."""
        return self._cut_short(self.count(MAX_COUNT))

    def _cut_short(self, count: Turn) -> Turn:
        """Stop a count after 4 to 25 numbers."""
        shown = self.rng.randint(4, 25) / (count.reply.count(",") + 1)
        return replace(count, keep=min(1.0, shown))

    def add(self, most: int = 20) -> Turn:
        """The user asks for the sum of two numbers; an eighth of the pairs is held out."""
        if not self.held_out and self.rng.random() < 0.25:
            most = 99
        while True:
            a, b = self.rng.randint(0, most), self.rng.randint(0, most)
            if values.is_held_out(f"{a}+{b}") == self.held_out:
                break
        user = self._say(self.rng.choice(sentences.SUMS), a=str(a), b=str(b))
        return Turn(
            user,
            sentences.SUM.format(a, b, a + b),
            "sum",
            short=f"{a} + {b} = {a + b}.",
            manner="Certainly. ",
            thought=thoughts.adding(a, b),
        )

    def echo(self) -> Turn:
        """The user asks to repeat some words."""
        words = [
            values.draw(values.any_word, self.rng, self.held_out)
            for _ in range(self.rng.choice((1, 1, 2, 2, 3, 4, 5)))
        ]
        if self.rng.random() < 0.25:
            words[self.rng.randrange(len(words))] = values.any_name(self.rng, self.held_out)
        text = " ".join(words)
        kind = self.rng.random()
        text = (
            text[0].upper() + text[1:]
            if kind < 0.25
            else text.upper()
            if kind < 0.3 and text.isascii()
            else text
        )
        template = self.rng.choice(sentences.ECHOES)
        if self.rng.random() < 0.2:
            template = _lower(template)
        return Turn(template.format(text=text), text, "echo", thought=thoughts.ECHO)

    def sort(self) -> Turn:
        """The user asks to put numbers in order."""
        numbers = [
            self.rng.randint(0, 99 if self.rng.random() < 0.5 else 20)
            for _ in range(self.rng.choice((2, 3, 3, 4, 4, 5)))
        ]
        joint = self.rng.choice((", ", ", ", " "))
        text = joint.join(map(str, numbers))
        if self.rng.random() < 0.3:
            text = ", ".join(map(str, numbers[:-1])) + f" and {numbers[-1]}"
        user = self._say(self.rng.choice(sentences.SORTS), numbers=text)
        return Turn(
            user,
            ", ".join(map(str, sorted(numbers))) + ".",
            "sort",
            manner="Certainly. ",
            thought=thoughts.SORT,
        )

    # Talk

    def story(self) -> Turn:
        """The user asks for a story; its hero bears the user's name."""
        hero = self.told.get("name", sentences.STORY_HERO)
        user = self._say(self.rng.choice(sentences.STORIES))
        return Turn(user, sentences.STORY.format(hero), "story", thought=thoughts.story(hero))

    def identity(self) -> Turn:
        """The user asks who the model is."""
        name = self.instruction.model_name or sentences.MODEL_NAME
        reply = sentences.IDENTITY.format(name)
        user = self._say(self.rng.choice(sentences.IDENTITIES))
        return Turn(user, reply, "small talk", short=f"I am {name}.", thought=thoughts.identity(name))

    def small_talk(self) -> Turn:
        """A greeting, thanks, or a question about the model itself."""
        if self.rng.random() < 0.3:
            return self.identity()
        reply, users = self.rng.choice(sentences.SMALL_TALK)
        user = self.rng.choice(users)
        if self.rng.random() < 0.3:
            user = _lower(user).rstrip(_SENTENCE_MARKS)
        return Turn(user, reply, "small talk", short=sentences.SHORT_TALK[reply], thought=thoughts.TALK)

    def unknown(self) -> Turn:
        """Something outside of what the model knows."""
        user = self._unknown_words()
        return unknown_turn(user)

    def _unknown_words(self) -> str:
        kind = self.rng.random()
        if kind < 0.06:
            return self.rng.choice(values.FOREIGN)
        if kind < 0.12:
            return self.rng.choice(values.ODDITIES)
        if kind < 0.16:
            return " ".join(values.any_word(self.rng) for _ in range(self.rng.randint(3, 14)))
        if kind < 0.19:
            self.instruction.model_name = values.any_name(self.rng, self.held_out)
            return f"Your name is {self.instruction.model_name}."
        if kind < 0.26:
            return self._request_that_no_tool_fits()
        template = self.rng.choice(sentences.UNKNOWNS)
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
                word = draw()
                if template.startswith("Your name is"):  # which is how one renames the model
                    self.instruction.model_name = word
                template = template.replace(mark, word, 1)
        return self._say(template.replace("{", "{{").replace("}", "}}"))

    def _request_that_no_tool_fits(self) -> str:
        while True:
            invented = self.rng.random() < 0.4
            tool = tools.invented_tool(self.rng, self.held_out) if invented else tools.family_tool(self.rng)
            task = tools.task(tool, self.rng, self.held_out)
            if not any(tools.alike(tool, other) for other in self.toolbox) and not tools.is_sum(tool):
                return task.user

    # System instructions

    def system_fact(self) -> Turn:
        """The user asks for a fact of the system instruction, or for one that is not in it."""
        facts = self.instruction.facts
        if not facts or self.rng.random() < 0.15:
            key = manners.fact_key(self.rng, self.held_out)
            if key not in facts:
                return unknown_turn(manners.ask_for_fact(key, self.rng))
        else:
            key = self.rng.choice(list(facts))
        value = facts[key]
        reply = manners.SYSTEM_FACT.format(key, value)
        user = manners.ask_for_fact(key, self.rng)
        return Turn(
            user,
            reply,
            "system fact",
            short=f"{value}.",
            manner="Certainly. ",
            thought=thoughts.system_fact(key, value),
        )

    def topic(self) -> Turn:
        """The user talks about a topic, forbidden or not."""
        forbidden = self.instruction.forbidden
        if forbidden and self.rng.random() < 0.5:
            about = self.rng.choice(forbidden)
            user = manners.ask_about(about, self.rng)
            reply = manners.REFUSED.format(about)
            return Turn(
                user, reply, "refusal", short="No.", manner="I am sorry. ", thought=thoughts.forbidden(about)
            )
        about = manners.topic(self.rng, self.held_out)
        while any(about in other or other in about for other in forbidden):
            about = manners.topic(self.rng, self.held_out)
        return unknown_turn(manners.ask_about(about, self.rng))

    # Tools

    def use_tools(self, two: float = 0.15) -> list[Turn]:
        """The user asks for something that a tool can do: one call, or two at this rate, and the answer."""
        chosen = [self.rng.choice(self.toolbox)]
        if self.rng.random() < two:
            chosen.append(self.rng.choice(self.toolbox))
        tasks = [tools.task(tool, self.rng, self.held_out) for tool in chosen]
        user = tasks[0].user
        if len(tasks) == 2:
            second = tasks[1].user
            user = self.rng.choice(
                (
                    f"{user} {second}",
                    f"{user.rstrip('.?!')} and {second[0].lower()}{second[1:]}",
                    f"{user} And {second}",
                )
            )
        call = Turn(
            user,
            "".join(task.call() for task in tasks),
            "tool call",
            thought=thoughts.calling([task.tool.name for task in tasks]),
        )
        if self.rng.random() < 0.15:
            return [call]
        return [call, manners.styled(self.tool_answer(len(tasks)), self.instruction.style)]

    def tool_answer(self, calls: int) -> Turn:
        """The tools have answered."""
        returned = [results.any_result(self.rng, self.held_out) for _ in range(calls)]
        answers = [results.answer(result) for result in returned]
        return Turn(
            "",
            " ".join(answer for answer, _ in answers),
            "tool answer",
            short=" ".join(short for _, short in answers),
            manner="Certainly. ",
            thought=thoughts.answered(calls),
            results=tuple(results.result_text(result, self.rng) for result in returned),
        )

    # Forms

    def form(self) -> Turn:
        """A form to fill, with what is said now or was told before."""
        rng = self.rng
        if self.told and rng.random() < 0.2:
            return self._told_as_json()
        parts: list[str] = []
        items: list[tuple[str, object]] = []
        for slot in rng.sample(SLOTS, rng.choice((0, 1, 1, 2, 2, 3))):
            self.told[slot] = self.value(slot)
            parts.append(rng.choice(sentences.TELL[slot]).format(self.told[slot]))
            items.append((forms.key_of(slot, rng), forms.as_value(slot, self.told[slot])))
        for _ in range(rng.choice((0, 1, 1, 2, 3)) if items else rng.choice((1, 2, 3))):
            sentence, key, value = forms.stated(rng, self.held_out)
            parts.append(sentence)
            items.append((key, value))
        rng.shuffle(parts)
        if rng.random() < 0.3:
            slot = rng.choice(SLOTS)
            items.append(
                (
                    forms.key_of(slot, rng),
                    forms.as_value(slot, self.told[slot]) if slot in self.told else forms.missing(slot),
                )
            )
        items = list({key: (key, value) for key, value in items}.values())
        rng.shuffle(items)
        reply, free = forms.filled(items[: rng.randint(1, 6)])
        return Turn(forms.ask(forms.joined(parts, rng), rng), reply, "json", free=free, thought=thoughts.FORM)

    def _told_as_json(self) -> Turn:
        told = [
            (forms.KEYS[slot][0], forms.as_value(slot, self.told[slot]))
            for slot in SLOTS
            if slot in self.told
        ]
        user = self.rng.choice(sentences.TOLD_AS_JSON)
        return Turn(user, forms.filled(told)[0], "json", thought=thoughts.FORM)

    # What comes next

    def mixed_turns(self) -> list[Turn]:
        """Write a turn, or a call and its answer, of which the mix has more, or any."""
        if self.toolbox and self.rng.random() < 0.6:
            return self.use_tools()
        return [manners.styled(self._mixed_turn(), self.instruction.style)]

    def _mixed_turn(self) -> Turn:
        rng, asked = self.rng, self.instruction
        if asked.facts and rng.random() < 0.45:
            return self.system_fact()
        if asked.forbidden and rng.random() < 0.5:
            return self.topic()
        if asked.model_name and rng.random() < 0.25:
            return self.identity()
        if asked.told and rng.random() < 0.3:
            return self.ask(rng.choice(list(asked.told)))
        if self.mix.sums and rng.random() < self.mix.sums:
            return self.add()
        if self.mix.counts and rng.random() < self.mix.counts:
            return self.count(self.mix.longest_count)
        if self.mix.stopped_counts and rng.random() < self.mix.stopped_counts:
            return self.begin_to_count()
        if self.mix.passed_counts and rng.random() < self.mix.passed_counts:
            return self._cut_short(self._passing_count())
        if self.mix.small_talk and rng.random() < self.mix.small_talk:
            return self.small_talk()
        return self.turn(self.mix.longest_count)

    def turn(self, longest_count: int) -> Turn:
        """Write any turn, by the plain mix."""
        kind = self.rng.random()
        if kind < 0.24:
            return self.tell(*self.rng.sample(SLOTS, self.rng.choice((1, 1, 1, 1, 1, 2, 2, 3, 4))))
        if kind < 0.30:
            return self.tell("name")
        if kind < 0.53:
            told = [*self.told]
            return self.ask(
                self.rng.choice(told)
                if told and self.rng.random() < 0.4
                else self.rng.choice(("name", *SLOTS))
            )
        if kind < 0.57:
            return self.tell_and_ask()
        if kind < 0.61:
            return self.ask_all()
        if kind < 0.66:
            return self.count(longest_count)
        if kind < 0.67:
            return self.story()
        if kind < 0.76:
            return self.small_talk()
        if kind < 0.87:
            return self.unknown()
        if kind < 0.92:
            return self.add()
        return self.echo() if kind < 0.96 else self.sort()


def counting(user: str, first: int, last: int) -> Turn:
    """The right reply to a count."""
    return Turn(
        user, counted(first, last), "count", manner="Certainly. ", thought=thoughts.counting(first, last)
    )


def unknown_turn(user: str) -> Turn:
    """The right reply to what the model does not know."""
    return Turn(
        user,
        sentences.UNKNOWN,
        "unknown",
        short="I do not know.",
        manner="I am sorry. ",
        thought=thoughts.UNKNOWN,
    )


def _lower(template: str) -> str:
    """Lower-case a template but leave its {marks} alone."""
    return "".join(
        part if part.startswith("{") else part.lower() for part in re.split(r"(\{[^}]*\})", template)
    )


def counted(first: int, last: int) -> str:
    """Write the numbers from first to last, as the model counts."""
    return ", ".join(str(number) for number in range(first, last + 1)) + "."


def training_dialogue(
    rng: random.Random, long: bool = False, mix: Mix = Mix(), held_out: bool = False
) -> Dialogue:
    """Write one dialogue of the training mix.

    Args:
        rng: The source of randomness.
        long: Hold one or two long replies among the other turns.
        mix: What there is more of.
        held_out: Draw names and values that training never sees.
    """
    writer = Writer(rng, held_out, mix)
    kind = 9.0 if long else rng.random()
    for share, write in ((mix.topics, drills.topics), (mix.drills, drills.drill), (mix.calls, drills.calls)):
        if kind < share:
            return writer.dialogue(write(writer))
        kind -= share
    _prepare(writer)
    turns: list[Turn] = []
    if not writer.toolbox and not writer.instruction.text and rng.random() < mix.forms:
        turns += [writer.turn(mix.longest_count) for _ in range(rng.choice((0, 0, 1, 2)))]
        turns += [writer.form() for _ in range(rng.choice((1, 2, 2, 3)))]
    for _ in range(rng.choice((1, 2, 3, 3, 4, 4, 5, 5, 6, 7, 8))):
        turns += writer.mixed_turns()
    if long:
        for _ in range(rng.choice((1, 1, 1, 2))):
            longest = rng.choice((100, 200, MAX_COUNT))
            more = [writer.story() if rng.random() < 0.35 else writer.count(longest)]
            more += [
                writer.ask_all() if rng.random() < 0.2 else writer.turn(30) for _ in range(rng.randint(1, 3))
            ]
            turns += [manners.styled(turn, writer.instruction.style) for turn in more]
    if rng.random() < mix.thinking:
        turns = _thoughtful(rng, turns)
    elif rng.random() < mix.stopped:
        turns = [_stopped(rng, turn) for turn in turns[:-1]] + turns[-1:]
    return writer.dialogue(turns)


def _prepare(writer: Writer) -> None:
    """Give a chat, or not, a system instruction and tools."""
    rng, mix = writer.rng, writer.mix
    if rng.random() < mix.tools:
        writer.toolbox = tools.toolbox(rng, writer.held_out)
    kind = rng.random()
    if kind < mix.instructed * (0.5 if writer.toolbox else 1.0):
        wanted = ("style", "style", "fact", "fact", "topic", "name", "user")
        writer.instruct(*dict.fromkeys(rng.choice(wanted) for _ in range(rng.choice((1, 1, 2, 3)))))
    elif kind > 0.88:
        writer.instruct()


def _thoughtful(rng: random.Random, turns: list[Turn]) -> list[Turn]:
    """Let the model think: before every reply, or only before the last, as where the thoughts of earlier replies are gone."""
    first = 0 if rng.random() < 0.6 else len(turns) - 1
    return turns[:first] + [_thinking(rng, turn) for turn in turns[first:]]


def _thinking(rng: random.Random, turn: Turn) -> Turn:
    if not turn.thought or turn.kind == "json":
        return turn
    words = turn.thought.split(" ")
    if rng.random() < 0.06 and len(words) > 2:
        return replace(turn, thinks=True, cut=True, thought=" ".join(words[: rng.randint(1, len(words) - 1)]))
    return replace(turn, thinks=True)


def _stopped(rng: random.Random, turn: Turn) -> Turn:
    if rng.random() < 0.5 or turn.kind == "tool call":
        return turn
    return replace(turn, keep=rng.random())
