#!/usr/bin/env python3
"""The first program of the machine that test_systemd.py boots. Its root is the host's, read through hostfs and never written: below a layer of what
`cmake --install` put into FOLDER/install, and one in memory for all that is written. FOLDER itself is /mynah. Then systemd takes over."""
import ctypes
import os
import pathlib
import sys
import traceback

FINIT_MODULE = 313  # of x86-64
MS_MOVE = 0x2000
POWER_OFF = 0x4321FEDC
FOLDER = os.environ.get("mynah_folder", "")
libc = ctypes.CDLL(None, use_errno=True)


def check(result, what):
    if result:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), what)


def mount(source, place, kind, flags=0, data=""):
    os.makedirs(place, exist_ok=True)
    check(libc.mount(source.encode(), place.encode(), kind.encode(), flags, data.encode()), place)


def load_overlay():
    with open(os.environ["mynah_modules"] + "/kernel/fs/overlayfs/overlay.ko", "rb") as module:
        check(libc.syscall(FINIT_MODULE, module.fileno(), b"", 0), module.name)


def stack_root():
    mount("memory", "/mnt", "tmpfs")
    mount("host", "/mnt/host", "hostfs", data=FOLDER)
    for name in "written", "work":
        os.mkdir(f"/mnt/{name}")
    mount("root", "/mnt/root", "overlay", data="lowerdir=/mnt/host/install:/,upperdir=/mnt/written,workdir=/mnt/work")
    mount("host", "/mnt/root/mynah", "hostfs", data=FOLDER)
    os.chdir("/mnt/root")
    mount(".", "/", "none", MS_MOVE)
    os.chroot(".")
    os.chdir("/")


def describe_units():
    pathlib.Path("/etc/machine-id").write_text("0123456789abcdef0123456789abcdef\n")
    units = pathlib.Path("/etc/systemd/system")
    (units / "mynah-test.target").write_text("[Unit]\nWants=mynah-test.service\n")
    (units / "mynah-test.service").write_text(
        "[Unit]\nSuccessAction=poweroff-force\nFailureAction=poweroff-force\n[Service]\nType=oneshot\n"
        f"ExecStart=/usr/bin/python3 {pathlib.Path(__file__).with_name('guest.py')} /mynah\n"
        "StandardOutput=file:/mynah/guest.log\nStandardError=inherit\n")


try:
    load_overlay()
    stack_root()
    describe_units()
    os.execv("/usr/lib/systemd/systemd", ["systemd", *sys.argv[1:]])
except Exception:
    traceback.print_exc()
    libc.reboot(POWER_OFF)
