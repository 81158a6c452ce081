#!/usr/bin/env bash
# Guess: only 200 opens a WebTransport session; 204 No Content, which promises an end, does not.
# Seen: 201 and 204 open one in Chromium and in Firefox.
# mynah: answers 200 or refuses with 4xx or 5xx.
# shellcheck source=findings/lib.sh
. "$(dirname "$0")/lib.sh"
needs chromium=156.0.8078.114-1~deb13u1 firefox-esr=153.8.0esr-1~deb13u1 python3-aioquic=1.2.0-1

cat >measure.py <<'PY'
import sys
import wt_peer

page_result = wt_peer.visit(sys.argv[1], """
const outcomes = {};
for (const status of ['200', '201', '204', '404'])
    outcomes['status_' + status] = (await attempt('/' + status)).outcome;
return outcomes;
""")[1]
for key, value in page_result.items():
    print(key, value)
PY
for browser in chromium firefox; do
	python3 measure.py $browser >out
	expect "$browser: 200" "$(value status_200)" opened
	expect "   201" "$(value status_201)" opened
	expect "   204" "$(value status_204)" opened
	expect "   404" "$(value status_404)" refused
done
finish
