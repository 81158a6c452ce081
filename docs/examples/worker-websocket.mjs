// SPDX-License-Identifier: MIT
// A bridge worker behind a WebSocket, with nothing but Node.js: says back what it hears, at half the level.
//
//     [bridge.half]
//     type = "websocket"
//     url = "ws://127.0.0.1:8765/"
//     barge_in = "off"            # it talks while you do
//
// node worker-websocket.mjs [PORT]. The framing is jambonz': the first message is JSON about the call, then come 16-bit
// little-endian samples in binary messages; what you send back in binary messages is heard. With a WebSocket
// library of your choice the lower half of this file is not needed.
import { createHash } from "node:crypto";
import { createServer } from "node:http";

function onCall(send) {
	let rate = 16000;
	return (message, isText) => {
		if (isText) {
			const event = JSON.parse(message);
			rate = event.sampleRate ?? rate;
			if (event.callSid)
				send(Buffer.alloc(rate / 5 * 2)); // 200 ms: who speaks in time has nothing in hand
			return;
		}
		const half = Buffer.alloc(message.length);
		for (let i = 0; i + 1 < message.length; i += 2)
			half.writeInt16LE(message.readInt16LE(i) >> 1, i);
		send(half);
	};
}

// --- RFC 6455, server's side, as much of it as this needs: short messages in one frame each ---

function frame(opcode, payload) {
	const head = payload.length < 126 ? Buffer.from([0x80 | opcode, payload.length])
		: Buffer.from([0x80 | opcode, 126, payload.length >> 8, payload.length & 255]);
	return Buffer.concat([head, payload]);
}

// The first whole frame of `data`, unmasked, and what follows it; null while there is none.
function parse(data) {
	const long = (data[1] & 127) === 126, start = long ? 8 : 6;
	if (data.length < start)
		return null;
	const length = long ? data.readUInt16BE(2) : data[1] & 127, mask = data.subarray(start - 4, start);
	if (data.length < start + length)
		return null;
	const payload = Buffer.from(data.subarray(start, start + length).map((byte, i) => byte ^ mask[i & 3]));
	return { opcode: data[0] & 15, payload, rest: data.subarray(start + length) };
}

const server = createServer((request, response) => response.writeHead(426).end());
server.on("upgrade", (request, socket, head) => {
	const key = request.headers["sec-websocket-key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
	const protocol = request.headers["sec-websocket-protocol"]?.split(",")[0].trim();
	socket.write("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		(protocol ? `Sec-WebSocket-Protocol: ${protocol}\r\n` : "") +
		`Sec-WebSocket-Accept: ${createHash("sha1").update(key).digest("base64")}\r\n\r\n`);
	const onMessage = onCall((payload) => {
		for (let i = 0; i < payload.length; i += 32000)
			socket.write(frame(2, payload.subarray(i, i + 32000)));
	});
	let data = head;
	socket.on("error", () => {});
	socket.on("data", (bytes) => {
		data = Buffer.concat([data, bytes]);
		for (let f; (f = parse(data)); data = f.rest) {
			if (f.opcode === 1 || f.opcode === 2)
				onMessage(f.opcode === 1 ? f.payload.toString() : f.payload, f.opcode === 1);
			else if (f.opcode === 8)
				socket.end(frame(8, f.payload)); // goodbye
			else if (f.opcode === 9)
				socket.write(frame(10, f.payload)); // ping, pong
		}
	});
});
server.listen(Number(process.argv[2] ?? 8765), "127.0.0.1", () => console.log(`listening on port ${server.address().port}`));
