#!/usr/bin/env bash
# Guess: a program that writes WAV into a pipe, and cannot know the length, writes 0 or 0xFFFFFFFF.
# Seen: ffmpeg FFFFFFFF, sox 7FFFF000 (7FFFEFFF in 24 bits), espeak-ng 7FFFF000, arecord 80000000: four plausible lengths, of which
#       no list of special values would have the next.
# mynah: a length beyond the end of what comes is "to the end", whatever it is, and so are 0 and 0xFFFFFFFF.
# shellcheck source=findings/lib.sh
. "$(dirname "$0")/lib.sh"
needs sox=14.4.2+git20190427-5+b3 ffmpeg=7:7.1.5-0+deb13u1 alsa-utils=1.2.14-1 sndfile-programs=1.2.2-2+deb13u1 opus-tools=0.2-1+b3

claims() { python3 "$lib/riff.py" | cut -d' ' -f1; }
expect "ffmpeg" "$(ffmpeg -v error -f lavfi -i sine=d=1 -f wav - | claims)" ffffffff
expect "sox, 16 bits" "$(sox -n -r 8000 -b 16 -t wav - synth 1 sine 440 2>/dev/null | claims)" 7ffff000
expect "sox, 24 bits" "$(sox -n -r 8000 -b 24 -t wav - synth 1 sine 440 2>/dev/null | claims)" 7fffefff
expect "espeak-ng" "$(espeak-ng --stdout hello | claims)" 7ffff000
expect "arecord" "$(timeout 1 arecord -q -D null -f S16_LE -r 8000 2>/dev/null | head -c 100000 | claims)" 80000000
expect "arecord -d 1" "$(arecord -q -D null -f S16_LE -r 8000 -d 1 | claims)" 00003e80
finish
