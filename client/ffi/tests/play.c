/*
 * Plays films with the C interface. Standard input names one a line:
 *
 *     IN INIT STREAMED PLACED KEYS...
 *
 * Each of KEYS is KID:KEY, TRACK:KEY, KEY, or "partial" to leave tracks without keys. IN is decrypted to the file STREAMED, fed in small pieces, and to the file PLACED, in place. INIT is its
 * initialization segment, or "-". A film that cannot be decrypted leaves the words of the error there instead.
 * A film that can has the notes in STREAMED.notes and PLACED.notes, a line each, behind the status.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reelkey.h"

enum { PIECE = 1000, ROOM = 700 };

struct bytes {
    uint8_t *at;
    size_t length;
};

static struct bytes load(const char *path)
{
    FILE *file = fopen(path, "rb");
    assert(file != NULL);
    assert(fseek(file, 0, SEEK_END) == 0);
    struct bytes bytes = { NULL, (size_t)ftell(file) };
    rewind(file);
    bytes.at = malloc(bytes.length + 1);
    assert(bytes.at != NULL && fread(bytes.at, 1, bytes.length, file) == bytes.length);
    fclose(file);
    return bytes;
}

static void read_hex(const char *digits, uint8_t bytes[16])
{
    for (int i = 0; i < 16; i++) {
        unsigned value;
        assert(sscanf(digits + 2 * i, "%2x", &value) == 1);
        bytes[i] = (uint8_t)value;
    }
}

static reelkey_decrypter *prepare(const char *init, char *const pairs[], int count)
{
    reelkey_decrypter *decrypter = reelkey_decrypter_new();
    for (int i = 0; i < count; i++) {
        uint8_t kid[16], key[16];
        reelkey_status status;
        const char *colon = strchr(pairs[i], ':');
        if (strcmp(pairs[i], "partial") == 0) {
            status = reelkey_decrypter_leave_tracks_without_keys(decrypter);
        } else if (colon == NULL) {
            read_hex(pairs[i], key);
            status = reelkey_decrypter_add_only_key(decrypter, key);
        } else if (colon - pairs[i] < 32) {
            read_hex(colon + 1, key);
            uint32_t track = (uint32_t)strtoul(pairs[i], NULL, 10);
            status = reelkey_decrypter_add_track_key(decrypter, track, key);
        } else {
            read_hex(pairs[i], kid);
            read_hex(colon + 1, key);
            status = reelkey_decrypter_add_key(decrypter, kid, key);
        }
        assert(status == REELKEY_STATUS_OK);
    }
    if (strcmp(init, "-") != 0) {
        struct bytes bytes = load(init);
        assert(reelkey_decrypter_set_init(decrypter, bytes.at, bytes.length) == REELKEY_STATUS_OK);
        free(bytes.at);
    }
    return decrypter;
}

static void drain(reelkey_decrypter *decrypter, FILE *out)
{
    uint8_t room[ROOM];
    for (size_t length; (length = reelkey_decrypter_read(decrypter, room, ROOM)) > 0;)
        assert(fwrite(room, 1, length, out) == length);
}

/* In place of a film that there is not. */
static void say_why(const reelkey_decrypter *decrypter, const char *path)
{
    FILE *out = fopen(path, "wb");
    const char *words = reelkey_decrypter_error(decrypter);
    assert(out != NULL && words != NULL && strlen(words) > 10);
    fprintf(out, "error: %s", words);
    fclose(out);
}

static bool is_decrypted(reelkey_status status)
{
    return status == REELKEY_STATUS_OK || status == REELKEY_STATUS_WRONG_KEY;
}

static void write_notes(const reelkey_decrypter *decrypter, reelkey_status status, const char *path)
{
    char name[4096];
    snprintf(name, sizeof name, "%s.notes", path);
    FILE *out = fopen(name, "wb");
    assert(out != NULL);
    fprintf(out, "%d\n", (int)status);
    const char *note;
    for (size_t i = 0; (note = reelkey_decrypter_note(decrypter, i)) != NULL; i++)
        fprintf(out, "%s\n", note);
    fclose(out);
}

static void stream(reelkey_decrypter *decrypter, struct bytes film, const char *path)
{
    FILE *out = fopen(path, "wb");
    assert(out != NULL);
    reelkey_status status = REELKEY_STATUS_OK;
    for (size_t at = 0; at < film.length && status == REELKEY_STATUS_OK; at += PIECE) {
        size_t piece = film.length - at < PIECE ? film.length - at : PIECE;
        status = reelkey_decrypter_feed(decrypter, film.at + at, piece);
        drain(decrypter, out);
    }
    if (status == REELKEY_STATUS_OK)
        status = reelkey_decrypter_finish(decrypter);
    drain(decrypter, out);
    fclose(out);
    if (is_decrypted(status))
        write_notes(decrypter, status, path);
    else
        say_why(decrypter, path);
    /* It is over, well or not. */
    assert(reelkey_decrypter_feed(decrypter, film.at, film.length) == REELKEY_STATUS_MISUSE);
}

static void place(reelkey_decrypter *decrypter, struct bytes film, const char *path)
{
    reelkey_status status = reelkey_decrypter_decrypt_in_place(decrypter, film.at, film.length);
    if (!is_decrypted(status)) {
        say_why(decrypter, path);
        return;
    }
    write_notes(decrypter, status, path);
    FILE *out = fopen(path, "wb");
    assert(out != NULL && fwrite(film.at, 1, film.length, out) == film.length);
    fclose(out);
}

static void misuse(void)
{
    uint8_t bytes[16] = { 0 };
    assert(reelkey_decrypter_add_key(NULL, bytes, bytes) == REELKEY_STATUS_MISUSE);
    assert(reelkey_decrypter_feed(NULL, bytes, 16) == REELKEY_STATUS_MISUSE);
    assert(reelkey_decrypter_read(NULL, bytes, 16) == 0);
    assert(reelkey_decrypter_error(NULL) == NULL);
    assert(reelkey_decrypter_note(NULL, 0) == NULL);
    assert(reelkey_decrypter_add_only_key(NULL, bytes) == REELKEY_STATUS_MISUSE);
    assert(reelkey_decrypter_leave_tracks_without_keys(NULL) == REELKEY_STATUS_MISUSE);
    reelkey_decrypter_free(NULL);
    reelkey_decrypter *decrypter = reelkey_decrypter_new();
    assert(reelkey_decrypter_error(decrypter) == NULL);
    assert(reelkey_decrypter_note(decrypter, 0) == NULL);
    assert(reelkey_decrypter_add_only_key(decrypter, NULL) == REELKEY_STATUS_MISUSE);
    assert(reelkey_decrypter_add_key(decrypter, NULL, bytes) == REELKEY_STATUS_MISUSE);
    assert(reelkey_decrypter_feed(decrypter, NULL, 16) == REELKEY_STATUS_MISUSE);
    assert(reelkey_decrypter_decrypt_in_place(decrypter, NULL, 16) == REELKEY_STATUS_MISUSE);
    assert(reelkey_decrypter_set_init(decrypter, bytes, 16) == REELKEY_STATUS_MEDIA);
    assert(reelkey_decrypter_finish(decrypter) == REELKEY_STATUS_MISUSE);
    reelkey_decrypter_free(decrypter);
}

int main(void)
{
    misuse();
    char line[4096];
    while (fgets(line, sizeof line, stdin) != NULL) {
        char *words[32];
        int count = 0;
        for (char *word = strtok(line, " \n"); word != NULL && count < 32; word = strtok(NULL, " \n"))
            words[count++] = word;
        assert(count >= 4);
        struct bytes film = load(words[0]);
        reelkey_decrypter *decrypter = prepare(words[1], words + 4, count - 4);
        stream(decrypter, film, words[2]);
        reelkey_decrypter_free(decrypter);
        decrypter = prepare(words[1], words + 4, count - 4);
        place(decrypter, film, words[3]);
        reelkey_decrypter_free(decrypter);
        free(film.at);
    }
    return 0;
}
