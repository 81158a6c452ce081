"""A strict server of the OpenAI Realtime dialect for tests: it enforces what the documentation asks of clients, answers with
sines instead of a model's voice, and misbehaves on demand.

Each rule that a client breaks is noted in `faults`, which must be empty when a test ends."""
import asyncio
import base64
import contextlib
import json
import urllib.parse

import numpy as np
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed

RATE = 24000
CLIENT_EVENTS = {
    "session.update": {"session"}, "input_audio_buffer.append": {"audio"}, "input_audio_buffer.commit": set(),
    "input_audio_buffer.clear": set(), "response.create": set(), "response.cancel": set(),
    "conversation.item.create": {"item"}, "conversation.item.delete": {"item_id"},
    "conversation.item.truncate": {"item_id", "content_index", "audio_end_ms"},
}
OLD_NAMES = {"response.output_audio": "response.audio", "response.output_audio_transcript": "response.audio_transcript",
             "response.output_text": "response.text", "conversation.item.added": "conversation.item.created"}
PCM = {"type": "audio/pcm", "rate": RATE}


class Fault(Exception):
    """The client broke a rule: as the provider would answer."""

    def __init__(self, message, code=None, kind="invalid_request_error", param=None):
        super().__init__(message)
        self.error = {"type": kind, "code": code, "message": message, "param": param}


class Session:
    """One connection. `provider.script(session)` runs from session.updated on."""

    def __init__(self, provider, ws):
        self.provider = provider
        self.ws = ws
        self.headers = ws.request.headers
        self.query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(ws.request.path).query))
        self.received = []       # every event but append
        self.sent = []           # every event
        self.heard = []          # samples
        self.pending_ms = 0      # appended since the last commit
        self.config = None       # effective
        self.items = {}          # id: {"role", "text", "audio_ms", "kind": of its content}
        self.order = []          # of ids
        self.calls = {}          # call_id: the answer, parsed; None: none yet
        self.response = None     # the active one: its task
        self.response_id = None
        self.count = 0
        self.ended = None
        self._change = asyncio.Event()

    # --- to the client --------------------------------------------------------------------

    def next_id(self, kind):
        self.count += 1
        return f"{kind}_{self.provider.sessions.index(self)}_{self.count:03}"

    async def send(self, kind, **fields):
        if self.provider.old_names:
            for new, old in OLD_NAMES.items():
                if kind == new or kind.startswith(new + "."):
                    kind = old + kind[len(new):]
        event = {"type": kind, "event_id": self.next_id("event"), **fields}
        self.sent.append(event)
        await self.ws.send(json.dumps(event))

    async def fail(self, fault, event_id=None):
        await self.send("error", error={**fault.error, "event_id": event_id})

    # --- from the client ------------------------------------------------------------------

    async def listen(self):
        self.id = self.next_id("sess")
        await self.send("session.created", session=self.effective({}))
        async for message in self.ws:
            event = None
            try:
                if not isinstance(message, str):
                    raise Fault("binary messages are not supported")
                event = json.loads(message)
                await self.take(event)
            except Fault as fault:
                self.provider.faults.append(f"{event and event.get('type')}: {fault}")
                await self.fail(fault, event and event.get("event_id"))
            self._change.set()

    def effective(self, session):
        """The effective configuration: the requested one over the defaults."""
        if self.provider.flat or self.provider.top:
            return {"id": self.id, "object": "realtime.session", "model": self.query.get("model", "m"), **session}
        asked = session.get("audio", {})
        audio = {"input": {"format": PCM, "turn_detection": {
            "type": "server_vad", "threshold": 0.5, "prefix_padding_ms": 300, "silence_duration_ms": 500,
            "create_response": True, "interrupt_response": True}, **asked.get("input", {})},
            "output": {"format": PCM, "voice": "alloy", "speed": 1, **asked.get("output", {})}}
        return {"type": "realtime", "id": self.id, "object": "realtime.session", "model": self.query.get("model", "m"),
                "output_modalities": ["audio"], "instructions": "", "tools": [], "tool_choice": "auto",
                "max_output_tokens": "inf", "expires_at": 4102444800, **session, "audio": audio}

    async def take(self, event):
        kind = event.get("type") if isinstance(event, dict) else None
        if kind not in CLIENT_EVENTS:
            raise Fault(f"Invalid value: '{kind}'", "invalid_value", param="type")
        missing = CLIENT_EVENTS[kind] - set(event)
        if missing:
            raise Fault(f"Missing required parameter: {missing}", "missing_required_parameter")
        if kind != "input_audio_buffer.append":
            self.received.append(event)
        if self.config is None and kind != "session.update":
            raise Fault(f"{kind} before session.update was answered")
        await getattr(self, "on_" + kind.replace(".", "_"))(event)

    async def on_session_update(self, event):
        session = event["session"]
        if self.config is not None:
            await self.update_turns(session)
            return
        check = self.check_flat if self.provider.flat else self.check_top if self.provider.top else self.check_session
        check(session)
        self.check_tools(session)
        if self.provider.complains:
            await self.fail(Fault("one field is not for me", "unknown_parameter", param="session.x"), event.get("event_id"))
        if self.provider.mute_setup:
            return
        self.config = session
        await self.send("session.updated", session=self.effective(session))
        if self.provider.script:
            self.provider.tasks.append(asyncio.ensure_future(self.act()))

    async def update_turns(self, session):
        """After the first update only turn_detection may change."""
        new, where = session, self.turns()
        if where is not self.config:
            if set(session) != {"type", "audio"} or set(session["audio"]) != {"input"}:
                raise Fault(f"Cannot update: {session}", "cannot_update_a_conversation's_voice")
            new = session["audio"]["input"]
        if set(new) != {"turn_detection"} or new["turn_detection"]["type"] != where["turn_detection"]["type"]:
            raise Fault(f"Cannot update: {session}", "invalid_value")
        where["turn_detection"] = new["turn_detection"]
        await self.send("session.updated", session=self.effective(self.config))

    def turns(self):
        """Where the configuration has turn_detection."""
        return self.config if self.provider.flat or self.provider.top else self.config["audio"]["input"]

    def answers_by_itself(self):
        where = self.turns()
        return bool(where["turn_detection"]) and where["turn_detection"].get("create_response", True)

    def check_tools(self, s):
        for tool in s.get("tools", []):
            if set(tool) - {"type", "name", "description", "parameters"} or tool["type"] != "function":
                raise Fault(f"Invalid tool: {tool}", "invalid_value")
            if tool["parameters"].get("type", "object") != "object":
                raise Fault(f"Invalid parameters: {tool}", "invalid_function_parameters")
        names = [tool["name"] for tool in s.get("tools", [])]
        if len(set(names)) != len(names) or ("tools" in s and s.get("tool_choice") != "auto"):
            raise Fault(f"Invalid tools: {names}", "invalid_value")

    def check_session(self, s):
        known = {"type", "output_modalities", "instructions", "audio", "tools", "tool_choice", "max_output_tokens"}
        if set(s) - known:
            raise Fault(f"Unknown parameter: {set(s) - known}", "unknown_parameter")
        if s.get("type") != "realtime":
            raise Fault("Missing required parameter: 'session.type'", "missing_required_parameter", param="session.type")
        if s.get("output_modalities", ["audio"]) not in (["audio"], ["text"]):
            raise Fault("Invalid modalities", "invalid_value")
        audio = s.get("audio")
        if not isinstance(audio, dict) or set(audio) != {"input", "output"} or any(
                audio[way].get("format") != PCM for way in audio):
            raise Fault(f"Invalid audio: {audio}", "invalid_value")
        if set(audio["input"]) - {"format", "turn_detection", "transcription", "noise_reduction"}:
            raise Fault(f"Unknown parameter: {audio['input']}", "unknown_parameter")
        if set(audio["output"]) - {"format", "voice", "speed"} or not isinstance(audio["output"].get("voice", ""), str):
            raise Fault(f"Unknown parameter: {audio['output']}", "unknown_parameter")
        turns = audio["input"].get("turn_detection", {"type": "server_vad"})
        if turns is not None and (turns["type"] not in ("server_vad", "semantic_vad") or set(turns) - {
                "type", "create_response", "interrupt_response", "threshold", "silence_duration_ms", "prefix_padding_ms", "eagerness"}):
            raise Fault(f"Invalid turn_detection: {turns}", "invalid_value")
        if "transcription" in audio["input"] and set(audio["input"]["transcription"]) - {"model", "language", "prompt"}:
            raise Fault("Invalid transcription", "invalid_value")

    def check_flat(self, s):
        """As speaches: it complains of the formats, whatever they are."""
        known = {"modalities", "instructions", "voice", "input_audio_transcription", "turn_detection", "tools", "tool_choice",
                 "temperature"}
        if set(s) - known:
            raise Fault(f"Unknown parameter: {set(s) - known}", "unknown_parameter")

    def check_top(self, s):
        """As xAI."""
        known = {"voice", "instructions", "turn_detection", "audio", "tools", "tool_choice"}
        audio = {way: {"format": PCM} for way in ("input", "output")}
        asked = {way: {k: v for k, v in s.get("audio", {}).get(way, {}).items() if k != "transcription"} for way in audio}
        if set(s) - known or asked != audio:
            raise Fault(f"Unknown parameter: {s}", "unknown_parameter")
        if s["turn_detection"] and s["turn_detection"]["type"] != "server_vad":
            raise Fault("Invalid turn_detection", "invalid_value")

    async def on_input_audio_buffer_append(self, event):
        if set(event) - {"type", "event_id", "audio"}:
            raise Fault("Unknown parameter", "unknown_parameter")
        try:
            data = base64.b64decode(event["audio"], validate=True)
        except ValueError:
            raise Fault("Invalid 'audio'. Expected base64-encoded audio bytes", "invalid_value") from None
        if not data or len(data) % 2:
            raise Fault("audio is not whole samples", "invalid_value")
        self.pending_ms += len(data) / 2 / RATE * 1000
        self.heard.append(np.frombuffer(data, "<i2"))
        if self.provider.on_sound:
            self.provider.on_sound(self.heard[-1])

    async def on_input_audio_buffer_commit(self, event):
        if self.pending_ms < 100:
            raise Fault("Error committing input audio buffer: buffer too small", "input_audio_buffer_commit_empty")
        self.pending_ms = 0
        item = self.next_id("item")
        await self.send("input_audio_buffer.committed", item_id=item, previous_item_id=self.order[-1] if self.order else None)
        await self.user_said(None, item)

    async def on_response_create(self, event):
        if self.response and not self.response.done():
            raise Fault("Conversation already has an active response", "conversation_already_has_active_response")
        instructions = event.get("response", {}).get("instructions")
        await self.respond(**self.provider.answer(instructions))

    async def on_response_cancel(self, event):
        if not self.response or self.response.done():
            await self.fail(Fault("Cancellation failed: no active response found", "response_cancel_not_active"), event.get("event_id"))
            return
        if event.get("response_id", self.response_id) != self.response_id:
            raise Fault("no such response", "response_cancel_not_active")
        await self.stop("client_cancelled")

    async def on_conversation_item_create(self, event):
        item = event["item"]
        if item.get("type") == "function_call_output":
            await self.take_output(item)
            return
        kinds = {"user": "input_text", "assistant": "text" if self.provider.flat else "output_text", "system": "input_text"}
        if item.get("type") != "message" or item.get("role") not in kinds or not item.get("content"):
            raise Fault("Invalid item", "invalid_value")
        for part in item["content"]:
            if part.get("type") != kinds[item["role"]] or not isinstance(part.get("text"), str):
                raise Fault(f"Invalid content: {part}", "invalid_value")
        await self.add_item(item["role"], item["content"][0]["text"], item["content"][0]["type"], item.get("id"))

    async def take_output(self, item):
        if set(item) != {"type", "call_id", "output"} or not isinstance(item["output"], str):
            raise Fault(f"Invalid item: {item}", "invalid_value")
        if item["call_id"] not in self.calls:
            raise Fault(f"Tool call ID '{item['call_id']}' not found in conversation.", "invalid_tool_call_id")
        if self.calls[item["call_id"]] is not None:
            raise Fault(f"answered twice: {item}", "invalid_value")
        self.calls[item["call_id"]] = json.loads(item["output"])
        if self.provider.acknowledges:
            await self.send("conversation.item.created" if self.provider.old_names else "conversation.item.added",
                            item={"id": self.next_id("item"), **item})

    async def on_conversation_item_delete(self, event):
        if event["item_id"] not in self.items:
            raise Fault("Item does not exist", "item_delete_invalid_item_id")
        self.order.remove(event["item_id"])
        del self.items[event["item_id"]]
        await self.send("conversation.item.deleted", item_id=event["item_id"])

    async def on_conversation_item_truncate(self, event):
        item = self.items.get(event["item_id"])
        if not item or item["role"] != "assistant":
            raise Fault("Item does not exist", "item_truncate_invalid_item_id")
        if event["content_index"] != 0 or not isinstance(event["audio_end_ms"], int) or event["audio_end_ms"] < 0:
            raise Fault("Invalid truncation", "invalid_value")
        if event["audio_end_ms"] > item["audio_ms"]:
            raise Fault(f"Audio content of {item['audio_ms']} ms is already shorter than {event['audio_end_ms']} ms", "invalid_value")
        item["audio_ms"] = event["audio_end_ms"]
        await self.send("conversation.item.truncated", **{k: event[k] for k in ("item_id", "content_index", "audio_end_ms")})

    # --- what a model would do ------------------------------------------------------------

    async def act(self):
        with contextlib.suppress(ConnectionClosed):
            await self.provider.script(self)

    def as_item(self, item, status="completed"):
        """As the client sees it. A response has no content before it is done."""
        it = self.items.get(item, {"role": "assistant", "text": "", "kind": "output_audio"})  # it may have been deleted
        key = "text" if it["kind"].endswith("text") else "transcript"
        content = [] if status == "in_progress" else [{"type": it["kind"], key: it["text"] or ""}]
        return {"id": item, "object": "realtime.item", "type": "message", "status": status, "role": it["role"], "content": content}

    async def add_item(self, role, text, kind, item=None, status="completed"):
        item = item or self.next_id("item")
        before = self.order[-1] if self.order else None
        self.items[item] = {"role": role, "text": text, "audio_ms": 0, "kind": kind}
        self.order.append(item)
        await self.send("conversation.item.added", item=self.as_item(item, status), previous_item_id=before)
        if status == "completed" and not self.provider.old_names:
            await self.send("conversation.item.done", item=self.as_item(item), previous_item_id=before)
        return item

    async def user_said(self, text, item=None):
        """An item of people's speech, with its transcript if one was requested."""
        item = await self.add_item("user", text, "input_audio", item)
        if text:
            half = len(text) // 2
            for part in text[:half], text[half:]:
                await self.send("conversation.item.input_audio_transcription.delta", item_id=item, content_index=0, delta=part)
            await self.send("conversation.item.input_audio_transcription.completed", item_id=item, content_index=0,
                            transcript=text, usage={"type": "duration", "seconds": 1})
        return item

    async def speech_starts(self):
        """As server VAD detects it: the running response is cancelled, if the session is configured so."""
        await self.send("input_audio_buffer.speech_started", audio_start_ms=0, item_id="item_next")
        turns = self.turns().get("turn_detection") or {}
        if turns.get("interrupt_response", True) and not self.provider.flat:
            await self.stop("turn_detected")

    async def respond(self, sound=None, seconds=1.0, text="Hello.", pace=8.0, piece=0.1):
        """Starts an answer: a sine, `pace` times as fast as real time."""
        assert not self.response or self.response.done()
        self.response_id = self.next_id("resp")
        await self.send("response.created", response=self.as_response("in_progress", None, []))
        await self.send("rate_limits.updated", rate_limits=[{"name": "tokens", "limit": 9000, "remaining": 8000, "reset_seconds": 1}])
        self.response = asyncio.ensure_future(self.speak(sound or (lambda t: 3000 * np.sin(2 * np.pi * 600 * t)), seconds,
                                                         text, pace, piece))
        self.provider.tasks.append(self.response)
        return self.response

    def as_response(self, status, details, output):
        none = {"text_tokens": 0, "audio_tokens": 0}
        usage = {"total_tokens": 0, "input_tokens": 0, "output_tokens": 0, "output_token_details": none,
                 "input_token_details": {**none, "cached_tokens": 0}}
        return {"id": self.response_id, "object": "realtime.response", "status": status, "output": output,
                "conversation_id": "conv_1", "output_modalities": ["audio"], "max_output_tokens": "inf",
                **({"status_details": details} if details else {}), **({} if status == "in_progress" else {"usage": usage})}

    async def begin_item(self, item, text):
        response = {"response_id": self.response_id, "output_index": 0}
        await self.send("response.output_item.added", item={**self.as_item(item, "in_progress"), "role": "assistant"}, **response)
        await self.add_item("assistant", text, "output_audio", item, "in_progress")
        await self.send("response.content_part.added", item_id=item, content_index=0, part={"type": "audio", "transcript": ""},
                        **response)

    async def end_item(self, item, text, status):
        response = {"response_id": self.response_id, "output_index": 0}
        shown = self.as_item(item, "completed" if status == "completed" else "incomplete")
        await self.send("response.content_part.done", item_id=item, content_index=0,
                        part={"type": "audio", "transcript": text}, **response)
        if item in self.items and not self.provider.old_names:
            await self.send("conversation.item.done", item=shown)
        await self.send("response.output_item.done", item=shown, **response)
        return shown

    async def speak(self, sound, seconds, text, pace, piece):
        item = self.next_id("item")
        where = {"response_id": self.response_id, "item_id": item, "output_index": 0, "content_index": 0}
        n, total = int(piece * RATE), int(seconds * RATE)
        status, details = "completed", None
        try:
            await self.begin_item(item, text)
            words = text
            for start in range(0, total, n):
                pcm = np.round(sound(np.arange(start, min(start + n, total)) / RATE)).astype("<i2")
                self.items[item]["audio_ms"] += len(pcm) * 1000 // RATE if item in self.items else 0
                await self.send("response.output_audio.delta", delta=base64.b64encode(pcm.tobytes()).decode(), **where)
                if words:
                    await self.send("response.output_audio_transcript.delta", delta=words[:7], **where)
                    words = words[7:]
                await asyncio.sleep(len(pcm) / RATE / pace)
            await self.send("response.output_audio.done", **where)
            await self.send("response.output_audio_transcript.done", **({} if self.provider.top else {"transcript": text}), **where)
        except asyncio.CancelledError as e:
            status, details = "cancelled", {"type": "cancelled", "reason": str(e)}
        except ConnectionClosed:
            return
        with contextlib.suppress(ConnectionClosed):
            if status == "cancelled" and item in self.items:
                await self.send("response.output_audio.done", **where)
                await self.send("response.output_audio_transcript.done", **({} if self.provider.top else {"transcript": text}), **where)
            output = [await self.end_item(item, text, status)]
            await self.send("response.done", response=self.as_response(status, details, output))

    async def call(self, *calls, ways=("arguments", "item", "response"), status="completed", seconds=0):
        """A response that calls tools, each as (name, arguments), in the events named by `ways`. Returns the ids of the calls."""
        assert not self.response or self.response.done()
        self.response_id = self.next_id("resp")
        ids = [self.next_id("call") for _ in calls]
        await self.send("response.created", response={"id": self.response_id, "status": "in_progress"})
        self.response = asyncio.ensure_future(self.do_call(calls, ids, ways, status, seconds))
        self.provider.tasks.append(self.response)
        if not seconds:
            await self.response
        return ids

    async def do_call(self, calls, ids, ways, status, seconds):
        where, output = {"response_id": self.response_id}, []
        for i, ((name, arguments), call_id) in enumerate(zip(calls, ids)):
            item = {"id": self.next_id("item"), "type": "function_call", "status": "completed", "call_id": call_id,
                    "name": name, "arguments": arguments}
            self.calls[call_id] = None
            output.append(item)
            await self.send("response.output_item.added", output_index=i, item={**item, "status": "in_progress", "arguments": ""}, **where)
            await self.send("conversation.item.added", item={**item, "status": "in_progress", "arguments": ""})
            await self.send("response.function_call_arguments.delta", item_id=item["id"], output_index=i, call_id=call_id,
                            delta=arguments, **where)
            if "arguments" in ways:
                named = {} if self.provider.old_names else {"name": name}
                await self.send("response.function_call_arguments.done", item_id=item["id"], output_index=i, call_id=call_id,
                                arguments=arguments, **named, **where)
            if "item" in ways:
                await self.send("response.output_item.done", output_index=i, item=item, **where)
        try:
            await asyncio.sleep(seconds)
        except asyncio.CancelledError:
            status = "cancelled"
        with contextlib.suppress(ConnectionClosed):
            await self.send("response.done", response={"id": self.response_id, "status": status,
                                                       "output": output if "response" in ways else []})

    async def stop(self, reason):
        if self.response and not self.response.done():
            self.response.cancel(reason)
            await asyncio.wait([self.response])

    # --- for tests ------------------------------------------------------------------------

    async def until(self, condition, seconds=10):
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        while not condition():
            self._change.clear()
            try:
                await asyncio.wait_for(self._change.wait(), max(0.01, end - loop.time()))
            except asyncio.TimeoutError:
                raise AssertionError(f"not within {seconds} s: {self.received}, {self.provider.faults}") from None

    def got(self, kind):
        return [e for e in self.received if e["type"] == kind]

    async def expect(self, kind, seconds=10):
        await self.until(lambda: self.got(kind), seconds)
        return self.got(kind)[0]

    def samples(self):
        return np.concatenate(self.heard) if self.heard else np.zeros(0, "<i2")

    def spoken(self):
        """The conversation, as text."""
        return [(self.items[i]["role"], self.items[i]["text"]) for i in self.order]


class Provider:
    """async with Provider(script) as provider: ...; provider.url, provider.sessions."""

    def __init__(self, script=None, key="sk-test-s3cret", old_names=False, flat=False, top=False, answer=None, refuse=None, tls=None, port=0):
        self.script = script
        self.key = key
        self.old_names = old_names
        self.flat = flat         # the beta's session
        self.top = top           # xAI's
        self.complains = False   # of a field of session.update, and goes on
        self.tls = tls           # an ssl.SSLContext of a server: wss://
        self.port = port
        self.answer = answer or (lambda instructions: {})
        self.refuse = refuse or (lambda n, request: None)  # -> (status, headers, body)
        self.mute_setup = False
        self.acknowledges = True # answers of tools
        self.on_sound = None     # is given the samples of each append
        self.sessions, self.faults, self.tasks, self.attempts = [], [], [], 0

    async def __aenter__(self):
        self.server = await serve(self.handle, "127.0.0.1", self.port, process_request=self.check_request, compression=None,
                                  max_size=15 << 20, ping_interval=None, ssl=self.tls)
        self.port = self.server.sockets[0].getsockname()[1]
        self.url = f"wss://localhost:{self.port}/v1/realtime" if self.tls else f"ws://127.0.0.1:{self.port}/v1/realtime"
        return self

    async def __aexit__(self, kind, *exc):
        for task in self.tasks:
            task.cancel()
        self.server.close()
        await self.server.wait_closed()
        results = await asyncio.gather(*self.tasks, return_exceptions=True)
        if kind is None:
            for result in results:
                if isinstance(result, Exception):
                    raise result
            assert not self.faults, self.faults

    def check_request(self, connection, request):
        self.attempts += 1
        refusal = self.refuse(self.attempts, request)
        if refusal is None and self.key and request.headers.get("Authorization") != "Bearer " + self.key:
            refusal = 401, {}, '{"error":{"code":"invalid_api_key","message":"Incorrect API key provided: sk-te**cret"}}'
        if refusal is None and request.headers.get("OpenAI-Beta"):
            refusal = 400, {}, '{"error":{"code":"beta_api_shape_disabled"}}'
        if refusal is None:
            return None
        status, headers, body = refusal
        response = connection.respond(status, body)
        response.headers.update(headers)
        return response

    async def handle(self, ws):
        session = Session(self, ws)
        self.sessions.append(session)
        try:
            await session.listen()
        except ConnectionClosed:
            pass
        session.ended = (ws.close_code, ws.close_reason)
        session._change.set()
        await session.stop("the connection is gone")

    async def session(self, n, seconds=15):
        """The n-th connection, once its session.update was answered."""
        end = asyncio.get_running_loop().time() + seconds
        while len(self.sessions) <= n or self.sessions[n].config is None:
            if asyncio.get_running_loop().time() > end:
                raise AssertionError(f"no session {n} within {seconds} s; {self.attempts} attempts, {self.faults}")
            await asyncio.sleep(0.02)
        return self.sessions[n]
