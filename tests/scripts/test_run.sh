#!/usr/bin/env bash
# scripts/run as a user meets it: it says where the page is, the page is there, it ends
# cleanly when told to, and a port that is taken is said so.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1

passed=0 failed=0
check() { # NAME CMD...
	local name=$1
	shift
	if "$@"; then passed=$((passed + 1)); else failed=$((failed + 1)); printf 'FAILED: %s\n' "$name"; fi
}

tmp=$(mktemp -d)
job=
trap '[ -z "$job" ] || kill -KILL $job 2>/dev/null; rm -rf "$tmp"' EXIT
cat >"$tmp/mynah.toml" <<END
[server]
port = 0
[http]
port = 0
END

within() { # SECONDS CMD...: until it holds
	local end=$((SECONDS + $1))
	shift
	until "$@"; do
		[ $SECONDS -lt $end ] || return 1
		sleep 0.1
	done
}
said() { grep -qE "$1" "$tmp/log"; }
get() { # PORT PATH
	exec 3<>"/dev/tcp/localhost/$1" || return
	printf 'GET %s HTTP/1.1\r\nHost: localhost:%s\r\nConnection: close\r\n\r\n' "$2" "$1" >&3
	timeout 5 cat <&3
	exec 3>&-
}
gone() { ! kill -0 "$1" 2>/dev/null; }

scripts/run -c "$tmp/mynah.toml" >"$tmp/log" 2>&1 &
job=$!
check says_where_the_page_is within 60 said '^    Open http://localhost:[0-9]+/ in a browser'
port=$(sed -nE 's|^    Open http://localhost:([0-9]+)/ .*|\1|p' "$tmp/log")
check serves_the_page grep -qi '^content-type: text/html' <(get "${port:-1}" /)
check serves_its_script grep -qi '^content-type: text/javascript' <(get "${port:-1}" /app.js)
check serves_health grep -q '^HTTP/1.1 200' <(get "${port:-1}" /healthz)

printf '[server]\nport = 0\n[http]\nport = %d\n' "${port:-1}" >"$tmp/taken.toml"
timeout 60 scripts/run -c "$tmp/taken.toml" >"$tmp/taken.log" 2>&1
status=$?
check taken_port_is_an_error [ $status = 1 ]
check taken_port_is_named grep -q "${port:-none}" "$tmp/taken.log"

kill -TERM $job
check ends_in_six_seconds within 6 gone $job
wait $job
status=$?
check ends_with_status_0 [ $status = 0 ]
job=

echo "$passed passed, $failed failed"
[ "$failed" = 0 ] || { sed 's/^/    run: /' "$tmp/log"; exit 1; }
