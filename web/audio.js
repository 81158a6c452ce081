/* SPDX-License-Identifier: MIT
 *
 * audio.js: the devices. One AudioContext at the device's own rate; the worklets convert to
 * and from the rate on the wire.
 *
 *	const context = await openAudio();                     // in a click, so that it may sound
 *	const microphone = new Microphone(context, { rate: 16000, frameMs: 20 });
 *	microphone.newPort().onmessage = ({ data }) => call.sendAudio(data, 16000);
 *	await microphone.open({ echoCancelling: true });
 *	const speaker = new Speaker(context);
 *	call.on('audio', (frame) => speaker.play(frame));
 */

const LOOPBACK_MS = 3000;

/* The context with both worklets loaded. It may be "suspended" until the user does something;
 * resume() it then. */
export async function openAudio() {
	const context = new AudioContext({ latencyHint: 'interactive' });
	try {
		await Promise.all(['capture-worklet.js', 'playback-worklet.js'].map((file) =>
			context.audioWorklet.addModule(new URL(file, import.meta.url))));
	} catch (error) {
		context.close();
		throw error;
	}
	return context;
}

/* What a refusal of Microphone.open() means: denied, missing, busy, insecure, closed, or unknown. */
export function microphoneProblem(error) {
	const kinds = {
		NotAllowedError: 'denied', SecurityError: 'denied', PermissionDeniedError: 'denied',
		NotFoundError: 'missing', DevicesNotFoundError: 'missing', OverconstrainedError: 'missing',
		NotReadableError: 'busy', TrackStartError: 'busy', AbortError: 'busy',
		TypeError: 'insecure', ClosedError: 'closed',
	};
	return kinds[error?.name] ?? 'unknown';
}

/* Microphones as [{id, label}], without the stand-ins for "whichever is the default". Empty
 * until the user has allowed one. */
export async function listMicrophones() {
	const devices = (await navigator.mediaDevices?.enumerateDevices?.()) ?? [];
	return devices
		.filter(({ kind, deviceId }) => kind === 'audioinput' && !['', 'default', 'communications'].includes(deviceId))
		.map(({ deviceId, label }) => ({ id: deviceId, label }));
}

/* The device asked for, or, when that one is gone, the system's choice. */
async function openStream(wanted, deviceId) {
	if (deviceId) {
		try {
			return await navigator.mediaDevices.getUserMedia({ audio: { ...wanted, deviceId: { exact: deviceId } } });
		} catch (error) {
			if (microphoneProblem(error) !== 'missing')
				throw error;
		}
	}
	return navigator.mediaDevices.getUserMedia({ audio: wanted });
}

function stopTracks(stream) {
	for (const track of stream?.getTracks() ?? [])
		track.stop();
}

/* The user's voice as frames (Int16Array), none while muted, through the port that newPort()
 * gave last. onlevel({rms, peak} in dBFS) always; onended() when the device went away. */
export class Microphone {
	#context;
	#options;
	#stream = null;
	#source = null;
	#node = null;
	#muted = false;
	#attempt = 0; // of opening: the last one counts
	#port = null; // the worklet's end, until there is a worklet

	constructor(context, { rate = 16000, frameMs = 20 } = {}) {
		this.#context = context;
		this.#options = { rate, frameMs };
		this.onlevel = null;
		this.onended = null;
	}

	get isOpen() {
		return this.#stream !== null;
	}

	get deviceId() {
		return this.#stream?.getAudioTracks()[0]?.getSettings().deviceId;
	}

	get muted() {
		return this.#muted;
	}

	/* The fade is made in the worklet: listeners hear no click. */
	set muted(muted) {
		this.#muted = Boolean(muted);
		this.#node?.port.postMessage({ muted: this.#muted });
	}

	/* Where the frames come out from now on; may be handed to a worker. To be asked for again
	 * after each open(): a port ends with the worklet that had its other end. */
	newPort() {
		const { port1, port2 } = new MessageChannel();
		this.#port = port2;
		this.#givePort();
		return port1;
	}

	#givePort() {
		if (!this.#node || !this.#port)
			return;
		this.#node.port.postMessage({ port: this.#port }, [this.#port]);
		this.#port = null;
	}

	/* Opens a device, in place of the one that was open. Rejects as getUserMedia does; the
	 * former device is then closed as well; with the problem "closed" if close(), or open() again, came before
	 * the user's answer. Without processing the samples are as the device
	 * gives them: for measuring, and for music. */
	async open({ deviceId, echoCancelling = true, processing = true } = {}) {
		this.close();
		if (!navigator.mediaDevices?.getUserMedia)
			throw new TypeError('no getUserMedia here');
		const wanted = {
			echoCancellation: processing && echoCancelling, noiseSuppression: processing,
			autoGainControl: processing, channelCount: 1,
		};
		const attempt = this.#attempt;
		const stream = await openStream(wanted, deviceId);
		if (attempt !== this.#attempt) {
			stopTracks(stream);
			throw Object.assign(new Error('closed meanwhile'), { name: 'ClosedError' });
		}
		this.#stream = stream;
		const [track] = this.#stream.getAudioTracks();
		track.addEventListener('ended', () => {
			this.close();
			this.onended?.();
		});
		this.#source = this.#context.createMediaStreamSource(this.#stream);
		this.#node = new AudioWorkletNode(this.#context, 'mynah-capture', {
			numberOfInputs: 1, numberOfOutputs: 1, channelCount: 1, channelCountMode: 'explicit',
			processorOptions: this.#options,
		});
		this.#node.port.onmessage = ({ data }) => this.onlevel?.(data);
		this.muted = this.#muted;
		this.#givePort();
		this.#source.connect(this.#node);
		this.#node.connect(this.#context.destination); // silent; Safari runs only what leads there
	}

	close() {
		this.#attempt++;
		this.#node?.port.postMessage({ end: true });
		this.#source?.disconnect();
		this.#node?.disconnect();
		stopTracks(this.#stream);
		this.#stream = this.#source = this.#node = null;
	}
}

/* What the others say. `route` is "direct" or "loopback". */
export class Speaker {
	#context;
	#node;
	#loop = null;
	#wanted = 'direct';
	#recordings = [];

	constructor(context) {
		this.#context = context;
		this.route = 'direct';
		this.figures = {}; // of the playout buffer, ten times a second
		this.level = { rms: -100, peak: -100 };
		this.onlevel = null;
		this.#node = new AudioWorkletNode(context, 'mynah-playback', {
			numberOfInputs: 0, numberOfOutputs: 1, outputChannelCount: [1],
		});
		this.#node.port.onmessage = ({ data }) => this.#hear(data);
		this.#node.connect(context.destination);
	}

	/* Plays one frame, as a call emits it; copies its samples, since others may listen as well. */
	play(frame) {
		this.#node.port.postMessage(frame);
	}

	/* Drops what has not been played of the epochs before this one. */
	flush(epoch) {
		this.#node.port.postMessage({ flush: epoch });
	}

	/* A port for frames ({ rate, samples }) from another thread. */
	newPort() {
		const { port1, port2 } = new MessageChannel();
		this.#node.port.postMessage({ port: port2 }, [port2]);
		return port1;
	}

	/* Forgets what is waiting to be played. */
	reset() {
		this.#node.port.postMessage({ reset: true });
	}

	/* The exact samples that the worklet gives out from now on: { samples, rate }. */
	record(seconds) {
		return new Promise((resolve) => {
			this.#recordings.push({ seconds, resolve });
			if (this.#recordings.length === 1)
				this.#node.port.postMessage({ record: seconds });
		});
	}

	/* Chromium's echo canceller hears what media elements play, not what Web Audio plays.
	 * With "loopback" the sound goes through a peer connection of the page with itself into an
	 * <audio> element. When that cannot be had, the direct way simply stays. Resolves with the
	 * route in use. */
	async setRoute(route) {
		this.#wanted = route;
		if (route === 'direct') {
			this.#useDirect();
		} else if (!this.#loop) {
			const loop = new Loopback(this.#context);
			this.#loop = loop;
			try {
				await loop.open(this.#node);
				if (this.#loop !== loop || this.#wanted !== 'loopback')
					return this.route;
				loop.onlost = () => this.#useDirect();
				this.#node.disconnect(this.#context.destination);
				this.route = 'loopback';
			} catch {
				if (this.#loop === loop)
					this.#useDirect();
			}
		}
		return this.route;
	}

	close() {
		this.#node.port.postMessage({ end: true });
		this.#loop?.close();
		this.#loop = null;
		this.#node.disconnect();
	}

	#useDirect() {
		if (this.#loop) {
			this.#node.disconnect();
			this.#loop.close();
			this.#loop = null;
			this.#node.connect(this.#context.destination);
		}
		this.route = 'direct';
	}

	#hear(data) {
		if (data.recorded) {
			this.#recordings.shift()?.resolve({ samples: data.recorded, rate: data.rate });
			if (this.#recordings.length)
				this.#node.port.postMessage({ record: this.#recordings[0].seconds });
			return;
		}
		if (data.played)
			return;
		this.figures = data.figures;
		this.level = { rms: data.rms, peak: data.peak };
		this.onlevel?.(this.level);
	}
}

export function needsLoopback() {
	const brands = navigator.userAgentData?.brands;
	const chromium = brands ? brands.some(({ brand }) => brand === 'Chromium') : / Chrome\//.test(navigator.userAgent);
	return chromium && typeof RTCPeerConnection === 'function';
}

/* node -> MediaStream -> peer connection -> peer connection -> <audio> */
class Loopback {
	constructor(context) {
		this.destination = context.createMediaStreamDestination();
		this.destination.channelCount = 1;
		this.near = new RTCPeerConnection();
		this.far = new RTCPeerConnection();
		this.element = new Audio();
		this.element.autoplay = true;
		this.onlost = null;
	}

	async open(node) {
		node.connect(this.destination);
		const [track] = this.destination.stream.getAudioTracks();
		this.near.addTrack(track, this.destination.stream);
		exchangeCandidates(this.near, this.far);
		const heard = this.#heard();
		heard.catch(() => {});
		await this.near.setLocalDescription(await this.near.createOffer());
		await this.far.setRemoteDescription(this.near.localDescription);
		const answer = await this.far.createAnswer();
		/* what the near end may send: a clear voice, all the time */
		answer.sdp = answer.sdp.replace(/(a=fmtp:\d+ minptime=\d+;useinbandfec=1)/, '$1;maxaveragebitrate=96000;usedtx=0');
		await this.far.setLocalDescription(answer);
		await this.near.setRemoteDescription(answer);
		await heard;
		this.far.onconnectionstatechange = () => {
			if (['failed', 'closed'].includes(this.far.connectionState))
				this.onlost?.();
		};
	}

	/* Resolves once the element really plays what came round. */
	#heard() {
		return new Promise((resolve, reject) => {
			const timer = setTimeout(() => reject(new Error('no sound came round')), LOOPBACK_MS);
			this.far.ontrack = ({ streams, receiver }) => {
				if ('jitterBufferTarget' in receiver)
					receiver.jitterBufferTarget = 0;
				this.element.srcObject = streams[0];
				this.element.play().catch(reject);
			};
			const check = () => {
				if (this.far.connectionState !== 'connected' || this.element.paused || this.element.readyState < 3)
					return;
				clearTimeout(timer);
				resolve();
			};
			this.far.onconnectionstatechange = check;
			this.element.onplaying = check;
			this.element.oncanplay = check;
		});
	}

	close() {
		this.onlost = null;
		this.near.close();
		this.far.close();
		this.element.srcObject = null;
		this.destination.disconnect();
	}
}

function exchangeCandidates(a, b) {
	const early = new Map([[a, []], [b, []]]);
	const link = (from, to) => {
		from.onicecandidate = ({ candidate }) => {
			if (!candidate)
				return;
			if (to.remoteDescription)
				to.addIceCandidate(candidate).catch(() => {});
			else
				early.get(to).push(candidate);
		};
		to.addEventListener('signalingstatechange', () => {
			if (to.remoteDescription)
				for (const candidate of early.get(to).splice(0))
					to.addIceCandidate(candidate).catch(() => {});
		});
	};
	link(a, b);
	link(b, a);
}
