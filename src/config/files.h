/* SPDX-License-Identifier: MIT */
/* files - whether what a configuration names outside itself is there and can be used. Opens files, starts nothing; any thread. */
#pragma once
#include "base/option.h"

enum { FILES_FAULT = 200 };

/* Looks at what the value of `f` in `base` names, as the form of `f` says; true for values that name nothing. On false `fault` is what is
 * wrong with it: "No such file or directory". */
bool files_look(const struct option_row *f, const void *base, char fault[FILES_FAULT]);
