#!/usr/bin/env bash
# Guess: RF64, the WAV for more than 4 GB (EBU Tech 3306), is read by what reads WAV, or refused.
# Seen: ffmpeg, sox and libsndfile read it, Python and opusenc refuse it; aplay takes the file for raw 8-bit samples at 8 kHz and plays it,
#       its head included, as noise, with exit status 0.
# mynah: reads RF64, and refuses by name what it cannot read.
# shellcheck source=findings/lib.sh
. "$(dirname "$0")/lib.sh"
needs sox=14.4.2+git20190427-5+b3 ffmpeg=7:7.1.5-0+deb13u1 alsa-utils=1.2.14-1 sndfile-programs=1.2.2-2+deb13u1 opus-tools=0.2-1+b3

python3 -c 'import riff, sound; open("a.wav", "wb").write(riff.rf64(sound.int16(sound.tone(8000, 440, 1)).tobytes()))'
status() { if "$@" >/dev/null 2>log; then echo 0; else echo error; fi; }
expect "ffmpeg, bytes of 16000" "$(ffmpeg -v error -i a.wav -f s16le - | wc -c)" 16000
expect "sox" "$(sox a.wav -t raw - | wc -c)" 16000
expect "libsndfile, frames" "$(sndfile-info a.wav | sed -n 's/^Frames *: //p')" 8000
expect "opusenc" "$(status opusenc --quiet a.wav o.opus)" error
expect "Python" "$(status python3 -c 'import wave; wave.open("a.wav")')" error
expect "aplay" "$(status aplay -D "file:o.raw,raw" a.wav)" 0
expect "   it says" "$(head -n 1 log)" "Playing raw data*Unsigned 8 bit, Rate 8000 Hz, Mono*"
between "   bytes that it plays" "$(stat -c %s o.raw)" 16072 20000
finish
