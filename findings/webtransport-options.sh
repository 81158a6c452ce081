#!/usr/bin/env bash
# Guess: an option of the WebTransport constructor that a browser has not got is refused, or its attribute tells; a method that is there works.
# Seen: requireUnreliable, congestionControl and inventions of one's own are ignored without a word: in Chromium the session has no attribute that would tell,
#       in Firefox congestionControl stays "default". Firefox has getStats(), and it rejects; Chromium has none.
# mynah: its page asks for values and does without them, never for the option or the method.
# shellcheck source=findings/lib.sh
. "$(dirname "$0")/lib.sh"
needs chromium=156.0.8078.114-1~deb13u1 firefox-esr=153.8.0esr-1~deb13u1 python3-aioquic=1.2.0-1

cat >measure.py <<'PY'
import sys
import wt_peer

page_result = wt_peer.visit(sys.argv[1], """
const { wt, outcome } = await attempt('/a', { requireUnreliable: true, congestionControl: 'low-latency', invented: 1 });
return { outcome, congestion: String(wt.congestionControl), reliability: String(wt.reliability),
    stats: wt.getStats ? await within(5000, wt.getStats().then(() => 'works', () => 'rejects')) : 'none' };
""")[1]
for key, value in page_result.items():
    print(key, value)
PY
python3 measure.py chromium >out
expect "Chromium" "$(value outcome)" opened
expect "   congestionControl" "$(value congestion)" undefined
expect "   reliability" "$(value reliability)" undefined
expect "   getStats()" "$(value stats)" none
python3 measure.py firefox >out
expect "Firefox" "$(value outcome)" opened
expect "   congestionControl" "$(value congestion)" default
expect "   reliability" "$(value reliability)" supports-unreliable
expect "   getStats()" "$(value stats)" rejects
finish
