//! Many files at once: the media segments of one initialization segment, or films of their own. Each is written under its
//! own name into one folder.
//!
//! Deliberately absent: reading playlists and manifests.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use reelkey_client::cenc::{Init, Keys};

use crate::cli::aside::AsideFile;
use crate::cli::decrypt::next_step::with_next_step;
use crate::cli::decrypt::report::{Done, progress_of_files};
use crate::cli::decrypt::to_output::{Target, read_init, refuse_same_file};
use crate::cli::source::is_standard;
use crate::cli::terminal::output::Failure;

/// Files that are decrypted into one folder.
pub(super) struct Segments<'a> {
    /// The initialization segment of all of them; `None`: each has its own.
    pub(super) init: Option<&'a Path>,
    pub(super) inputs: &'a [PathBuf],
    pub(super) folder: &'a Path,
    pub(super) overwrite: bool,
    /// Whether what is whole of a film that breaks off is kept.
    pub(super) is_partial: bool,
    /// How many files are decrypted at once.
    pub(super) jobs: NonZeroUsize,
}

/// Replaces names with `*`, `?` or `[` by the files that they fit, in the order of their names. A file of that very name goes
/// first.
///
/// # Errors
/// [`Failure`] if no file fits, or the name is no pattern.
pub(super) fn expand(inputs: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    let mut files = Vec::new();
    for input in inputs {
        let pattern = input.to_str().filter(|name| name.contains(['*', '?', '[']));
        let Some(pattern) = pattern.filter(|_| !input.exists()) else {
            files.push(input.clone());
            continue;
        };
        let during = |error: Failure| error.during(input.display());
        let found = glob::glob(pattern).map_err(|error| during(error.into()))?;
        let before = files.len();
        for file in found {
            files.push(file.map_err(|error| during(error.into()))?);
        }
        if files.len() == before {
            return Err(during(Failure::new("no file fits")));
        }
    }
    Ok(files)
}

impl Segments<'_> {
    /// Decrypts all of them. The first failure ends the work, files that are done stay.
    ///
    /// # Errors
    /// [`Failure`].
    pub(super) fn decrypt(&self, keys: &Keys) -> Result<Done, Failure> {
        let outputs = self.outputs()?;
        fs::create_dir_all(self.folder)
            .map_err(|error| Failure::from(error).during(self.folder.display()))?;
        let mut all = Done::default();
        let init = match self.init {
            None => None,
            Some(path) => Some(self.write_init(keys, path, &mut all)?),
        };
        let (next, bar) = (AtomicUsize::new(0), progress_of_files(outputs.len()));
        let all = Mutex::new(all);
        let job = || {
            while let Some((input, output)) = outputs.get(next.fetch_add(1, Ordering::Relaxed)) {
                let done = self.decrypt_one(keys, init.as_ref(), input, output);
                let done = done.map_err(|error| {
                    next.store(outputs.len(), Ordering::Relaxed);
                    with_next_step(error, self.init).during(input.display())
                })?;
                all.lock().unwrap_or_else(PoisonError::into_inner).add(done);
                bar.inc(1);
            }
            Ok(())
        };
        let ended: Result<(), Failure> = thread::scope(|scope| {
            let jobs = self.jobs.get().min(outputs.len());
            let jobs: Vec<_> = (0..jobs).map(|_| scope.spawn(job)).collect();
            let ended: Vec<_> = jobs.into_iter().map(thread::ScopedJoinHandle::join).collect();
            let early = |_| Err(Failure::new("a job ended early"));
            ended.into_iter().try_for_each(|ended| ended.unwrap_or_else(early))
        });
        bar.finish_and_clear();
        ended?;
        Ok(all.into_inner().unwrap_or_else(PoisonError::into_inner))
    }

    /// Each input with its output. Everything that is wrong with names is found before the first file is written.
    fn outputs(&self) -> Result<Vec<(&Path, PathBuf)>, Failure> {
        let mut names = BTreeMap::new();
        let mut outputs = Vec::new();
        let init = self.init.filter(|init| !self.inputs.iter().any(|input| input == init));
        for input in self.inputs.iter().map(PathBuf::as_path).chain(init) {
            let name = input.file_name().filter(|_| !is_standard(input));
            let Some(name) = name else {
                let what = "only files with names can be decrypted into a folder";
                return Err(Failure::new(what).during(input.display()));
            };
            if let Some(other) = names.insert(name, input) {
                let what = format_args!("{} has the same name", other.display());
                return Err(Failure::new(what)
                    .during(input.display())
                    .remedy("decrypt them into different folders"));
            }
            let output = self.folder.join(name);
            refuse_same_file(input, &output)?;
            if Some(input) != self.init {
                outputs.push((input, output));
            }
        }
        Ok(outputs)
    }

    /// Writes the initialization segment as a clear one, and returns what it says.
    fn write_init(&self, keys: &Keys, path: &Path, done: &mut Done) -> Result<Init, Failure> {
        let (init, clear) = read_init(keys, path, done)?;
        let output = self.folder.join(path.file_name().unwrap_or_default());
        let mut file = AsideFile::create_public(&output, self.overwrite)?;
        file.write_all(&clear).map_err(|error| Failure::from(error).during(output.display()))?;
        file.finish(false)?;
        done.bytes = done.bytes.saturating_add(u64::try_from(clear.len()).unwrap_or(u64::MAX));
        Ok(init)
    }

    fn decrypt_one(
        &self,
        keys: &Keys,
        init: Option<&Init>,
        input: &Path,
        output: &Path,
    ) -> Result<Done, Failure> {
        let mut target = Target::file(output, self.overwrite, self.is_partial)?;
        let done = target.fill(keys, init, input, NonZeroUsize::MIN)?;
        target.finish()?;
        Ok(done)
    }
}
