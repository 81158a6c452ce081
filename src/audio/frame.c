/* SPDX-License-Identifier: MIT */
#include "audio/frame.h"

static const char *const fault_names[FRAME_N_FAULTS] = {
	[FRAME_OK] = "ok",
	[FRAME_SHORT] = "short",
	[FRAME_EMPTY] = "empty",
	[FRAME_BAD_RATE] = "bad_rate",
	[FRAME_ODD] = "odd",
	[FRAME_UNSUPPORTED] = "unsupported",
};

const char *frame_fault_name(enum frame_fault fault)
{
	return (unsigned)fault < FRAME_N_FAULTS ? fault_names[fault] : "unknown";
}
