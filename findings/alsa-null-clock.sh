#!/usr/bin/env bash
# Guess: ALSA's device "null" swallows sound, and delivers silence, at the rate that was asked for: a test without a sound card.
# Seen: it has no clock: ten seconds are played, and recorded, at once.
# mynah: lets no test rely on it; whatever paces sound in its tests has a clock of its own.
# shellcheck source=findings/lib.sh
. "$(dirname "$0")/lib.sh"
needs alsa-utils=1.2.14-1

python3 -c 'import sound; sound.write_wav("a.wav", sound.tone(8000, 440, 10), 8000)'
took() { # CMD...: ms
	local start=${EPOCHREALTIME/[.,]/}
	"$@"
	echo $(((${EPOCHREALTIME/[.,]/} - start) / 1000))
}
between "ms to play 10 s" "$(took aplay -q -D null a.wav)" 0 5000
between "ms to record 10 s" "$(took arecord -q -D null -f S16_LE -r 8000 -d 10 b.wav)" 0 5000
expect "recorded, bytes" "$(python3 "$lib/riff.py" b.wav | cut -d' ' -f2)" 160000
finish
