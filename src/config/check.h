/* SPDX-License-Identifier: MIT */
/* check - what single values must look like beyond their type and bounds. See option_fix_fn. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

bool check_wire_rate(uint32_t rate_hz);   /* can stand in the rate field of a frame */
bool check_bridge_rate(uint32_t rate_hz); /* the same, or 0 */

bool check_text(char *text, size_t size, char accepts[128]);
bool check_variable(char *text, size_t size, char accepts[128]); /* of the environment; or empty */
bool check_host(char *text, size_t size, char accepts[128]);
bool check_path(char *text, size_t size, char accepts[128]);
/* Brings it to the form in which browsers send it: see origin_text(). */
bool check_origin(char *text, size_t size, char accepts[128]);
/* Of a host, without a port; in lower case. */
bool check_name(char *text, size_t size, char accepts[128]);
bool check_net(char *text, size_t size, char accepts[128]); /* see quic_net_parse() */
/* Turns "credential:NAME" into a file in $CREDENTIALS_DIRECTORY. */
bool check_credential(char *text, size_t size, char accepts[128]);
bool check_tls_group(char *text, size_t size, char accepts[128]);
bool check_room_pattern(char *text, size_t size, char accepts[128]);
bool check_bridge_name(char *text, size_t size, char accepts[128]);
bool check_bridge_type(char *text, size_t size, char accepts[128]);
