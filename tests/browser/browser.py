"""Chromium with a microphone that plays a file, driven over WebDriver."""
import base64
import os
import pathlib
import subprocess
import tempfile
import time
import wave

import numpy as np
from selenium import webdriver
from selenium.common.exceptions import WebDriverException
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service

RATE = 48000  # of the files


def tone(hz, seconds=2, peak=0.2):
    t = np.arange(int(seconds * RATE)) / RATE
    return peak * np.sin(2 * np.pi * hz * t)


def spoken(text, before, after):
    """A sentence with silence around it."""
    with tempfile.NamedTemporaryFile(suffix=".wav") as f:
        subprocess.run(["espeak-ng", "-w", f.name, "-s", "150", text], check=True, capture_output=True)
        with wave.open(f.name) as w:
            x = np.frombuffer(w.readframes(w.getnframes()), "<i2") / 32768
            rate = w.getframerate()
    x = x * 0.5 / max(abs(x))
    return np.concatenate([np.zeros(int(before * RATE)), resample(x, rate, RATE), np.zeros(int(after * RATE))])


def resample(x, rate, to):
    """Through the spectrum; good enough to compare with."""
    n = round(len(x) * to / rate)
    spectrum = np.fft.rfft(x)[:n // 2 + 1]
    return np.fft.irfft(np.pad(spectrum, (0, n // 2 + 1 - len(spectrum))), n) * n / len(x)


def write_wav(path, x):
    with wave.open(str(path), "wb") as w:
        w.setnchannels(1)
        w.setsampwidth(2)
        w.setframerate(RATE)
        w.writeframes((x * 32767).astype("<i2").tobytes())


class Tab:
    """One browser with one tab."""

    def __init__(self, folder, name, microphone):
        self.name = name
        wav = pathlib.Path(folder) / f"{name}.wav"
        write_wav(wav, microphone)
        options = Options()
        options.binary_location = "/usr/bin/chromium"
        for flag in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu",
                     "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream",
                     f"--use-file-for-fake-audio-capture={wav}", "--autoplay-policy=no-user-gesture-required",
                     f"--user-data-dir={folder}/{name}", "--no-first-run", "--window-size=1100,900",
                     "--disable-background-timer-throttling", "--disable-renderer-backgrounding"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        self.driver = webdriver.Chrome(options=options, service=Service("/usr/bin/chromedriver",
                                                                        log_output=os.devnull))
        self.driver.set_script_timeout(60)

    def quit(self):
        self.driver.quit()

    def open(self, server, **parameters):
        query = "&".join(f"{k}={v}" for k, v in {"autoconnect": 1, "loopback": 0, "processing": 0, **parameters}.items())
        self.driver.get(f"{server.page}?{query}")

    def leave(self):
        self.driver.get("about:blank")

    def js(self, script, *args):
        return self.driver.execute_script(script, *args)

    def until(self, script, seconds=30, what=None):
        """Waits until the expression is true in the page; its value."""
        end = time.monotonic() + seconds
        while True:
            try:
                value = self.js(f"return {script}")
            except WebDriverException as error:
                value, what = None, f"{what or script} ({error.msg})"
            if value:
                return value
            if time.monotonic() > end:
                raise AssertionError(f"{self.name}: waited {seconds} s for {what or script}; state: "
                                     f"{self.js('return [document.body.dataset.state, document.body.innerText]')}; "
                                     f"console: {self.driver.get_log('browser')[-8:]}")
            time.sleep(0.1)

    def live(self, seconds=40):
        self.until("window.mynah && window.mynah.state === 'live'", seconds)
        self.until("window.mynah.figures().context_state === 'running'")
        return self

    def text(self, selector):
        return self.js("return document.querySelector(arguments[0]).innerText", selector)

    def click(self, selector):
        self.js("document.querySelector(arguments[0]).click()", selector)

    def say(self, text):
        self.js("document.querySelector('#text').value = arguments[0];"
                "document.querySelector('#write').requestSubmit()", text)

    def heard(self, seconds):
        """(samples, rate) of what the loudspeaker gets from now on."""
        return self.heard_at(seconds)[:2]

    def heard_at(self, seconds):
        """The same, and when the last sample was given to the loudspeaker, in seconds since 1970; a few ms late."""
        answer = self.driver.execute_async_script("""
            const [seconds, done] = arguments;
            window.mynah.recordHeard(seconds).then(({ samples, rate }) => {
                const end = performance.timeOrigin + performance.now();
                const pcm = Int16Array.from(samples, (x) => Math.max(-32768, Math.min(32767, Math.round(x * 32767))));
                const bytes = new Uint8Array(pcm.buffer);
                let text = '';
                for (let i = 0; i < bytes.length; i += 8192)
                    text += String.fromCharCode(...bytes.subarray(i, i + 8192));
                done([rate, btoa(text), end]);
            }, (error) => done([0, String(error)]));""", seconds)
        if not answer[0]:
            raise AssertionError(answer[1])
        return np.frombuffer(base64.b64decode(answer[1]), "<i2") / 32768, round(answer[0]), answer[2] / 1000

    def picture(self, folder, what):
        self.driver.save_screenshot(f"{folder}/{what}-{self.name}.png")


def level_at(x, rate, hz, width=70):
    """dBFS of the peak of a tone near `hz`, which moves by a percent or two while a clock is followed."""
    spectrum = np.abs(np.fft.rfft(x * np.hanning(len(x)))) / (len(x) / 4)
    bins = np.fft.rfftfreq(len(x), 1 / rate)
    near = spectrum[abs(bins - hz) < width]
    return 20 * np.log10(max(np.sqrt(np.sum(near ** 2) / 1.5), 1e-6))


def correlation(x, p):
    """The best, 0 to 1, of p with any stretch of x as long as it."""
    n = 1 << (len(x) + len(p)).bit_length()
    corr = np.fft.irfft(np.fft.rfft(x, n) * np.conj(np.fft.rfft(p, n)), n)[:max(1, len(x) - len(p))]
    energy = np.concatenate([[0], np.cumsum(x ** 2)])
    window = energy[len(p):len(p) + len(corr)] - energy[:len(corr)]
    return float(np.max(np.abs(corr) / np.sqrt(np.maximum(window, 1e-3 * np.sum(p ** 2)) * np.sum(p ** 2))))


def likeness(x, rate, pattern):
    """How much of `pattern` is in x: the median over its quarters of a second that are not silent. In pieces, since
    the clock of a loudspeaker is followed by bending the time a little."""
    p = resample(pattern, RATE, rate)
    pieces = np.array_split(p, round(4 * len(p) / rate))
    loud = [piece for piece in pieces if np.mean(piece ** 2) > 0.1 * np.mean(p ** 2)]
    return float(np.median([correlation(x, piece) for piece in loud]))
