#!/usr/bin/env bash
# Guess: webrtc-audio-processing works on 8, 16, 32 or 48 kHz, and refuses another rate or a frame that is not 10 ms.
# Seen: ProcessStream() cannot know how long the buffer is: of 20 ms it processes the first half, leaves the second as it was, and says 0, "no error".
#       It also takes 7000, 11025 or 50000 Hz, in frames of rate / 100 samples.
# mynah: has no noise suppression yet; the caller will have to check length and rate.
# shellcheck source=findings/lib.sh
. "$(dirname "$0")/lib.sh"
needs libwebrtc-audio-processing-dev=1.3-3+b1

compile_cpp measure -DWEBRTC_LINUX -DWEBRTC_POSIX -I"$root/usr/include/webrtc-audio-processing-1" -lwebrtc-audio-processing-1 -labsl_strings <<'C'
#include "apm.h"
int main()
{
	Config config;
	config.noise_suppression.enabled = true;
	webrtc::AudioProcessing *a = apm(config);
	std::vector<int16_t> in(320, 1000), out(320, 12345);
	printf("result %d\n", a->ProcessStream(in.data(), Stream(16000, 1), Stream(16000, 1), out.data()));
	int first = 0, second = 0;
	for (int i = 0; i < 320; i++)
		(i < 160 ? first : second) += out[i] == 12345;
	printf("first %d\nsecond %d\n", first, second);
	for (int rate : {7000, 11025, 50000}) {
		std::vector<int16_t> x(rate / 100, 100), y(rate / 100);
		printf("rate_%d %d\n", rate, a->ProcessStream(x.data(), Stream(rate, 1), Stream(rate, 1), y.data()));
	}
}
C
./measure >out 2>/dev/null
expect "20 ms at 16 kHz" "$(value result)" 0
expect "   samples of the first 10 ms that are untouched" "$(value first)" 0
expect "   of the second" "$(value second)" 160
for rate in 7000 11025 50000; do expect "$rate Hz" "$(value rate_$rate)" 0; done
finish
