/* SPDX-License-Identifier: MIT */
/* tone - the options of a bridge of type "tone". */
#pragma once

struct tone_opts {
	double hz;   /* 20..20000. default 440 */
	double dbfs; /* -60..0, RMS of a full-scale sine is -3. default -20 */
};
