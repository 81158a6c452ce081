#!/usr/bin/env bash
# Guess: a token of LiveKit's server SDK has typ and iat as most JWT have, and one with `ttl: 0` is over at once or never.
# Seen: its head is {"alg":"HS256"} alone, it has nbf and no iat, and a ttl of 0 is taken for "not given": six hours.
# mynah: has no access tokens yet; a check of them must not ask for typ or iat.
# shellcheck source=findings/lib.sh
. "$(dirname "$0")/lib.sh"
needs livekit-server-sdk@2.19.2

cat >measure.mjs <<'JS'
import { AccessToken } from 'livekit-server-sdk';
const part = (text) => JSON.parse(Buffer.from(text, 'base64url'));
for (const ttl of [0, 60, '10m']) {
    const token = new AccessToken('key', 'secret', { identity: 'ann', ttl });
    token.addGrant({ roomJoin: true, room: 'tea' });
    const [head, claims] = (await token.toJwt()).split('.').slice(0, 2).map(part);
    console.log('head', JSON.stringify(head));
    console.log('claims', Object.keys(claims).sort().join());
    console.log('ttl_' + ttl, claims.exp - claims.nbf);
}
JS
node measure.mjs >out
expect "head" "$(value head)" '{"alg":"HS256"}'
expect "claims" "$(value claims)" exp,iss,nbf,sub,video
expect "ttl 60, seconds" "$(value ttl_60)" 60
expect "ttl 10m" "$(value ttl_10m)" 600
expect "ttl 0" "$(value ttl_0)" 21600
finish
