//! Leaves no secret behind on the stack.
//!
//! Keys are kept in heap buffers that are zeroed on drop. While a key is used, compilers and ciphers copy it into
//! their stack frames: spilled registers, the last blocks of a wide AES (seen with VAES on AVX-512), the padded key of
//! an HMAC. Such a frame is not erased when its function returns. A thread that then waits for its next request keeps
//! these bytes in memory. Which functions do this depends on the compiler, the profile and the CPU, so this module
//! assumes nothing about it: the work runs in frames below this one, and afterwards these frames are overwritten.
//!
//! Deliberately absent: the CPU's registers. Safe code cannot clear them. A secret stays in them only until other code
//! uses them (the overwriting itself uses the wide ones), or the kernel saves them in its own memory.

use std::cell::Cell;
use std::hint::black_box;

/// How many bytes below the caller's frame are overwritten. The work needs at most 11.9 kB in both profiles. The tests
/// measure it and require that it is at most half of this.
pub const OVERWRITTEN_BYTES: usize = 32 * 1024;

thread_local! {
    /// Whether this thread is in the work of [`on_clean_stack`].
    static IS_AT_WORK: Cell<bool> = const { Cell::new(false) };
}

/// Runs `work`, then overwrites the stack that it used, even if it panics. Inside of another work it runs `work` alone: the outer
/// one overwrites what both used. So many keys that are worked on one after the other cost one overwriting.
///
/// Everything that `work` captures or returns is in the caller's frame, which is not overwritten. So secrets must go
/// in and out behind a pointer: as a reference, or in a heap buffer that is zeroed on drop.
pub fn on_clean_stack<T>(work: impl FnOnce() -> T) -> T {
    if IS_AT_WORK.replace(true) {
        return work();
    }
    let _overwrite = Overwrite;
    apart(work)
}

/// Overwrites on drop, so it also runs while a panic unwinds.
struct Overwrite;

impl Drop for Overwrite {
    fn drop(&mut self) {
        IS_AT_WORK.set(false);
        #[cfg(test)]
        if tests::IS_MEASURED.get() {
            return;
        }
        overwrite();
    }
}

/// Calls `work` in a frame that begins where the frame of [`overwrite`] begins.
#[inline(never)]
fn apart<T>(work: impl FnOnce() -> T) -> T {
    // Without this, a tail call could replace the frame.
    black_box(work())
}

/// Fills its own frame with zeros.
#[inline(never)]
fn overwrite() {
    let mut frame = [0_u8; OVERWRITTEN_BYTES];
    // The compiler must assume that the array is read, so it cannot remove it.
    black_box(&mut frame);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, File};
    use std::os::unix::fs::FileExt;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use reelkey_client::exchange::device::DeviceKey;
    use reelkey_client::exchange::jwe::Parties;
    use reelkey_client::key::{ContentKey, KeyId};

    use crate::crypto::random::{self, SystemRng};
    use crate::crypto::root_key::RootKey;
    use crate::crypto::rsa::RsaPublicKey;
    use crate::crypto::sign::SigningKey;
    use crate::crypto::wrap::{Kek, Place};
    use crate::crypto::{cbc, key_wrap, plain_key, seal};

    thread_local! {
        /// Set while the depth of the stack is measured. Overwriting, which goes deeper, is then left out.
        pub(super) static IS_MEASURED: Cell<bool> = const { Cell::new(false) };
    }

    /// How many bytes of the stack the tests look at.
    const SEEN_BYTES: usize = 16 * OVERWRITTEN_BYTES;

    /// The byte with which the tests fill the stack.
    const PAINT: u8 = 0xa5;

    /// A view of this thread's stack below the frame of its owner.
    struct Below {
        memory: File,
        from: u64,
        bytes: Vec<u8>,
    }

    impl Below {
        /// The stack below `marker`, which is in the caller's frame.
        fn new(marker: &u8) -> Self {
            let top = std::ptr::from_ref(marker).addr();
            let memory = File::open("/proc/self/mem").unwrap();
            let from = u64::try_from(top - SEEN_BYTES).unwrap();
            Self { memory, from, bytes: vec![0; SEEN_BYTES] }
        }

        /// Reads the stack as it is. The call itself uses some hundred bytes of it.
        fn look(&mut self) -> &[u8] {
            self.memory.read_exact_at(&mut self.bytes, self.from).unwrap();
            &self.bytes
        }

        fn shows(&mut self, pattern: &[u8]) -> bool {
            self.look().windows(pattern.len()).any(|seen| seen == pattern)
        }
    }

    /// Fills the whole range that [`Below`] sees.
    #[inline(never)]
    fn paint() {
        black_box(&mut [PAINT; SEEN_BYTES + 4096]);
    }

    /// Leaves the pattern in a frame about `DEPTH` bytes down.
    #[inline(never)]
    fn plant<const DEPTH: usize>(pattern: &[u8]) {
        let above = [PAINT; DEPTH];
        black_box(&above);
        plant_here(pattern);
        black_box(&above);
    }

    #[inline(never)]
    fn plant_here(pattern: &[u8]) {
        let mut copy = [0; 32];
        copy.copy_from_slice(pattern);
        black_box(&mut copy);
    }

    /// A pattern that is nowhere else on the stack.
    fn pattern() -> Vec<u8> {
        let mut pattern = vec![0; 32];
        random::fill(&mut pattern).unwrap();
        pattern
    }

    /// Three quarters of the overwritten range: deeper than any work needs.
    const DEEP: usize = OVERWRITTEN_BYTES / 4 * 3;

    #[test]
    fn what_work_leaves_on_the_stack_is_overwritten() {
        let marker = 0;
        let mut below = Below::new(&marker);
        let pattern = pattern();
        paint();
        apart(|| plant::<DEEP>(&pattern));
        assert!(below.shows(&pattern), "a frame stays as it was when its function has returned");
        on_clean_stack(|| plant::<DEEP>(&pattern));
        assert!(!below.shows(&pattern), "the pattern stands on the stack");
        on_clean_stack(|| plant::<64>(&pattern));
        assert!(!below.shows(&pattern), "the pattern stands on the stack");
    }

    #[test]
    fn work_in_work_is_overwritten_once_when_the_outer_one_ends() {
        let marker = 0;
        let mut below = Below::new(&marker);
        let pattern = pattern();
        let inner = || on_clean_stack(|| plant::<DEEP>(&pattern));
        paint();
        on_clean_stack(|| (0..3).for_each(|_| inner()));
        assert!(!below.shows(&pattern), "the pattern stands on the stack");
        // Work that panicked is no work any more.
        let stopped = || on_clean_stack(|| std::panic::resume_unwind(Box::new("stopped")));
        catch_unwind(AssertUnwindSafe(|| on_clean_stack(stopped))).unwrap_err();
        inner();
        assert!(!below.shows(&pattern), "the pattern stands on the stack");
    }

    #[test]
    fn the_stack_is_overwritten_when_work_panics() {
        let marker = 0;
        let mut below = Below::new(&marker);
        let pattern = pattern();
        let work = || {
            plant::<DEEP>(&pattern);
            // `panic!` would print a message; this does not.
            std::panic::resume_unwind(Box::new("stopped"));
        };
        catch_unwind(AssertUnwindSafe(|| apart(work))).unwrap_err();
        assert!(below.shows(&pattern), "unwinding leaves the frame as it was");
        catch_unwind(AssertUnwindSafe(|| on_clean_stack(work))).unwrap_err();
        assert!(!below.shows(&pattern), "the pattern stands on the stack");
    }

    /// How many bytes of stack `work` uses, counted from the frame of [`on_clean_stack`].
    fn need(below: &mut Below, work: impl FnOnce()) -> usize {
        paint();
        IS_MEASURED.set(true);
        apart(work);
        IS_MEASURED.set(false);
        let untouched = below.look().iter().position(|byte| *byte != PAINT).unwrap();
        SEEN_BYTES - untouched
    }

    #[test]
    fn twice_of_what_every_work_needs_is_overwritten() {
        let marker = 0;
        let mut below = Below::new(&marker);
        let kek = Kek::generate(1).unwrap();
        let place = Place::new(&[7; 16], "key", &[1; 16], &[b"movies/x"]);
        let keys: Vec<_> = (0..256_usize)
            .map(|n| {
                let hex = format!("{n:032x}");
                (KeyId::from_bytes([1; 16]), ContentKey::parse_hex(&hex).unwrap())
            })
            .collect();
        let key = &keys[0].1;
        let wrapped = kek.wrap_content_key(&place, key).unwrap();
        let device = DeviceKey::generate(&mut SystemRng).unwrap().public_key();
        let parties = Parties { apu: b"reelkey", apv: &[2; 32] };
        let root = RootKey::generate().unwrap();
        let text = root.to_text();
        let wrapped_kek = root.to_kek().wrap_kek(&place, &kek).unwrap();
        let pkcs8 = SigningKey::generate_pkcs8().unwrap();
        let rsa = fs::read("tests/service/rsa-2048.pkcs8.der").unwrap();
        let rsa = rcgen::KeyPair::try_from(rsa).unwrap();
        let rsa =
            RsaPublicKey::parse(&rcgen::PublicKeyData::subject_public_key_info(&rsa)).unwrap();
        let mut needs = Vec::new();
        let mut measure = |name, work: &mut dyn FnMut()| {
            needs.push((name, need(&mut below, work)));
        };
        measure("nothing", &mut || {});
        measure("wrap", &mut || drop(kek.wrap_content_key(&place, key)));
        measure("unwrap", &mut || drop(kek.unwrap_content_key(&place, &wrapped)));
        measure("unwrap a KEK", &mut || drop(root.to_kek().unwrap_kek(&place, 1, &wrapped_kek)));
        measure("rewrap", &mut || drop(kek.rewrap(&kek, &place, &wrapped)));
        measure("wrap 16 KiB", &mut || drop(kek.wrap(&place, &[1; 16384])));
        measure("seal", &mut || drop(seal::seal(&keys, &device, parties)));
        measure("parse", &mut || drop(ContentKey::parse_hex("000102030405060708090a0b0c0d0e0f")));
        measure("print", &mut || drop(key.to_hex()));
        measure("parse a root key", &mut || drop(RootKey::parse(&text)));
        measure("check a root key", &mut || _ = black_box(root.check_value(&[1; 16])));
        measure("encrypt in CBC", &mut || drop(cbc::encrypt(&[1; 32], &[2; 16], &[3; 16])));
        measure("HMAC", &mut || _ = black_box(cbc::hmac_sha512(&[1; 64], &[2; 48])));
        measure("wrap as RFC 3394", &mut || drop(key_wrap::wrap(&[1; 32], &[3; 16])));
        measure("encrypt by RSA", &mut || drop(rsa.encrypt_oaep_sha1(&[3; 64])));
        measure("base64", &mut || drop(plain_key::from_base64(&plain_key::base64(key))));
        measure("open a signer", &mut || drop(SigningKey::from_pkcs8(&pkcs8)));
        measure("make a signer", &mut || drop(SigningKey::generate_pkcs8()));
        for (name, need) in &needs {
            assert!(need * 2 <= OVERWRITTEN_BYTES, "{name} needs {need} bytes: {needs:?}");
        }
    }
}
