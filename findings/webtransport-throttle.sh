#!/usr/bin/env bash
# Guess: a WebTransport session that is refused costs the page a round trip, and the next attempt begins at once.
# Seen: Chromium holds the next attempts of the page back, to any server, twice as long for each that failed in the last minutes: after ten refusals the
#       eleventh attempt, which is accepted, takes seconds. Firefox does not.
# mynah: its page asks /check before it opens a session, so a full room is no failure, and never tries twice because of a refusal.
# shellcheck source=findings/lib.sh
. "$(dirname "$0")/lib.sh"
needs chromium=156.0.8078.114-1~deb13u1 firefox-esr=153.8.0esr-1~deb13u1 python3-aioquic=1.2.0-1

cat >measure.py <<'PY'
import sys
import wt_peer

page_result = wt_peer.visit(sys.argv[1], """
const timed = async (path) => {
    const start = performance.now();
    const { outcome } = await attempt(path, {}, 30000);
    return [outcome, Math.round(performance.now() - start)];
};
const first = await timed('/before');
for (let i = 0; i < 10; i++)
    await timed('/503');
const last = await timed('/after');
return { first: first.join(' '), last: last.join(' ') };
""")[1]
for key, value in page_result.items():
    print(key, value)
PY
python3 measure.py chromium >out
expect "Chromium: the first, and how long it took, ms" "$(value first)" "opened *"
between "   the one after ten refusals, ms" "$(value last | cut -d' ' -f2)" 2000 15000
python3 measure.py firefox >out
expect "Firefox: the first, and how long it took, ms" "$(value first)" "opened *"
between "   the one after ten refusals, ms" "$(value last | cut -d' ' -f2)" 0 1999
finish
