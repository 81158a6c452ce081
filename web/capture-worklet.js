/* SPDX-License-Identifier: MIT
 *
 * The audio thread's end of the microphone (audio.js holds the other end).
 * Out, once per frame: { rms, peak } here, and unless muted its samples (Int16Array) through
 * the port given last, which may lead to another thread.
 * In: { port }, { muted }, { end }.
 */
import { FrameCutter } from './dsp.js';

class Capture extends AudioWorkletProcessor {
	constructor({ processorOptions: { rate, frameMs } }) {
		super();
		this.frames = null;
		this.cutter = new FrameCutter(sampleRate, rate, frameMs, (samples, level) => {
			this.port.postMessage(level);
			if (samples)
				this.frames?.postMessage(samples, [samples.buffer]);
		});
		this.ended = false;
		this.port.onmessage = ({ data }) => {
			if (data.port)
				this.frames = data.port;
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
