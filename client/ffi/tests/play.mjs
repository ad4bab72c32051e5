// Plays a film with the library as WebAssembly, as a page would:
//
//     node play.mjs LIBRARY FILM STREAMED PLACED KID:KEY...
//
// FILM is decrypted to the file STREAMED, fed in pieces, and to the file PLACED, in place. A film that cannot be
// decrypted leaves "error: " and the words there.
import { readFileSync, writeFileSync } from 'node:fs';

const [library, film, streamed, placed, ...pairs] = process.argv.slice(2);
const { instance } = await WebAssembly.instantiate(readFileSync(library));
const { memory, ...c } = instance.exports;

const PAGE_BYTES = 65536;
const PIECE_BYTES = 100_000;

// Whole pages, which the library does not know of and leaves alone.
const room = (length) => memory.grow(Math.ceil(length / PAGE_BYTES)) * PAGE_BYTES;
// The memory may have moved since the last look.
const at = (address, length) => new Uint8Array(memory.buffer, address, length);
const media = readFileSync(film);
const whole = room(media.length);
const piece = room(PIECE_BYTES);

function decrypter() {
    const made = c.reelkey_decrypter_new();
    for (const pair of pairs) {
        at(piece, 32).set(Buffer.from(pair.replace(':', ''), 'hex'));
        c.reelkey_decrypter_add_key(made, piece, piece + 16);
    }
    at(piece, 32).fill(0);
    return made;
}

function words(of) {
    const address = c.reelkey_decrypter_error(of);
    const rest = new Uint8Array(memory.buffer, address);
    return Buffer.from('error: ' + Buffer.from(rest.slice(0, rest.indexOf(0))).toString());
}

function stream(of) {
    const clear = [];
    const take = (status) => {
        for (let length; (length = c.reelkey_decrypter_read(of, piece, PIECE_BYTES)) > 0;) {
            clear.push(Buffer.from(at(piece, length)));
        }
        return status === 0;
    };
    for (let from = 0; from < media.length; from += PIECE_BYTES) {
        const next = media.subarray(from, from + PIECE_BYTES);
        at(piece, next.length).set(next);
        if (!take(c.reelkey_decrypter_feed(of, piece, next.length))) return words(of);
    }
    return take(c.reelkey_decrypter_finish(of)) ? Buffer.concat(clear) : words(of);
}

function place(of) {
    at(whole, media.length).set(media);
    const status = c.reelkey_decrypter_decrypt_in_place(of, whole, media.length);
    return status === 0 ? at(whole, media.length) : words(of);
}

for (const [way, file] of [[stream, streamed], [place, placed]]) {
    const of = decrypter();
    writeFileSync(file, way(of));
    c.reelkey_decrypter_free(of);
}
