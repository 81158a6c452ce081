/* SPDX-License-Identifier: MIT */
/* fd - file descriptors of the process. */
#pragma once

/* Opens those of standard input, output and error that are closed, on /dev/null. To be called first of all: else the next
 * socket gets such a number, and with it what is printed. */
void fd_open_standard(void);

/* A descriptor for the same terminal on which a write never waits; `fd` itself for what is none, or cannot be opened
 * anew. `fd` stays as it is: it is shared with the shell and others, who would be surprised. Never closed. */
int fd_unwaiting(int fd);
