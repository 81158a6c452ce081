/* SPDX-License-Identifier: MIT
 *
 * The audio thread's end of the microphone (audio.js holds the other end).
 * Out: { samples: Int16Array | null when muted, rms, peak } once per frame.
 * In: { muted }, { end }.
 */
import { FrameCutter } from './dsp.js';

class Capture extends AudioWorkletProcessor {
	constructor({ processorOptions: { rate, frameMs } }) {
		super();
		this.cutter = new FrameCutter(sampleRate, rate, frameMs, (samples, { rms, peak }) =>
			this.port.postMessage({ samples, rms, peak }, samples ? [samples.buffer] : []));
		this.ended = false;
		this.port.onmessage = ({ data }) => {
			if ('muted' in data)
				this.cutter.muted = data.muted;
			if (data.end)
				this.ended = true;
		};
	}

	process([input]) {
		if (input.length)
			this.cutter.push(input[0]);
		return !this.ended;
	}
}

registerProcessor('mynah-capture', Capture);
