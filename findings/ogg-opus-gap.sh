#!/usr/bin/env bash
# Guess: a jump of the granule position in Ogg Opus, which is how a pause of DTX is written, is a pause when the file is played.
# Seen: every tool tells the length with the pause, and none plays it: 7 s are promised and 2 s come, with what was five seconds apart one behind
#       the other. ffmpeg puts it back when it is asked to (aresample=async=1).
# mynah: has no recordings yet; they will have no gaps, but packets that say "nothing".
# shellcheck source=findings/lib.sh
. "$(dirname "$0")/lib.sh"
needs sox=14.4.2+git20190427-5+b3 ffmpeg=7:7.1.5-0+deb13u1 alsa-utils=1.2.14-1 sndfile-programs=1.2.2-2+deb13u1 opus-tools=0.2-1+b3

python3 - <<'PY'
import ogg, opus, sound
packets = opus.Encoder(48000, bitrate=32000).all(sound.speech(48000, 3), 960)[:100]
pause = lambda i: 5 * 48000 if i >= 50 else 0
open("a.opus", "wb").write(ogg.opus_file([(960 * (i + 1) + pause(i), p) for i, p in enumerate(packets)]))
PY
seconds() { awk -v bytes="$(wc -c)" 'BEGIN { print bytes / 96000 }'; } # of 48 kHz in 16 bits
between "ffprobe: s" "$(ffprobe -v error -show_entries format=duration -of csv=p=0 a.opus)" 6.9 7.1
expect "opusinfo" "$(opusinfo a.opus | sed -n 's/.*Playback length: //p')" "0m:06.99*"
expect "libsndfile" "$(sndfile-info a.opus | sed -n 's/^Duration *: //p')" "00:00:06.99*"
between "ffmpeg decodes s" "$(ffmpeg -v error -i a.opus -ar 48000 -f s16le - | seconds)" 1.9 2.1
between "opusdec decodes s" "$(opusdec --quiet a.opus - | seconds)" 1.9 2.1
between "ffmpeg with aresample=async=1" "$(ffmpeg -v error -i a.opus -af aresample=async=1 -ar 48000 -f s16le - | seconds)" 6.9 7.1
finish
