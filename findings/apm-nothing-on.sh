#!/usr/bin/env bash
# Guess: with all of its parts off webrtc-audio-processing copies what comes in to what goes out.
# Seen: so in floats; in 16 bits ProcessStream() writes nothing at all and returns 0: what goes out is what was in the buffer before.
# mynah: has no noise suppression yet; where all is off it will not be called.
# shellcheck source=findings/lib.sh
. "$(dirname "$0")/lib.sh"
needs libwebrtc-audio-processing-dev=1.3-3+b1

compile_cpp measure -DWEBRTC_LINUX -DWEBRTC_POSIX -I"$root/usr/include/webrtc-audio-processing-1" -lwebrtc-audio-processing-1 -labsl_strings <<'C'
#include "apm.h"
int main()
{
	webrtc::AudioProcessing *a = apm(Config());
	Stream s(16000, 1);
	std::vector<int16_t> in(160, 1000), out(160, 12345);
	printf("result %d\n", a->ProcessStream(in.data(), s, s, out.data()));
	printf("int16 %d\n", out[80]);
	std::vector<float> fin(160, 0.5f), fout(160, 9.0f);
	float *p = fin.data(), *q = fout.data();
	a->ProcessStream(&p, s, s, &q);
	printf("float %g\n", fout[80]);
}
C
./measure >out 2>/dev/null
expect "16 bits: result" "$(value result)" 0
expect "   a sample of 1000 into a buffer that holds 12345" "$(value int16)" 12345
expect "floats: a sample of 0.5 into one that holds 9" "$(value float)" 0.5
finish
