#!/usr/bin/env bash
# Guess: a page that is closed or left ends its WebTransport sessions, in every browser.
# Seen: in Chromium at once. In Firefox nothing ends but the page's streams, after a moment; the session stays, and is kept alive, for as long as the browser
#       runs (here: 15 s that were waited for).
# mynah: takes the end of the control stream for the end of the participant, after a grace.
# shellcheck source=findings/lib.sh
. "$(dirname "$0")/lib.sh"
needs chromium=156.0.8078.114-1~deb13u1 firefox-esr=153.8.0esr-1~deb13u1 python3-aioquic=1.2.0-1

cat >measure.py <<'PY'
import pathlib
import sys
import time
import page
import wt_peer

SCRIPT = """
const { wt, outcome } = await attempt('/a');
const writer = (await wt.createBidirectionalStream()).writable.getWriter();
await writer.write(new TextEncoder().encode('hello'));
window.kept = [wt, writer];
setTimeout(() => { location.href = 'about:blank'; }, 500);
return { outcome };
"""
head = (pathlib.Path(wt_peer.__file__).parent / "webtransport.js").read_text()
with wt_peer.Peer() as peer:
    visit = page.Visit(sys.argv[1], head + SCRIPT, peer.plan)
    session = peer.sessions["/a"][0]
    end = time.monotonic() + 15
    while not session.ended and time.monotonic() < end:
        time.sleep(0.1)
    print("session", "ended" if session.ended else "stays")
    print("streams", "ended" if session.streams_ended else "stay")
    visit.quit()
PY
python3 measure.py chromium >out
expect "Chromium: 15 s after the page was left the session" "$(value session)" ended
python3 measure.py firefox >out
expect "Firefox: the session" "$(value session)" stays
expect "   the page's streams" "$(value streams)" ended
finish
