/* SPDX-License-Identifier: MIT
 *
 * devices.js: the microphone and the loudspeaker of one visit to a room, from the click that opens them to leave().
 * audio.js drives them; here is what the page makes of that: which one, muted or not, and what happens when one goes.
 *
 *	const devices = new Devices({ rate, loopback, processing, onchange, onproblem, onnote });
 *	await devices.openSound(context);            // from openAudio(), in a click
 *	await devices.openMicrophone({ deviceId, headphones });
 *	devices.attach(call);                        // both ways
 */
import { microphoneProblem, Microphone, Speaker, needsLoopback } from './audio.js';

const FRAME_MS = 20;
const SILENT_DB = -100;

export class Devices {
	#options;
	#call = null;
	#wanted = {}; // as openMicrophone() was asked last

	/* rate: of the microphone's frames; loopback: the sound may take the way on which browsers cancel echoes (audio.js);
	 * processing: the browser may improve the sound;
	 * onchange(): something that the page shows has changed; onopened(): a microphone was opened; onlost(): it was unplugged;
	 * onproblem(kind, facts); onnote(text). */
	constructor(options) {
		this.#options = options;
		this.context = null;
		this.microphone = null;
		this.speaker = null;
		this.muted = false; // kept from one visit to the next
		this.#silence();
	}

	#silence() {
		this.levelIn = SILENT_DB;
		this.levelOut = SILENT_DB;
	}

	get hasMicrophone() {
		return Boolean(this.microphone?.isOpen);
	}

	/* The browser plays nothing before the user has done something in the page. */
	get isAsleep() {
		return this.context?.state !== 'running';
	}

	openSound(context, { headphones }) {
		this.context = context;
		this.speaker = new Speaker(context);
		this.speaker.onlevel = ({ rms }) => (this.levelOut = rms);
		context.onstatechange = () => this.#wake();
		this.#wake();
		this.chooseRoute(headphones);
	}

	#wake() {
		const { context } = this;
		this.#options.onchange();
		if (!context || context.state === 'running' || context.state === 'closed')
			return;
		const resume = () => context.state !== 'closed' && context.resume().catch(() => {});
		resume();
		for (const type of ['pointerdown', 'keydown'])
			document.addEventListener(type, resume, { once: true });
	}

	/* False if there is none to use; the page was told why. */
	async openMicrophone({ deviceId, headphones }) {
		this.#wanted = { deviceId, headphones };
		this.microphone ??= new Microphone(this.context, { rate: this.#options.rate, frameMs: FRAME_MS });
		const { microphone } = this;
		microphone.onlevel = ({ rms }) => (this.levelIn = rms);
		microphone.onended = () => this.#lostMicrophone();
		microphone.muted = this.muted;
		try {
			await microphone.open({ deviceId, echoCancelling: !headphones, processing: this.#options.processing });
		} catch (error) {
			const kind = microphoneProblem(error);
			if (kind !== 'closed') // left meanwhile, or another one was chosen
				this.#options.onproblem(kind, { text: error.message });
			return false;
		}
		this.#call?.attachMicrophone(microphone.newPort());
		this.#options.onopened();
		this.#options.onchange();
		return true;
	}

	/* Unplugged in mid-call: whatever the system offers next, or listening only. */
	async #lostMicrophone() {
		this.levelIn = SILENT_DB;
		this.#options.onlost();
		if (this.microphone && (await this.openMicrophone({ ...this.#wanted, deviceId: '' })))
			this.#options.onnote('The microphone was unplugged; another one took over');
		else
			this.#call?.mute(true);
		this.#options.onchange();
	}

	chooseRoute(headphones) {
		const wanted = !headphones && needsLoopback() && this.#options.loopback;
		this.speaker?.setRoute(wanted ? 'loopback' : 'direct');
	}

	/* The call takes the microphone's frames and gives the speaker its own. */
	attach(call) {
		this.#call = call;
		call.attachSpeaker(this.speaker.newPort());
		if (this.hasMicrophone)
			call.attachMicrophone(this.microphone.newPort());
		this.tellMute();
	}

	detach() {
		this.#call = null;
		this.speaker?.reset();
		this.levelOut = SILENT_DB;
	}

	mute(muted) {
		this.muted = muted;
		this.microphone.muted = muted;
		this.tellMute();
	}

	tellMute() {
		this.#call?.mute(this.muted || !this.hasMicrophone);
	}

	close() {
		this.microphone?.close();
		this.speaker?.close();
		this.context?.close().catch(() => {});
		this.context = this.microphone = this.speaker = this.#call = null;
		this.#silence();
	}
}
