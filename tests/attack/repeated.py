"""Attacks by flood.c, for which Python is too slow: --long runs them, on a server with room for ten thousand connections from one
address. $FLOOD names the program."""
import asyncio
import os

from kit import GOES_ON, attack


async def flood(a, mode, times):
    """What it says at its end: {"times": 5, ...}"""
    process = await asyncio.create_subprocess_exec(os.environ["FLOOD"], mode, str(a.server.port), str(times), stdout=asyncio.subprocess.PIPE)
    try:
        out, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    return {key: int(value) for key, value in (word.split("=") for word in out.decode().split())}


async def repeated(a, mode, times):
    said = await flood(a, mode, times)
    return "ended" if said["lost"] else GOES_ON if said["times"] == times else f"{said}"


@attack("packets", "the head of an Initial, well-formed, with noise behind it, as often as the kernel takes it", long=True, pending="beginnings that fail are dear")
async def initials_of_noise_at_full_speed(a):
    await flood(a, "noise", a.seconds)
    return GOES_ON


@attack("session", "a million datagrams of one byte", (GOES_ON, "ended"), long=True)
async def a_million_datagrams(a):
    return await repeated(a, "datagrams", 1000000)


@attack("session", "a million streams, opened and reset", (GOES_ON, "ended"), long=True)
async def a_million_streams(a):
    return await repeated(a, "streams", 1000000)


@attack("quic", "ten thousand sessions that say nothing", "10000 open", long=True, grows_mib=64, pending="places are not shared out by address")
async def ten_thousand_slow_clients(a):
    return f"{(await flood(a, 'slow', 10000))['open']} open"
