#!/usr/bin/env python3
"""mynahd with a voice model behind the OpenAI Realtime dialect: a strict provider that misbehaves on demand, and a person
on aioquic who listens."""
import asyncio
import json
import logging
import os
import pathlib
import re
import ssl
import sys
import tempfile
import time
import unittest

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from mynahd import Mynahd  # noqa: E402
from realtime_provider import RATE, Provider  # noqa: E402
from voice import fit, quality, session, silence, talk, tones  # noqa: E402
from voice_case import PATIENT, Certificate, VoiceCase  # noqa: E402

logging.getLogger("websockets").setLevel(logging.CRITICAL)
KEY = "sk-test-s3cret"


def sine(hz, level=3000):
    return lambda t: level * np.sin(2 * np.pi * hz * t)


def daemon(provider, more="", profile="openai", room="", key=KEY, path="", log='[log]\nlevel = "debug"\n'):
    return Mynahd(PATIENT + f'[private]\nbridge = "ai"\n{room}[bridge.ai]\ntype = "openai"\nurl = "{provider.url}{path}"\n'
                  f'profile = "{profile}"\nmodel = "gpt-realtime-x"\n{more}\n{log}',
                  env={"OPENAI_API_KEY": key, "SOME_KEY": key})


async def hears(p, seconds, within=15):
    """Waits until a person has heard this many seconds of audio."""
    end = time.monotonic() + within
    while sum(len(f.samples) / f.rate for f in p.frames) < seconds:
        if time.monotonic() > end:
            raise AssertionError(f"heard {len(p.heard())} samples only")
        await asyncio.sleep(0.05)


async def line(p, kind, start=0, seconds=15, **fields):
    """A line of the control stream with these fields."""
    end = time.monotonic() + seconds
    while True:
        for found in p.lines[start:]:
            if found["type"] == kind and all(found.get(k) == v for k, v in fields.items()):
                return found
        if time.monotonic() > end:
            raise AssertionError(f"no {kind} {fields} in {p.lines}")
        await asyncio.sleep(0.02)


class Sound(VoiceCase):
    async def test_both_sides_hear_each_other_cleanly(self):
        async def script(s):
            await asyncio.sleep(2.5)  # the person has finished: talking over it would duck it
            await s.respond(sine(700), seconds=2)

        async def attempt():
            async with session(server) as p:
                s = await provider.session(len(provider.sessions) if provider.sessions and provider.sessions[-1].ended else 0)
                await talk(p, tones(16000, (997, -14)), 1.4)
                await hears(p, 1.9)
                heard = np.trim_zeros(s.samples())
                levels, median, _ = quality(heard[4800:24000], RATE, 997)
                self.assertAlmostEqual(levels[0], -14, delta=0.5)
                self.assertGreater(median, 60)
                heard = np.trim_zeros(p.heard())
                levels, median, worst = quality(heard[1600:28000], 16000, 700)
                self.figure(f"the model is heard at {median:.0f} dB, worst {worst:.0f}")
                self.assertAlmostEqual(levels[0], 20 * np.log10(3000 / 32767), delta=0.5)
                self.assertGreater(worst, 40)

        async with Provider(script) as provider:
            with daemon(provider) as server:
                await self.again(attempt)
                self.assertNotIn("s3cret", server.log())
            first = provider.sessions[0]
            self.assertEqual(first.query, {"model": "gpt-realtime-x"})
            self.assertEqual(first.headers["Authorization"], "Bearer " + KEY)
            self.assertNotIn("OpenAI-Beta", first.headers)
            self.assertEqual(first.ended[0], 1000)

    async def test_events_and_sessions_of_the_beta_work(self):
        async def script(s):
            await s.respond(sine(700), seconds=1, text="What was said in the beta.")

        for profile, flat in ("speaches", True), ("generic", False):
            async with Provider(script, key=None, old_names=True, flat=flat) as provider:
                with daemon(provider, profile=profile) as server:
                    async with session(server) as p:
                        await hears(p, 0.9)
                        await line(p, "transcript", text="What was said in the beta.", final=True)
                        self.assertGreater(fit(np.trim_zeros(p.heard())[1600:12000], 16000, 700)[0][0], -22)

    async def test_xai_has_a_session_of_its_own(self):
        """Voice and turns at its top, and transcripts that end without text."""
        async def script(s):
            await s.respond(sine(700), seconds=1, text="All that was said.")

        async with Provider(script, top=True) as provider:
            with daemon(provider, 'voice = "eve"\napi_key_env = "SOME_KEY"\n', profile="xai") as server:
                async with session(server) as p:
                    s = await provider.session(0)
                    self.assertEqual((s.config["voice"], s.config["turn_detection"]["type"]), ("eve", "server_vad"))
                    await line(p, "transcript", text="All that was said.", final=True)
                    await hears(p, 0.9)

    async def test_a_server_that_complains_and_goes_on_works(self):
        async def script(s):
            await s.respond(sine(700), seconds=1)

        for profile, flat in ("speaches", True), ("generic", False):
            async with Provider(script, key=None, flat=flat) as provider:
                provider.complains = True
                with daemon(provider, profile=profile) as server:
                    async with session(server) as p:
                        await hears(p, 0.9)
                        self.assertFalse([x for x in p.lines if x["type"] == "bridge"])
                        self.assertIn("unknown_parameter", server.log())

    async def test_the_session_is_as_configured(self):
        async with Provider() as provider:
            with daemon(provider, 'voice = "marin"\ninstructions = """Be "brief".\nAlways."""\nturn_detection = "semantic_vad"\n'
                        'transcription = "gpt-transcribe"\napi_key_env = "SOME_KEY"\n', path="?x=1") as server:
                async with session(server):
                    s = await provider.session(0)
                    self.assertEqual(s.query, {"x": "1", "model": "gpt-realtime-x"})
                    self.assertEqual(s.config["instructions"], 'Be "brief".\nAlways.')
                    self.assertEqual(s.config["audio"]["output"]["voice"], "marin")
                    self.assertEqual(s.config["audio"]["input"]["transcription"], {"model": "gpt-transcribe"})
                    self.assertEqual(s.config["audio"]["input"]["turn_detection"]["type"], "semantic_vad")

    async def test_a_key_from_systemd_goes_over_verified_tls(self):
        """The certificate is verified; the key is in no log, figure, line or list of processes."""
        with tempfile.TemporaryDirectory() as folder:
            cert = Certificate(folder)
            tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            tls.load_cert_chain(cert.cert_path, cert.key_path)
            (pathlib.Path(folder) / "openai").write_text(KEY + "\n")
            config = (f'[private]\nbridge = "ai"\n[bridge.ai]\ntype = "openai"\nmodel = "m"\napi_key_file = "credential:openai"\n'
                      '[log]\nlevel = "debug"\n')
            for trusted in {"SSL_CERT_FILE": str(cert.cert_path)}, {}:
                async with Provider(tls=tls) as provider:
                    with Mynahd(config.replace("model", f'url = "{provider.url}"\nmodel'),
                                env={"CREDENTIALS_DIRECTORY": folder, "OPENAI_API_KEY": "", **trusted}) as server:
                        async with session(server) as p:
                            if trusted:
                                await provider.session(0)
                            else:
                                self.assertIn("certificate", (await line(p, "bridge", up=False))["text"])
                            processes = "".join(path.read_text(errors="replace") for path in pathlib.Path("/proc").glob("[0-9]*/cmdline")
                                                if path.exists())
                            self.assertNotIn("s3cret", server.log() + server.get("/metrics")[1] + str(p.lines) + processes)
                    self.assertEqual(provider.attempts, 1 if trusted else 0)

    async def test_azure_has_its_own_header(self):
        def refuse(n, request):
            return None if request.headers.get("api-key") == KEY and "Authorization" not in request.headers else (401, {}, "")

        async with Provider(key=None, refuse=refuse) as provider:
            with daemon(provider, 'api_key_env = "SOME_KEY"', profile="azure") as server:
                async with session(server):
                    await provider.session(0)


class Talk(VoiceCase):
    async def test_transcripts_name_the_speaker(self):
        async def script(s):
            await s.until(lambda: len(s.samples()) > RATE)
            await s.send("input_audio_buffer.speech_started", audio_start_ms=0, item_id="x")
            await s.user_said("What is the time? \u00bfQu\u00e9 hora es?")
            await s.respond(seconds=0.5, text="Half past four, \u00e9 l'una.")

        async with Provider(script) as provider:
            with daemon(provider, 'transcription = "t"') as server:
                async with session(server) as p:
                    await talk(p, tones(16000, (500, -14)), 1.5)
                    said = await line(p, "transcript", text="What is the time? \u00bfQu\u00e9 hora es?", final=True)
                    self.assertEqual(said["id"], p.id)
                    answer = await line(p, "transcript", text="Half past four, \u00e9 l'una.", final=True)
                    self.assertNotEqual(answer["id"], p.id)
                    parts = [t["text"] for t in p.lines if t["type"] == "transcript" and t["id"] == answer["id"]]
                    self.assertEqual(parts, sorted(parts, key=len))
                    self.assertTrue(all(parts[-1].startswith(t) for t in parts), parts)

    async def test_an_interrupted_item_is_truncated_to_what_was_heard(self):
        seen = {}

        async def script(s):
            await s.respond(sine(700), seconds=6, text="A long story. " * 4, pace=20)
            await s.until(lambda: "heard" in seen)
            await s.speech_starts()
            seen["truncated"] = await s.expect("conversation.item.truncate")
            await asyncio.sleep(0.3)
            await s.respond(sine(1500), seconds=0.5, text="Yes?")

        async def attempt():
            seen.clear()
            n = len(provider.sessions)
            async with session(server) as p:
                await hears(p, 1.5)
                seen["heard"] = True
                await asyncio.sleep(1.8)
                heard = p.heard()
                levels = [fit(b, 16000, 700, 1500)[0] for b in np.array_split(heard, len(heard) // 320)]
                told = 0.02 * sum(a > -26 for a, _ in levels)
                again = 0.02 * sum(b > -26 for _, b in levels)
                ms = seen["truncated"]["audio_end_ms"]
                self.figure(f"heard {told:.2f} s of 6, told the provider {ms} ms")
                self.assertAlmostEqual(ms / 1000, told, delta=0.06)
                self.assertAlmostEqual(again, 0.5, delta=0.06)
                self.assertEqual(provider.sessions[n].got("response.cancel"), [])

        async with Provider(script) as provider:
            with daemon(provider) as server:
                await self.again(attempt)

    async def test_an_unheard_item_is_deleted(self):
        """Two answers wait, and nothing of the second was heard. The server does not interrupt by itself."""
        async def script(s):
            await (await s.respond(sine(700), seconds=4, text="one", pace=50))
            await s.respond(sine(900), seconds=30, text="two", pace=20)
            await asyncio.sleep(0.8)
            await s.send("input_audio_buffer.speech_started", audio_start_ms=0, item_id="x")

        async with Provider(script, key=None, flat=True) as provider:
            with daemon(provider, profile="speaches") as server:
                async with session(server) as p:
                    s = await provider.session(0)
                    truncate = await s.expect("conversation.item.truncate")
                    delete = await s.expect("conversation.item.delete")
                    self.assertNotEqual(truncate["item_id"], delete["item_id"])
                    self.assertTrue(200 < truncate["audio_end_ms"] < 2500, truncate)
                    self.assertEqual(len(s.got("response.cancel")), 1)
                    await s.until(lambda: s.response.done())
                    await asyncio.sleep(0.2)  # what was on its way
                    n = len(p.heard())
                    await asyncio.sleep(0.5)
                    self.assertLess(len(p.heard()) - n, 16000 * 0.1 if not np.any(p.heard()[n:]) else 1)

    async def test_the_greeting_is_said_once(self):
        async def script(s):
            if len(provider.sessions) == 1:
                await s.until(lambda: s.response and s.response.done())
                await asyncio.sleep(0.2)
                s.ws.transport.abort()

        async with Provider(script, answer=lambda instructions: {"text": instructions or "?", "seconds": 0.4}) as provider:
            with daemon(provider, 'greeting = "Good \\"morning\\"."') as server:
                async with session(server) as p:
                    s = await provider.session(0)
                    self.assertIn('Good "morning".', (await s.expect("response.create"))["response"]["instructions"])
                    s = await provider.session(1)
                    await asyncio.sleep(0.5)
                    self.assertEqual(s.got("response.create"), [])
                    self.assertEqual([role for role, _ in s.spoken()], ["assistant"])
                    self.assertTrue(await line(p, "bridge", up=True))

    async def test_one_response_at_a_time(self):
        """Messages come while an answer runs: one more answer, when it is done."""
        async def script(s):
            await s.respond(seconds=1.5, pace=1.5)

        async with Provider(script) as provider:
            with daemon(provider) as server:
                async with session(server) as p:
                    s = await provider.session(0)
                    await s.until(lambda: s.response)
                    for text in "first", "second", "third \u00fc":
                        p.say("message", text=text)
                    await s.until(lambda: len(s.got("conversation.item.create")) == 3)
                    self.assertEqual(s.got("response.create"), [])
                    await s.expect("response.create")
                    await asyncio.sleep(0.5)
                    self.assertEqual(len(s.got("response.create")), 1)
                    self.assertIn(("user", "third \u00fc"), s.spoken())

    async def test_the_room_detects_the_end_of_a_turn(self):
        async def attempt():
            async with session(server) as p:
                s = await provider.session(len(provider.sessions) if provider.sessions and provider.sessions[-1].ended else 0)
                self.assertIsNone(s.config["audio"]["input"]["turn_detection"])
                await talk(p, tones(16000, (500, -14)), 1.0)
                await talk(p, silence, 1.0)
                await s.expect("response.create")
                self.assertEqual(len(s.got("input_audio_buffer.commit")), 1)
                heard = len(s.samples()) / RATE
                self.assertTrue(1.0 < heard < 2.0, heard)  # with a lead and a hangover, but not the silence

        async with Provider() as provider:
            with daemon(provider, 'turn_detection = "room"') as server:
                await self.again(attempt)


class Life(VoiceCase):
    async def test_a_conversation_survives_its_connection(self):
        async def script(s):
            if len(provider.sessions) == 1:
                await s.user_said("My name is Ada.")
                await (await s.respond(seconds=0.3, text="Hello, Ada."))
                await asyncio.sleep(0.6)
                await s.ws.close(1011, "oops")

        async with Provider(script) as provider:
            with daemon(provider, 'transcription = "t"') as server:
                async with session(server) as p:
                    self.assertIn("code 1011", (await line(p, "bridge", up=False))["text"])
                    await line(p, "bridge", up=True)
                    s = await provider.session(1)
                    await s.until(lambda: len(s.order) == 2)
                    self.assertEqual(s.spoken(), [("user", "My name is Ada."), ("assistant", "Hello, Ada.")])
                    await asyncio.sleep(0.3)
                    self.assertEqual(s.got("response.create"), [])
                    server.wait_for_metric("mynah_bridges_down", 0)

    async def test_only_what_was_heard_is_remembered(self):
        async def script(s):
            if len(provider.sessions) == 1:
                await (await s.respond(seconds=4, text="0123456789" * 4, pace=50))
                await asyncio.sleep(1)
                await s.speech_starts()
                await s.expect("conversation.item.truncate")
                s.ws.transport.abort()

        async with Provider(script) as provider:
            with daemon(provider) as server:
                async with session(server):
                    s = await provider.session(1)
                    await s.until(lambda: s.order)
                    said = s.spoken()[0][1]
                    self.assertTrue(("0123456789" * 4).startswith(said))
                    self.assertTrue(4 <= len(said) <= 24, said)

    async def test_the_welcome_reports_a_failed_bridge(self):
        async with Provider() as provider:
            with daemon(provider, 'api_key_env = "MYNAH_NO_SUCH_KEY"') as server:
                async with session(server) as p:  # without a key it has failed before the first one is in
                    found = [m for m in p.lines[0]["participants"] if m.get("bridge")]
                    self.assertEqual([(m["up"], m["text"]) for m in found], [(False, "the environment has no MYNAH_NO_SUCH_KEY")])
                self.assertEqual(provider.attempts, 0)

    async def test_a_refused_key_is_reported_and_not_tried_again_soon(self):
        async with Provider(key="another") as provider:
            with daemon(provider) as server:
                async with session(server) as p:
                    self.assertIn("401", (await line(p, "bridge", up=False))["text"])
                    await asyncio.sleep(2)
                    self.assertEqual(provider.attempts, 1)
                    self.assertIn("retry_ms=60000", server.log())
                    self.assertEqual(server.metrics()["mynah_bridges_down"], 1)
                server.wait_for_metric("mynah_bridges_down", 0)
                self.assertNotIn("s3cret", server.log())
                self.assertNotIn("sk-te", server.log())

    async def test_each_kind_of_refusal_has_its_own_pause(self):
        quota = '{"error":{"code":"insufficient_quota"}}'
        for status, headers, body, words, retry in (403, {}, "", "403", 60000), (404, {}, "", "no such model", 60000), \
                (429, {}, quota, "quota", 60000), (429, {"Retry-After": "7"}, "{}", "429", 7000), (500, {}, "", "500", 500), \
                (503, {"Retry-After": "3"}, "", "503", 3000):
            async with Provider(refuse=lambda n, request, a=(status, headers, body): a) as provider:
                with daemon(provider) as server:
                    async with session(server) as p:
                        self.assertIn(words, (await line(p, "bridge", up=False))["text"])
                        chosen = int(re.search(r"retry_ms=(\d+)$", server.log(), re.M).group(1))
                        self.assertTrue(retry <= chosen <= (retry if retry > 500 else 625), (chosen, retry))

    async def test_serious_errors_end_the_session_and_others_do_not(self):
        async def quota(s):
            await s.send("error", error={"type": "insufficient_quota", "code": "insufficient_quota", "message": "You sk-te**cret"})

        async def failed(s):
            await s.send("response.done", response={"id": "r", "status": "failed", "status_details": {"error": {
                "type": "insufficient_quota", "code": "insufficient_quota"}}})

        async def harmless(s):
            await s.send("error", error={"type": "invalid_request_error", "code": "whatever", "message": "no"})
            await s.send("rate_limits.updated", rate_limits=[])
            await s.send("something.new", x=[1, 2, 3])
            await s.respond(seconds=0.5)

        for script in quota, failed:
            async with Provider(script) as provider:
                with daemon(provider) as server:
                    async with session(server) as p:
                        self.assertIn("insufficient_quota", (await line(p, "bridge", up=False))["text"])
                        self.assertIn("retry_ms=60000", server.log())
                        self.assertNotIn("sk-te", server.log())
        async with Provider(harmless) as provider:
            with daemon(provider) as server:
                async with session(server) as p:
                    await hears(p, 0.4)
                    self.assertFalse([x for x in p.lines if x["type"] == "bridge"])

    async def test_a_session_that_expires_at_once_is_a_failure(self):
        """At the planned age it would be a renewal that nobody notices."""
        async def script(s):
            if len(provider.sessions) == 1:
                await s.send("error", error={"type": "invalid_request_error", "code": "session_expired"})
                await s.ws.close(1001)

        async with Provider(script) as provider:
            with daemon(provider) as server:
                async with session(server) as p:
                    await line(p, "bridge", up=False)
                    await provider.session(1)

    async def test_a_session_is_renewed_in_a_quiet_moment(self):
        async def script(s):
            if len(provider.sessions) == 1:
                await s.respond(seconds=0.3, text="I remember.")
                await asyncio.sleep(9)
                await s.respond(seconds=3, pace=1.5, text="And go on.")  # beyond the session's age

        async with Provider(script) as provider:
            with daemon(provider, "session_max_s = 10\n") as server:
                async with session(server) as p:
                    start = time.monotonic()
                    s = await provider.session(1, seconds=30)
                    self.assertTrue(11.5 < time.monotonic() - start < 15, time.monotonic() - start)
                    await s.until(lambda: len(s.order) == 2)
                    self.assertEqual(s.spoken(), [("assistant", "I remember."), ("assistant", "And go on.")])
                    self.assertFalse([x for x in p.lines if x["type"] == "bridge"])
                    self.assertEqual(provider.sessions[0].ended[0], 1000)

    async def test_garbage_and_floods_do_no_harm(self):
        async def script(s):
            n = len(provider.sessions)
            for text in ("", "{", "[]", "[" * 60000, '{"type":null}', '{"type":"response.output_audio.delta"}',
                         '{"type":"response.output_audio.delta","item_id":"i","delta":"***"}',
                         '{"type":"response.output_audio.delta","item_id":7,"delta":{}}',
                         '{"type":"response.done","response":[]}', '{"type":"error"}', '{"type":"error","error":"x"}',
                         '{"type":"session.updated","session":null}', '{"type":"session.created"}',
                         '{"type":"response.created","response":{"id":"' + "x" * 500 + '"}}', '{"type":"response.done"}',
                         '{"type":"conversation.item.input_audio_transcription.completed","transcript":"\\u0000\\ud83d\\ude00"}',
                         '{"type":"response.output_audio_transcript.delta","delta":"' + "y" * 100000 + '"}'):
                await s.ws.send(text)
            await s.ws.send(b"\xff\x00binary")
            for i in range(3000):
                await s.send("input_audio_buffer.speech_started", audio_start_ms=i, item_id=f"i{i}")
            for i in range(100):
                await s.send("response.output_audio.delta", response_id="r", item_id=f"i{i}", content_index=0, delta="AAAA" * 100)
            if n == 1:
                await s.ws.send("x" * (5 << 20))
            else:
                await s.respond(sine(700), seconds=1)

        async with Provider(script) as provider:
            with daemon(provider, log="") as server:
                async with session(server) as p:
                    self.assertIn("longer than", (await line(p, "bridge", up=False))["text"])
                    await line(p, "bridge", up=True)
                    before = len(p.frames)
                    s = await provider.session(1)
                    await s.until(lambda: s.response and s.response.done())
                    await asyncio.sleep(1.2)
                    heard = np.concatenate([f.samples for f in p.frames[before:]])
                    self.assertGreater(20 * np.log10(np.max(np.abs(heard.astype(int))) / 32768), -24)
                    self.assertEqual(len(provider.sessions), 2)

    async def test_people_go_on_while_the_provider_stalls(self):
        """It opens the session and never confirms session.update. The room works on."""
        async with Provider() as provider:
            provider.mute_setup = True
            room = '[[room]]\nname = "r"\nbridge = "ai"\n'
            with daemon(provider, room=room) as server:
                async def attempt():
                    async with session(server, room="r") as a, session(server, room="r") as b:
                        await talk(a, tones(16000, (500, -14)), 1.2)
                        await hears(b, 1)
                        heard = np.trim_zeros(b.heard())
                        self.assert_clean(heard[1600:14000], 16000, {500: -14})
                await self.again(attempt)

    async def test_the_room_may_close_in_every_state(self):
        async def script(s):
            await s.respond(seconds=20, pace=3)

        async with Provider(script) as provider:
            with daemon(provider, 'greeting = "x"', log="") as server:
                for wait in 0, 0.01, 0.02, 0.05, 0.1, 0.3, 1:
                    async with session(server, control=False):
                        await asyncio.sleep(wait)
                server.wait_for_metric("mynah_bridges", 0)
            provider.faults[:] = [f for f in provider.faults if "active response" not in f]  # from the script, which starts a response of its own


if __name__ == "__main__":
    unittest.main()
