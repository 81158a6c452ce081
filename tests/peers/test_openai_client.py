#!/usr/bin/env python3
"""Is the provider of these tests like the real one? The official OpenAI client for Node.js talks to it, and its TypeScript
types, which are made from the provider's own description of the dialect, are held against what the provider and mynahd
say to each other. scripts/fetch-openai gets them."""
import asyncio
import json
import os
import pathlib
import ssl
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "support"), str(HERE)]
from mynahd import Mynahd  # noqa: E402
from realtime_provider import Provider  # noqa: E402
from voice import session, talk, tones  # noqa: E402
from voice_case import PATIENT, Certificate, VoiceCase, off_loop  # noqa: E402

KEY = "sk-test-s3cret"
FOLDER = os.environ.get("MYNAH_OPENAI")
RESPONSE = ["response.created", "rate_limits.updated", "response.output_item.added", "conversation.item.added",
            "response.content_part.added", "response.output_audio.delta", "response.output_audio_transcript.delta",
            "response.output_audio.done", "response.output_audio_transcript.done", "response.content_part.done",
            "conversation.item.done", "response.output_item.done", "response.done"]


def kinds(events):
    """Each once, in the order in which it came first."""
    return list(dict.fromkeys(events))


def tls_of(folder):
    cert = Certificate(folder)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(cert.cert_path, cert.key_path)
    return cert, tls


@unittest.skipUnless(FOLDER, "no official client: scripts/fetch-openai gets it from the npm registry")
class OfficialClient(VoiceCase):
    async def test_it_gets_along_with_the_provider(self):
        with tempfile.TemporaryDirectory() as folder:
            cert, tls = tls_of(folder)
            async with Provider(tls=tls, answer=lambda instructions: {"seconds": 1.0, "pace": 4.0}) as provider:
                client = await asyncio.create_subprocess_exec(
                    "node", str(HERE / "openai_client.mjs"), FOLDER, f"https://localhost:{provider.port}/v1", KEY,
                    stdout=asyncio.subprocess.PIPE, env={**os.environ, "NODE_EXTRA_CA_CERTS": str(cert.cert_path)})
                out, _ = await asyncio.wait_for(client.communicate(), 60)
                steps = json.loads(out)
                provider.faults.clear()  # all on purpose
                self.check_types("RealtimeServerEvent", provider.sessions[0].sent)
                with self.assertRaisesRegex(AssertionError, "input_text"):  # it does look: an assistant has no input
                    self.check_types("RealtimeClientEvent", provider.sessions[0].received[3:5])
        self.assertEqual(steps.pop("a session"), ["session.updated"])
        self.assertEqual(kinds(steps.pop("a response")), RESPONSE)
        self.assertEqual(steps.pop("bytes"), 48000)
        cancelled = steps.pop("a cancelled response")
        self.assertEqual(cancelled[-1], "response.done")
        self.assertIn("response.output_item.done", cancelled)
        for name in "words", "an answer of before":
            self.assertEqual(steps.pop(name), ["conversation.item.added", "conversation.item.done"])
        self.assertEqual(steps.pop("a commit"), ["input_audio_buffer.committed", "conversation.item.added", "conversation.item.done"])
        self.assertEqual(steps.pop("a truncation"), ["conversation.item.truncated"])
        self.assertEqual(steps.pop("a deletion"), ["conversation.item.deleted"])
        self.assertIn("401", steps.pop("another key"))
        self.assertEqual(steps, {
            "a session as in the beta": "unknown_parameter", "content of another role": "invalid_value",
            "too long a truncation": "invalid_value", "nothing to cancel": "response_cancel_not_active",
            "two responses at once": "conversation_already_has_active_response",
            "a deletion of nothing": "item_delete_invalid_item_id", "too short a commit": "input_audio_buffer_commit_empty",
            "sound that is none": "invalid_value", "no type of event": "invalid_value", "closed": 1000})

    async def test_every_event_from_mynahd_has_a_type_of_the_library(self):
        """Everything it can say, over TLS: session, sound, words, a response, cancel, truncation, deletion, history."""
        async def script(s):
            if len(provider.sessions) > 1:
                return
            await s.user_said("My name is Ada.")
            await (await s.respond(seconds=3, text="one", pace=50))
            await s.respond(seconds=30, text="two", pace=20)
            await asyncio.sleep(0.8)
            await s.speech_starts()
            await s.expect("conversation.item.delete")
            await s.until(lambda: s.got("response.create"))
            await s.until(lambda: s.response.done())
            s.ws.transport.abort()

        with tempfile.TemporaryDirectory() as folder:
            cert, tls = tls_of(folder)
            async with Provider(script, tls=tls) as provider:
                config = (PATIENT + f'[private]\nbridge = "ai"\n[bridge.ai]\ntype = "openai"\nurl = "{provider.url}"\n'
                          'model = "gpt-realtime-x"\nvoice = "marin"\ninstructions = "Be brief."\ntranscription = "t"\n')
                with Mynahd(config, env={"OPENAI_API_KEY": KEY, "SSL_CERT_FILE": str(cert.cert_path)}) as server:
                    async with session(server) as p:
                        await provider.session(0)
                        await talk(p, tones(16000, (500, -60)), 0.5)
                        await provider.sessions[0].expect("conversation.item.delete")
                        p.say("message", text="and now?")
                        s = await provider.session(1)
                        await s.until(lambda: len(s.got("conversation.item.create")) >= 3)
                    self.assertNotIn("s3cret", server.log())
                said = [e for s in provider.sessions for e in s.received]
                told = [e for s in provider.sessions for e in s.sent]
            for kind in ("session.update", "conversation.item.create", "conversation.item.delete", "conversation.item.truncate",
                         "response.create"):
                self.assertIn(kind, {e["type"] for e in said})
            self.assertGreater(len(provider.sessions[0].samples()), 0)
            said.append({"type": "input_audio_buffer.append", "audio": ""})  # those are not kept whole
            await off_loop(self.check_types, "RealtimeClientEvent", said)
            await off_loop(self.check_types, "RealtimeServerEvent", told)

    def check_types(self, name, events):
        """As the TypeScript compiler sees it: nothing missing, nothing of another type, nothing that does not exist."""
        with tempfile.TemporaryDirectory() as folder:
            modules = pathlib.Path(folder) / "node_modules"
            modules.symlink_to(f"{FOLDER}/node_modules")
            source = pathlib.Path(folder) / "events.mts"
            lines = [f"const e{i}: {name} = {json.dumps(e)};" for i, e in enumerate(self.without_repetitions(events))]
            source.write_text(f'import type {{ {name} }} from "openai/resources/realtime/realtime";\n' + "\n".join(lines) + "\nexport {};\n")
            (pathlib.Path(folder) / "tsconfig.json").write_text(json.dumps({"files": [source.name], "compilerOptions": {
                "noEmit": True, "strict": True, "skipLibCheck": True, "module": "nodenext", "moduleResolution": "nodenext",
                "target": "es2022", "types": []}}))
            run = subprocess.run(["node", f"{FOLDER}/node_modules/typescript/lib/tsc.js", "-p", folder], capture_output=True, text=True)
            self.assertEqual(run.returncode, 0, run.stdout[:4000] + run.stderr[:1000])

    @staticmethod
    def without_repetitions(events):
        """Three of each kind are enough, and sound need not be long."""
        seen = {}
        for event in events:
            seen[event["type"]] = seen.get(event["type"], 0) + 1
            if seen[event["type"]] <= 3 or event["type"] == "conversation.item.create":
                yield {k: OfficialClient.typed(k, v) for k, v in event.items()}

    @staticmethod
    def typed(key, value):
        """A session's own three fields stand in the documentation's examples, not in the types."""
        if key in ("delta", "audio") and isinstance(value, str):
            return value[:16]
        return {k: v for k, v in value.items() if k not in ("id", "object", "expires_at")} if key == "session" else value


if __name__ == "__main__":
    unittest.main()
