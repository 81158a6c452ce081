/* SPDX-License-Identifier: MIT */
/*
 * session_wt - sessions over WebTransport: a datagram is a packet of audio, and the first bidirectional stream that the
 * client opens carries the lines both ways; once the client has ended or reset its side, the next one does. All other
 * streams are refused. A client that does not read its lines loses that stream, not the audio.
 */
#pragma once
#include "session/session.h"
#include "wt/wt.h"

/* To be given to wt_new(), with a struct session_host as its ctx. */
const struct wt_app *session_wt_app(void);
