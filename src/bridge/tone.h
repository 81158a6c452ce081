/* SPDX-License-Identifier: MIT */
/* tone - what a bridge of type "tone" can be told. */
#pragma once

struct tone_opts {
	double hz;   /* 20..20000. default 440 */
	double dbfs; /* -60..0, RMS of a full-scale sine is -3. default -20 */
};
