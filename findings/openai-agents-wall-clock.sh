#!/usr/bin/env bash
# Guess: when OpenAI's agents SDK is interrupted over its WebSocket, it tells the model how much of the answer was played.
# Seen: it knows no player: audio_end_ms is the time on the clock since the first piece of sound came, up to the sound's length, whether a
#       sample of it was heard or not.
# mynah: counts what listeners heard, from their reports where there are any, and truncates there.
# shellcheck source=findings/lib.sh
. "$(dirname "$0")/lib.sh"
needs @openai/agents-realtime@0.20.0 zod@4.1.12 ws@8.18.3

cat >measure.mjs <<'JS'
import { OpenAIRealtimeWebSocket } from '@openai/agents-realtime';
import { WebSocketServer } from 'ws';

const provider = new WebSocketServer({ port: 0, host: '127.0.0.1' });
const said = [];
provider.on('connection', (ws) => {
    ws.on('message', (text) => {
        const event = JSON.parse(text);
        said.push(event);
        if (event.type === 'session.update')
            ws.send(JSON.stringify({ type: 'session.updated', event_id: 'e1', session: event.session }));
    });
    ws.send(JSON.stringify({ type: 'session.created', event_id: 'e0', session: { type: 'realtime' } }));
    const head = { response_id: 'r', item_id: 'i', output_index: 0, content_index: 0 };
    setTimeout(() => ws.send(JSON.stringify({ type: 'response.output_audio.delta', event_id: 'e2', ...head,
        delta: Buffer.alloc(10 * 48000).toString('base64') })), 200); // ten seconds, at once
});
await new Promise((done) => provider.on('listening', done));

const model = new OpenAIRealtimeWebSocket({ useInsecureApiKey: true });
let came;
const heard = new Promise((done) => { came = done; });
model.on('audio', () => came(Date.now())); // a player that never plays
await model.connect({ apiKey: 'none', model: 'any', url: 'ws://127.0.0.1:' + provider.address().port });
const start = await heard;
await new Promise((done) => setTimeout(done, 1500));
model.interrupt();
const waited = Date.now() - start;
await new Promise((done) => setTimeout(done, 300));
const truncate = said.find((event) => event.type === 'conversation.item.truncate');
console.log('told', truncate?.audio_end_ms);
console.log('off', Math.abs(truncate?.audio_end_ms - waited));
process.exit(0);
JS
node --no-warnings measure.mjs >out 2>log || { cat log; exit 2; }
between "audio_end_ms of ten seconds of which nothing was played, interrupted after 1.5 s" "$(value told)" 1400 9000
between "   differs from the clock by, ms" "$(value off)" 0 200
finish
