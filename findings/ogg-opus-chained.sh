#!/usr/bin/env bash
# Guess: two Ogg Opus files one behind the other, which is a valid file, are as long as both for every reader; else they are refused.
# Seen: ffmpeg and opusdec play both, ffprobe tells the length of one. libsndfile reads the first and says nothing of the rest.
# mynah: has no recordings yet; each will be a file of its own, never appended to.
# shellcheck source=findings/lib.sh
. "$(dirname "$0")/lib.sh"
needs sox=14.4.2+git20190427-5+b3 ffmpeg=7:7.1.5-0+deb13u1 alsa-utils=1.2.14-1 sndfile-programs=1.2.2-2+deb13u1 opus-tools=0.2-1+b3

python3 - <<'PY'
import ogg, opus, sound
packets = opus.Encoder(48000, bitrate=32000).all(sound.speech(48000, 4), 960)
link = lambda serial, part: ogg.opus_file([(960 * (i + 1), p) for i, p in enumerate(part)], serial)
open("a.opus", "wb").write(link(1, packets[:100]) + link(2, packets[100:200]))
PY
seconds() { awk -v bytes="$(wc -c)" 'BEGIN { print bytes / 96000 }'; }
between "ffmpeg decodes s" "$(ffmpeg -v error -i a.opus -ar 48000 -f s16le - | seconds)" 3.9 4.1
between "opusdec decodes s" "$(opusdec --quiet a.opus - | seconds)" 3.9 4.1
between "ffprobe tells s" "$(ffprobe -v error -show_entries format=duration -of csv=p=0 a.opus)" 1.9 2.1
expect "libsndfile tells" "$(sndfile-info a.opus | sed -n 's/^Duration *: //p')" "00:00:01.99*"
sndfile-convert -pcm16 a.opus a.raw >/dev/null 2>&1
between "   and decodes s" "$(seconds <a.raw)" 1.9 2.1
finish
