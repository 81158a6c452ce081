// SPDX-License-Identifier: MIT
// The worklets' arithmetic, judged by numbers. Run: node --test tests/web/
import test from 'node:test';
import assert from 'node:assert/strict';
import { FrameCutter, Playout, Resampler } from '../../web/dsp.js';

function sine(hz, rate, n, from = 0, amplitude = 0.5) {
	return Float32Array.from({ length: n }, (_, i) => amplitude * Math.sin((2 * Math.PI * hz * (from + i)) / rate));
}

const pcm = (samples) => Int16Array.from(samples, (x) => Math.round(x * 32767));

/* A small generator with a seed: the same run every time. */
function random(seed) {
	let s = seed >>> 0;
	return () => ((s = (Math.imul(s, 1664525) + 1013904223) >>> 0) / 2 ** 32);
}

/* What is left of x (dB below the tone) once the best sine of that frequency is taken out. */
function residueDb(x, hz, rate) {
	let [a, b, ss, cc, sc] = [0, 0, 0, 0, 0];
	for (let i = 0; i < x.length; i++) {
		const w = (2 * Math.PI * hz * i) / rate;
		const [s, c] = [Math.sin(w), Math.cos(w)];
		[a, b, ss, cc, sc] = [a + x[i] * s, b + x[i] * c, ss + s * s, cc + c * c, sc + s * c];
	}
	const det = ss * cc - sc * sc;
	const [p, q] = [(a * cc - b * sc) / det, (b * ss - a * sc) / det];
	let [rest, tone] = [0, 0];
	for (let i = 0; i < x.length; i++) {
		const w = (2 * Math.PI * hz * i) / rate;
		const y = p * Math.sin(w) + q * Math.cos(w);
		tone += y * y;
		rest += (x[i] - y) ** 2;
	}
	return 10 * Math.log10(rest / tone);
}

function resampleInChunks(input, inRate, outRate, next) {
	const r = new Resampler(inRate, outRate);
	const out = [];
	for (let at = 0; at < input.length; ) {
		const n = 1 + Math.floor(next() * 700);
		out.push(...r.process(input.subarray(at, at + n)));
		at += n;
	}
	return Float32Array.from(out);
}

for (const inRate of [8000, 11025, 16000, 22050, 24000, 44100, 48000]) {
	for (const outRate of [8000, 16000, 44100, 48000]) {
		test(`resample ${inRate} to ${outRate}: a sine stays one, in chunks of any size`, () => {
			const out = resampleInChunks(sine(1000, inRate, inRate), inRate, outRate, random(inRate + outRate));
			const latency = Math.ceil((64 * outRate) / inRate) + 70;
			assert.ok(Math.abs(out.length - outRate) <= latency, `length ${out.length}`);
			const middle = out.subarray(400, out.length - 400);
			const db = residueDb(middle, 1000, outRate);
			assert.ok(db < -85, `residue ${db.toFixed(1)} dB`);
		});
	}
}

test('resampling down takes away what the lower rate cannot hold', () => {
	const out = resampleInChunks(sine(11000, 48000, 48000), 48000, 16000, random(1)).subarray(300);
	const peak = out.reduce((m, x) => Math.max(m, Math.abs(x)), 0);
	assert.ok(peak < 0.5 * 10 ** (-80 / 20), `alias ${peak}`);
});

test('chunk sizes make no difference at all', () => {
	const input = sine(440, 48000, 9600);
	const a = resampleInChunks(input, 48000, 16000, random(2));
	const b = resampleInChunks(input, 48000, 16000, random(3));
	assert.deepEqual(a.subarray(0, 3000), b.subarray(0, 3000));
});

test('cutter: 20 ms frames at the wanted rate, the tone intact', () => {
	const frames = [];
	const cutter = new FrameCutter(48000, 16000, 20, (samples) => frames.push(samples));
	const input = sine(1000, 48000, 48000);
	for (let at = 0; at < input.length; at += 128)
		cutter.push(input.subarray(at, at + 128));
	assert.equal(frames.length, 49); // the filter holds back two milliseconds
	assert.ok(frames.every((f) => f.length === 320));
	const all = Float32Array.from(frames.slice(2).flatMap((f) => [...f]), (x) => x / 32767);
	assert.ok(residueDb(all, 1000, 16000) < -80);
});

test('cutter: muting fades out, then sends nothing, and the level goes on', () => {
	const seen = [];
	const cutter = new FrameCutter(16000, 16000, 20, (samples, level) => seen.push({ samples, level }));
	const input = sine(300, 16000, 16000);
	cutter.push(input.subarray(0, 3200));
	cutter.muted = true;
	cutter.push(input.subarray(3200, 6400));
	cutter.muted = false;
	cutter.push(input.subarray(6400, 9600));
	const sent = seen.map(({ samples }) => samples !== null);
	assert.deepEqual(sent.slice(0, 11), Array(11).fill(true)); // the fade is still sent
	assert.deepEqual(sent.slice(11, 20), Array(9).fill(false));
	assert.deepEqual(sent.slice(20), Array(10).fill(true));
	assert.ok(seen.every(({ level }) => Math.abs(level.rms - -9.03) < 0.5));
	assert.equal(seen[10].samples.at(-1), 0);
	const steps = seen[10].samples.map((x, i, f) => (i ? Math.abs(x - f[i - 1]) : 0));
	assert.ok(Math.max(...steps) < 2100, 'no step larger than the tone has itself');
});

test('cutter: clipping input stays in range', () => {
	let frame;
	const cutter = new FrameCutter(16000, 16000, 20, (samples) => (frame = samples));
	cutter.push(Float32Array.from({ length: 320 }, (_, i) => (i & 1 ? 3 : -3)));
	assert.deepEqual([frame[0], frame[1]], [-32768, 32767]);
});

/* Plays a sender through a Playout in simulated time, in blocks of 128.
 * arrivals(k) is the moment (seconds) that frame k of 20 ms reaches the page. */
function simulate({ seconds, arrival, skip = () => false, hz = 440, rate = 16000, outRate = 48000, skew = 0, playout = new Playout(outRate) }) {
	const n = Math.round(rate * 0.02);
	const due = [];
	for (let k = 0; k * 0.02 < seconds; k++)
		if (!skip(k))
			due.push({ at: arrival(k), k });
	for (let i = 1; i < due.length; i++) // late, but in order
		due[i].at = Math.max(due[i].at, due[i - 1].at);
	const heard = new Float32Array(Math.floor(seconds * outRate / 128) * 128);
	const depths = [];
	let next = 0;
	for (let at = 0; at < heard.length; at += 128) {
		const now = (at / outRate) * (1 + skew);
		for (; next < due.length && due[next].at <= now; next++)
			playout.push(pcm(sine(hz, rate, n, due[next].k * n)), rate);
		playout.pull(heard.subarray(at, at + 128));
		depths.push(playout.depthMs);
	}
	return { heard, depths, playout, figures: playout.figures() };
}

/* The largest second difference: a click stands out, a tone of 440 Hz hardly has any. */
function roughness(x) {
	let most = 0;
	for (let i = 2; i < x.length; i++)
		most = Math.max(most, Math.abs(x[i] - 2 * x[i - 1] + x[i - 2]));
	return most;
}
const SMOOTH = 0.5 * (2 * Math.PI * 440 / 48000) ** 2; // of the pure tone

test('playout: regular frames come out as one unbroken tone', () => {
	const { heard, figures, depths } = simulate({ seconds: 6, arrival: (k) => 0.02 * k });
	assert.equal(figures.underruns, 0);
	assert.ok(residueDb(heard.subarray(-48000), 440, 48000) < -80);
	assert.ok(roughness(heard.subarray(48000)) < 1.05 * SMOOTH);
	assert.ok(Math.max(...depths) < 65, `depth ${Math.max(...depths)}`);
});

test('playout: starts within 60 ms of the first frame', () => {
	const { heard } = simulate({ seconds: 1, arrival: (k) => 0.02 * k });
	assert.ok(heard.findIndex((x) => Math.abs(x) > 0.01) < 0.06 * 48000);
});

test('playout: jitter of 30 ms is absorbed, the delay stays small', () => {
	const next = random(7);
	const { heard, figures, depths } = simulate({ seconds: 40, arrival: (k) => 0.02 * k + 0.03 * next() });
	assert.ok(figures.underruns <= 3, `underruns ${figures.underruns}`);
	assert.ok(roughness(heard) < 40 * SMOOTH, `${roughness(heard) / SMOOTH}`);
	assert.ok(Math.max(...depths.slice(-3000)) < 100, `${Math.max(...depths.slice(-3000))}`);
});

for (const ppm of [-300, 300]) {
	test(`playout: a clock ${ppm} ppm off changes the delay by less than 5 ms in ten minutes`, () => {
		const { figures, depths } = simulate({ seconds: 600, arrival: (k) => 0.02 * k + 0.003, skew: ppm / 1e6 });
		const mean = (from) => depths.slice(from, from + 3750).reduce((a, b) => a + b) / 3750;
		const [early, late] = [mean(22500), mean(depths.length - 3750)];
		assert.ok(Math.abs(late - early) < 5, `${early} -> ${late}`);
		assert.equal(figures.underruns, 0);
		assert.equal(figures.cut, 0);
	});
}

/* ---- v1 frames ---- */

/* Frame k of a tone with its numbers. */
function numbered(k, { hz = 437, rate = 16000, n = 320, epoch = 0, silence = 0 } = {}) {
	return [pcm(sine(hz, rate, n, k * n)), rate,
		{ epoch, sequence: (65500 + k) & 0xffff, time: (2 ** 32 - 5000 + k * n + silence) >>> 0, begins: k === 0, ends: false }];
}

/* Plays arrivals ([seconds, k], sorted by time) through a Playout. */
function play(arrivals, seconds, { playout = new Playout(48000), frame = numbered } = {}) {
	const heard = new Float32Array(Math.floor((seconds * 48000) / 128) * 128);
	const depths = [];
	let next = 0;
	for (let at = 0; at < heard.length; at += 128) {
		for (; next < arrivals.length && arrivals[next][0] <= at / 48000; next++)
			playout.push(...frame(arrivals[next][1]));
		playout.pull(heard.subarray(at, at + 128));
		depths.push(playout.depthMs);
	}
	return { heard, depths, playout, figures: playout.figures() };
}

const steadily = (seconds, kept = () => true) =>
	Array.from({ length: seconds * 50 }, (_, k) => [0.02 * k, k]).filter(([, k]) => kept(k));

test('playout v1: frames in order come out as without numbers', () => {
	const { heard, figures } = play(steadily(6), 6);
	assert.deepEqual([figures.underruns, figures.lost, figures.late, figures.cut], [0, 0, 0, 0]);
	assert.ok(residueDb(heard.subarray(-48000), 437, 48000) < -80);
});

for (const loss of [0.1, 0.2]) {
	test(`playout v1: ${100 * loss} % lost are concealed in place, the delay stays`, () => {
		const next = random(5);
		const kept = Array.from({ length: 1500 }, (_, k) => k < 20 || next() >= loss);
		const { heard, depths, figures } = play(steadily(30, (k) => kept[k]), 30);
		const lost = kept.filter((k) => !k).length;
		const mean = (from, to) => depths.slice(from, to).reduce((a, b) => a + b) / (to - from);
		assert.ok(Math.abs(figures.lost - lost) <= 2, `${figures.lost} of ${lost}`);
		assert.ok(roughness(heard.subarray(4800)) < 60 * SMOOTH, `${roughness(heard.subarray(4800)) / SMOOTH}`);
		const whole = play(steadily(30), 30);
		assert.ok(Math.abs(mean(5625, 11250) - whole.depths.slice(5625, 11250).reduce((a, b) => a + b) / 5625) < 12,
			`${mean(5625, 11250)}`);
		/* every tick is where it would have been: most of them agree with the unbroken tone */
		let same = 0;
		let all = 0;
		for (let at = 9600; at + 960 <= heard.length; at += 960, all++) {
			let err = 0;
			for (let i = at; i < at + 960; i++)
				err += (heard[i] - whole.heard[i]) ** 2;
			same += err / 960 < 0.01 * 0.125;
		}
		assert.ok(same / all > (1 - loss) ** 2 - 0.15, `${same / all}`);
	});
}

test('playout v1: overtaken and repeated frames cost nothing', () => {
	const arrivals = steadily(10).flatMap(([at, k]) => (k > 50 && k % 10 === 3 ? [[at + 0.0202, k], [at + 0.0203, k]] : [[at, k]]))
		.sort(([a], [b]) => a - b);
	const playout = new Playout(48000, { firstMs: 40 });
	const { heard, figures } = play(arrivals, 10, { playout });
	assert.equal(figures.lost, 0);
	assert.equal(figures.underruns, 0);
	assert.ok(figures.late > 40 && figures.reordered === 0 || figures.reordered > 0, JSON.stringify(figures));
	assert.ok(residueDb(heard.subarray(-96000), 437, 48000) < -60);
});

test('playout v1: a pause is no underrun, however short, and costs no delay', () => {
	const silence = (k) => Math.floor(k / 25) * 0.3;
	const arrivals = Array.from({ length: 500 }, (_, k) => [0.02 * k + silence(k), k]);
	const frame = (k) => numbered(k, { silence: silence(k) * 16000 });
	const { figures, playout, heard } = play(arrivals, 16, { frame });
	assert.equal(figures.underruns, 0);
	assert.equal(figures.lost, 0);
	assert.ok(playout.marginMs <= 20);
	assert.ok(roughness(heard) < 60 * SMOOTH, `${roughness(heard) / SMOOTH}`);
});

test('playout v1: what is shorter than the margin is heard at its end, not before what comes next', () => {
	const frame = (k) => {
		const [samples, rate, numbers] = numbered(k);
		return [samples, rate, { ...numbers, ends: true }];
	};
	const { heard, playout } = play([[0.1, 0]], 0.5, { frame });
	assert.ok(heard.subarray(0.1 * 48000, 0.15 * 48000).some((x) => Math.abs(x) > 0.3));
	assert.equal(playout.depth, 0);
	assert.equal(playout.figures().underruns, 0);
});

test('playout v1: a flush is silent within five milliseconds, and what is old stays out', () => {
	const playout = new Playout(48000);
	const arrivals = steadily(2);
	const { heard: before } = play(arrivals.slice(0, 50), 1, { playout });
	assert.ok(Math.max(...before.slice(-960)) > 0.3);
	const { samples, epoch } = playout.played;
	assert.equal(epoch, 0);
	assert.ok(samples > 50 * 320 - 16 * 60 && samples < 50 * 320, `${samples}`);
	playout.flush(1);
	const { heard: after } = play(arrivals.slice(50).map(([at, k]) => [at - 1, k]), 0.5, { playout }); // still epoch 0
	assert.ok(after.subarray(240).every((x) => x === 0));
	assert.ok(roughness(after) < 60 * SMOOTH);
	const { heard: anew } = play(Array.from({ length: 25 }, (_, i) => [0.02 * i, 100 + i]), 0.6,
		{ playout, frame: (k) => numbered(k, { epoch: 1 }) });
	assert.ok(anew.findIndex((x) => Math.abs(x) > 0.01) < 0.06 * 48000);
	assert.deepEqual(playout.played, { epoch: 1, samples: 25 * 320 });
	assert.equal(playout.figures().underruns, 0);
});

test('playout v1: legacy frames may follow, and v1 frames again', () => {
	const playout = new Playout(48000);
	for (let k = 0; k < 300; k++) {
		const [samples, rate, numbers] = numbered(k);
		playout.push(samples, rate, k % 100 < 50 ? numbers : null);
		playout.pull(new Float32Array(960));
	}
	assert.equal(playout.figures().underruns, 0);
	assert.ok(playout.depthMs < 80);
});

test('playout: a late burst is worked off again', () => {
	const { heard, figures, depths } = simulate({ seconds: 20, arrival: (k) => (k >= 100 && k < 110 ? 2.2 : 0.02 * k) });
	assert.equal(figures.underruns, 1);
	assert.ok(Math.max(...depths) <= 250);
	assert.ok(Math.max(...depths.slice(-750)) < 80, `${Math.max(...depths.slice(-750))}`);
	assert.ok(roughness(heard) < 40 * SMOOTH, `${roughness(heard) / SMOOTH}`);
});

test('playout: an underrun fades out and in', () => {
	const { heard, figures } = simulate({ seconds: 3, arrival: (k) => 0.02 * k, skip: (k) => k >= 50 && k < 58 });
	assert.equal(figures.underruns, 1);
	assert.ok(roughness(heard) < 40 * SMOOTH, `${roughness(heard) / SMOOTH}`);
});

test('playout: a lost frame leaves a bend, not a click', () => {
	const { heard, figures } = simulate({ seconds: 10, arrival: (k) => 0.02 * k, skip: (k) => k % 11 === 5, hz: 437 });
	assert.ok(figures.seams > 20, `${figures.seams}`);
	assert.ok(roughness(heard) < 50 * SMOOTH, `${roughness(heard) / SMOOTH}`);
});

test('playout: speech-like noise and onsets are left alone', () => {
	const next = random(11);
	const playout = new Playout(48000);
	for (let k = 0; k < 500; k++) {
		const loud = k % 7 < 3 ? 12000 : 20;
		playout.push(Int16Array.from({ length: 320 }, () => loud * (next() - 0.5)), 16000);
		playout.pull(new Float32Array(960));
	}
	assert.equal(playout.figures().seams, 0);
});

test('playout: a sender that pauses is no underrun and costs no delay', () => {
	const { figures, playout } = simulate({ seconds: 6, arrival: (k) => 0.02 * k, skip: (k) => k % 100 >= 50 });
	assert.equal(figures.underruns, 0);
	assert.equal(figures.pauses, 2);
	assert.ok(playout.marginMs <= 20);
});

test('playout: however much arrives, the delay is bounded', () => {
	const { depths } = simulate({ seconds: 4, arrival: (k) => (k < 100 ? 0.5 : 0.02 * k) });
	assert.ok(Math.max(...depths) <= 250, `${Math.max(...depths)}`);
});

test('playout: the rate may change at any frame', () => {
	const playout = new Playout(48000);
	const heard = new Float32Array(96000 - (96000 % 128));
	let rate = 16000;
	let sent = 0;
	for (let at = 0; at < heard.length; at += 128) {
		if (at / 48000 >= sent * 0.02) {
			rate = sent < 40 ? 16000 : sent < 70 ? 24000 : 48000;
			const n = rate / 50;
			playout.push(pcm(sine(440, rate, n, sent++ * n)), rate);
		}
		playout.pull(heard.subarray(at, at + 128));
	}
	assert.equal(playout.figures().underruns, 0);
	assert.ok(roughness(heard) < 40 * SMOOTH, `${roughness(heard) / SMOOTH}`);
	assert.ok(residueDb(heard.subarray(-19200), 440, 48000) < -70);
});
