#!/usr/bin/env bash
# Guess: "EdDSA" and "Ed25519" are two names of one algorithm for a JWT, and every JWT library has it.
# Seen: jose takes each only under the very name that the token bears; jsonwebtoken knows neither.
# mynah: has no access tokens yet; a check of them should accept both names for a key of that kind.
# shellcheck source=findings/lib.sh
. "$(dirname "$0")/lib.sh"
needs jose@6.2.18 jsonwebtoken@9.0.3

cat >measure.mjs <<'JS'
import crypto from 'node:crypto';
import * as jose from 'jose';
import jsonwebtoken from 'jsonwebtoken';
const { publicKey, privateKey } = crypto.generateKeyPairSync('ed25519');
for (const alg of ['EdDSA', 'Ed25519']) {
    const token = await new jose.SignJWT({}).setProtectedHeader({ alg }).sign(privateKey);
    for (const accepted of ['EdDSA', 'Ed25519'])
        console.log(alg + '_for_' + accepted, await jose.jwtVerify(token, publicKey, { algorithms: [accepted] }).then(() => 'accepted', () => 'refused'));
    try {
        jsonwebtoken.sign({}, privateKey, { algorithm: alg });
        console.log('jsonwebtoken_' + alg, 'signed');
    } catch {
        console.log('jsonwebtoken_' + alg, 'refused');
    }
}
JS
node --no-warnings measure.mjs >out
expect "jose: EdDSA where EdDSA is accepted" "$(value EdDSA_for_EdDSA)" accepted
expect "EdDSA where Ed25519 is" "$(value EdDSA_for_Ed25519)" refused
expect "Ed25519 where EdDSA is" "$(value Ed25519_for_EdDSA)" refused
expect "Ed25519 where Ed25519 is" "$(value Ed25519_for_Ed25519)" accepted
expect "jsonwebtoken: EdDSA" "$(value jsonwebtoken_EdDSA)" refused
expect "jsonwebtoken: Ed25519" "$(value jsonwebtoken_Ed25519)" refused
finish
