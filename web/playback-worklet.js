/* SPDX-License-Identifier: MIT
 *
 * The audio thread's end of the speaker (audio.js holds the other end).
 * In: { samples: Int16Array, rate } for each frame, of v1 frames with their numbers, and { flush: epoch }, here or
 * through a { port } given before; { reset }, { record: seconds }, { end }.
 * Out: { figures, rms, peak } ten times a second, { recorded: Float32Array, rate }; where the frames come from:
 * { played: { epoch, samples } } ten times a second while v1 frames are played, and at each flush.
 */
import { Playout } from './dsp.js';

class Playback extends AudioWorkletProcessor {
	constructor() {
		super();
		this.playout = new Playout(sampleRate);
		this.sinceReport = 0;
		this.tape = null;
		this.taped = 0;
		this.ended = false;
		this.source = this.port;
		this.told = -1; // samples of `played`
		this.port.onmessage = ({ data }) => this.receive(data);
	}

	receive(data) {
		if (data.samples)
			this.playout.push(data.samples, data.rate, data.sequence === undefined ? null : data);
		else if (data.port)
			this.listenTo(data.port);
		else if ('flush' in data)
			this.flush(data.flush);
		else if (data.reset)
			this.playout.reset();
		else if (data.record)
			this.startTape(data.record);
		else if (data.end)
			this.ended = true;
	}

	listenTo(port) {
		this.source = port;
		port.onmessage = this.port.onmessage;
	}

	flush(epoch) {
		this.tellPlayed();
		this.playout.flush(epoch);
		this.told = -1;
	}

	tellPlayed() {
		const { played } = this.playout;
		if (!played || played.samples === this.told)
			return;
		this.told = played.samples;
		this.source.postMessage({ played });
	}

	startTape(seconds) {
		this.tape = new Float32Array(Math.round(seconds * sampleRate));
		this.taped = 0;
	}

	process(_inputs, [channels]) {
		const out = channels[0];
		this.playout.pull(out);
		for (let c = 1; c < channels.length; c++)
			channels[c].set(out);
		if (this.tape)
			this.record(out);
		this.sinceReport += out.length;
		if (this.sinceReport >= sampleRate / 10)
			this.report();
		return !this.ended;
	}

	record(out) {
		const n = Math.min(out.length, this.tape.length - this.taped);
		this.tape.set(out.subarray(0, n), this.taped);
		this.taped += n;
		if (this.taped < this.tape.length)
			return;
		this.port.postMessage({ recorded: this.tape, rate: sampleRate }, [this.tape.buffer]);
		this.tape = null;
	}

	report() {
		this.sinceReport = 0;
		this.tellPlayed();
		this.port.postMessage({ figures: this.playout.figures(), ...this.playout.level.take() });
	}
}

registerProcessor('mynah-playback', Playback);
