#!/usr/bin/env bash
# Guess: a datagram longer than maxDatagramSize makes write() reject.
# Seen: write() resolves and nothing is sent, in Chromium and in Firefox. An empty datagram is sent.
# mynah: its page compares each frame with maxDatagramSize itself, and the server tells clients what fits.
# shellcheck source=findings/lib.sh
. "$(dirname "$0")/lib.sh"
needs chromium=156.0.8078.114-1~deb13u1 firefox-esr=153.8.0esr-1~deb13u1 python3-aioquic=1.2.0-1

cat >measure.py <<'PY'
import sys
import wt_peer

peer, result = wt_peer.visit(sys.argv[1], """
const { wt } = await attempt('/a');
const writer = (wt.datagrams.createWritable?.() ?? wt.datagrams.writable).getWriter();
const write = (length) => within(3000, writer.write(new Uint8Array(length)).then(() => 'resolves', () => 'rejects'));
await sleep(1000);
const result = { over: await write(wt.datagrams.maxDatagramSize + 500), fits: await write(500), empty: await write(0) };
await sleep(1000);
return result;
""")
for key, value in result.items():
    print(key, value)
print("came", *(len(data) for _, data in peer.sessions["/a"][0].datagrams))
PY
for browser in chromium firefox; do
	python3 measure.py $browser >out
	expect "$browser: write() of 500 bytes too many" "$(value over)" resolves
	expect "   of 500 bytes, of none" "$(value fits), $(value empty)" "resolves, resolves"
	expect "   lengths that came" "$(value came)" "500 0"
done
finish
