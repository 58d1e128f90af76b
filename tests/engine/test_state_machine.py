"""Any sequence of public calls, two at once among them, keeps the rules of handles and events.

Hypothesis finds the sequences; ``derandomize`` makes them the same in every run. Chats are held by the
machine, so nothing here is ever forgotten; test_races.py has what happens to those that are.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import threading
from collections import defaultdict

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)
from support import IS_TINY, WAIT_S, load_test_model

import gemma_notebook as gn
from gemma_notebook.engine import load_library
from gemma_notebook.errors import (
    ClosedError,
    ContextFullError,
    EngineError,
    OptionValueError,
    SessionLimitError,
)
from gemma_notebook.holding import CHECKPOINTS_KEPT, Holding
from gemma_notebook.loading import open_manager
from gemma_notebook.options import EngineOptions

PROBE = "What is my name?"
SAID = (gn.Message("user", "My name is Ada."), gn.Message("assistant", "Nice to meet you, Ada."))
MAX_SESSIONS = 4

# What a call may raise when another has closed its chat, filled its context or taken its turns back.
EXPECTED = (ClosedError, ContextFullError, OptionValueError, SessionLimitError)

messages = st.sampled_from(["My name is Ada.", "My name is Bo.", PROBE, "Hello."])
instructions = st.sampled_from([None, "Be kind."])
few = st.integers(0, 3)
# Which of the machine's chats or streams. No bundles: what they hold would depend on how two threads raced,
# and Hypothesis could not play a sequence again.
anyone = st.integers(0, 99)


def take(stream, count):
    """Up to ``count`` deltas."""
    return list(itertools.islice(iter(lambda: next(stream, None), None), count))


def leave_after(chat, message, count):
    for number, _ in enumerate(chat.stream(message)):
        if number >= count:
            break


async def cancelled_after(chat, message, count):
    sending = asyncio.create_task(chat.asend(message))
    for _ in range(count * 5):
        await asyncio.sleep(0)
    sending.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await sending


def kinds(events):
    return [event.kind for event in events]


def undo(chat):
    if isinstance(chat, gn.Chat):
        chat.undo()
    else:
        chat.rewind(max(0, len(chat.turns) - 1))


# What may run beside anything else.
OPERATIONS = {
    "send": lambda machine, chat: chat.send("Hello."),
    "asend": lambda machine, chat: asyncio.run(chat.asend("Hello.")),
    "cancelled asend": lambda machine, chat: asyncio.run(cancelled_after(chat, "Hello.", 2)),
    "leave": lambda machine, chat: leave_after(chat, "Hello.", 1),
    "stop": lambda machine, chat: chat.stop(),
    "reset": lambda machine, chat: chat.reset(),
    "undo": lambda machine, chat: undo(chat),
    "regenerate": lambda machine, chat: machine.as_chat(chat).regenerate(),
    "fork": lambda machine, chat: machine.keep(machine.as_chat(chat).fork()),
    "restore": lambda machine, chat: chat.restore(SAID),
    "reload": lambda machine, chat: machine.manager.reload(),
    "reset to other options": lambda machine, chat: machine.as_chat(chat).reset(temperature=0.5),
    "close": lambda machine, chat: chat.close(),
    "create": lambda machine, chat: machine.keep(machine.manager.create_session()),
    "create another": lambda machine, chat: machine.keep(machine.manager.create_session(random_seed=2)),
    "open": lambda machine, chat: machine.keep(machine.manager.open_session()),
}
operations = st.sampled_from(sorted(OPERATIONS))


class Lifecycle(RuleBasedStateMachine):
    """The public calls, and what must hold after each."""

    def __init__(self, manager, answers, fake=None):
        super().__init__()
        self.manager = manager
        self.answers = answers
        self.fake = fake
        self.chats = []
        self.streams = []
        self.run_on = []  # which session came to run on which handle, in order

        def note(holding, conversation):
            vars(holding)["conversation"] = conversation
            if conversation is not None:
                self.run_on.append((holding, conversation.number))

        self.patch = pytest.MonkeyPatch()
        handle = property(lambda holding: vars(holding)["conversation"], note)
        self.patch.setattr(Holding, "conversation", handle, raising=False)

    def as_chat(self, chat):
        if not isinstance(chat, gn.Chat):
            raise ClosedError("a session has no such verb")
        return chat

    def keep(self, chat):
        self.chats.append(chat)

    def chat(self, number):
        """One of the latest chats: superseded and closed ones are among them."""
        if not self.chats:
            self.keep(self.manager.create_chat())
        latest = self.chats[-6:]
        return latest[number % len(latest)]

    def made(self, make, **options):
        if not self.own_lane_is_free and "open" in make.__name__:
            with pytest.raises(SessionLimitError):
                make(**options)
            return
        try:
            self.keep(make(**options))
        except SessionLimitError:
            assert self.manager.session is None and not self.own_lane_is_free

    @property
    def own_lane_is_free(self):
        return len(self.manager.sessions) < MAX_SESSIONS

    # Making

    @rule(instruction=instructions)
    def create_session(self, instruction):
        self.made(self.manager.create_session, system_instruction=instruction)

    @rule(instruction=instructions)
    def create_chat(self, instruction):
        self.made(self.manager.create_chat, system_instruction=instruction)

    @rule()
    def open_session(self):
        self.made(self.manager.open_session)

    @rule()
    def open_chat(self):
        self.made(self.manager.open_chat)

    @rule(chat=anyone)
    def fork(self, chat):
        chat = self.chat(chat)
        if not isinstance(chat, gn.Chat) or chat.session.closed:
            return
        if not self.own_lane_is_free:
            with pytest.raises(SessionLimitError):
                chat.fork()
            return
        fork = chat.fork()
        assert fork.messages == tuple(m for turn in chat.session.turns if turn.done for m in turn.messages)
        self.keep(fork)

    # Talking

    @rule(chat=anyone, message=messages, limit=st.sampled_from([None, None, 1]))
    def send(self, chat, message, limit):
        chat = self.chat(chat)
        with contextlib.suppress(ClosedError, ContextFullError):
            self.check_reply(chat.send(message, max_output_tokens=limit))
            assert not chat.closed

    @rule(chat=anyone, message=messages, count=few)
    def stream(self, chat, message, count):
        chat = self.chat(chat)
        with contextlib.suppress(ClosedError, ContextFullError):
            self.streams.append(chat.stream(message))
            take(self.streams[-1], count)

    @rule(number=anyone, count=few)
    def read_on(self, number, count):
        if self.streams:
            take(self.streams[number % len(self.streams)], count)

    @rule(number=anyone)
    def read_to_the_end(self, number):
        if self.streams:
            self.check_reply(self.streams.pop(number % len(self.streams)).reply)

    @rule(number=anyone)
    def close_a_stream(self, number):
        if self.streams:
            stream = self.streams.pop(number % len(self.streams))
            stream.close()
            assert stream.reply.finish_reason in {"cancelled", "stop", "length"}

    @rule(number=anyone)
    def forget_a_stream(self, number):
        if self.streams:
            self.streams.pop(number % len(self.streams))

    @rule(chat=anyone, message=messages, count=few)
    def leave_the_loop(self, chat, message, count):
        chat = self.chat(chat)
        with contextlib.suppress(ClosedError, ContextFullError):
            leave_after(chat, message, count)

    @rule(chat=anyone, message=messages, count=few)
    def cancel_a_task(self, chat, message, count):
        chat = self.chat(chat)
        with contextlib.suppress(ClosedError, ContextFullError):
            asyncio.run(cancelled_after(chat, message, count))

    def check_reply(self, reply):
        assert reply.finish_reason in {"stop", "length", "cancelled"}
        assert reply.text or reply.finish_reason == "cancelled", "an empty reply without a reason"

    # Stopping, starting over, ending

    @rule(chat=anyone)
    def stop(self, chat):
        chat = self.chat(chat)
        with contextlib.suppress(ClosedError):
            chat.stop()

    @rule(chat=anyone)
    def reset_and_probe(self, chat):
        chat = self.chat(chat)
        try:
            chat.reset()
        except (ClosedError, SessionLimitError):
            return
        assert chat.messages == ()
        assert chat.send(PROBE).text == self.answers[chat.options.system_instruction]

    @rule(chat=anyone)
    def undo(self, chat):
        chat = self.chat(chat)
        with contextlib.suppress(ClosedError, OptionValueError):
            before = chat.messages
            undo(chat)
            assert len(chat.messages) < len(before) or not before

    @rule(chat=anyone)
    def answer_again(self, chat):
        """Greedy, a reply that is taken back by its checkpoint or by a replay comes again as it was."""
        chat = self.chat(chat)
        if not isinstance(chat, gn.Chat):
            return
        with contextlib.suppress(ClosedError, ContextFullError, OptionValueError):
            first = chat.send(PROBE)
            again = chat.regenerate()
            assert again.text == first.text

    @rule(chat=anyone)
    def restore(self, chat):
        chat = self.chat(chat)
        with contextlib.suppress(ClosedError):
            chat.restore(SAID)
            assert chat.messages[:2] == (SAID[0], gn.Message("assistant", SAID[1].text, "stop"))
            assert "Ada" in chat.send(PROBE).text

    @rule(chat=anyone)
    def reload(self, chat):
        chat = self.chat(chat)
        self.manager.reload()
        with contextlib.suppress(ClosedError, ContextFullError):
            # A small model may go on and on after a reply that was stopped; that is no rule of a chat's.
            self.check_reply(chat.send("Hello.", max_output_tokens=20))

    @rule(chat=anyone)
    def close(self, chat):
        chat = self.chat(chat)
        chat.close()
        chat.close()
        with pytest.raises(ClosedError):
            chat.send("Hello.")

    # Two at once

    @rule(numbers=st.tuples(anyone, anyone), names=st.tuples(operations, operations))
    def two_at_once(self, numbers, names):
        chats = [self.chat(number) for number in numbers]
        start = threading.Barrier(2)
        failures = []

        def run(chat, name):
            start.wait(WAIT_S)
            try:
                OPERATIONS[name](self, chat)
            except EXPECTED:
                pass
            except BaseException as error:
                failures.append(error)

        threads = [
            threading.Thread(target=run, args=pair, daemon=True) for pair in zip(chats, names, strict=True)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(WAIT_S)
            assert not thread.is_alive(), f"{names} never ended"
        if failures:
            raise failures[0]

    # What must hold

    @invariant()
    def counts_are_the_truth(self):
        handles, told = self.manager.handles, [event.kind for event in self.manager.events]
        assert (handles.created, handles.closed) == (told.count("created"), told.count("closed"))
        assert handles.live == handles.created - handles.closed
        gone_back_to = sum(event.detail.startswith("from checkpoint") for event in self.manager.events)
        unused = told.count("checkpoint") - told.count("checkpoint_closed") - gone_back_to
        assert handles.checkpoints == unused
        if self.fake is not None:
            assert handles.live + handles.checkpoints == self.fake.count("live_conversations")

    @invariant()
    def checkpoints_are_bounded_and_belong_to_open_chats(self):
        kept = [len(session._holding._checkpoints) for session in self.manager.sessions]
        assert self.manager.handles.checkpoints == sum(kept)
        assert all(count <= CHECKPOINTS_KEPT for count in kept)
        for session in self.manager.sessions:
            assert session.keeps_checkpoints or not session._holding._checkpoints
            assert session.turns or not session._holding._checkpoints

    @invariant()
    def each_open_session_has_one_handle_and_nobody_else_has_any(self):
        held = [session.handle_id for session in self.manager.sessions]
        assert not any(session.closed for session in self.manager.sessions)
        assert self.manager.handles.live == len(held) == len(set(held))
        assert None not in held

    @invariant()
    def every_handle_tells_its_life_in_order(self):
        generating = {
            session.handle_id for session in self.manager.sessions for turn in session.turns if not turn.done
        }
        for handle, events in self.lives().items():
            life = [kind for kind in kinds(events) if not kind.startswith("checkpoint")]
            assert life[0] == "created"
            assert "closed" not in life[:-1]
            assert life.count("cancelled") <= 1 >= life.count("spent")
            # One end for each send; none is missing but that of a reply which is not read to its end.
            sends = [kind for kind in life if kind in ("sent", "ended")]
            assert sends[0::2] == ["sent"] * len(sends[0::2])
            assert sends[1::2] == ["ended"] * len(sends[1::2])
            assert len(sends) % 2 == 0 or handle in generating
            # A turn's numbers come once, after its end, unless its handle was closed first.
            assert life.count("turn") <= life.count("ended")
            assert all(event.usage and event.timing for event in events if event.kind == "turn")

    @invariant()
    def a_lane_closes_one_handle_before_it_creates_the_next(self):
        events = [(event.kind, event.handle) for event in self.manager.events]
        own_lanes = {session._holding for session in self.sessions() if session._forgotten is not None}
        lanes = defaultdict(list)
        for holding, number in self.run_on:
            lanes[holding if holding in own_lanes else "single-chat lane"].append(number)
        for numbers in lanes.values():
            for old, new in itertools.pairwise(numbers):
                assert events.index(("closed", old)) < events.index(("created", new))

    def lives(self):
        lives = defaultdict(list)
        for event in self.manager.events:
            lives[event.handle].append(event)
        lives.pop(0, None)  # creations that failed
        return lives

    def sessions(self):
        return [chat.session if isinstance(chat, gn.Chat) else chat for chat in self.chats]

    def teardown(self):
        self.patch.undo()
        self.manager.close()
        assert (self.manager.handles.live, self.manager.handles.checkpoints) == (0, 0)
        kinds = [event.kind for event in self.manager.events]
        assert kinds.count("sent") == kinds.count("ended")
        if self.fake is not None:
            assert self.fake.log[-1].startswith("engine_delete")
            assert self.fake.count("dangling") == 0


class LifecycleWithFaults(Lifecycle):
    """The same on the stub, whose engine also refuses and breaks off."""

    @rule(
        chat=anyone,
        fault=st.sampled_from(
            [
                {"fail_conversation_create": "1:8:no memory"},
                {"fail_conversation_send_message_stream": "1:3:no such message"},
                {"fail_engine_tokenize": "1"},
                {"end_error": "INTERNAL: broken"},
                {"late_events": "2"},
                {"synchronous": "1"},
            ]
        ),
        verb=st.sampled_from(["send", "reset", "create"]),
    )
    def while_the_engine_fails(self, chat, fault, verb):
        chat = self.chat(chat)
        self.fake.set(**fault)
        try:
            with contextlib.suppress(EngineError, *EXPECTED):
                OPERATIONS[verb](self, chat)
        finally:
            self.fake.set(**dict.fromkeys(fault))
        for session in self.manager.sessions:
            if session.handle_id is None:  # a reset that failed: the next send makes the handle
                session.reset()


def run_machine(machine, examples, steps):
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def fresh_answers(open_fresh):
    answers = {}
    for instruction in (None, "Be kind."):
        with open_fresh() as manager:
            answers[instruction] = manager.create_session(system_instruction=instruction).send(PROBE).text
    return answers


@pytest.mark.timeout(600)
def test_any_sequence_of_calls_keeps_the_rules_on_the_stub(fake, tmp_path):
    model = tmp_path / "stub.litertlm"
    model.write_bytes(b"the stub reads nothing")

    def open_fresh():
        fake.let_go()
        fake.reset()
        fake.set(strict="1")
        return open_manager(
            EngineOptions(model, backend="cpu"),
            max_sessions=MAX_SESSIONS,
            check=False,
            library=load_library(fake.library),
        )

    answers = fresh_answers(open_fresh)
    run_machine(lambda: LifecycleWithFaults(open_fresh(), answers, fake), examples=120, steps=25)


@pytest.mark.timeout(600)
def test_any_sequence_of_calls_keeps_the_rules_on_the_real_engine():
    def open_fresh():
        return load_test_model(max_sessions=MAX_SESSIONS)

    answers = fresh_answers(open_fresh)
    run_machine(lambda: Lifecycle(open_fresh(), answers), examples=40 if IS_TINY else 3, steps=25)
