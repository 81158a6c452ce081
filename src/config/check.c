/* SPDX-License-Identifier: MIT */
#include "config/check.h"

#include "base/origin.h"
#include "bridge/bridge.h"
#include "quic/addr.h"
#include "quic/tls.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool check_wire_rate(uint32_t rate_hz)
{
	return rate_hz >= 8000 && rate_hz <= 48000 && (rate_hz % 100 == 0 || rate_hz == 11025 || rate_hz == 22050);
}

bool check_bridge_rate(uint32_t rate_hz)
{
	return rate_hz == 0 || check_wire_rate(rate_hz);
}

/* Control characters were refused already, in every text: see field_set(). */
bool check_text(char *text, size_t size, char accepts[128])
{
	(void)text, (void)size, (void)accepts;
	return true;
}

bool check_variable(char *text, size_t size, char accepts[128])
{
	static const char good[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";

	(void)size, (void)accepts;
	return strspn(text, good) == strlen(text);
}

bool check_host(char *text, size_t size, char accepts[128])
{
	struct quic_addr a;

	(void)size, (void)accepts;
	return !strcmp(text, "localhost") || quic_addr_parse(text, 0, &a) == 0;
}

bool check_path(char *text, size_t size, char accepts[128])
{
	(void)size, (void)accepts;
	if (text[0] != '/')
		return false;
	for (const char *p = text; *p; p++)
		if (*p <= ' ' || *p > '~' || strchr("?#%\\\"", *p))
			return false;
	return true;
}

bool check_origin(char *text, size_t size, char accepts[128])
{
	char spelling[ORIGIN_TEXT];
	struct origin o;

	(void)accepts;
	if (!strcmp(text, "*"))
		return true;
	if (origin_parse(text, &o))
		return false;
	origin_text(&o, spelling);
	if (strlen(spelling) >= size)
		return false;
	memcpy(text, spelling, strlen(spelling) + 1);
	return true;
}

bool check_name(char *text, size_t size, char accepts[128])
{
	struct authority a;

	(void)accepts;
	if (authority_parse(text, &a) || a.port || strlen(a.host) >= size)
		return false;
	memcpy(text, a.host, strlen(a.host) + 1);
	return true;
}

bool check_net(char *text, size_t size, char accepts[128])
{
	struct quic_net n;

	(void)size, (void)accepts;
	return quic_net_parse(text, &n) == 0;
}

bool check_credential(char *text, size_t size, char accepts[128])
{
	static const char prefix[] = "credential:";
	const char *dir = getenv("CREDENTIALS_DIRECTORY"), *name = text + sizeof prefix - 1;
	char path[512];

	if (strncmp(text, prefix, sizeof prefix - 1) != 0)
		return true;
	if (!*name || *name == '.' || strchr(name, '/')) {
		snprintf(accepts, 128, "a credential's name after \"credential:\", without '/' and not starting with '.'");
		return false;
	}
	if (!dir || !*dir) {
		snprintf(accepts, 128, "a file name, or run under systemd with LoadCredential=: CREDENTIALS_DIRECTORY is not set");
		return false;
	}
	int n = snprintf(path, sizeof path, "%s/%s", dir, name);

	if (n < 0 || (size_t)n >= size || (size_t)n >= sizeof path) {
		snprintf(accepts, 128, "a shorter name: with CREDENTIALS_DIRECTORY it is longer than %zu bytes", size - 1);
		return false;
	}
	memcpy(text, path, (size_t)n + 1);
	return true;
}

bool check_tls_group(char *text, size_t size, char accepts[128])
{
	const char *name;

	(void)size, (void)accepts;
	for (unsigned i = 0; (name = quic_tls_group_name(i)); i++)
		if (!strcmp(text, name))
			return true;
	return false;
}

bool check_room_pattern(char *text, size_t size, char accepts[128])
{
	(void)size, (void)accepts;
	return text[0] != '\0' && text[0] != ' ' && text[strlen(text) - 1] != ' ';
}

bool check_bridge_name(char *text, size_t size, char accepts[128])
{
	(void)size, (void)accepts;
	return bridge_name_ok(text);
}

bool check_bridge_type(char *text, size_t size, char accepts[128])
{
	(void)size;
	if (bridge_find(text))
		return true;
	snprintf(accepts, 128, "one of the types %s", bridge_types());
	return false;
}
