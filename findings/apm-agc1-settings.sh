#!/usr/bin/env bash
# Guess: gain_controller1's mode, target_level_dbfs and compression_gain_db decide how loud speech becomes.
# Seen: whatever they are, the output is the same; only whether it is on is read.
# mynah: has no gain control yet; it would be gain_controller2.
# shellcheck source=findings/lib.sh
. "$(dirname "$0")/lib.sh"
needs libwebrtc-audio-processing-dev=1.3-3+b1

compile_cpp measure -DWEBRTC_LINUX -DWEBRTC_POSIX -I"$root/usr/include/webrtc-audio-processing-1" -lwebrtc-audio-processing-1 -labsl_strings <<'C'
#include "apm.h"
static double level(int mode, int target, int gain)
{
	Config config;
	config.gain_controller1.enabled = true;
	config.gain_controller1.mode = static_cast<decltype(config.gain_controller1.mode)>(mode);
	config.gain_controller1.target_level_dbfs = target;
	config.gain_controller1.compression_gain_db = gain;
	webrtc::AudioProcessing *a = apm(config);
	Stream s(16000, 1);
	double energy = 0;
	for (int f = 0; f < 1000; f++) { // syllables of 300 ms
		std::vector<int16_t> x(160), y(160);
		for (int i = 0; i < 160; i++)
			x[i] = static_cast<int16_t>(f % 50 < 30 ? 1000 * sin((f * 160 + i) * 0.3) : 0);
		a->set_stream_analog_level(100);
		a->ProcessStream(x.data(), s, s, y.data());
		for (int16_t v : y)
			energy += f >= 800 ? double(v) * v : 0;
	}
	return sqrt(energy / 200 / 160);
}
int main()
{
	printf("a %.0f\nb %.0f\nc %.0f\nd %.0f\n", level(0, 3, 9), level(1, 3, 9), level(2, 20, 9), level(1, 3, 40));
}
C
./measure >out 2>/dev/null
between "level: adaptive analog, target 3, gain 9" "$(value a)" 1000 5000
expect "   adaptive digital" "$(value b)" "$(value a)"
expect "   fixed digital, target 20" "$(value c)" "$(value a)"
expect "   adaptive digital, gain 40" "$(value d)" "$(value a)"
finish
