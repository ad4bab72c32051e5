//! The client crate's decryption for programs in C, and for web pages: create, add keys, feed, read, finish, free.
//!
//! `include/reelkey.h` is made from this file. A decrypter belongs to one thread at a time. Every function takes a
//! null pointer for what it is, an error, and none of them keeps an address that it was given. Only the memory's
//! length is taken on the caller's word: C has no other.
//!
//! Deliberately absent: the license exchange, which a program in C has a JOSE library for, and files.

use std::ffi::{CString, c_char};
use std::ptr;
use std::slice;

use reelkey_client::cenc::notes::Note;
use reelkey_client::cenc::stream::append_to;
use reelkey_client::cenc::{Error, Init, Keys, Stream};
use reelkey_client::key::{ContentKey, KeyId};

/// Whether a call did what it was asked for. `reelkey_decrypter_error` has the words.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It did.
    Ok = 0,
    /// An address was null, or the call came at the wrong time: keys and the initialization segment go first.
    Misuse = 1,
    /// The media cannot be decrypted: it is damaged, or contradicts itself.
    Media = 2,
    /// A key is missing; the words name its KID.
    MissingKey = 3,
    /// Everything was decrypted and can be read, but a key does not seem to fit: `reelkey_decrypter_note` says which. The
    /// end of a stream and a decryption in place return it.
    WrongKey = 4,
}

/// Decrypts one file or stream.
pub struct Decrypter {
    state: State,
    /// Clear bytes. The first `read` of them were read already.
    clear: Vec<u8>,
    read: usize,
    /// The message of the last error.
    error: Option<CString>,
    /// What is worth saying of the film that was decrypted last.
    notes: Vec<CString>,
}

enum State {
    /// Nothing was fed yet.
    Fresh(Keys, Option<Init>),
    Streaming(Box<Stream>),
    /// The film is at its end, or an error was returned.
    Over,
}

impl Decrypter {
    fn begin(&mut self) {
        self.state = match std::mem::replace(&mut self.state, State::Over) {
            State::Fresh(keys, None) => State::Streaming(Box::new(Stream::new(keys))),
            State::Fresh(keys, Some(init)) => {
                State::Streaming(Box::new(Stream::with_init(keys, init)))
            }
            begun => begun,
        };
    }

    fn misuse(&mut self, what: &str) -> Status {
        self.error = CString::new(what).ok();
        Status::Misuse
    }

    /// Adds a key of 16 bytes.
    fn add(&mut self, key: &[u8], insert: impl FnOnce(&mut Keys, ContentKey)) -> Status {
        let Ok(key) = ContentKey::try_init(|own| {
            own.copy_from_slice(key);
            Ok::<_, std::convert::Infallible>(())
        });
        match &mut self.state {
            State::Fresh(keys, _) => {
                insert(keys, key);
                Status::Ok
            }
            _ => self.misuse("keys go before the first bytes"),
        }
    }

    /// Keeps what is worth saying of a film that was decrypted.
    fn note(&mut self, notes: &[Note]) -> Status {
        self.notes = notes.iter().filter_map(|note| CString::new(note.to_string()).ok()).collect();
        match notes.iter().any(|note| matches!(note, Note::WrongKey { .. })) {
            true => Status::WrongKey,
            false => Status::Ok,
        }
    }

    /// Turns a result into a status, and keeps the message of an error. After an error the decrypter is over.
    fn take<T>(&mut self, result: Result<T, Error>) -> Status {
        match result {
            Ok(_) => Status::Ok,
            Err(error) => {
                self.state = State::Over;
                self.error = CString::new(error.to_string()).ok();
                match error {
                    Error::MissingKey(_) => Status::MissingKey,
                    _ => Status::Media,
                }
            }
        }
    }
}

const OVER: &str = "nothing can be decrypted after an error or the end; take a new decrypter";

/// The memory that C says is there.
///
/// # Safety
/// `bytes` is null, or `length` bytes can be read there, and nothing writes to them while the result is used.
unsafe fn read<'a>(bytes: *const u8, length: usize) -> Option<&'a [u8]> {
    if length == 0 {
        return Some(&[]);
    }
    if bytes.is_null() || isize::try_from(length).is_err() {
        return None;
    }
    // SAFETY: not null and not longer than memory can be; the rest is this function's own condition.
    Some(unsafe { slice::from_raw_parts(bytes, length) })
}

/// A new decrypter without keys. `reelkey_decrypter_free` ends it.
#[unsafe(no_mangle)]
pub extern "C" fn reelkey_decrypter_new() -> *mut Decrypter {
    let state = State::Fresh(Keys::default(), None);
    Box::into_raw(Box::new(Decrypter {
        state,
        clear: Vec::new(),
        read: 0,
        error: None,
        notes: Vec::new(),
    }))
}

/// Adds a key before anything is fed: 16 bytes each, as `default_KID` and AES have them. Both are copied, and the
/// copy is zeroed in the end.
///
/// # Safety
/// `decrypter` came from `reelkey_decrypter_new` and is not freed; 16 bytes can be read at `kid` and at `key`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reelkey_decrypter_add_key(
    decrypter: *mut Decrypter,
    kid: *const u8,
    key: *const u8,
) -> Status {
    // SAFETY: it is null or what `new` made, of which C has the only address.
    let Some(this) = (unsafe { decrypter.as_mut() }) else { return Status::Misuse };
    // SAFETY: the caller promises 16 bytes.
    let kid = unsafe { read(kid, 16) };
    // SAFETY: as above.
    let key = unsafe { read(key, 16) };
    let (Some(kid), Some(key)) = (kid.and_then(<[u8]>::first_chunk), key) else {
        return this.misuse("a key and its KID are 16 bytes each");
    };
    this.add(key, |keys, key| keys.insert(KeyId::from_bytes(*kid), key))
}

/// Adds a key for all protected samples of the track with this ID, whatever their KID, before anything is fed. It goes before
/// the keys of `reelkey_decrypter_add_key`. The key is copied, and the copy is zeroed in the end.
///
/// # Safety
/// `decrypter` came from `reelkey_decrypter_new` and is not freed; 16 bytes can be read at `key`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reelkey_decrypter_add_track_key(
    decrypter: *mut Decrypter,
    track_id: u32,
    key: *const u8,
) -> Status {
    // SAFETY: it is null or what `new` made, of which C has the only address.
    let Some(this) = (unsafe { decrypter.as_mut() }) else { return Status::Misuse };
    // SAFETY: the caller promises 16 bytes.
    let Some(key) = (unsafe { read(key, 16) }) else {
        return this.misuse("a key is 16 bytes");
    };
    this.add(key, |keys, key| keys.insert_for_track(track_id, key))
}

/// Adds a key for all protected samples, if the film has one KID, before anything is fed. A film with several is an error. The
/// key is copied, and the copy is zeroed in the end.
///
/// # Safety
/// `decrypter` came from `reelkey_decrypter_new` and is not freed; 16 bytes can be read at `key`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reelkey_decrypter_add_only_key(
    decrypter: *mut Decrypter,
    key: *const u8,
) -> Status {
    // SAFETY: it is null or what `new` made, of which C has the only address.
    let Some(this) = (unsafe { decrypter.as_mut() }) else { return Status::Misuse };
    // SAFETY: the caller promises 16 bytes.
    let Some(key) = (unsafe { read(key, 16) }) else {
        return this.misuse("a key is 16 bytes");
    };
    this.add(key, Keys::insert_only)
}

/// Leaves tracks encrypted for which there is no key, instead of returning `REELKEY_STATUS_MISSING_KEY`. It goes before
/// anything is fed; `reelkey_decrypter_note` names the tracks in the end.
///
/// # Safety
/// `decrypter` came from `reelkey_decrypter_new` and is not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reelkey_decrypter_leave_tracks_without_keys(
    decrypter: *mut Decrypter,
) -> Status {
    // SAFETY: it is null or what `new` made, of which C has the only address.
    let Some(this) = (unsafe { decrypter.as_mut() }) else { return Status::Misuse };
    match &mut this.state {
        State::Fresh(keys, _) => {
            keys.leave_tracks_without_keys();
            Status::Ok
        }
        _ => this.misuse("what becomes of tracks without keys is said before the first bytes"),
    }
}

/// Takes the initialization segment of media segments that come without it, before anything is fed.
///
/// # Safety
/// `decrypter` came from `reelkey_decrypter_new` and is not freed; `length` bytes can be read at `bytes`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reelkey_decrypter_set_init(
    decrypter: *mut Decrypter,
    bytes: *const u8,
    length: usize,
) -> Status {
    // SAFETY: it is null or what `new` made, of which C has the only address.
    let Some(this) = (unsafe { decrypter.as_mut() }) else { return Status::Misuse };
    // SAFETY: the caller promises so many bytes.
    let Some(bytes) = (unsafe { read(bytes, length) }) else {
        return this.misuse("the initialization segment is at no address");
    };
    let State::Fresh(_, init) = &mut this.state else {
        return this.misuse("the initialization segment goes before the first bytes");
    };
    match Init::parse(bytes) {
        Ok(parsed) => {
            *init = Some(parsed);
            Status::Ok
        }
        Err(error) => this.take::<()>(Err(error.into())),
    }
}

/// Takes the next bytes of a fragmented file or of media segments, as many as there are. What is clear by then waits
/// for `reelkey_decrypter_read`.
///
/// # Safety
/// `decrypter` came from `reelkey_decrypter_new` and is not freed; `length` bytes can be read at `bytes`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reelkey_decrypter_feed(
    decrypter: *mut Decrypter,
    bytes: *const u8,
    length: usize,
) -> Status {
    // SAFETY: it is null or what `new` made, of which C has the only address.
    let Some(this) = (unsafe { decrypter.as_mut() }) else { return Status::Misuse };
    // SAFETY: the caller promises so many bytes.
    let Some(bytes) = (unsafe { read(bytes, length) }) else {
        return this.misuse("the bytes to feed are at no address");
    };
    this.begin();
    let State::Streaming(stream) = &mut this.state else { return this.misuse(OVER) };
    this.clear.drain(..this.read);
    this.read = 0;
    let fed = stream.push(bytes, append_to(&mut this.clear));
    this.take(fed.map_err(Error::from))
}

/// The stream is at its end. What is clear by then waits for `reelkey_decrypter_read`.
///
/// # Safety
/// `decrypter` came from `reelkey_decrypter_new` and is not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reelkey_decrypter_finish(decrypter: *mut Decrypter) -> Status {
    // SAFETY: it is null or what `new` made, of which C has the only address.
    let Some(this) = (unsafe { decrypter.as_mut() }) else { return Status::Misuse };
    this.begin();
    let State::Streaming(mut stream) = std::mem::replace(&mut this.state, State::Over) else {
        return this.misuse(OVER);
    };
    let finished = stream.finish(append_to(&mut this.clear));
    match this.take(finished.map_err(Error::from)) {
        Status::Ok => this.note(&stream.notes()),
        failed => failed,
    }
}

/// Copies what is clear into `buffer`, at most `capacity` bytes, and answers how many that were; 0: there are none
/// before more is fed.
///
/// # Safety
/// `decrypter` came from `reelkey_decrypter_new` and is not freed; `capacity` bytes can be written at `buffer`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reelkey_decrypter_read(
    decrypter: *mut Decrypter,
    buffer: *mut u8,
    capacity: usize,
) -> usize {
    // SAFETY: it is null or what `new` made, of which C has the only address.
    let Some(this) = (unsafe { decrypter.as_mut() }) else { return 0 };
    if buffer.is_null() {
        return 0;
    }
    let waiting = this.clear.get(this.read..).unwrap_or_default();
    let length = waiting.len().min(capacity);
    // SAFETY: so many bytes are waiting, the caller promises room for them, and our memory is not the caller's.
    unsafe { ptr::copy_nonoverlapping(waiting.as_ptr(), buffer, length) };
    this.read += length;
    if this.read == this.clear.len() {
        this.clear.clear();
        this.read = 0;
    }
    length
}

/// Decrypts in place what is all there: a file with its `moov`, fragmented or not, or media segments after
/// `reelkey_decrypter_set_init`. After an error nothing of it was changed. May be called for one segment after the
/// other.
///
/// # Safety
/// `decrypter` came from `reelkey_decrypter_new` and is not freed; `length` bytes can be read and written at `bytes`,
/// and nobody else does so during the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reelkey_decrypter_decrypt_in_place(
    decrypter: *mut Decrypter,
    bytes: *mut u8,
    length: usize,
) -> Status {
    // SAFETY: it is null or what `new` made, of which C has the only address.
    let Some(this) = (unsafe { decrypter.as_mut() }) else { return Status::Misuse };
    if bytes.is_null() || isize::try_from(length).is_err() {
        return this.misuse("the bytes to decrypt are at no address");
    }
    // SAFETY: not null and not longer than memory can be; the caller promises the rest.
    let bytes = unsafe { slice::from_raw_parts_mut(bytes, length) };
    let State::Fresh(keys, init) = &this.state else { return this.misuse(OVER) };
    let decrypted = match init {
        Some(init) => init.plan(bytes).and_then(|plan| plan.decrypt(keys, bytes)),
        None => reelkey_client::cenc::decrypt_file(keys, bytes),
    };
    match decrypted {
        Ok(notes) => this.note(&notes),
        // One segment's error is not another's.
        Err(error) => {
            let state = std::mem::replace(&mut this.state, State::Over);
            let status = this.take::<()>(Err(error));
            this.state = state;
            status
        }
    }
}

/// The words of the last error, or null. They stay until the next call with this decrypter.
///
/// # Safety
/// `decrypter` came from `reelkey_decrypter_new` and is not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reelkey_decrypter_error(decrypter: *const Decrypter) -> *const c_char {
    // SAFETY: it is null or what `new` made, of which C has the only address.
    let this = unsafe { decrypter.as_ref() };
    this.and_then(|this| this.error.as_ref()).map_or(ptr::null(), |words| words.as_ptr())
}

/// A sentence for a person about the film that was decrypted last: a key that does not seem to fit, a track that was left
/// encrypted, a clear fragment in between. They are counted from 0; null behind the last one. They stay until the next film is
/// decrypted or the decrypter is freed.
///
/// # Safety
/// `decrypter` came from `reelkey_decrypter_new` and is not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reelkey_decrypter_note(
    decrypter: *const Decrypter,
    index: usize,
) -> *const c_char {
    // SAFETY: it is null or what `new` made, of which C has the only address.
    let this = unsafe { decrypter.as_ref() };
    this.and_then(|this| this.notes.get(index)).map_or(ptr::null(), |words| words.as_ptr())
}

/// Ends a decrypter and zeroes its keys. Null is nothing to end.
///
/// # Safety
/// `decrypter` is null, or came from `reelkey_decrypter_new` and is not freed. It is no decrypter afterwards.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reelkey_decrypter_free(decrypter: *mut Decrypter) {
    if !decrypter.is_null() {
        // SAFETY: not null, so `new` made it by `Box::into_raw`, and the caller gives it up.
        drop(unsafe { Box::from_raw(decrypter) });
    }
}
