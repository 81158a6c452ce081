/* SPDX-License-Identifier: MIT
 *
 * mynah.js: a call to a mynah server, without any page around it. Runs in a window or a
 * worker; touches no audio device (audio.js does). Copies what it is given to send. The modules
 * that it names have to lie beside it.
 *
 *	import { connect, serverInfo } from './mynah.js';
 *
 *	const info = await serverInfo();                    // address and certificate hashes
 *	const call = await connect({ ...info, room: 'lobby', name: 'Ann' });
 *	call.on('audio', ({ rate, samples }) => play(rate, samples));        // Int16Array
 *	call.on('message', ({ from, text }) => console.log(call.nameOf(from), text));
 *	call.on('participants', (list) => console.log(list.map((p) => p.name)));
 *	call.sendAudio(new Float32Array(320), 16000);       // 20 ms; Int16Array does as well
 *	call.message('hello');
 *	const why = await call.closed;                      // { kind, text, reconnectMs }
 *
 * connect() and serverInfo() reject with a MynahError, whose `kind` says what happened:
 * insecure, unsupported, gone, refused (with facts.status), failed, timeout, bye, aborted. diagnose() finds out why a
 * session failed to open, which browsers never tell.
 */

export { MynahError } from './errors.js';
export { MAX_DATAGRAM_BYTES, rateOfHeader, headerOfRate, toInt16, encodeFrames, decodeFrame, isNewerEpoch } from './frames.js';
export { MAX_LINE_BYTES, LineReader, encodeLine } from './lines.js';
export { sessionUrl, serverInfo, askCheck, diagnose, backoffMs, Failures } from './discover.js';
export { hexToBytes } from './transport-webtransport.js';
export { connect, Call } from './call.js';
