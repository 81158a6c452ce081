#!/usr/bin/env bash
# Guess: `node --jitless`, which runs where memory must not be writable and executable (systemd's MemoryDenyWriteExecute=), is slower and else the same.
# Seen: there is no WebAssembly, and fetch(), which is still there, needs it: the first call raises an exception that belongs to no promise, so no catch()
#       of the caller's sees it. node:http works.
# mynah: bridge.md says so beside --jitless; its example of a worker in Node.js uses no fetch().
# shellcheck source=findings/lib.sh
. "$(dirname "$0")/lib.sh"
needs nodejs=20.19.2+dfsg-1+deb13u3

cat >measure.mjs <<'JS'
import http from 'node:http';
const server = http.createServer((_, answer) => answer.end('hello'));
await new Promise((done) => server.listen(0, '127.0.0.1', done));
const url = 'http://127.0.0.1:' + server.address().port;
const tell = (what) => { console.log('fetch', what); process.exit(0); };
process.on('uncaughtException', (error) => tell('uncaught ' + error.name));
console.log('types', typeof fetch, typeof WebAssembly);
console.log('http', await new Promise((done) => http.get(url, (answer) => done(answer.statusCode))));
fetch(url).then(() => tell('works'), () => tell('rejects'));
JS
node --no-warnings measure.mjs >out
expect "node: types of fetch and WebAssembly" "$(value types)" "function object"
expect "   fetch()" "$(value fetch)" works
node --no-warnings --jitless measure.mjs >out 2>/dev/null
expect "node --jitless: types" "$(value types)" "function undefined"
expect "   http.get()" "$(value http)" 200
expect "   fetch()" "$(value fetch)" "uncaught ReferenceError"
finish
