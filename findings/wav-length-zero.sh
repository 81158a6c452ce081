#!/usr/bin/env bash
# Guess: a WAV file whose lengths are 0, since its writer never came back to the head, is read to its end by all; so is one with
#       0xFFFFFFFF.
# Seen: with 0 ffmpeg and opusenc read all, sox, libsndfile, aplay and Python's wave nothing, and none of these four says so. With
#       0xFFFFFFFF all read it, but Python promises 2147483647 frames, and aplay plays up to a period of something else after it.
# mynah: reads both to the end.
# shellcheck source=findings/lib.sh
. "$(dirname "$0")/lib.sh"
needs sox=14.4.2+git20190427-5+b3 ffmpeg=7:7.1.5-0+deb13u1 alsa-utils=1.2.14-1 sndfile-programs=1.2.2-2+deb13u1 opus-tools=0.2-1+b3

python3 - <<'PY'
import riff, sound
samples = sound.int16(sound.tone(8000, 440, 1)).tobytes()
open("zero.wav", "wb").write(riff.wav(samples, riff=36, data=0))
open("ff.wav", "wb").write(riff.wav(samples, riff=0xffffffff, data=0xffffffff))
PY
by_ffmpeg() { ffmpeg -v error -i "$1" -f s16le - | wc -c; }
by_sox() { sox "$1" -t raw - 2>/dev/null | wc -c; }
by_opusenc() { opusenc --quiet "$1" o.opus 2>/dev/null && opusdec --quiet --rate 8000 o.opus - | wc -c; }
by_aplay() { rm -f o.raw && aplay -q -D "file:o.raw,raw" "$1" && stat -c %s o.raw; }
by_libsndfile() { sndfile-convert "$1" o.au >/dev/null 2>&1 && echo $(($(sndfile-info o.au | sed -n 's/^Frames *: //p') * 2)); }
by_python() { python3 -c 'import sys, wave; w = wave.open(sys.argv[1]); print(w.getnframes())' "$1"; }
expect "0, bytes of 16000: ffmpeg" "$(by_ffmpeg zero.wav)" 16000
between "0: opusenc" "$(by_opusenc zero.wav)" 15990 16010
expect "0: sox" "$(by_sox zero.wav)" 0
expect "0: libsndfile" "$(by_libsndfile zero.wav)" 0
expect "0: aplay" "$(by_aplay zero.wav)" 0
expect "0: Python, frames" "$(by_python zero.wav)" 0
expect "0xFFFFFFFF: ffmpeg" "$(by_ffmpeg ff.wav)" 16000
expect "0xFFFFFFFF: sox" "$(by_sox ff.wav)" 16000
expect "0xFFFFFFFF: libsndfile" "$(by_libsndfile ff.wav)" 16000
between "0xFFFFFFFF: aplay" "$(by_aplay ff.wav)" 16001 20000
expect "0xFFFFFFFF: Python, frames" "$(by_python ff.wav)" 2147483647
finish
