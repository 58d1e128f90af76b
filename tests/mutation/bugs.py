"""The bugs that mutate.py plants: a name, a file of the package, and what to replace in it by what."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["BUGS", "SEEN_BY_NOTEBOOKS", "Bug"]


@dataclass(frozen=True)
class Bug:
    """A planted mistake. Each text must occur in the file exactly once."""

    name: str
    file: str
    replacements: tuple[tuple[str, str], ...]


def bug(name: str, file: str, *texts: str) -> Bug:
    return Bug(name, file, tuple(zip(texts[::2], texts[1::2], strict=True)))


SESSIONS, SESSION, HISTORY = "sessions.py", "session.py", "history.py"
CONVERSATIONS, CREATIONS = "conversations.py", "creations.py"
TURNS, STREAMS, CHAT = "turns.py", "streams.py", "chat.py"
PROMPTS, HOLDING, ROOM = "prompts.py", "holding.py", "room.py"
EXCHANGE, CALLING, PROMPTED, QUEUE = "exchange.py", "calling.py", "prompted.py", "turn_queue.py"
ENGINE, CONVERSATION = "engine/engine.py", "engine/conversation.py"
HANDLES, STREAM = "engine/handles.py", "engine/stream.py"

_ENDED = "        self.leave(creation)\n        creation.done.set()\n"
_SHARED = "last is not None and (last.options, last.use) == (options, use)"

BUGS = (
    # Creating
    bug(
        "the lane creates the next handle before it closes the last",
        SESSIONS,
        "        if previous is not None:\n            previous.close()\n        try:\n",
        "        try:\n",
        "            session = Session(self, creation.options)\n",
        """            session = Session(self, creation.options)
            if previous is not None:
                previous.close()
""",
    ),
    bug(
        "a creation under way counts for nothing",
        SESSIONS,
        "                self._check_limit()\n                self._creations.hold_place(creation)\n",
        "                self._check_limit()\n",
    ),
    bug(
        "an interrupt in going back leaves the handle as it was",
        SESSION,
        '                    self._conversations.retire("gone back")\n',
        "",
    ),
    bug("concurrent equal creates are not shared", CREATIONS, _SHARED, "False"),
    bug("concurrent different creates are shared", CREATIONS, _SHARED, "last is not None"),
    bug(
        "chats that differ in what is the chat's share a creation",
        CREATIONS,
        _SHARED,
        "last is not None and last.options == options",
    ),
    bug(
        "the guard of a creation is not cleared on failure",
        CREATIONS,
        _ENDED,
        "        creation.done.set()\n",
    ),
    bug("those who share a creation are not woken", CREATIONS, _ENDED, "        self.leave(creation)\n"),
    bug(
        "a session that was made while the manager closed is handed out",
        SESSIONS,
        """                if self.closed:
                    raise ClosedError(
                        "the model was closed while""",
        """                if self._state == "gone":
                    raise ClosedError(
                        "the model was closed while""",
    ),
    bug(
        "a closed manager creates",
        SESSIONS,
        """        if self.closed:
            raise ClosedError("this model is closed""",
        """        if self._state == "gone":
            raise ClosedError("this model is closed""",
    ),
    bug(
        "the cap lets one more in",
        SESSIONS,
        "        if count >= self._max_sessions:\n            raise",
        "        if count > self._max_sessions:\n            raise",
    ),
    bug(
        "a restore leaves the clones of what it forgets",
        HOLDING,
        "one.turns == wanted or one.turns != wanted[: len(one.turns)]",
        "one.turns[: len(wanted)] == wanted",
    ),
    bug(
        "the queue keeps a turn that failed",
        QUEUE,
        "            if self._active is turn and turn.done:\n                self._active = None\n",
        "",
    ),
    bug(
        "a handle made by an interrupted call is lost",
        ENGINE,
        "            elif made:\n",
        "            elif False:\n",
    ),
    # Closing
    bug(
        "a late close clears the live session",
        SESSIONS,
        "            if self._session is session:\n",
        "            if True:\n",
    ),
    bug("a closed session answers", SESSION, "        if self.closed:\n", "        if False:\n"),
    bug(
        "a closed session stays on the manager's list",
        SESSION,
        "                self.manager._forget(self)\n",
        "                pass\n",
    ),
    bug(
        "an interrupted close is taken for a close",
        SESSION,
        "            if self._holding.closed:  # else",
        "            if True:  # else",
    ),
    bug(
        "an interrupted close loses the handle",
        HOLDING,
        """        finally:
            if _is_closed(conversation):
""",
        """        finally:
            if True:
""",
    ),
    bug(
        "an interrupted close cannot be finished", CONVERSATION, "            self._life.abort_close()\n", ""
    ),
    bug(
        "a shutdown does not wait for creations in flight",
        SESSIONS,
        "                while self._creations.under_way:\n",
        "                while False:\n",
    ),
    bug(
        "an interrupted shutdown stays half done",
        SESSIONS,
        """            except BaseException:
                self._state = "open"
                raise
""",
        """            except ValueError:
                raise
""",
    ),
    bug(
        "the engine is deleted before its conversations",
        ENGINE,
        "            for conversation in tuple(self._conversations):\n",
        "            for conversation in ():\n",
        "                lost = sorted(one.number for one in self._conversations)\n",
        "                lost = []\n",
    ),
    bug("an engine with a lost handle is deleted", ENGINE, " and not lost and ", " and "),
    bug(
        "a handle is deleted without cancel and wait",
        CONVERSATION,
        "            self._cancel_and_wait(deadline)\n",
        "",
        """                if self._generation is None:
                    self._delete()
""",
        """                if True:
                    self._delete()
""",
    ),
    bug(
        "a close waits for the end without a cancel",
        CONVERSATION,
        """not generation.wait_end(0)):
                self._cancel_once()
""",
        """not generation.wait_end(0)):
                pass
""",
    ),
    bug(
        "the end of a reply is told after its handle was closed",
        CONVERSATION,
        """        generation.keep_rest()
        self.settle()
""",
        "",
        """                if self._generation is None:
                    self._delete()
""",
        """                if self._generation is None or self._generation.wait_end(0):
                    self._delete()
""",
    ),
    bug(
        "two closers both delete",
        HANDLES,
        "            if self.state in (HandleState.CLOSING, HandleState.CLOSED):\n",
        "            if self.state in (None,):\n",
    ),
    bug(
        "a closed handle is not counted",
        HANDLES,
        "                self._live.remove(handle)\n",
        "                pass\n",
    ),
    bug(
        "a chat that was closed while it took its lane back leaves a session",
        CHAT,
        "            if self._closed:  # meanwhile",
        "            if False:  # meanwhile",
    ),
    # Stopping
    bug(
        "a stop stops whatever the engine runs",
        SESSION,
        "        for turn in (*self.turns, *tuple(self._coming)):\n",
        "        for turn in filter(None, [*self.turns, *self._coming, self.manager._queue._active]):\n",
    ),
    bug(
        "a stop misses what has yet to begin",
        SESSION,
        "        for turn in (*self.turns, *tuple(self._coming)):\n",
        "        for turn in self.turns:\n",
    ),
    bug(
        "a reset misses what has yet to begin",
        SESSION,
        "turn.resets_before != self._resets or not self._history.take_in(turn)",
        "not self._history.take_in(turn)",
    ),
    bug(
        "a late cancel spends the handle",
        CONVERSATION,
        "            if generation is not None and generation.wait_end(0):\n                return False",
        "            if False:\n                return False",
    ),
    bug(
        "a late cancel hits the next turn",
        CONVERSATION,
        " or self._generation is not generation:\n",
        ":\n",
    ),
    bug(
        "a cancel that the engine loses is not asked for again",
        CONVERSATION,
        "            self._asked_at = now\n            self._native_cancel()\n",
        "            self._asked_at = now\n",
    ),
    bug(
        "a cancel cannot reach a send that generates",
        TURNS,
        "        self._conversation = conversation  # from here",
        "        # from here",
        "            self._generation = conversation.send(message_json, self.options)\n        except",
        "            self._generation = conversation.send(message_json, self.options)\n"
        "            self._conversation = conversation\n        except",
    ),
    bug(
        "a spent handle is used again",
        CONVERSATIONS,
        "        if conversation is None or conversation.state is not HandleState.OPEN:\n",
        "        if conversation is None or conversation.state is HandleState.CLOSED:\n",
    ),
    bug(
        "a cancelled handle is not spent",
        CONVERSATION,
        "spent=self._cancelled or bool(generation.error)",
        "spent=bool(generation.error) and not self._cancelled",
    ),
    bug(
        "the replay is dropped",
        CONVERSATIONS,
        "messages_json=history_json(",
        "messages_json=None and history_json(",
    ),
    bug(
        "a partial reply is not replayed",
        PROMPTS,
        "    text = turn.raw_text if turn.prompted else turn.text\n",
        '    text = turn.text if turn.reply and turn.reply.finish_reason == "stop" else "..."\n',
    ),
    bug(
        "a reply cut by its limit keeps the handle",
        TURNS,
        "            conversation.retire(reason)\n",
        "            pass\n",
    ),
    # Queueing
    bug(
        "a cancelled turn that waits is started",
        QUEUE,
        """                    if turn.cancel_requested:
                        turn.finish_unstarted()  # before the turn behind looks at what it has to tell the model
                        return False
""",
        "",
    ),
    bug(
        "the last to come is served first",
        QUEUE,
        "self._waiting.append(turn)",
        "self._waiting.appendleft(turn)",
    ),
    bug(
        "two turns generate at once",
        QUEUE,
        "if at_head and (active is None or active.done):",
        "if at_head:",
    ),
    bug(
        "a cancelled turn blocks the queue",
        QUEUE,
        """            if turn in self._waiting:
                self._waiting.remove(turn)
""",
        """            if turn in self._waiting and not turn.cancel_requested:
                self._waiting.remove(turn)
""",
    ),
    bug(
        "nobody brings an abandoned turn to its end",
        QUEUE,
        "                active.wait_end(_WAIT_S)\n",
        "                active._done.wait(_WAIT_S)\n",
    ),
    bug(
        "a turn that the engine refused stays",
        SESSION,
        "                self._history.remove(turn)\n",
        "                pass\n",
    ),
    bug(
        "an interrupted send goes on generating",
        SESSION,
        """                turn.cancel()
                turn.drain()
                raise
""",
        """                raise
""",
    ),
    # Streams
    bug("a finished generation is not settled", TURNS, "        conversation.settle()\n", ""),
    bug(
        "leaving the loop does not cancel",
        STREAMS,
        "    turn.cancel()\n    turn.drain()\n",
        "    turn.drain()\n",
    ),
    bug(
        "leaving the loop does not wait for the end",
        STREAMS,
        "    turn.cancel()\n    turn.drain()\n",
        "    turn.cancel()\n",
    ),
    bug(
        "a forgotten stream decodes on",
        STREAMS,
        """        if not self._turn.done:
            _reaper.run_later(partial(_bring_to_an_end, self._turn))
""",
        "        pass\n",
    ),
    bug(
        "a cancelled task decodes on",
        STREAMS,
        """            self._turn.cancel()
            await in_thread(self._turn.drain)
""",
        """            pass
""",
        """        except BaseException:
            self._turn.cancel()
            raise
""",
        """        except BaseException:
            raise
""",
    ),
    bug(
        "a reply whose end never comes is waited for",
        TURNS,
        "(bool(conversation.lost) or conversation.overdue)",
        "False",
    ),
    bug(
        "a Ctrl-C leaves a hole in the reply",
        STREAM,
        "        if not self._batch_unread:\n",
        "        if True:\n",
    ),
    bug(
        "a close takes the last chunks from the reader",
        STREAM,
        "            self._collect(0)\n",
        "            self._collect(0)\n            self._chunks = []\n",
    ),
    bug(
        "a forked child waits for its parent's reply",
        STREAM,
        "        return os.getpid() == self._pid\n",
        "        return True\n",
    ),
    # Starting over
    bug(
        "a reset keeps the turns",
        HISTORY,
        "        self.turns = (*self.turns[:left], *then)\n",
        "        self.turns = (*self.turns, *then)\n",
    ),
    bug(
        "a reset creates the next handle before it closes the last",
        CONVERSATIONS,
        """        self.holding.close_conversation()
        if not self.holding.go_back(turns):
            self.create()
""",
        """        last = self.holding.conversation
        self.holding.conversation = None
        self.create()
        if last is not None:
            last.close()
""",
    ),
    bug(
        "a reset waits for the one whose message is being sent",
        SESSION,
        "            self._cancel_after(keep)  # before the lock: one that is just starting holds it\n",
        "",
    ),
    bug(
        "the guard of a reset is not cleared",
        SESSION,
        """        finally:
            self._end_reset(mine)
            mine.done.set()
""",
        """        finally:
            mine.done.set()
""",
    ),
    bug(
        "a reset that joined an interrupted one has done nothing",
        SESSION,
        "        return running.error is None\n",
        "        return True\n",
    ),
    bug(
        "a reset joins one that is over",
        SESSION,
        "                if reset is not None:\n",
        "                if False:\n",
    ),
    bug(
        "a message that cannot fit empties the chat",
        CONVERSATIONS,
        "                history.turns, history.dropped = before\n",
        "                pass\n",
    ),
    bug(
        "a stopped message without a reply is not replayed",
        PROMPTS,
        "(turn.has_reply or turn.results)",
        "(turn.raw_text or turn.thinking or turn.tool_calls or turn.results)",
    ),
    bug(
        "what was dropped to make room is forgotten",
        HISTORY,
        "        self.dropped, self.turns = (*self.dropped, *self.turns[:count]), self.turns[count:]\n",
        "        self.turns = self.turns[count:]\n",
    ),
    bug(
        "an edit forgets before it checks",
        CHAT,
        "        turn = self._turn_like(session, said, message, max_output_tokens)\n        with",
        "        session._rewind_before(said)\n        turn = self._turn_like(session, said, message, max_output_tokens)\n        with",
    ),
    bug(
        "an edit that cannot be sent forgets",
        CHAT,
        "                session._put_back(taken, again=again)",
        "                pass",
    ),
    bug(
        "a fork has its parent's turns",
        CHAT,
        "parent.options, copies_of(turns), lambda",
        "parent.options, turns, lambda",
    ),
    bug(
        "an integer that is too large drops the history",
        PROMPTS,
        "        return str(value)\n    if isinstance(value, list | tuple):",
        "        return value\n    if isinstance(value, list | tuple):",
    ),
    # Going back
    bug(
        "a reset leaves the clones",
        HOLDING,
        "        self._close(forgotten)\n",
        "",
    ),
    bug(
        "a close leaves the clones",
        HOLDING,
        "            self.drop_checkpoints()\n        finally:\n",
        "            pass\n        finally:\n",
    ),
    bug(
        "clones are not bounded",
        HOLDING,
        "        self.drop_checkpoints(keep=CHECKPOINTS_KEPT)\n",
        "",
    ),
    bug(
        "a chat goes back to a clone of another moment",
        HOLDING,
        "if one.turns == wanted)",
        "if len(one.turns) <= len(wanted))",
    ),
    bug(
        "a clone is taken after the message is sent",
        SESSION,
        """                if self.keeps_checkpoints:
                    conversations.keep_checkpoint(turn)
""",
        "",
        """                    call_start=conversations.call_start,
                )
""",
        """                    call_start=conversations.call_start,
                )
                turn.drain()
                conversations.keep_checkpoint(turn)
""",
    ),
    bug(
        "a chat that samples goes back by clones",
        CONVERSATIONS,
        "if self.options.greedy and not conversation.fresh and",
        "if not conversation.fresh and",
    ),
    bug(
        "a chat goes back by clones of handles with a constraint",
        CONVERSATIONS,
        " and not conversation.constrained:",
        ":",
    ),
    bug(
        "a fork shares its parent's handle",
        CONVERSATIONS,
        "        return conversation.clone()\n",
        "        return conversation\n",
    ),
    bug(
        "a fork clones what has turns to come",
        CONVERSATIONS,
        "            or self._history.turns != tuple(turns)\n",
        "",
        "            or conversation.state is not HandleState.OPEN\n",
        "",
    ),
    bug(
        "a trim keeps clones of what it forgot",
        CONVERSATIONS,
        "            self.holding.drop_checkpoints()  # nobody can go back to what was forgotten\n",
        "",
    ),
    bug(
        "a trim drops turns that wait",
        CONVERSATIONS,
        "            droppable = self._history.before(turn.first)\n",
        "            droppable = tuple(one for one in self._history.turns if one is not turn.first)\n",
    ),
    bug(
        "the turns of a chat are answered in another order than they stand",
        QUEUE,
        "            self._waiting.append(turn)\n",
        "            self._waiting.insert(len(self._waiting) // 2, turn)\n",
    ),
    bug("regenerate begins with the same seed", SESSION, "attempt=attempt + again)", "attempt=attempt)"),
    bug(
        "restored messages are not replayed",
        PROMPTS,
        "                _reply_of(message, usage),\n",
        "                None,\n",
    ),
    bug(
        "messages that cannot be restored are found too late",
        SESSION,
        "        turns = turns_of(messages, self._engine)\n",
        "        self._restart(keep=0)\n        turns = turns_of(messages, self._engine)\n",
    ),
    # Waiting and reloading
    bug(
        "a creation waits inside the engine",
        ENGINE,
        "if (g := one.running)), None)",
        "if (g := one.running) and False), None)",
    ),
    bug(
        "the next reply goes before a creation that waits",
        CONVERSATION,
        "            engine.wait_for_quiet_calls()\n",
        "",
    ),
    bug(
        "a reply that stands still is waited for",
        CONVERSATION,
        "        if generation.silent_s < (",
        "        if True or generation.silent_s < (",
    ),
    bug(
        "a prefill is taken for a standstill",
        CONVERSATION,
        "(STALL_TIMEOUT_S if speaks else SILENCE_TIMEOUT_S)",
        "STALL_TIMEOUT_S",
    ),
    bug(
        "a reload forgets what was said",
        SESSION,
        "        self._see_off(self.turns)\n        self._holding.close()\n",
        "        self._see_off(self.turns)\n        self._history.turns = ()\n        self._holding.close()\n",
    ),
    bug(
        "a reload waits for a call that never returns",
        SESSION,
        "        if not self._lock.acquire(timeout=timeout_s):\n",
        "        if not self._lock.acquire():\n",
    ),
    bug(
        "a reload leaves the engine that hangs in the way",
        ENGINE,
        "        if self.lock.acquire(timeout=timeout_s):\n            self.lock.release()\n",
        "        if True:\n",
    ),
    bug(
        "lost handles stay counted after a reload",
        ENGINE,
        "        self.ledger.write_off()\n",
        "",
    ),
    bug(
        "a reload that failed cannot be tried again",
        SESSIONS,
        """                    session._begin_again()
        finally:
            with self._changed:
                self._state = "open"
""",
        """                    session._begin_again()
                self._state = "open"
        finally:
            with self._changed:
""",
    ),
    bug(
        "who sends during a reload is refused",
        SESSION,
        "        if not self.manager.reloading:\n",
        "        if True:\n",
    ),
    bug(
        "the garbage collector waits for a reply",
        STREAMS,
        "        if _reaper.in_collection():\n",
        "        if False:\n",
    ),
    # Forgetting
    bug(
        "a forgotten session is not closed",
        "_reaper.py",
        "        forgotten.close()\n",
        "        pass\n",
    ),
    bug(
        "a stream does not keep its session",
        STREAMS,
        """        self._session = session  # a session that nobody holds is closed, and this one is in use
        self._next = 0
        self._closed = False
""",
        """        self._next = 0
        self._closed = False
""",
    ),
    # Tools
    bug(
        "a call without an answer is not answered in a replay",
        PROMPTS,
        "            messages += _unanswered(turn)\n",
        "            pass\n",
    ),
    bug(
        "a reset does not end the calls",
        EXCHANGE,
        "        if turn.cancel_requested or self._session.closed:",
        "        if self._session.closed:",
    ),
    bug(
        "the rounds of calls are not bounded",
        EXCHANGE,
        "elif len(self._turns) > self._policy.max_turns:",
        "elif False:",
    ),
    bug("a stopped call is forgotten", EXCHANGE, "            self._session._note(follow_up)\n", ""),
    bug(
        "the next message does not wait for the tools",
        EXCHANGE,
        "            self._before = self._line.join(self)\n",
        "            self._line.join(self)\n",
    ),
    bug(
        "a denied tool is called",
        CALLING,
        "            if not allowed:\n",
        "            if not allowed and False:\n",
    ),
    bug(
        "a tool that needs approval is called without",
        CALLING,
        "            return None if tool.needs_approval else True\n",
        "            return True\n",
    ),
    bug(
        "a result that comes between two looks is not told",
        EXCHANGE,
        "        self._tell(calls.wait(0))  # what came between the two looks\n",
        "",
    ),
    bug(
        "one result too long costs all others",
        EXCHANGE,
        "                place = by_length.pop()\n",
        "                place, by_length = by_length[-1], []\n",
    ),
    bug(
        "a late result takes the place of an answer",
        CALLING,
        "            if pending.result is None:\n                pending.result = result",
        "            if True:\n                pending.result = result",
    ),
    bug("a call has all the time in the world", CALLING, "            self._end_overdue()\n", ""),
    bug(
        "an async tool in overtime runs on",
        CALLING,
        "        if unanswered and cancel is not None:",
        "        if False and cancel is not None:",
    ),
    bug(
        "control tokens of a result reach the template",
        PROMPTS,
        '"response": _defused(result.value)',
        '"response": result.value',
    ),
    bug(
        "a trim parts a call from its result",
        ROOM,
        "if dropped >= tokens and (following is None or following.follows is None):",
        "if dropped >= tokens:",
    ),
    bug("a call is shown as text", PROMPTED, "if _may_become_call(rest):", "if False:"),
    bug(
        "an undo takes back the answer alone",
        HISTORY,
        "        return self.turns[-1].first\n",
        "        return self.turns[-1]\n",
    ),
    bug(
        "the handle that was not told a result goes on",
        CONVERSATIONS,
        "            elif not self._has_heard_all_before(turn):",
        "            elif False:",
    ),
    bug(
        "a fork forgets who approves",
        CHAT,
        "            tool_policy=self._tool_policy,\n            session=session,",
        "            session=session,",
    ),
    # Structured output
    bug(
        "a constraint outlives its send",
        CONVERSATIONS,
        "            if conversation.constrained != constrained:",
        "            if constrained and not conversation.constrained:",
    ),
    bug(
        "a format that cannot work is sent",
        CHAT,
        "        if turn.constrained and not session._engine.can_constrain:",
        "        if False:",
    ),
    bug(
        "a reply that was cut is parsed",
        TURNS,
        'self.response_format is None or reply.finish_reason != "stop" or',
        "self.response_format is None or",
    ),
    bug(
        "a call that never ends is shown as text",
        TURNS,
        "if call_start and self._calls_in_text is None and",
        "if call_start and self.held_to_call and",
    ),
    bug(
        "a constrained reply thinks",
        CONVERSATIONS,
        "thinking = options.enable_thinking and not constrained",
        "thinking = options.enable_thinking",
    ),
    bug(
        "a clone keeps the thoughts that a replay has not",
        CONVERSATIONS,
        "        if self.options.keep_thinking or not turns:\n",
        "        if True:\n",
    ),
    bug(
        "a turn that only thought is not replayed",
        PROMPTS,
        "(turn.has_reply or turn.results)",
        "(turn.raw_text or turn.tool_calls or turn.results)",
    ),
    bug(
        "a call that was answered while one was asked is made all the same",
        CALLING,
        "if pending.result is not None:  # stopped",
        "if False:  # stopped",
    ),
    bug(
        "a required call is asked for without what is attached",
        SESSION,
        "        turn.read_attachments()\n        wanted",
        "        wanted",
    ),
)

# Bugs that a notebook's outputs show. The others need threads, interrupts, a failing engine or a fork to be seen.
SEEN_BY_NOTEBOOKS = (
    "a call has all the time in the world",
    "a call is shown as text",
    "a call without an answer is not answered in a replay",
    "a cancelled handle is not spent",
    "a cancelled task decodes on",
    "a cancelled turn blocks the queue",
    "a chat goes back to a clone of another moment",
    "a call that never ends is shown as text",
    "a chat that samples goes back by clones",
    "a clone is taken after the message is sent",
    "a close leaves the clones",
    "a closed handle is not counted",
    "a closed manager creates",
    "a closed session answers",
    "a closed session stays on the manager's list",
    "a constrained reply thinks",
    "a constraint outlives its send",
    "a denied tool is called",
    "a finished generation is not settled",
    "a forgotten session is not closed",
    "a forgotten stream decodes on",
    "a fork clones what has turns to come",
    "a fork forgets who approves",
    "a fork shares its parent's handle",
    "a late cancel spends the handle",
    "a late close clears the live session",
    "a late result takes the place of an answer",
    "a message that cannot fit empties the chat",
    "a partial reply is not replayed",
    "a reload forgets what was said",
    "a reply cut by its limit keeps the handle",
    "a reply that was cut is parsed",
    "a reset creates the next handle before it closes the last",
    "a reset does not end the calls",
    "a reset keeps the turns",
    "a reset leaves the clones",
    "a spent handle is used again",
    "a stop stops whatever the engine runs",
    "a stopped call is forgotten",
    "a stream does not keep its session",
    "a tool that needs approval is called without",
    "a trim keeps clones of what it forgot",
    "a trim parts a call from its result",
    "an async tool in overtime runs on",
    "an edit forgets before it checks",
    "an undo takes back the answer alone",
    "clones are not bounded",
    "control tokens of a result reach the template",
    "leaving the loop does not cancel",
    "leaving the loop does not wait for the end",
    "messages that cannot be restored are found too late",
    "nobody brings an abandoned turn to its end",
    "regenerate begins with the same seed",
    "restored messages are not replayed",
    "the cap lets one more in",
    "the lane creates the next handle before it closes the last",
    "the last to come is served first",
    "the next message does not wait for the tools",
    "the replay is dropped",
    "the rounds of calls are not bounded",
    "the turns of a chat are answered in another order than they stand",
    "two turns generate at once",
)
