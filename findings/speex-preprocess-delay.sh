#!/usr/bin/env bash
# Guess: speex_preprocess_run() changes a frame in place and adds no delay, surely not with denoise, AGC, VAD and dereverb all off.
# Seen: what comes out is the frame before, exactly, with everything off.
# mynah: has no noise suppression yet; speexdsp's would cost 10 or 20 ms.
# shellcheck source=findings/lib.sh
. "$(dirname "$0")/lib.sh"
needs libspeexdsp-dev=1.2.1-3

compile measure -lspeexdsp <<'C'
#include <speex/speex_preprocess.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
int main(void)
{
	for (int n = 160; n <= 320; n *= 2) {
		SpeexPreprocessState *s = speex_preprocess_state_init(n, 16000);
		int off = 0;

		speex_preprocess_ctl(s, SPEEX_PREPROCESS_SET_DENOISE, &off);
		speex_preprocess_ctl(s, SPEEX_PREPROCESS_SET_AGC, &off);
		speex_preprocess_ctl(s, SPEEX_PREPROCESS_SET_VAD, &off);
		speex_preprocess_ctl(s, SPEEX_PREPROCESS_SET_DEREVERB, &off);
		for (int frame = 0; frame < 20; frame++) {
			short x[320] = {0};

			x[n / 2] = frame == 10 ? 20000 : 0;
			speex_preprocess_run(s, x);
			for (int i = 0; i < n; i++)
				if (abs(x[i]) > 10000)
					printf("frame_%d %d\n", n, (frame - 10) * n + i - n / 2);
		}
	}
}
C
./measure >out 2>/dev/null
expect "frames of 160 samples: a click is late by" "$(value frame_160)" 160
expect "frames of 320 samples" "$(value frame_320)" 320
finish
