#!/usr/bin/env bash
# Guess: opusenc --expect-loss 20 and ffmpeg's -packet_loss 20 make a stream that can repair losses (in-band FEC).
# Seen: neither does: FEC stays off, in all packets, until it is asked for itself: --set-ctl-int 4012=1, -fec 1.
# mynah: has no Opus yet; its tests of FEC will count the packets that have redundancy.
# shellcheck source=findings/lib.sh
. "$(dirname "$0")/lib.sh"
needs sox=14.4.2+git20190427-5+b3 ffmpeg=7:7.1.5-0+deb13u1 alsa-utils=1.2.14-1 sndfile-programs=1.2.2-2+deb13u1 opus-tools=0.2-1+b3 libopus0=1.5.2-2

python3 -c 'import sound; sound.write_wav("a.wav", sound.speech(48000, 6), 48000)'
share() { # FILE: per cent of its packets that have redundancy
	python3 -c 'import sys, ogg, opus; p = ogg.packets(sys.argv[1])[2:]; print(100 * sum(map(opus.has_lbrr, p)) // len(p))' "$1"
}
opusenc --quiet --bitrate 32 --speech --expect-loss 20 a.wav a.opus
expect "opusenc --expect-loss 20, per cent" "$(share a.opus)" 0
opusenc --quiet --bitrate 32 --speech --expect-loss 20 --set-ctl-int 4012=1 a.wav a.opus
between "   with --set-ctl-int 4012=1" "$(share a.opus)" 70 100
ffmpeg -y -v error -i a.wav -c:a libopus -b:a 32k -application voip -packet_loss 20 a.ogg
expect "ffmpeg -packet_loss 20" "$(share a.ogg)" 0
ffmpeg -y -v error -i a.wav -c:a libopus -b:a 32k -application voip -packet_loss 20 -fec 1 a.ogg
between "   with -fec 1" "$(share a.ogg)" 70 100
finish
