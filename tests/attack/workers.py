"""Workers that misbehave, by how they are attached: children (worker.py), servers for AudioSocket, bots behind a WebSocket,
and a model's server that is hostile. Somebody comes into the room of each and talks to it; see kit.py for the victims."""
import asyncio
import base64
import contextlib
import json
import os
import struct

from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed

from attacks import SOUND
from kit import ATTACKS, GOES_ON, HERE, attack
from realtime_provider import Provider

BEHAVIOURS = {}  # name: what a server does with its connection


async def visit(a):
    """Somebody talks to the worker."""
    async with a.caller(a.worker.name) as p:
        async for _ in a.pace(50):
            p.send_datagram(SOUND)
        return "a lost control stream" if p.control in p.resets else await a.alive(p)


def worker(kind, what, fast=False, grows_mib=4, pending=""):
    """The line of a worker in the table; `act` is its behaviour, or the name of a mode of worker.py."""
    def add(act):
        name = act if isinstance(act, str) else act.__name__.replace("_", "-")
        BEHAVIOURS[name] = act

        async def run(a):
            return await visit(a)
        run.__name__ = name
        attack(kind, what, GOES_ON, fast, grows_mib=grows_mib, pending=pending)(run)
        ATTACKS[-1].bridge = kind
        return act
    return add


CHILDREN = [  # name in worker.py, what it does, in scripts/test
    ("floods", "sound as fast as the pipe takes it", True, ""),
    ("at-ten-times-the-rate", "sound at ten times the rate", False, ""),
    ("sends-crumbs", "sound, one sample a record, as fast as the pipe takes it", False, ""),
    ("sends-nothing-often", "empty records as fast as the pipe takes them", False, ""),
    ("writes-200-lines-a-second", "200 messages a second", True, ""),
    ("writes-a-book", "17 messages of 4000 bytes at once, each second", True, "bursts of messages"),
    ("transcribes-without-end", "1500 transcripts a second", False, "bursts of messages"),
    ("unknown-events", "events of no known type as fast as the pipe takes them", False, ""),
    ("marks", "marks as fast as the pipe takes them", True, ""),
    ("flushes", "500 flushes a second", True, ""),
    ("json-without-end", "JSON, 16,000 levels deep", False, ""),
    ("text-that-is-none", "text that is no UTF-8", False, ""),
    ("half-a-record", "half a record, then nothing", False, ""),
    ("byte-by-byte", "records, byte by byte", False, ""),
    ("prints", "text where records should be", False, ""),
    ("unknown-records", "records of no known type", False, ""),
    ("shouts", "stderr as fast as the pipe takes it", True, ""),
    ("shouts-one-line", "one line on stderr that does not end", False, ""),
    ("exits", "exits with status 3 at once", False, ""),
    ("dies", "killed by a signal at once", False, ""),
    ("ignores-the-end", "ignores SIGTERM", True, ""),
    ("leaves-children", "children that ignore SIGTERM", False, ""),
    ("closes-its-pipes", "closes stdin and stdout and stays", False, ""),
    ("hangs-up-and-goes-on", "hangs up and goes on talking", False, ""),
]
JOINED = {"at-ten-times-the-rate": "", "unknown-events": "with", "marks": "with", "json-without-end": "with", "text-that-is-none": "with", "half-a-record": "with",
          "unknown-records": "with", "byte-by-byte": ""}
for mode, deed, in_test, until in CHILDREN:
    link = JOINED.get(mode, "that")
    worker("process", deed, in_test, pending=until)(f"child-{link}-{mode}" if link else f"child-{mode}")


# --- servers for AudioSocket: act(reader, writer) ---------------------------------------------------------


@worker("audiosocket", "sound as fast as the connection takes it", fast=True)
async def pbx_that_floods(reader, writer):
    while True:
        writer.write(b"\x12\x7d\x00" + bytes(32000))
        await writer.drain()


@worker("audiosocket", "accepts and resets")
async def pbx_that_resets(reader, writer):
    writer.transport.abort()


@worker("audiosocket", "half a record, then nothing")
async def pbx_with_half_a_record(reader, writer):
    writer.write(b"\x12\x02\x80half")
    await reader.read()


@worker("audiosocket", "is an HTTP server")
async def pbx_that_speaks_http(reader, writer):
    writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n" * 100)
    await reader.read()


@worker("audiosocket", "reads nothing")
async def pbx_that_reads_nothing(reader, writer):
    writer.transport.pause_reading()
    await asyncio.sleep(10)


@worker("audiosocket", "DTMF and errors in masses", fast=True)
async def pbx_with_digits(reader, writer):
    while True:
        writer.write(b"\x03\x00\x015" * 50)
        await writer.drain()
        await asyncio.sleep(0.01)


# --- bots behind a WebSocket: act(ws) ------------------------------------------------------------------------


async def raw_frames(ws, data, pause=0):
    """As fast as the connection takes it, past the library."""
    while not ws.transport.is_closing():
        ws.transport.write(data)
        while ws.transport.get_write_buffer_size() > 1 << 20:
            await asyncio.sleep(0.005)
        await asyncio.sleep(pause)


@worker("websocket", "empty continuation frames as fast as the connection takes them", fast=True, pending="WebSockets have no budget of reads")
async def bot_with_empty_continuations(ws):
    ws.transport.write(b"\x01\x00")
    await raw_frames(ws, b"\x00\x00" * 4096)


@worker("websocket", "sound as fast as the connection takes it", fast=True, pending="WebSockets have no budget of reads")
async def bot_that_floods(ws):
    await raw_frames(ws, b"\x82\x7e\xfa\x00" + bytes(64000))


@worker("websocket", "text as fast as the connection takes it", pending="WebSockets have no budget of reads")
async def bot_that_chatters(ws):
    await raw_frames(ws, b"\x81\x13" + b'{"type":"surprise"}')


@worker("websocket", "pings as fast as the connection takes them", fast=True, pending="WebSockets have no budget of reads")
async def bot_that_pings(ws):
    await raw_frames(ws, (b"\x89\x7d" + bytes(125)) * 64)


@worker("websocket", "pongs that nobody asked for")
async def bot_that_pongs(ws):
    await raw_frames(ws, b"\x8a\x00" * 64, 0.01)


@worker("websocket", "marks in masses")
async def bot_with_marks(ws):
    for _ in range(100000):
        await ws.send('{"type":"mark","data":{"name":"m"}}')


@worker("websocket", "one message of 8 MB")
async def bot_with_a_huge_message(ws):
    await ws.send(bytes(8 << 20))


@worker("websocket", "one message in pieces without end", fast=True)
async def bot_with_an_endless_message(ws):
    ws.transport.write(b"\x02\x00")
    await raw_frames(ws, b"\x00\x7e\x10\x00" + bytes(4096), 0.002)


@worker("websocket", "half a frame, then nothing")
async def bot_with_half_a_frame(ws):
    ws.transport.write(b"\x82\x7f" + struct.pack(">Q", 1 << 19) + bytes(1000))
    await ws.wait_closed()


@worker("websocket", "a frame of 2^63 bytes")
async def bot_with_an_impossible_frame(ws):
    ws.transport.write(b"\x82\x7f" + b"\xff" * 8 + bytes(1000))
    await ws.wait_closed()


@worker("websocket", "masked frames, which only clients may send")
async def bot_that_masks(ws):
    ws.transport.write(b"\x82\x84abcdabcd")
    await ws.wait_closed()


@worker("websocket", "bits and opcodes that are reserved")
async def bot_with_reserved_bits(ws):
    ws.transport.write(bytes(range(0xF3, 0x100)) * 20)
    await ws.wait_closed()


@worker("websocket", "text that is no UTF-8, cut into frames")
async def bot_with_text_that_is_none(ws):
    ws.transport.write(b"\x01\x01\xc3" + b"\x80\x01\x28")
    await ws.wait_closed()


@worker("websocket", "resets as soon as it was reached")
async def bot_that_resets(ws):
    ws.transport.abort()


@worker("websocket", "reads nothing")
async def bot_that_reads_nothing(ws):
    ws.transport.pause_reading()
    await asyncio.sleep(10)


# --- a model's server: act(s), a Session of realtime_provider --------------------------------------------------


@worker("openai", "closes as soon as it is set up")
async def model_that_closes(s):
    await s.ws.close(1011)


@worker("openai", "resets as soon as it is set up")
async def model_that_resets(s):
    s.ws.transport.abort()


@worker("openai", "speech as fast as the connection takes it", fast=True)
async def model_that_floods(s):
    delta = json.dumps({"type": "response.output_audio.delta", "item_id": "i", "delta": base64.b64encode(bytes(24000)).decode()})
    while True:
        await s.ws.send(delta)


@worker("openai", "speech that is no base64, events that are no JSON", fast=True)
async def model_with_garbage(s):
    for _ in range(1000):
        await s.ws.send('{"type":"response.output_audio.delta","delta":"!!!!"}')
        await s.ws.send("{" * 5000)
        await asyncio.sleep(0.002)


@worker("openai", "one event of 8 MB")
async def model_with_a_huge_event(s):
    await s.ws.send("x" * (8 << 20))


@worker("openai", "JSON without end")
async def model_with_json_without_end(s):
    while True:
        await s.ws.send('{"type":"response.done","response":' + "[" * 100000)
        await asyncio.sleep(0.05)


@worker("openai", "calls of tools that nobody knows, 200 a second")
async def model_that_calls_tools(s):
    i = 0
    while True:
        i += 1
        await s.ws.send(json.dumps({"type": "response.function_call_arguments.done", "call_id": f"c{i}", "item_id": f"i{i}",
                                    "name": "rm", "arguments": "{}"}))
        await asyncio.sleep(0.005)


@worker("openai", "transcripts, 1500 a second", pending="bursts of messages")
async def model_that_transcribes_without_end(s):
    i = 0
    while True:
        i += 1
        await s.ws.send(json.dumps({"type": "response.output_audio_transcript.delta", "item_id": f"i{i}", "response_id": "r", "delta": "word " * 20}))
        if i % 15 == 0:
            await asyncio.sleep(0.01)


@worker("openai", "says that somebody speaks, and that nobody does, 200 times a second", fast=True)
async def model_that_interrupts_itself(s):
    while True:
        await s.ws.send('{"type":"input_audio_buffer.speech_started","item_id":"i","audio_start_ms":0}')
        await s.ws.send('{"type":"input_audio_buffer.speech_stopped","item_id":"i","audio_end_ms":1}')
        await asyncio.sleep(0.005)


@worker("openai", "errors, 200 a second")
async def model_that_complains(s):
    while True:
        await s.ws.send('{"type":"error","error":{"type":"server_error","message":"' + "no " * 300 + '"}}')
        await asyncio.sleep(0.005)


@worker("openai", "stops reading in the middle of its answer")
async def model_that_reads_nothing(s):
    s.ws.transport.pause_reading()
    await asyncio.sleep(10)


@worker("openai", "refuses everybody with 401")
async def model_that_refuses(s):
    pass


@worker("openai", "refuses everybody with 429")
async def model_without_time(s):
    pass


# --- all of them --------------------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def serving(attacks):
    """Starts the servers; the [bridge.NAME] of all workers among `attacks`."""
    async def bot(ws):
        with contextlib.suppress(ConnectionClosed, OSError):
            await BEHAVIOURS[ws.request.path.strip("/")](ws)

    async def script(s):
        with contextlib.suppress(ConnectionClosed, OSError):
            await BEHAVIOURS[s.query["model"]](s)

    def refuse(n, request):
        return {"model=model-that-refuses": (401, {}, ""), "model=model-without-time": (429, {"Retry-After": "1"}, "")}.get(
            request.path.partition("?")[2])

    def pbx(act):
        async def one(reader, writer):
            with contextlib.suppress(OSError):
                await act(reader, writer)
            writer.close()
        return one

    text, listening = "", []
    async with serve(bot, "127.0.0.1", 0, compression=None, ping_interval=None, close_timeout=1) as bots, Provider(script, refuse=refuse) as provider:
        port = bots.sockets[0].getsockname()[1]
        for a in attacks:
            if not a.bridge:
                continue
            text += f'[bridge.{a.bridge_name}]\ntype = "{a.bridge}"\n'
            if a.bridge == "process":
                text += f'command = ["python3", "-S", "{HERE / "worker.py"}", "{a.name}"]\n'
            elif a.bridge == "audiosocket":
                listening.append(await asyncio.start_server(pbx(BEHAVIOURS[a.name]), "127.0.0.1", 0))
                text += f'address = "tcp://127.0.0.1:{listening[-1].sockets[0].getsockname()[1]}"\n'
            elif a.bridge == "websocket":
                text += f'url = "ws://127.0.0.1:{port}/{a.name}"\n'
            else:
                text += f'url = "{provider.url}"\nmodel = "{a.name}"\n'
        try:
            yield text
        finally:
            provider.faults.clear()
            for server in listening:
                server.close()
