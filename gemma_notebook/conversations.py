"""The native handles of a session, one after the other: each created where the chat stands, with room for what is sent."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator, Sequence

from gemma_notebook.engine import Conversation, ConversationOptions, Engine, HandleState
from gemma_notebook.errors import EngineError
from gemma_notebook.history import History
from gemma_notebook.holding import Holding
from gemma_notebook.models.container import tool_call_start
from gemma_notebook.options import SEEDS, ContextPolicy, SessionOptions
from gemma_notebook.prompted import instruction
from gemma_notebook.prompts import history_json, system_json, tools_json, turn_json
from gemma_notebook.room import context_full, media_tokens, reply_reserve, turns_to_drop
from gemma_notebook.tools import tools_of
from gemma_notebook.turns import Turn

__all__ = ["Conversations"]

# Stands before a chat, and not in its rendering.
_BEGIN_OF_SEQUENCE = 1
# For chat templates that write the thoughts of earlier turns only then, as the bundled model's does.
_KEEPS = json.dumps({"keep_thinking": True})


class Conversations:
    """Gives a session the handle for its next message: the one that is held, or a fresh one with the turns replayed.

    Not thread-safe: the session's lock guards it.

    Attributes:
        options: What the next handle is created with; see :meth:`change`.
        tools: The tools of the options, by their names.
        attempt: How many replies were asked for again: a sampler begins with another seed for each.
        holding: The handle and the checkpoints.
    """

    def __init__(self, engine: Callable[[], Engine], options: SessionOptions, history: History) -> None:
        self._current_engine = engine
        self._history = history
        self.change(options)
        self.attempt = 0
        self.holding = Holding()
        self._replayed: Turn | None = None  # the last turn that the handle was created with

    def change(self, options: SessionOptions) -> None:
        """Create the next handles with other options."""
        self.options, self.tools = options, tools_of(options)

    @property
    def _engine(self) -> Engine:
        return self._current_engine()  # another one after a reload

    @property
    def prompted(self) -> bool:
        """The tools are declared in the prompt: the model's file declares no function calling."""
        return bool(self.tools) and not self._engine.model.supports_tools

    @property
    def call_start(self) -> str:
        """What the model writes before a call that the engine reads."""
        model = self._engine.model
        return tool_call_start(model.path) if self.tools and model.supports_tools else ""

    # Creating

    def create(self, *, constrained: bool = False) -> Conversation:
        """Create the handle that is held from here on; the last one must be closed: one KV cache at a time."""
        options = self.creation_options(constrained=constrained)
        conversation = self.holding.conversation = self._engine.create_conversation(options)
        self._replayed = self._history.last_done
        if any(turn.follows is self._replayed and not turn.done for turn in self._history.turns):
            self._replayed = None  # what came of its calls is still to be told
        return conversation

    def creation_options(self, *, constrained: bool = False) -> ConversationOptions:
        """What a handle is created with, so that it stands where the chat stands.

        A constraint holds from the first token on, and would be met inside the thoughts: a handle that is
        made for one does not think.
        """
        options, prompted = self.options, self.prompted
        thinking = options.enable_thinking and not constrained
        system = options.system_instruction
        return ConversationOptions(
            system_message_json=system_json(instruction(system, self.tools) if prompted else system),
            messages_json=history_json(self._history.turns, keep_thinking=options.keep_thinking),
            tools_json=None if prompted else tools_json(self.tools),
            lora_path=options.lora_path,
            temperature=options.temperature,
            random_seed=(options.random_seed + self.attempt) % SEEDS,
            top_k=options.top_k,
            top_p=options.top_p,
            max_output_tokens=options.max_output_tokens,
            enable_thinking=thinking or None,
            thinking_token_budget=options.thinking_token_budget if thinking else None,
            extra_context_json=_KEEPS if options.keep_thinking else None,
            keep_thinking=options.keep_thinking,
            constrained=constrained,
        )

    def go_back(self) -> None:
        """Close the handle, now that the history has gone back, and go on: on a checkpoint of it, or on a fresh handle."""
        turns = self._history.turns
        self._replayed = turns[-1] if turns else None  # of a checkpoint
        self.holding.close_conversation()
        if not self.holding.go_back(turns):
            self.create()

    # For a message

    def with_room(self, turn: Turn, policy: ContextPolicy) -> tuple[Conversation, int, int]:
        """A handle on which the turn fits, the tokens in its KV cache now, and those that the turn adds.

        A full context is silent in the engine: the reply stops in mid-sentence and later sends give
        nothing at all, so it is counted here before the send.

        Raises:
            ContextFullError: It does not fit, and nothing may or can be dropped.
        """
        limit = self._engine.model.context_limit
        reserve = reply_reserve(turn.options.max_output_tokens or self.options.max_output_tokens, limit)
        while True:
            conversation = self._usable(turn)
            used, prompt = self._measure(conversation, turn)
            needed = prompt + reserve
            if limit <= 0 or used + needed <= limit:
                return conversation, used, prompt
            droppable = self._history.before(turn.first)
            if policy == "error" or not droppable:
                replayed = prompt - self._alone(turn) if conversation.fresh else 0
                raise context_full(
                    needed - replayed, reserve, used + replayed, limit, droppable=bool(droppable)
                )
            # Down to three quarters: each trim costs a prefill of all that is kept.
            over = used + needed - limit
            drop = turns_to_drop(droppable, wanted=over + limit // 4, needed=over, total=used + prompt)
            turn.trimmed_turns += sum(one.follows is None for one in droppable[:drop])
            self._history.drop_oldest(drop)
            self.holding.drop_checkpoints()  # nobody can go back to what was forgotten
            conversation.retire("trimmed")

    @contextlib.contextmanager
    def undropped_unless_started(self, turn: Turn) -> Iterator[None]:
        """What is dropped to make room for ``turn`` comes back when that is not sent."""
        history = self._history
        before = history.turns, history.dropped
        try:
            yield
        except BaseException:
            if not turn.started and (history.turns, history.dropped) != before:
                history.turns, history.dropped = before
                self.retire("not trimmed")
            raise

    def _usable(self, turn: Turn) -> Conversation:
        """The handle, or a fresh one with the turns replayed when it can take no more messages, or not this one."""
        conversation = self.holding.conversation
        constrained = turn.constrained
        if conversation is not None and conversation.state is HandleState.OPEN:
            if conversation.constrained != constrained:
                conversation.retire("for a constraint" if constrained else "without a constraint")
            elif not self._has_heard_all_before(turn):
                conversation.retire("results untold")
        if conversation is None or conversation.state is not HandleState.OPEN:
            self.holding.close_conversation()
            conversation = self.create(constrained=constrained)
        return conversation

    def _has_heard_all_before(self, turn: Turn) -> bool:
        """Whether the handle was told what came of the calls before ``turn``, and not of those that it answers."""
        if turn.follows is not None:
            return turn.follows is not self._replayed
        before = next(reversed(self._history.before(turn)), None)
        if before is None or before is self._replayed:
            return True
        unheard = not before.started and (before.results or before.has_reply)
        return not (before.tool_calls or unheard)

    def _measure(self, conversation: Conversation, turn: Turn) -> tuple[int, int]:
        """The tokens in the KV cache as the turn is taken in, and those that the turn adds."""
        measure = conversation.measure(turn_json(turn))
        turn.rendered = measure.rendered
        used, prompt, told = measure.context_tokens, measure.message_tokens, [turn]
        before = self._history.before(turn)
        if conversation.fresh:
            # The rendering holds the replayed turns as well: they are not in the KV cache yet.
            prompt += _BEGIN_OF_SEQUENCE
            told += [one for one in before if one.done]
        elif self._has_thoughts_to_drop(before):
            # What stays in the KV cache when the engine has taken the thoughts out is what a replay would put there (measured).
            replay = self._engine.render(self.creation_options(constrained=turn.constrained), turn_json(turn))
            heard = media_tokens(part for one in before if one.done for part in one.parts)
            used = len(self._engine.tokenize(replay)) + _BEGIN_OF_SEQUENCE - prompt + heard
        turn.media_tokens = media_tokens(part for one in told for part in one.parts)
        return used, prompt + turn.media_tokens

    def _alone(self, turn: Turn) -> int:
        """About how many tokens the turn has without what was said before it and the system instruction."""
        try:
            text = self._engine.render(ConversationOptions(), turn_json(turn))
        except EngineError:  # a template that has results only after the calls
            text = turn.message or turn_json(turn)
        return len(self._engine.tokenize(text)) + media_tokens(turn.parts)

    # Clones

    def keep_checkpoint(self, turn: Turn) -> None:
        """Clone the handle as it is before ``turn``, where to go back to that clone is better than a replay."""
        if turn.follows is not None:  # one goes back to what the user said
            return
        conversation, before = self.holding.conversation, self._history.before(turn)
        if conversation is None or self._has_thoughts_to_drop(before):
            return
        # A sampler's state is not in a clone, and what is fresh costs no more to replay. A clone of a handle with a constraint
        # breaks off its next reply: the engine's grammar panics (measured with 0.18.1).
        if self.options.greedy and not conversation.fresh and not conversation.constrained:
            self.holding.keep_checkpoint(before)

    def clone(self, turns: Sequence[Turn]) -> Conversation | None:
        """A clone of the handle, if that holds exactly ``turns`` and its answers are those of a replay."""
        conversation = self.holding.conversation
        if (
            conversation is None
            or conversation.state is not HandleState.OPEN
            or conversation.fresh
            or conversation.constrained
            or not self.options.greedy
            or self._history.turns != tuple(turns)
            or self._has_thoughts_to_drop(turns)
        ):
            return None
        return conversation.clone()

    def _has_thoughts_to_drop(self, turns: Sequence[Turn]) -> bool:
        """Whether the next message takes thoughts out of the KV cache: a clone of the handle would keep them for good (measured
        with 0.18.1).
        """
        if self.options.keep_thinking or not turns:
            return False
        return any(turn.thinking for turn in turns[turns.index(turns[-1].first) :])

    # Leaving

    def retire(self, why: str) -> None:
        """Let the next message have a fresh handle. Never waits."""
        if self.holding.conversation is not None:
            self.holding.conversation.retire(why)
