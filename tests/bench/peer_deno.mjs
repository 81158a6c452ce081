// SPDX-License-Identifier: MIT
// deno run --allow-all --unstable-net peer_deno.mjs CERT KEY: a WebTransport echo server on Deno (quinn), for comparison.
// Says "ready PORT"; ends with its standard input.
const [cert, key] = Deno.args.map((path) => Deno.readTextFileSync(path));
const endpoint = new Deno.QuicEndpoint({ hostname: '127.0.0.1', port: 0 });
const listener = endpoint.listen({ cert, key, alpnProtocols: ['h3'], maxIdleTimeout: 30000 });

// A peer that leaves abruptly rejects promises nobody waits for.
globalThis.addEventListener('unhandledrejection', (event) => event.preventDefault());
console.log('ready', endpoint.addr.port);

async function echo(incoming) {
	const wt = await Deno.upgradeWebTransport(await incoming.accept());
	wt.closed.catch(() => {});
	await wt.ready;
	const writer = wt.datagrams.writable.getWriter();
	for await (const datagram of wt.datagrams.readable)
		await writer.write(datagram);
}

(async () => {
	while (await Deno.stdin.read(new Uint8Array(64)) !== null);
	Deno.exit(0);
})();
for (;;)
	echo(await listener.incoming()).catch(() => {});
