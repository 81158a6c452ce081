"""Test cases that talk to a real mynahd with asyncio."""
import asyncio
import datetime
import hashlib
import ipaddress
import pathlib
import sys
import unittest

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from voice import quality

# A client on a busy machine is late now and then, which is not what is tested: hold back enough for that, and
# mix late rather than not at all.
PATIENT = "[audio]\nmin_delay_ms = 150\nmax_delay_ms = 1000\nmax_late_ms = 5000\n"


class VoiceCase(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self):
        asyncio.get_running_loop().set_debug(False)  # it is slow, and speaks of every slow step

    async def again(self, attempt, times=4):
        """Measures until it succeeds: what a busy machine does to the clock of a client is heard, too, and not a
        fault of the server's. A fault of the server's is there every time."""
        for _ in range(times - 1):
            try:
                return await attempt()
            except AssertionError:
                await asyncio.sleep(0.3)
        return await attempt()

    def assert_clean(self, x, rate, parts):
        """Nothing but sines {Hz: dBFS}, without a gap; returns the signal to noise."""
        levels, median, worst = quality(x, rate, *parts)
        for level, wanted in zip(levels, parts.values()):
            self.assertAlmostEqual(level, wanted, delta=0.5)
        self.assertGreater(median, 60)
        self.assertGreater(worst, 40)
        return median

    def figure(self, text):
        """A measured figure, for those who asked for more than dots."""
        if "-v" in sys.argv:
            print(text, file=sys.stderr)


async def off_loop(function, *args):
    """Something that blocks, while the clients go on."""
    return await asyncio.to_thread(function, *args)


class Certificate:
    """A self-signed certificate for localhost (and `others`) and its key, written as PEM files into `folder`."""

    def __init__(self, folder, stem="cert", key=None, days=13, start_days=-1, others=()):
        self.key = key or ec.generate_private_key(ec.SECP256R1())
        now = datetime.datetime.now(datetime.timezone.utc)
        begin = now + datetime.timedelta(days=start_days)
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
        names = [*map(x509.DNSName, ("localhost", *others)), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        self.cert = (x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(self.key.public_key())
                     .serial_number(x509.random_serial_number()).not_valid_before(begin)
                     .not_valid_after(begin + datetime.timedelta(days=days))
                     .add_extension(x509.SubjectAlternativeName(names), False).sign(self.key, hashes.SHA256()))
        self.cert_path = pathlib.Path(folder) / f"{stem}.pem"
        self.key_path = pathlib.Path(folder) / f"{stem}.key"
        self.write()

    def write(self):
        self.cert_path.write_bytes(self.cert.public_bytes(serialization.Encoding.PEM))
        self.key_path.write_bytes(self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))

    def sha256(self):
        return hashlib.sha256(self.cert.public_bytes(serialization.Encoding.DER)).hexdigest()

    def config(self):
        """Lines for [server]."""
        return f'certificate = "{self.cert_path}"\nprivate_key = "{self.key_path}"\n'
