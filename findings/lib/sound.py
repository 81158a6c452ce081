"""Sound to measure with, all of it made here, and how alike two sounds are. Floats, one channel."""
import subprocess
import tempfile
import wave

import numpy as np

SENTENCE = ("The old mill stands beside a narrow river, and every morning seven grey herons wait below its wheel. "
            "Nobody knows why they come, but when the water rises they leave, and the valley is quiet again.")


def resample(x, rate, to):
    """Through the spectrum."""
    n = round(len(x) * to / rate)
    spectrum = np.fft.rfft(x)[:n // 2 + 1]
    return np.fft.irfft(np.pad(spectrum, (0, n // 2 + 1 - len(spectrum))), n) * n / len(x)


def speech(rate, seconds=10, peak=0.5, text=SENTENCE):
    """espeak-ng's voice: up to 11 kHz."""
    with tempfile.NamedTemporaryFile(suffix=".wav") as f:
        subprocess.run(["espeak-ng", "-w", f.name, "-s", "150", text], check=True, capture_output=True)
        with wave.open(f.name) as w:
            x = np.frombuffer(w.readframes(w.getnframes()), "<i2") / 32768
            x = resample(x, w.getframerate(), rate)
    x = np.tile(x, int(np.ceil(seconds * rate / len(x))))[:int(seconds * rate)]
    return x * peak / np.max(np.abs(x))


def noise(rate, seconds, dbfs, seed=1):
    x = np.random.default_rng(seed).standard_normal(int(rate * seconds))
    return x * 10 ** (dbfs / 20)


def tone(rate, hz, seconds, peak=0.5):
    return peak * np.sin(2 * np.pi * hz * np.arange(int(rate * seconds)) / rate)


def int16(x):
    return np.clip(np.round(np.asarray(x) * 32767), -32768, 32767).astype(np.int16)


def db(x):
    """dBFS, RMS."""
    x = np.asarray(x, float)
    return 10 * np.log10(max(np.mean(x ** 2), 1e-14)) if len(x) else -140.0


def snr(wanted, got):
    wanted, got = np.asarray(wanted, float), np.asarray(got, float)
    return 10 * np.log10(max(np.sum(wanted ** 2), 1e-14) / max(np.sum((wanted - got) ** 2), 1e-14))


def delay(x, y, most):
    """By how many samples y is later than x, at most `most`."""
    n = 1 << (len(x) + len(y)).bit_length()
    corr = np.fft.irfft(np.fft.rfft(y, n) * np.conj(np.fft.rfft(x, n)), n)
    return int(np.argmax(corr[:most]))


def write_wav(path, x, rate):
    with wave.open(str(path), "wb") as w:
        w.setnchannels(1)
        w.setsampwidth(2)
        w.setframerate(rate)
        w.writeframes(int16(x).tobytes())
