#!/usr/bin/env python3
"""What a voice model is told beside the sound, and what it may do: tools, who speaks, what people write, and when it is to be
silent. The provider is strict; people are on aioquic."""
import asyncio
import pathlib
import sys
import time
import unittest

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from mynahd import Mynahd, ROOT, binary  # noqa: E402
from realtime_provider import RATE, Provider  # noqa: E402
from test_openai import KEY, daemon, hears, line, sine  # noqa: E402
from voice import after_sound, fit, quality, session, sessions, silence, talk, tones  # noqa: E402
from voice_case import PATIENT, VoiceCase, off_loop  # noqa: E402

ROOM = '[[room]]\nname = "r"\nbridge = "ai"\nsample_rate = 16000\n'
VOICE = tones(16000, (500, -14))


def tool(name, script, timeout_ms=10000, more=""):
    return f"[[bridge.ai.tool]]\nname = \"{name}\"\ncommand = ['sh', '-c', '''{script}''']\ntimeout_ms = {timeout_ms}\n{more}\n"


def creates(s):
    return len(s.got("response.create"))


def created(s, kind):
    return [e["item"] for e in s.got("conversation.item.create") if e["item"]["type"] == kind]


async def quiet(seconds=0.6):
    await asyncio.sleep(seconds)


class Tools(VoiceCase):
    async def test_calls_are_answered_and_then_one_response_is_asked_for(self):
        """By whichever events the provider tells of them, and in either shape of the session."""
        add = "import json, sys; a = json.load(sys.stdin); print(json.dumps({'sum': a['x'] + a['y']}, indent=1))"
        tools = (tool("add", f'python3 -c "{add}"',
                      more='description = """Adds\ntwo "numbers"."""\nparameters = \'\'\'{"type":"object",\n'
                           ' "properties":{"x":{"type":"number"},"y":{"type":"number"}}}\'\'\'') +
                 tool("where", "echo \\\"$MYNAH_BRIDGE/$MYNAH_TOOL/$MYNAH_ROOM/${OPENAI_API_KEY-no key}${SOME_KEY-}\\\"") +
                 tool("slow", "sleep 0.7; echo true"))
        for profile, flat, ways in (("openai", False, ("arguments", "item", "response")), ("openai", False, ("item",)),
                                    ("localai", False, ("response",)), ("xai", False, ("arguments",)),
                                    ("speaches", True, ("arguments", "item")), ("speaches", True, ("response",))):
            with self.subTest(profile=profile, ways=ways):
                seen = {}

                async def script(s):
                    seen["ids"] = await s.call(("slow", ""), ("add", '{"x":2,"y":40}'), ("where", "{}"), ways=ways)
                    await s.until(lambda: creates(s) == 1)
                    seen["then"] = dict(s.calls)
                    await quiet()

                async with Provider(script, old_names=flat, flat=flat, top=profile == "xai") as provider:
                    with daemon(provider, 'api_key_env = "SOME_KEY"\n' + tools, profile=profile, room=ROOM) as server:
                        async with session(server, room="r"):
                            s = await provider.session(0)
                            self.assertEqual([t["name"] for t in s.config["tools"]], ["add", "where", "slow"])
                            self.assertEqual(s.config["tools"][0]["description"], 'Adds\ntwo "numbers".')
                            self.assertEqual(s.config["tools"][0]["parameters"]["properties"]["y"], {"type": "number"})
                            self.assertNotIn("description", s.config["tools"][1])
                            self.assertEqual(s.config["tools"][1]["parameters"], {"type": "object", "properties": {}})
                            await s.until(lambda: "then" in seen)
                            await quiet(0.8)
                            slow, add, where = (seen["then"][i] for i in seen["ids"])
                            self.assertEqual((slow, add, where), (True, {"sum": 42}, "ai/where/r/no key"))
                            self.assertEqual(creates(s), 1)
                        self.assertNotIn(KEY, server.log())

    async def test_every_bad_outcome_is_an_error_that_the_model_is_told(self):
        tools = (tool("sleeper", "sleep 60 & echo child=$! >&2; wait", 500) + tool("exit", "echo {}; exit 3") +
                 tool("words", "echo no JSON") + tool("long", "yes 1") +
                 '[[bridge.ai.tool]]\nname = "missing"\ncommand = "/nonexistent/tool"\n')
        wanted = {"sleeper": "timed out after 500 ms", "exit": "exited with status 3", "words": "is not JSON",
                  "long": "longer than", "missing": "cannot start", "unheard_of": "no such tool"}

        async def script(s):
            s.ids = dict(zip([*wanted, "arguments"], await s.call(*((name, "{}") for name in wanted), ("exit", "{nonsense"))))

        async with Provider(script) as provider:
            with daemon(provider, tools) as server:
                async with session(server):
                    s = await provider.session(0)
                    await s.expect("response.create")
                    for name, words in {**wanted, "arguments": "not a JSON object"}.items():
                        answer = s.calls[s.ids[name]]
                        self.assertEqual(list(answer), ["error"], answer)
                        self.assertIn(words, answer["error"])
                    await quiet()
                    self.assertEqual(creates(s), 1)
                    metrics = await off_loop(server.metrics)
                    self.assertEqual(metrics['mynah_bridge_tool_calls_total{answer="error"}'], 7)
                    child = await off_loop(server.wait_for_line, "child=")
                    pid = int(child.rsplit("child=", 1)[1].strip('"'))
                    self.assertFalse(pathlib.Path(f"/proc/{pid}/stat").exists() and ") Z " not in
                                     pathlib.Path(f"/proc/{pid}/stat").read_text())

    async def test_tools_are_never_in_the_way_of_the_sound(self):
        """Eight of them at once burn the machine's time; the model speaks and hears on."""
        async def script(s):
            await s.respond(sine(700), seconds=4, pace=20)
            await s.response
            await s.call(*(("burn", "{}") for _ in range(8)))

        async def attempt():
            async with session(server) as p:
                await hears(p, 0.5)
                talking = asyncio.create_task(talk(p, tones(16000, (997, -40)), 2))  # too softly to interrupt
                s = await provider.session(len(provider.sessions) - 1)
                await hears(p, 3)
                await talking
                heard = p.heard()[8000:40000]
                levels = [fit(b, 16000, 700)[0][0] for b in np.array_split(heard, len(heard) // 320)]
                self.figure(f"while tools run: {min(levels):.1f} to {max(levels):.1f} dBFS")
                self.assertLess(max(levels) - min(levels), 1)
                self.assertGreater(len(s.samples()) / RATE, 2)

        async with Provider(script) as provider:
            with daemon(provider, 'barge_in = "off"\n' + tool("burn", "sleep 3; echo {}")) as server:
                await self.again(attempt)

    async def test_a_result_waits_for_the_response_that_runs(self):
        async def script(s):
            await s.call(("quick", "{}"), seconds=0)
            await s.until(lambda: creates(s) == 1)
            await s.response  # which has begun
            await s.call(("slow", "{}"))
            await s.respond(seconds=1.5, pace=1.5)  # unasked
            await s.until(lambda: s.calls[next(reversed(s.calls))] is not None)
            s.while_speaking = creates(s)
            await s.response
            await s.until(lambda: creates(s) == 2)

        async with Provider(script) as provider:
            with daemon(provider, tool("quick", "echo 1") + tool("slow", "sleep 0.4; echo 2")) as server:
                async with session(server):
                    s = await provider.session(0)
                    await s.until(lambda: creates(s) == 2)
                    self.assertEqual(s.while_speaking, 1)
                    await quiet(1.2)
                    self.assertEqual(creates(s), 2)

    async def test_an_interruption_does_not_stop_the_tool(self):
        """If the provider answers by itself, that answer knows the result and no other is requested. Otherwise one is."""
        for answers in True, False:
            async def script(s):
                await s.call(("slow", "{}"))
                await s.send("input_audio_buffer.speech_started", audio_start_ms=0, item_id="x")
                await s.until(lambda: s.calls[next(iter(s.calls))] is not None)
                await quiet(0.3)
                s.while_speaking = creates(s)
                await s.send("input_audio_buffer.speech_stopped", audio_end_ms=0, item_id="x")
                if answers:
                    await s.respond(seconds=0.5)
                    await s.response
                s.done = True

            async with Provider(script) as provider:
                with daemon(provider, tool("slow", "sleep 0.5; echo 2")) as server:
                    async with session(server):
                        s = await provider.session(0)
                        await s.until(lambda: hasattr(s, "done"))
                        self.assertEqual(s.while_speaking, 0)
                        await quiet(1.5)
                        self.assertEqual(creates(s), 0 if answers else 1)

    async def test_a_call_that_was_cut_off_is_answered_and_not_run(self):
        async def script(s):
            task = asyncio.ensure_future(s.call(("count", "{}"), ways=("response",), status="completed", seconds=0.5))
            await quiet(0.2)
            await s.send("input_audio_buffer.speech_started", audio_start_ms=0, item_id="x")
            await task
            await s.until(lambda: s.calls[next(iter(s.calls))] is not None)

        async with Provider(script) as provider:
            with daemon(provider, tool("count", "echo ran >&2; echo 1")) as server:
                async with session(server):
                    s = await provider.session(0)
                    await s.until(lambda: any(v is not None for v in s.calls.values()))
                    self.assertIn("not run", next(iter(s.calls.values()))["error"])
                    await quiet()
                    self.assertEqual(creates(s), 0)
                    self.assertNotIn("ran", server.log().replace("not run", ""))

    async def test_calls_of_a_lost_session_are_not_answered_in_the_next(self):
        async def script(s):
            if len(provider.sessions) == 1:
                await s.user_said("Book a table.")
                await s.call(("book", "{}"))
                await quiet(0.3)
                s.ws.transport.abort()

        async with Provider(script) as provider:
            with daemon(provider, 'transcription = "t"\n' + tool("book", "echo own=$$ >&2; sleep 2; echo {}")) as server:
                async with session(server):
                    s = await provider.session(1)
                    await s.expect("response.create")
                    self.assertEqual(s.spoken()[0], ("user", "Book a table."))
                    role, text = s.spoken()[1]
                    self.assertEqual(role, "system")
                    self.assertIn("book", text)
                    pid = int((await off_loop(server.wait_for_line, "own=")).rsplit("own=", 1)[1].strip('"'))
                    self.assertFalse(pathlib.Path(f"/proc/{pid}").exists())
                    await quiet(2.2)
                    self.assertEqual(created(s, "function_call_output"), [])
                    self.assertEqual(creates(s), 1)

    async def test_the_end_of_the_room_ends_them(self):
        async def script(s):
            await s.call(("sleeper", "{}"))

        async with Provider(script) as provider:
            with daemon(provider, tool("sleeper", "trap '' TERM; echo own=$$ >&2; sleep 600", 600000)) as server:
                async with session(server) as p:
                    pid = int((await off_loop(server.wait_for_line, "own=")).rsplit("own=", 1)[1].strip('"'))
                    p.close_session()
                    at = time.monotonic()
                    while pathlib.Path(f"/proc/{pid}").exists():
                        self.assertLess(time.monotonic() - at, 4)
                        await asyncio.sleep(0.02)

    async def test_the_example_answers(self):
        """docs/examples/opening_hours.py as openai.toml has it."""
        async def script(s):
            s.ids = await s.call(("opening_hours", '{"day":"Sunday"}'), ("opening_hours", '{"day":"Monday"}'),
                                 ("opening_hours", '{"day":"Noday"}'))

        command = ROOT / "docs/examples/opening_hours.py"
        async with Provider(script) as provider:
            with daemon(provider, f'[[bridge.ai.tool]]\nname = "opening_hours"\ncommand = ["python3", "{command}"]\n') as server:
                async with session(server):
                    s = await provider.session(0)
                    await s.expect("response.create")
                    sunday, monday, noday = (s.calls[i] for i in s.ids)
                    self.assertEqual(sunday, {"day": "Sunday", "open": False})
                    self.assertEqual(monday["open"], True)
                    self.assertIn("error", noday)


class Modes(VoiceCase):
    async def test_a_person_takes_over_and_gives_back(self):
        async def script(s):
            if s.heard:
                return
            await s.respond(sine(700), seconds=20, text="A long story. " * 8, pace=10)

        async def attempt():
            n = len(provider.sessions)
            async with sessions(server, [{"room": "r", "name": "Ann"}, {"room": "r", "name": "Bob"}]) as (ann, bob):
                s = await provider.session(n)
                await hears(bob, 0.8)
                ann.say("bridge", mode="listening")
                told = await bob.expect("bridge", mode="listening")
                self.assertEqual((told["by"], told["up"]), (ann.id, True))
                await ann.expect("bridge", mode="listening")
                before = len(bob.heard())
                await s.expect("response.cancel")
                truncate = await s.expect("conversation.item.truncate")
                self.assertGreater(truncate["audio_end_ms"], 500)
                await s.until(lambda: not s.answers_by_itself())
                await quiet(0.5)
                self.assertLess(len(bob.heard()) - before, 4 * 320)
                # it goes on hearing, and what people say is written down; nobody asks it for anything
                heard = len(s.samples())
                await talk(ann, VOICE, 0.6)
                await talk(ann, silence, 0.4)
                self.assertGreater(np.max(np.abs(s.samples()[heard:].astype(int))), 4000)
                await s.send("input_audio_buffer.speech_started", audio_start_ms=0, item_id="x")
                await s.user_said("Never mind, I will help you.")
                said = await bob.expect("transcript", text="Never mind, I will help you.", final=True)
                self.assertEqual(said["id"], ann.id)
                bob.say("message", text="Thank you.")
                await quiet(0.5)
                self.assertEqual(creates(s), 0)
                # a provider that answers all the same is stopped
                cancels = len(s.got("response.cancel"))
                await s.respond(sine(900), seconds=5, text="But I")
                await s.until(lambda: len(s.got("response.cancel")) == cancels + 1)
                await s.until(lambda: s.response.done())
                before = len(bob.heard())
                await quiet(0.5)
                self.assertFalse(np.any(np.abs(bob.heard()[before:].astype(int)) > 100))
                self.assertFalse([x for x in bob.lines if x["type"] == "transcript" and "But I" in x["text"]])
                # who comes now sees it
                async with session(server, room="r", name="Eve") as eve:
                    robot = next(x for x in eve.lines[0]["participants"] if x.get("bridge"))
                    self.assertEqual((robot["mode"], robot["muted"]), ("listening", True))
                bob.say("bridge", mode="active")
                self.assertEqual((await ann.expect("bridge", mode="active"))["by"], bob.id)
                await s.until(s.answers_by_itself)
                await s.respond(sine(900), seconds=1, text="Here I am.")
                await bob.expect("transcript", text="Here I am.", final=True)
                await quiet(0.8)
                tail = bob.heard()[-12000:]
                self.assertGreater(20 * np.log10(np.max(np.abs(tail.astype(int))) / 32768), -25)

        async with Provider(script) as provider:
            with daemon(provider, 'transcription = "t"\nmessages = "all"\n', room=ROOM) as server:
                await self.again(attempt)

    async def test_a_muted_bridge_hears_nothing(self):
        async with Provider() as provider:
            with daemon(provider, 'messages = "all"\n') as server:
                async with session(server) as p:
                    s = await provider.session(0)
                    p.say("bridge", mode="muted")
                    await p.expect("bridge", mode="muted")
                    await quiet(0.3)
                    heard = len(s.samples())
                    await talk(p, VOICE, 1)
                    await quiet(0.3)
                    self.assertFalse(np.any(s.samples()[heard:]))
                    p.say("message", text="between us")
                    await quiet(0.5)
                    self.assertEqual(s.got("conversation.item.create"), [])
                    p.say("bridge", mode="active")
                    await s.until(s.answers_by_itself)
                    await talk(p, VOICE, 0.5)
                    await s.until(lambda: np.any(s.samples()[heard:]))

    async def test_before_the_provider_is_there(self):
        """The session is set up as it is to be, and nobody is greeted."""
        async with Provider(refuse=lambda n, request: (503, {}, "") if n == 1 else None) as provider:
            with daemon(provider, 'greeting = "Hello!"\n') as server:
                async with session(server) as p:
                    await line(p, "bridge", up=False)
                    p.say("bridge", mode="listening")
                    s = await provider.session(0)
                    self.assertFalse(s.answers_by_itself())
                    p.say("bridge", mode="active")
                    await s.until(s.answers_by_itself)
                    await quiet()
                    self.assertEqual(creates(s), 0)

    async def test_a_mode_holds_for_a_bridge_of_any_type(self):
        """A steady tone is silent within a tick of the message; where there is no bridge that is told; it ends with the room."""
        with Mynahd(PATIENT + '[[room]]\nname = "t"\nbridge = "tone"\n[[room]]\nname = "*"\n') as server:
            async def attempt():
                async with session(server, room="t") as a, session(server, room="t") as b:
                    self.assertEqual(next(x for x in a.lines[0]["participants"] if x.get("bridge"))["mode"], "active")
                    await hears(b, 0.5)
                    a.say("bridge", mode="muted")
                    await b.expect("bridge", mode="muted")
                    n = len(b.heard())
                    await quiet(0.5)
                    self.assertLess(len(b.heard()) - n, 3 * 320)
                    a.say("bridge", mode="active")
                    await hears(b, n / 16000 + 1)
                async with session(server, room="elsewhere") as c:
                    c.say("bridge", mode="muted")
                    self.assertEqual((await c.expect("error"))["code"], "no_bridge")
                    c.say("bridge", mode="asleep")
                    self.assertEqual((await c.expect("error", code="bad_message"))["code"], "bad_message")
            for _ in range(2):  # again in a room that was empty
                await self.again(attempt)


class People(VoiceCase):
    async def test_one_talker_passes_through_a_worker_unchanged(self):
        """What a listener hears behind a child that repeats its input."""
        echo = pathlib.Path(binary()).resolve().parents[1] / "tests/odd_worker"

        async def attempt():
            for db in -2, -20:
                async with session(server) as p:
                    await off_loop(server.wait_for_line, "open type=process")
                    await talk(p, tones(16000, (440, db)), 2)
                    await after_sound(p)
                    x = p.heard().astype(float)
                    loud = np.flatnonzero(np.abs(x) > 300)
                    levels, median, _ = quality(x[loud[0] + 4000:loud[-1] - 4000].astype("<i2"), 16000, 440)
                    self.figure(f"{db} dBFS through a worker: {levels[0]:.3f} dBFS, {median:.0f} dB clean")
                    self.assertAlmostEqual(levels[0], db, delta=0.02)
                    self.assertGreater(median, 75)

        with Mynahd(PATIENT + f'[private]\nbridge = "echo-child"\n[bridge.echo-child]\ntype = "process"\nbarge_in = "off"\n'
                    f'command = ["{echo}", "echo"]\n') as server:
            await self.again(attempt)

    async def test_the_model_is_told_who_speaks(self):
        async def attempt():
            n = len(provider.sessions)
            async with session(server, room="r", name="Ann") as ann:
                s = await provider.session(n)
                await talk(ann, VOICE, 0.8)
                await quiet(0.6)
                self.assertEqual(created(s, "message"), [])  # Ann is alone
                async with session(server, room="r", name='Bob "x"') as bob:
                    for who in ann, bob, bob, ann:
                        await talk(who, VOICE, 0.8)
                        await talk(who, silence, 0.8)
                    await asyncio.gather(talk(ann, VOICE, 1.5), talk(bob, tones(16000, (700, -14)), 1.5))
                    await quiet()
                    said = [text for role, text in s.spoken()]
                    self.assertEqual(said[:3], ["[Ann is speaking]", '[Bob "x" is speaking]', "[Ann is speaking]"])
                    self.assertTrue(any("and" in text and "at the same time" in text for text in said[3:]), said)
                    self.assertLess(len(said), 7)
                    self.assertEqual({role for role, text in s.spoken()}, {"user"})
                    self.assertEqual(creates(s), 0)

        async with Provider() as provider:
            with daemon(provider, "speaker_labels = true\n", room=ROOM) as server:
                await self.again(attempt)

    async def test_names_stand_in_what_a_new_session_is_told(self):
        async def script(s):
            if len(provider.sessions) == 1:
                await s.until(lambda: s.order)  # the label
                await s.send("input_audio_buffer.speech_started", audio_start_ms=0, item_id="x")
                await s.user_said("It is cold.")
                await quiet(0.2)
                s.ws.transport.abort()

        async with Provider(script) as provider:
            with daemon(provider, 'speaker_labels = true\ntranscription = "t"\n', room=ROOM) as server:
                async with sessions(server, [{"room": "r", "name": "Ann"}, {"room": "r", "name": "Bob"}]) as (ann, bob):
                    await provider.session(0)
                    await talk(bob, VOICE, 1)
                    s = await provider.session(1)
                    await s.until(lambda: s.order)
                    self.assertEqual(s.spoken()[0], ("user", "Bob: It is cold."))

    async def test_written_messages_reach_the_model_as_configured(self):
        wanted = {"none": [], "direct": ["to you", "alone"], "all": ["to all", "to you", "alone"]}
        for messages, texts in wanted.items():
            with self.subTest(messages=messages):
                async with Provider() as provider:
                    with daemon(provider, f'messages = "{messages}"\n', room=ROOM) as server:
                        async with session(server, room="r", name="Ann") as ann:
                            robot = next(x["id"] for x in ann.lines[0]["participants"] if x.get("bridge"))
                            s = await provider.session(0)
                            async with session(server, room="r", name="Bob") as bob:
                                bob.say("message", text="to all")
                                await ann.expect("message", text="to all")
                                bob.say("message", text="to you", to=robot)
                                bob.say("message", text="to Ann", to=ann.id)
                                await ann.expect("message", text="to Ann")
                            await ann.expect("left")
                            ann.say("message", text="alone")
                            await quiet(0.8)
                            self.assertEqual([text for role, text in s.spoken() if role == "user"], texts)
                            self.assertEqual(bool(creates(s)), bool(texts))


if __name__ == "__main__":
    unittest.main()
