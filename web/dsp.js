/* SPDX-License-Identifier: MIT
 *
 * dsp.js: the arithmetic of the two worklets, with no browser in it: rate conversion,
 * cutting the microphone into frames, and the playout buffer. Time is counted in samples
 * that went by, never read from a clock. The audio thread runs this: buffers are made when
 * a rate is chosen, not per call (the frames handed to another thread are the exception).
 */

const PHASES = 512; // with linear interpolation between them, images stay below -100 dB
const ZERO_CROSSINGS = 32; // on each side
const KAISER_BETA = 9; // 90 dB stop band
const tables = new Map(); // one table per ratio class, shared

function bessel0(x) {
	let sum = 1;
	for (let term = 1, k = 1; term > sum * 1e-12; k++) {
		term *= (x / (2 * k)) ** 2;
		sum += term;
	}
	return sum;
}

/* Rows of a Kaiser-windowed sinc, one per fraction of an input sample; each sums to 1, so
 * that a constant stays constant. `scale` < 1 when the output rate is the lower one. */
function sincTable(scale) {
	const key = scale.toFixed(6);
	if (tables.has(key))
		return tables.get(key);
	const half = Math.ceil(ZERO_CROSSINGS / scale);
	const taps = 2 * half;
	const cutoff = 0.91 * scale;
	const rows = new Float32Array((PHASES + 1) * taps);
	for (let p = 0; p <= PHASES; p++) {
		let sum = 0;
		const row = new Float64Array(taps);
		for (let k = 0; k < taps; k++) {
			const d = k - (half - 1) - p / PHASES;
			const x = Math.PI * cutoff * d;
			const edge = 1 - (d / half) ** 2;
			row[k] = edge <= 0 ? 0 : (x === 0 ? 1 : Math.sin(x) / x) * bessel0(KAISER_BETA * Math.sqrt(edge));
			sum += row[k];
		}
		for (let k = 0; k < taps; k++)
			rows[p * taps + k] = row[k] / sum;
	}
	const table = { half, taps, rows };
	tables.set(key, table);
	return table;
}

/* Converts between two rates, chunk by chunk, as if there were no chunks. */
export class Resampler {
	constructor(inRate, outRate) {
		this.table = sincTable(Math.min(1, outRate / inRate));
		this.ratio = inRate / outRate;
		this.trim = 0; // the reader runs (1 + trim) times as fast: drift correction
		this.kept = this.table.half - 1; // silence before the first sample
		this.position = 0; // of the next output's window in `buffer`
		this.buffer = new Float32Array(4096);
		this.output = new Float32Array(4096);
	}

	/* The samples that `input` completes; valid until the next call. */
	process(input) {
		const { taps, rows } = this.table;
		const have = this.kept + input.length;
		const step = this.ratio * (1 + this.trim);
		this.#reserve(have, Math.ceil(have / step) + 2);
		const { buffer, output } = this;
		buffer.set(input, this.kept);
		let n = 0;
		let at = this.position;
		for (const last = have - taps; at <= last; at += step) {
			const i = Math.floor(at);
			const phase = (at - i) * PHASES;
			const p = Math.floor(phase);
			const row = p * taps;
			let here = 0;
			let next = 0;
			for (let k = 0; k < taps; k++) {
				const x = buffer[i + k];
				here += x * rows[row + k];
				next += x * rows[row + taps + k];
			}
			output[n++] = here + (next - here) * (phase - p);
		}
		const done = Math.min(Math.floor(at), have);
		buffer.copyWithin(0, done, have);
		this.kept = have - done;
		this.position = at - done;
		return output.subarray(0, n);
	}

	#reserve(input, output) {
		if (this.buffer.length < input) {
			const larger = new Float32Array(2 * input);
			larger.set(this.buffer.subarray(0, this.kept));
			this.buffer = larger;
		}
		if (this.output.length < output)
			this.output = new Float32Array(2 * output);
	}
}

export function decibels(amplitude) {
	return amplitude > 1e-5 ? 20 * Math.log10(amplitude) : -100;
}

/* Sound level over a stretch: root mean square and peak, both dBFS. */
export class Level {
	constructor() {
		this.take();
	}

	add(x) {
		this.energy += x * x;
		this.n++;
		const size = Math.abs(x);
		if (size > this.peak)
			this.peak = size;
	}

	take() {
		const level = { rms: decibels(Math.sqrt((this.energy ?? 0) / Math.max(1, this.n ?? 0))), peak: decibels(this.peak ?? 0) };
		this.energy = 0;
		this.n = 0;
		this.peak = 0;
		return level;
	}
}

/* The microphone's side: any rate in, frames of a wanted rate and length out.
 * emit(Int16Array or null when muted, {rms, peak}) is called once per frame. */
export class FrameCutter {
	constructor(inRate, outRate, frameMs, emit) {
		this.resampler = inRate === outRate ? null : new Resampler(inRate, outRate);
		this.length = Math.round((outRate * frameMs) / 1000);
		this.emit = emit;
		this.frame = new Int16Array(this.length);
		this.filled = 0;
		this.level = new Level();
		this.muted = false;
		this.gain = 1;
		this.gainStep = 1 / (outRate * 0.01); // 10 ms: muting in mid-word must not click
		this.audible = false; // whether this frame holds anything to send
	}

	push(input) {
		const samples = this.resampler ? this.resampler.process(input) : input;
		for (let i = 0; i < samples.length; i++)
			this.#add(samples[i]);
	}

	#add(sample) {
		this.level.add(sample);
		const wanted = this.muted ? 0 : 1;
		if (this.gain !== wanted)
			this.gain = wanted ? Math.min(1, this.gain + this.gainStep) : Math.max(0, this.gain - this.gainStep);
		this.audible ||= this.gain > 0;
		const x = sample * this.gain;
		this.frame[this.filled++] = x >= 1 ? 32767 : x <= -1 ? -32768 : Math.round(x * 32767);
		if (this.filled < this.length)
			return;
		this.emit(this.audible ? this.frame.slice() : null, this.level.take());
		this.filled = 0;
		this.audible = false;
	}
}

/* ---- playout -----------------------------------------------------------------------------
 *
 *   push(frame) -> resampler (rate, drift trim) -> ring -> gain (fades) -> pull(block)
 *
 * Legacy frames carry no time and no number, so the one thing to steer by is how full the ring
 * is just before a frame arrives: its trough. The trough over three seconds is held at a
 * margin. Below it the reader slows down by up to 0.5 %, above it speeds up (nobody hears
 * either), and a large surplus is cut out where the waveform fits itself. An underrun raises
 * the margin, calm lowers it again.
 *
 * v1 frames do carry both. One with something missing before it is held until that comes or the ring is nearly
 * empty; then the missing sound is concealed in its place, or left silent if nothing was lost. When the ring is nearly
 * empty and nothing is held, concealment goes ahead: the next frame tells whether it stood for a lost one.
 */
const FADE_MS = 3;
const STEER_MS = 500;
const STEER_SLOTS = 6;
const MARGIN_LEAST_MS = 10;
const MARGIN_FIRST_MS = 16; // with one frame on top: starts on the second frame
const FRAME_MS = 20;
const TRIM_MOST = 0.005;
const TRIM_PER_MS = 0.0003;
const CALM_MS = 3; // so close to the margin the samples pass at their own pace
const CUT_FROM_MS = 40; // surplus that is cut rather than played faster
const CUT_QUIET_MS = 8; // in silence sooner
const QUIET = 0.001; // -60 dBFS
const PAUSE_MS = 400; // a longer gap is a sender that stopped, not a late packet
const SPLICE_MS = 5;
const SEARCH_MS = 8;
const SEAM_MS = 2; // over which a step between two frames is spread
const SEAM_LOOK = 32; // samples on each side that say what is usual
const SEAM_LEAST = 0.02; // -34 dBFS: smaller steps are not heard as clicks
const SEAM_RATIO = 2; // a step is that much larger than any bend around it
const HELD_MOST = 12; // frames that wait for one they overtook
const CONCEAL_MS = 10; // at once
const CONCEAL_FULL_MS = 10; // at full level, ...
const CONCEAL_MOST_MS = 50; // ... and faded out by then;
const WAIT_MS = 200; // for which the place of a missing frame is kept
const PERIOD_LEAST_MS = 5;
const PERIOD_MOST_MS = 17;
const PERIOD_MATCH_MS = 6;
const SILENCE_MOST_MS = 100; // of a pause that is kept inside what is stored
const DROPOUT = 3000; // a larger step of the sequence is a new beginning

/* The largest second difference. */
function bend(x) {
	let most = 0;
	for (let i = 2; i < x.length; i++)
		most = Math.max(most, Math.abs(x[i] - 2 * x[i - 1] + x[i - 2]));
	return most;
}

function concealedGain(ms) {
	const t = (ms - CONCEAL_FULL_MS) / (CONCEAL_MOST_MS - CONCEAL_FULL_MS);
	return t <= 0 ? 1 : t >= 1 ? 0 : 1 - t * t * (3 - 2 * t);
}

export class Playout {
	constructor(outRate, { maxMs = 250, firstMs = MARGIN_FIRST_MS } = {}) {
		this.outRate = outRate;
		this.perMs = outRate / 1000;
		this.maxMs = maxMs;
		this.ring = new Float32Array(Math.ceil(outRate * 1.5));
		this.read = 0;
		this.depth = 0; // samples in the ring
		this.rate = 0;
		this.resampler = null;
		this.scratch = new Float32Array(4096);
		this.playing = false;
		this.gain = 0;
		this.marginMs = firstMs;
		this.gap = 0; // samples of silence since the ring ran dry
		this.steered = 0;
		this.slots = [];
		this.slot = Infinity;
		this.heard = 0; // fading peak of what came in
		this.tail = new Float32Array(SEAM_LOOK); // the end of the last frame
		this.counts = { played: 0, underruns: 0, pauses: 0, seams: 0, cut: 0, frames: 0, lost: 0, late: 0, reordered: 0, flushes: 0 };
		this.level = new Level();
		this.epoch = null; // of v1 frames
		this.wasSilent = false; // when the ring ran dry
		this.pattern = new Float32Array(Math.ceil((PERIOD_MOST_MS * outRate) / 1000) + 1);
		this.#startOver();
	}

	/* The next v1 frame follows on nothing. */
	#startOver() {
		this.next = null; // { sequence, time, rate } of the frame that is to follow
		this.held = [];
		this.pushed = 0; // samples of this epoch, as they came
		this.concealed = 0; // samples since the last frame
		this.period = 0; // that concealment repeats; 0: nothing is concealed
		this.at = 0; // in it
		this.tailOver = null; // what concealment would have played next, ...
		this.overlap = 0; // ... and samples over which the next frame takes over from it
		this.silent = false; // the ring ran dry, or may, because nobody spoke
	}

	get depthMs() {
		return this.depth / this.perMs;
	}

	get targetMs() {
		return Math.min(this.maxMs, this.marginMs + FRAME_MS);
	}

	/* One frame as it arrived: Int16Array at `rate`; `numbers` of a v1 frame: { epoch, sequence, time, begins, ends }. */
	push(samples, rate, numbers = null) {
		this.counts.frames++;
		if (numbers) {
			this.#place({ ...numbers, samples, rate });
			return;
		}
		this.next = null;
		this.#append(samples, rate, this.depth, true);
	}

	/* `trough`: the depth that counts, with what is missing before it. Without numbers a seam has to be guessed. */
	#append(samples, rate, trough, guess) {
		this.slot = Math.min(this.slot, this.playing ? trough : Infinity);
		this.#tune(rate);
		const x = this.#toFloat(samples);
		this.#write(this.resampler.process(guess ? this.#joined(x) : x));
		if (!this.playing && this.depthMs >= this.targetMs)
			this.#start();
		if (this.depthMs > this.maxMs)
			this.#cut(this.depth - this.targetMs * this.perMs);
	}

	/* Sound of an older epoch is dropped, except for a short fade. */
	flush(epoch) {
		const { ring, read } = this;
		const n = this.playing ? Math.min(this.depth, Math.round(FADE_MS * this.perMs)) : 0;
		for (let i = 0; i < n; i++)
			ring[(read + i) % ring.length] *= 1 - (i + 1) / n;
		this.depth = n;
		this.epoch = epoch;
		this.rate = 0;
		this.resampler = null;
		this.counts.flushes++;
		this.#startOver();
		this.silent = this.wasSilent = true;
		this.#forget();
	}

	/* Of the v1 frames of this epoch: how many samples have been played, at their rate. */
	get played() {
		if (this.epoch === null || !this.next)
			return null;
		const held = this.held.reduce((sum, { samples }) => sum + samples.length, 0);
		const waiting = (Math.max(0, this.depth - this.concealed) * this.next.rate) / this.outRate;
		return { epoch: this.epoch, samples: Math.max(0, Math.round(this.pushed - held - waiting)) };
	}

	/* ---- v1 frames ---- */

	#place(frame) {
		if (frame.epoch !== this.epoch) {
			if (this.epoch !== null && ((frame.epoch - this.epoch) & 0xff) >= 128)
				return; // flushed
			if (this.epoch !== null)
				this.flush(frame.epoch);
			this.epoch = frame.epoch;
		}
		const ahead = this.next ? ((frame.sequence - this.next.sequence) << 16) >> 16 : 0;
		if (ahead > DROPOUT || ahead < -DROPOUT)
			this.#startOver();
		else if (ahead < 0 || this.held.some(({ sequence }) => sequence === frame.sequence)) {
			this.counts.late++;
			return;
		}
		this.next ??= { sequence: frame.sequence, time: frame.time, rate: frame.rate };
		this.#hold(frame);
		this.#followUp();
		if (this.held.length > HELD_MOST || (this.held.length && this.depth === 0))
			this.#openGap();
	}

	#hold(frame) {
		let at = this.held.length;
		while (at > 0 && ((frame.sequence - this.held[at - 1].sequence) << 16) >> 16 < 0)
			at--;
		if (at < this.held.length)
			this.counts.reordered++;
		this.held.splice(at, 0, frame);
		this.pushed += frame.samples.length;
	}

	/* Everything held that has nothing missing before it. */
	#followUp() {
		while (this.held.length && this.held[0].sequence === this.next.sequence)
			this.#follow(this.held.shift());
	}

	/* Missing frames will not come any more. */
	#openGap() {
		this.#follow(this.held.shift());
		this.#followUp();
	}

	/* { n: samples of the output, lost: frames, silent } before a frame. */
	#gapBefore(frame) {
		const { sequence, time, rate } = this.next;
		const passed = frame.rate === rate ? (frame.time - time) | 0 : 0;
		const lost = (frame.sequence - sequence) & 0xffff;
		let samples = passed >= rate / 1000 ? passed : 0;
		if (lost && !samples)
			samples = lost * frame.samples.length;
		return { n: Math.round((samples * this.outRate) / frame.rate), samples, lost, silent: lost === 0 || frame.begins };
	}

	#follow(frame) {
		const gap = this.#gapBefore(frame);
		const trough = this.depth - this.concealed + (gap.silent ? 0 : gap.n);
		this.counts.lost += gap.lost;
		if (gap.n && gap.silent)
			this.#keepSilence(gap.n);
		else if (gap.n)
			this.#fillGap(gap, frame.samples.length);
		else if (this.concealed)
			this.#wasLate(this.concealed);
		this.concealed = this.period = 0;
		this.#append(frame.samples, frame.rate, gap.silent && gap.n ? Infinity : trough, false);
		this.next = { sequence: (frame.sequence + 1) & 0xffff, time: (frame.time + frame.samples.length) >>> 0, rate: frame.rate };
		this.silent = frame.ends;
		if (frame.ends && !this.playing)
			this.#start(); // there is no more to wait for
	}

	#fillGap({ n, samples, lost }, length) {
		this.pushed += Math.min(samples, lost * length);
		if (this.depth === 0)
			this.wasSilent = true; // nothing to go on with; but it was not late
		else
			this.#conceal(Math.min(n - this.concealed, this.maxMs * this.perMs - this.depth));
	}

	#keepSilence(n) {
		const most = Math.min(n - this.concealed, SILENCE_MOST_MS * this.perMs);
		if (this.depth === 0)
			this.wasSilent = true;
		if (this.depth === 0 || most <= 0)
			return;
		if (!this.concealed)
			this.#fadeTail();
		this.overlap = 0;
		this.#write(new Float32Array(Math.round(most)));
	}

	#wasLate(n) {
		this.counts.underruns++;
		this.marginMs = Math.min(this.maxMs - FRAME_MS, this.marginMs + Math.min(30, Math.max(5, n / this.perMs)));
	}

	/* Before a block is pulled, so that it does not end in the fade of an empty ring. */
	#refill(block) {
		const least = block + Math.round(FADE_MS * this.perMs) + 1;
		while (this.playing && this.depth < least) {
			if (this.held.length) {
				this.#openGap();
			} else if (!this.silent && this.concealed < WAIT_MS * this.perMs) {
				const n = Math.round(CONCEAL_MS * this.perMs);
				this.#conceal(n);
				this.concealed += n;
			} else {
				return;
			}
		}
	}

	/* Goes on with the last period of what is in the ring, sinking; `overlap` samples more are kept for the next frame. */
	#conceal(n) {
		const { pattern, perMs } = this;
		if (!this.period)
			this.#findPeriod();
		n = Math.max(0, Math.round(n));
		const fade = Math.round(FADE_MS * perMs);
		const out = new Float32Array(n + fade);
		for (let i = 0; i < out.length; i++)
			out[i] = pattern[(this.at + i) % this.period] * concealedGain((this.at + i) / perMs);
		this.at += n;
		this.overlap = 0;
		this.#write(out.subarray(0, n));
		this.tailOver = out.subarray(n);
		this.overlap = fade;
	}

	#findPeriod() {
		const { ring, perMs } = this;
		const end = this.read + this.depth + ring.length;
		const [least, most, match] = [PERIOD_LEAST_MS, PERIOD_MOST_MS, PERIOD_MATCH_MS].map((ms) => Math.round(ms * perMs));
		let best = -Infinity;
		for (let lag = least; lag <= most; lag++) {
			let [score, energy] = [0, 1e-9];
			for (let i = 1; i <= match; i += 2) {
				const a = ring[(end - i) % ring.length];
				const b = ring[(end - i - lag) % ring.length];
				score += a * b;
				energy += b * b;
			}
			score /= Math.sqrt(energy);
			if (score > best) {
				best = score;
				this.period = lag;
			}
		}
		for (let i = 0; i < this.period; i++)
			this.pattern[i] = ring[(end - this.period + i) % ring.length];
		this.at = 0;
	}

	/* The first samples after a concealment take over from it. */
	#takeOver(samples) {
		const n = Math.min(this.overlap, samples.length);
		for (let i = 0; i < n; i++) {
			const w = (i + 1) / (n + 1);
			samples[i] = samples[i] * w + this.tailOver[i] * (1 - w);
		}
		this.overlap = 0;
	}

	/* Fills a block of the output, with silence where there is nothing to play. */
	pull(out) {
		const fade = Math.round(FADE_MS * this.perMs);
		if (this.next)
			this.#refill(out.length);
		const step = 1 / fade;
		for (let i = 0; i < out.length; i++) {
			if (!this.playing) {
				out[i] = 0;
				this.gap++;
				continue;
			}
			/* the last samples are kept for a fade, in case no frame comes before them */
			this.gain = this.depth > fade ? Math.min(1, this.gain + step) : Math.max(0, this.gain - step);
			out[i] = this.ring[this.read] * this.gain;
			this.level.add(out[i]);
			this.#skip(1);
			this.counts.played++;
			if (this.depth === 0)
				this.#runDry();
		}
		this.steered += out.length;
		if (this.steered >= STEER_MS * this.perMs)
			this.#steer();
	}

	figures() {
		return {
			buffer_ms: this.depthMs,
			target_ms: this.targetMs,
			trim_ppm: Math.round((this.resampler?.trim ?? 0) * 1e6),
			playing: this.playing,
			rate: this.rate,
			...this.counts,
		};
	}

	reset() {
		this.depth = 0;
		this.playing = false;
		this.gain = 0;
		this.marginMs = MARGIN_FIRST_MS;
		this.rate = 0;
		this.epoch = null;
		this.#startOver();
		this.#forget();
	}

	#toFloat(samples) {
		if (this.scratch.length < samples.length)
			this.scratch = new Float32Array(2 * samples.length);
		let peak = this.heard * 0.9;
		for (let i = 0; i < samples.length; i++) {
			const x = samples[i] / 32768;
			this.scratch[i] = x;
			if (Math.abs(x) > peak)
				peak = Math.abs(x);
		}
		this.heard = peak;
		return this.scratch.subarray(0, samples.length);
	}

	/* A lost frame leaves a step in the waveform. Frames are not numbered, but such a step is
	 * far larger than any bend around it: it is spread over two milliseconds. */
	#joined(x) {
		const { tail } = this;
		const n = Math.min(x.length, Math.round((SEAM_MS * this.rate) / 1000));
		if (x.length < SEAM_LOOK) {
			tail.fill(0);
			return x;
		}
		const step = x[0] - (2 * tail[SEAM_LOOK - 1] - tail[SEAM_LOOK - 2]);
		const usual = Math.max(bend(tail), bend(x.subarray(0, SEAM_LOOK)));
		if (this.depth > 0 && Math.abs(step) > Math.max(SEAM_LEAST, SEAM_RATIO * usual)) {
			for (let i = 0; i < n; i++)
				x[i] -= step * 0.5 * (1 + Math.cos((Math.PI * i) / n));
			this.counts.seams++;
		}
		tail.set(x.subarray(x.length - SEAM_LOOK));
		return x;
	}

	/* A sender may change its rate at any frame: what the old filter still holds comes out,
	 * and the seam is faded on both sides. */
	#tune(rate) {
		if (rate === this.rate)
			return;
		if (this.resampler) {
			this.#write(this.resampler.process(new Float32Array(this.resampler.table.half)));
			this.#fadeTail();
		}
		this.rate = rate;
		this.tail.fill(0);
		this.resampler = new Resampler(rate, this.outRate);
	}

	#fadeTail() {
		const n = Math.min(this.depth, Math.round(FADE_MS * this.perMs));
		for (let i = 0; i < n; i++)
			this.ring[(this.read + this.depth - 1 - i) % this.ring.length] *= i / n;
	}

	#write(samples) {
		if (this.overlap)
			this.#takeOver(samples);
		const { ring } = this;
		const room = ring.length - this.depth;
		const n = Math.min(samples.length, room);
		const at = (this.read + this.depth) % ring.length;
		const first = Math.min(n, ring.length - at);
		ring.set(samples.subarray(0, first), at);
		ring.set(samples.subarray(first, n), 0);
		this.depth += n;
		this.counts.cut += samples.length - n;
	}

	#skip(n) {
		this.read = (this.read + n) % this.ring.length;
		this.depth -= n;
	}

	#start() {
		const gapMs = this.gap / this.perMs;
		if (this.counts.played > 0 && gapMs < PAUSE_MS && !this.wasSilent) {
			this.counts.underruns++;
			this.marginMs = Math.min(this.maxMs - FRAME_MS, this.marginMs + Math.min(30, Math.max(5, gapMs / 2)));
		} else if (this.counts.played > 0) {
			this.counts.pauses++;
		}
		this.playing = true;
		this.wasSilent = false;
		this.gap = 0;
		this.#forget();
	}

	#runDry() {
		this.playing = false;
		this.wasSilent = this.silent;
		this.concealed = this.period = this.overlap = 0;
		this.gain = 0;
		this.gap = 0;
		if (this.resampler)
			this.resampler.trim = 0;
	}

	#forget() {
		this.slots.length = 0;
		this.slot = Infinity;
		this.steered = 0;
	}

	#steer() {
		this.steered = 0;
		if (this.slot === Infinity || !this.resampler)
			return;
		this.slots.push(this.slot);
		if (this.slots.length > STEER_SLOTS)
			this.slots.shift();
		this.slot = Infinity;
		this.marginMs += (MARGIN_LEAST_MS - this.marginMs) * 0.01;
		const surplusMs = Math.min(...this.slots) / this.perMs - this.marginMs;
		const settled = this.slots.length === STEER_SLOTS;
		if (settled && surplusMs > (this.heard < QUIET ? CUT_QUIET_MS : CUT_FROM_MS))
			this.#cut(surplusMs * this.perMs);
		const error = Math.abs(surplusMs) < CALM_MS ? 0 : surplusMs - Math.sign(surplusMs) * CALM_MS;
		this.resampler.trim = Math.max(-TRIM_MOST, Math.min(TRIM_MOST, error * TRIM_PER_MS));
	}

	/* Takes about n samples out, at the reading end, where the waveform best continues itself. */
	#cut(n) {
		const splice = Math.round(SPLICE_MS * this.perMs);
		const search = Math.round(SEARCH_MS * this.perMs);
		const most = Math.floor(Math.min(n, this.depth - splice - 1));
		if (most < search)
			return;
		const gone = this.#bestShift(most - search, most, splice);
		const { ring, read } = this;
		for (let i = 0; i < splice; i++) {
			const w = i / splice;
			const to = (read + gone + i) % ring.length;
			ring[to] = ring[(read + i) % ring.length] * (1 - w) + ring[to] * w;
		}
		this.#skip(gone);
		this.counts.cut += gone;
		this.#forget();
	}

	#bestShift(from, to, length) {
		const { ring, read } = this;
		let best = to;
		let bestScore = -Infinity;
		for (let shift = from; shift <= to; shift++) {
			let score = 0;
			let energy = 1e-9;
			for (let i = 0; i < length; i += 2) {
				const a = ring[(read + i) % ring.length];
				const b = ring[(read + shift + i) % ring.length];
				score += a * b;
				energy += b * b;
			}
			score /= Math.sqrt(energy);
			if (score > bestScore) {
				bestScore = score;
				best = shift;
			}
		}
		return best;
	}
}
