//! Bytes on their way to or from a registry or archive.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use oci::{Descriptor, Digest};

/// How much is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shown {
    /// Nothing.
    Nothing,
    /// A line for each blob that is through.
    Lines,
    /// A bar for each blob on its way.
    Bars,
}

/// Shows blobs as they pass.
pub(crate) struct Transfer {
    shown: Shown,
    bars: MultiProgress,
    blobs: Mutex<HashMap<Digest, ProgressBar>>,
}

impl Transfer {
    /// A display that has shown nothing yet.
    pub(crate) fn new(shown: Shown) -> Transfer {
        Transfer { shown, bars: MultiProgress::new(), blobs: Mutex::default() }
    }

    fn blobs(&self) -> MutexGuard<'_, HashMap<Digest, ProgressBar>> {
        self.blobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A blob got to `bytes`.
    pub(crate) fn moved(&self, blob: &Descriptor, bytes: u64) {
        if self.shown == Shown::Bars {
            let mut blobs = self.blobs();
            let bar = blobs.entry(blob.digest.clone()).or_insert_with(|| self.bar(blob));
            bar.set_position(bytes);
        }
    }

    /// A blob is through, in the given words: `pulled`, `exists`, `mounted`.
    pub(crate) fn ended(&self, blob: &Descriptor, how: &str) {
        if let Some(bar) = self.blobs().remove(&blob.digest) {
            bar.finish_and_clear();
        }
        let line = format!("{}: {how}", blob.digest.short());
        // A closed standard error is no reason to end a transfer.
        match self.shown {
            Shown::Nothing => {}
            Shown::Lines => anstream::eprintln!("{line}"),
            Shown::Bars => drop(self.bars.println(line)),
        }
    }

    fn bar(&self, blob: &Descriptor) -> ProgressBar {
        let template = "{prefix} [{bar:30}] {bytes}/{total_bytes} {bytes_per_sec}";
        let style = ProgressStyle::with_template(template)
            .unwrap_or_else(|_| ProgressStyle::default_bar())
            .progress_chars("=> ");
        let bar = self.bars.add(ProgressBar::new(blob.size).with_style(style));
        bar.set_prefix(blob.digest.short().to_owned());
        bar
    }
}
