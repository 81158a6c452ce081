// deno run --allow-net --unstable-net deno_client.mjs URL HASH: a session in an echo room; what came back as JSON on stdout.
const [url, hash] = Deno.args;
const value = Uint8Array.from(hash.match(/../g), (x) => parseInt(x, 16));
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function call() {
	const wt = new WebTransport(url, { serverCertificateHashes: [{ algorithm: 'sha-256', value }] });
	wt.closed.catch(() => {});
	await wt.ready;
	const control = await wt.createBidirectionalStream();
	const lines = [];
	(async () => {
		const reader = control.readable.pipeThrough(new TextDecoderStream()).getReader();
		for (let text = '', part; !(part = await reader.read()).done;) {
			text += part.value;
			for (let end; (end = text.indexOf('\n')) >= 0; text = text.slice(end + 1))
				lines.push(JSON.parse(text.slice(0, end)));
		}
	})().catch(() => {});
	const frames = [];
	(async () => {
		const reader = wt.datagrams.readable.getReader();
		for (let part; !(part = await reader.read()).done;) {
			const view = new DataView(part.value.buffer, part.value.byteOffset, part.value.byteLength);
			frames.push([part.value.length, view.getUint16(0, true), view.getInt16(100, true)]);
		}
	})().catch(() => {});
	const pen = control.writable.getWriter();
	await pen.write(new TextEncoder().encode('{"type":"ping","t":7}\n'));
	const writer = wt.datagrams.writable.getWriter();
	const frame = new Uint8Array(642);
	const view = new DataView(frame.buffer);
	view.setUint16(0, 160, true);
	for (let i = 0; i < 320; i++)
		view.setInt16(2 + 2 * i, 5000, true);
	for (let i = 0; i < 100; i++) {
		await writer.write(frame.slice());
		await sleep(20);
	}
	await sleep(500);
	wt.close({ closeCode: 5, reason: 'done' });
	await sleep(200);
	return { ok: true, frames, lines };
}

let result;
try {
	result = await call();
} catch (error) {
	result = { ok: false, error: String(error) };
}
console.log(JSON.stringify(result));
Deno.exit(0);
