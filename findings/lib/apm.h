// webrtc-audio-processing, for findings/apm-*.sh.
#pragma once
#include <modules/audio_processing/include/audio_processing.h>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <vector>

using Config = webrtc::AudioProcessing::Config;
using Stream = webrtc::StreamConfig;

static webrtc::AudioProcessing *apm(const Config &config)
{
	webrtc::AudioProcessing *a = webrtc::AudioProcessingBuilder().Create();
	a->ApplyConfig(config);
	return a;
}
