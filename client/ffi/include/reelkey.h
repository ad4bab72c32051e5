/*
 * Decrypts Common Encryption (ISO/IEC 23001-7) media in MP4. Made from client/ffi/src/lib.rs.
 *
 *     reelkey_decrypter *film = reelkey_decrypter_new();
 *     reelkey_decrypter_add_key(film, kid, key);
 *     while ((length = read(from, bytes, sizeof bytes)) > 0) {
 *         if (reelkey_decrypter_feed(film, bytes, length) != REELKEY_STATUS_OK)
 *             fail(reelkey_decrypter_error(film));
 *         while ((length = reelkey_decrypter_read(film, clear, sizeof clear)) > 0)
 *             write(to, clear, length);
 *     }
 *     ... reelkey_decrypter_finish(film), what is left to read ...
 *     reelkey_decrypter_free(film);
 *
 * `cargo build --release --package reelkey-client-ffi` makes libreelkey_c.a and libreelkey_c.so; tests/play.c is a
 * whole program. With `--no-default-features --target wasm32-unknown-unknown` it makes reelkey_c.wasm, with the same
 * functions for a web page; tests/play.mjs plays with those.
 */

#ifndef REELKEY_H
#define REELKEY_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

/*
 Whether a call did what it was asked for. `reelkey_decrypter_error` has the words.
 */
typedef enum {
  /*
   It did.
   */
  REELKEY_STATUS_OK = 0,
  /*
   An address was null, or the call came at the wrong time: keys and the initialization segment go first.
   */
  REELKEY_STATUS_MISUSE = 1,
  /*
   The media cannot be decrypted: it is damaged, or contradicts itself.
   */
  REELKEY_STATUS_MEDIA = 2,
  /*
   A key is missing; the words name its KID.
   */
  REELKEY_STATUS_MISSING_KEY = 3,
  /*
   Everything was decrypted and can be read, but a key does not seem to fit: `reelkey_decrypter_note` says which. The
   end of a stream and a decryption in place return it.
   */
  REELKEY_STATUS_WRONG_KEY = 4,
} reelkey_status;

/*
 Decrypts one file or stream.
 */
typedef struct reelkey_decrypter reelkey_decrypter;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/*
 A new decrypter without keys. `reelkey_decrypter_free` ends it.
 */
reelkey_decrypter *reelkey_decrypter_new(void);

/*
 Adds a key before anything is fed: 16 bytes each, as `default_KID` and AES have them. Both are copied, and the
 copy is zeroed in the end.

 # Safety
 `decrypter` came from `reelkey_decrypter_new` and is not freed; 16 bytes can be read at `kid` and at `key`.
 */
reelkey_status reelkey_decrypter_add_key(reelkey_decrypter *decrypter,
                                         const uint8_t *kid,
                                         const uint8_t *key);

/*
 Adds a key for all protected samples of the track with this ID, whatever their KID, before anything is fed. It goes before
 the keys of `reelkey_decrypter_add_key`. The key is copied, and the copy is zeroed in the end.

 # Safety
 `decrypter` came from `reelkey_decrypter_new` and is not freed; 16 bytes can be read at `key`.
 */
reelkey_status reelkey_decrypter_add_track_key(reelkey_decrypter *decrypter,
                                               uint32_t track_id,
                                               const uint8_t *key);

/*
 Adds a key for all protected samples, if the film has one KID, before anything is fed. A film with several is an error. The
 key is copied, and the copy is zeroed in the end.

 # Safety
 `decrypter` came from `reelkey_decrypter_new` and is not freed; 16 bytes can be read at `key`.
 */
reelkey_status reelkey_decrypter_add_only_key(reelkey_decrypter *decrypter,
                                              const uint8_t *key);

/*
 Leaves tracks encrypted for which there is no key, instead of returning `REELKEY_STATUS_MISSING_KEY`. It goes before
 anything is fed; `reelkey_decrypter_note` names the tracks in the end.

 # Safety
 `decrypter` came from `reelkey_decrypter_new` and is not freed.
 */
reelkey_status reelkey_decrypter_leave_tracks_without_keys(reelkey_decrypter *decrypter);

/*
 Takes the initialization segment of media segments that come without it, before anything is fed.

 # Safety
 `decrypter` came from `reelkey_decrypter_new` and is not freed; `length` bytes can be read at `bytes`.
 */
reelkey_status reelkey_decrypter_set_init(reelkey_decrypter *decrypter,
                                          const uint8_t *bytes,
                                          size_t length);

/*
 Takes the next bytes of a fragmented file or of media segments, as many as there are. What is clear by then waits
 for `reelkey_decrypter_read`.

 # Safety
 `decrypter` came from `reelkey_decrypter_new` and is not freed; `length` bytes can be read at `bytes`.
 */
reelkey_status reelkey_decrypter_feed(reelkey_decrypter *decrypter,
                                      const uint8_t *bytes,
                                      size_t length);

/*
 The stream is at its end. What is clear by then waits for `reelkey_decrypter_read`.

 # Safety
 `decrypter` came from `reelkey_decrypter_new` and is not freed.
 */
reelkey_status reelkey_decrypter_finish(reelkey_decrypter *decrypter);

/*
 Copies what is clear into `buffer`, at most `capacity` bytes, and answers how many that were; 0: there are none
 before more is fed.

 # Safety
 `decrypter` came from `reelkey_decrypter_new` and is not freed; `capacity` bytes can be written at `buffer`.
 */
size_t reelkey_decrypter_read(reelkey_decrypter *decrypter,
                              uint8_t *buffer,
                              size_t capacity);

/*
 Decrypts in place what is all there: a file with its `moov`, fragmented or not, or media segments after
 `reelkey_decrypter_set_init`. After an error nothing of it was changed. May be called for one segment after the
 other.

 # Safety
 `decrypter` came from `reelkey_decrypter_new` and is not freed; `length` bytes can be read and written at `bytes`,
 and nobody else does so during the call.
 */
reelkey_status reelkey_decrypter_decrypt_in_place(reelkey_decrypter *decrypter,
                                                  uint8_t *bytes,
                                                  size_t length);

/*
 The words of the last error, or null. They stay until the next call with this decrypter.

 # Safety
 `decrypter` came from `reelkey_decrypter_new` and is not freed.
 */
const char *reelkey_decrypter_error(const reelkey_decrypter *decrypter);

/*
 A sentence for a person about the film that was decrypted last: a key that does not seem to fit, a track that was left
 encrypted, a clear fragment in between. They are counted from 0; null behind the last one. They stay until the next film is
 decrypted or the decrypter is freed.

 # Safety
 `decrypter` came from `reelkey_decrypter_new` and is not freed.
 */
const char *reelkey_decrypter_note(const reelkey_decrypter *decrypter,
                                   size_t index);

/*
 Ends a decrypter and zeroes its keys. Null is nothing to end.

 # Safety
 `decrypter` is null, or came from `reelkey_decrypter_new` and is not freed. It is no decrypter afterwards.
 */
void reelkey_decrypter_free(reelkey_decrypter *decrypter);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* REELKEY_H */
