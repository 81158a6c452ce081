// Put before what a page shall do with WebCodecs and Opus.
const base = { codec: 'opus', sampleRate: 48000, numberOfChannels: 1, bitrate: 24000 };
const voice = (t) => 0.3 * Math.sin(2 * Math.PI * 200 * t) * (1 + Math.sin(2 * Math.PI * 3 * t));

/** A function that returns the next `ms` of sound each time. */
function source(rate, ms, sample) {
    let n = 0;
    const frames = rate * ms / 1000;
    return () => {
        const data = Float32Array.from({ length: frames }, (_, i) => sample((n + i) / rate));
        const timestamp = Math.round(n / rate * 1e6);
        n += frames;
        return new AudioData({ format: 'f32-planar', sampleRate: rate, numberOfFrames: frames, numberOfChannels: 1, timestamp, data });
    };
}

/** Encodes `count` pieces; `between` is called after each. What came out, and how it ended. */
async function encode(config, count, next, between) {
    const result = { chunks: [], bytes: [], error: 'none', description: null };
    const encoder = new AudioEncoder({
        output(chunk, more) {
            const bytes = new Uint8Array(chunk.byteLength);
            chunk.copyTo(bytes);
            result.chunks.push(chunk);
            result.bytes.push(bytes);
            result.description ??= more?.decoderConfig?.description ?? null;
        },
        error(error) { result.error = error.name; },
    });
    try {
        encoder.configure(config);
        for (let i = 0; i < count; i++) {
            encoder.encode(next());
            await between?.(encoder, i);
        }
        await encoder.flush();
    } catch (error) {
        if (result.error === 'none')
            result.error = error.name;
    }
    result.state = encoder.state;
    if (encoder.state !== 'closed')
        encoder.close();
    return result;
}

/** Decodes packets of 20 ms, null for one that is lost and left out. Timestamp and level of what came out. */
async function decode(packets) {
    const result = { pieces: [], error: 'none' };
    const decoder = new AudioDecoder({
        output(data) {
            const samples = new Float32Array(data.numberOfFrames);
            data.copyTo(samples, { planeIndex: 0, format: 'f32-planar' });
            result.pieces.push({ timestamp: data.timestamp, frames: data.numberOfFrames, level: Math.hypot(...samples) });
            data.close();
        },
        error(error) { result.error = error.name; },
    });
    try {
        decoder.configure({ codec: 'opus', sampleRate: 48000, numberOfChannels: 1 });
        packets.forEach((data, i) => {
            if (data)
                decoder.decode(new EncodedAudioChunk({ type: 'key', timestamp: i * 20000, data }));
        });
        await decoder.flush();
    } catch (error) {
        if (result.error === 'none')
            result.error = error.name;
    }
    result.state = decoder.state;
    return result;
}

const mean = (list) => list.reduce((sum, x) => sum + x, 0) / list.length;
