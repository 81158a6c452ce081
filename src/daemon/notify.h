/* SPDX-License-Identifier: MIT */
/*
 * notify - systemd's readiness and watchdog protocol (sd_notify(3)): one datagram of text on the socket that
 * $NOTIFY_SOCKET names. Without that variable every call does nothing.
 */
#pragma once
#include <stdint.h>

/* "READY=1", "STOPPING=1", "WATCHDOG=1", "RELOADING=1" ...; several lines are joined with \n. */
void notify_send(const char *state);
/* $WATCHDOG_USEC in milliseconds, the most between two WATCHDOG=1; 0 if the service has no watchdog. */
uint64_t notify_watchdog_ms(void);
