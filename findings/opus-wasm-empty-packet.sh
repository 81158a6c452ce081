#!/usr/bin/env bash
# Guess: libopus compiled to WebAssembly conceals one lost frame of 20 ms when it is given an empty packet.
# Seen: opus-decoder makes 120 ms of it and opusscript 60. A packet of one byte, the
#       first of the packet before, gives 20 ms.
# mynah: has no Opus yet; a page that decodes in WebAssembly will give a packet of one byte for a lost one.
# shellcheck source=findings/lib.sh
. "$(dirname "$0")/lib.sh"
needs opus-decoder@0.7.12 opusscript@0.1.1

cat >measure.mjs <<'JS'
import { OpusDecoder } from 'opus-decoder';
import OpusScript from 'opusscript';
const script = new OpusScript(48000, 1, OpusScript.Application.VOIP);
const packet = script.encode(Buffer.alloc(1920), 960);
const decoder = new OpusDecoder({ channels: 1 });
await decoder.ready;
const decoded = (bytes) => decoder.decodeFrame(bytes).samplesDecoded;
console.log('decoder_packet', decoded(packet));
console.log('decoder_empty', decoded(new Uint8Array(0)));
console.log('decoder_one_byte', decoded(packet.subarray(0, 1)));
console.log('script_packet', script.decode(packet).length / 2);
console.log('script_empty', script.decode(Buffer.alloc(0)).length / 2);
process.exit(0);
JS
node --no-warnings measure.mjs >out
expect "opus-decoder: samples of a packet of 20 ms" "$(value decoder_packet)" 960
expect "of an empty one" "$(value decoder_empty)" 5760
expect "of one byte" "$(value decoder_one_byte)" 960
expect "opusscript: of a packet" "$(value script_packet)" 960
expect "of an empty one" "$(value script_empty)" 2880
finish
