//! Fetches of ADD: looked up by what can be known without the content, else made into a layer.

use std::path::Path;

use layerfs::{BuildSnapshot, Root};
use oci::DiffId;

use super::step::{Probe, Work};
use super::{Failure, Outcome, Session};
use crate::cache::CacheKey;
use crate::error::StepCause;
use crate::op::{Remote, RemoteUrl, remote};
use crate::progress::{Event, StepId};
use crate::remote::{GitSource, RemoteFile, redacted};

/// Something that is to be fetched.
pub(super) enum Fetch {
    /// The file that an answer begins to give.
    File(RemoteFile),
    /// The commit that a reference means.
    Commit(String),
}

impl Session<'_> {
    /// Looks whether what a fetch would bring is there.
    pub(super) fn probe_remote(&self, op: &Remote) -> Result<Probe, StepCause> {
        match op {
            Remote::File(file) => self.probe_file(file),
            Remote::Git(source) => self.probe_git(source),
        }
    }

    fn probe_file(&self, file: &RemoteUrl) -> Result<Probe, StepCause> {
        let by_checksum = remote::file_key_by_checksum(file);
        let known = |outcome: Outcome| {
            self.brought.file(file, &outcome);
            Probe::Known(outcome)
        };
        if let Some(outcome) = self.fetched(by_checksum)? {
            return Ok(known(outcome));
        }
        let answer = self.remotes.file(&file.url).map_err(fetch_failed(&file.url))?;
        let key = by_checksum.or_else(|| remote::file_key_by_validators(file, &answer));
        if by_checksum.is_none()
            && let Some(outcome) = self.fetched(key)?
        {
            return Ok(known(outcome));
        }
        Ok(Probe::Work(Work::fetch(key, Fetch::File(answer))))
    }

    fn probe_git(&self, source: &GitSource) -> Result<Probe, StepCause> {
        let commit = match &source.reference {
            Some(reference) if is_full_commit(reference) => reference.to_ascii_lowercase(),
            // Nothing else is asked for than this commit.
            None if source.commit.as_deref().is_some_and(is_full_commit) => {
                source.commit.clone().unwrap_or_default()
            }
            _ => self.remotes.commit(source).map_err(fetch_failed(&source.url))?,
        };
        if let Some(wanted) = &source.commit
            && !commit.starts_with(wanted.as_str())
        {
            let (url, wanted) = (redacted(&source.url), wanted.clone());
            return Err(StepCause::Checksum { url, found: commit, wanted });
        }
        self.brought.commit(source, &commit);
        let key = remote::git_key(source, &commit);
        match self.fetched(Some(key))? {
            Some(outcome) => Ok(Probe::Known(outcome)),
            None => Ok(Probe::Work(Work::fetch(Some(key), Fetch::Commit(commit)))),
        }
    }

    fn fetched(&self, key: Option<CacheKey>) -> Result<Option<Outcome>, StepCause> {
        match key {
            Some(key) => self.recorded(key, &Outcome::nothing()),
            None => Ok(None),
        }
    }

    /// Fetches into a layer of its own.
    pub(super) fn fetch(
        &self,
        step: StepId,
        op: &Remote,
        key: Option<CacheKey>,
        fetch: Fetch,
    ) -> Result<Outcome, Failure> {
        let bare = |cause| (cause, Vec::new());
        let snapshot = self.store.prepare(self.lease, &[]);
        let snapshot = snapshot.map_err(StepCause::store("make a layer")).map_err(bare)?;
        self.write_fetched(step, op, fetch, &snapshot).map_err(bare)?;
        let record = self.commit(snapshot, layerfs::DirectoryTimes::Keep, None).map_err(bare)?;
        if let Some(key) = key {
            self.record(key, &record).map_err(bare)?;
        }
        let outcome = Outcome::nothing().with(record);
        if let Remote::File(file) = op {
            self.brought.file(file, &outcome);
        }
        Ok(outcome)
    }

    fn write_fetched(
        &self,
        step: StepId,
        op: &Remote,
        fetch: Fetch,
        snapshot: &BuildSnapshot,
    ) -> Result<(), StepCause> {
        // The layer lies on nothing, so that its files can be written where they will stay.
        let into: &Path = &snapshot.active.direct;
        match (op, fetch) {
            (Remote::File(file), Fetch::File(answer)) => {
                let total = answer.size;
                let root = Root::open(into).map_err(StepCause::store("open the new layer"))?;
                let report = |current| self.event(Event::Progress { step, current, total });
                remote::download(file, answer, &root, self.cancel, &report)
            }
            (Remote::Git(source), Fetch::Commit(commit)) => self
                .remotes
                .checkout(source, &commit, into, self.cancel)
                .map_err(|error| match self.is_cancelled() {
                    true => StepCause::Cancelled,
                    false => fetch_failed(&source.url)(error),
                }),
            _ => unreachable!("a file is fetched as a file, and a commit as a commit"),
        }
    }
}

impl Outcome {
    /// An empty tree.
    pub(super) fn nothing() -> Outcome {
        let layers: [DiffId; 0] = [];
        Outcome { layers: layers.into(), created: [].into() }
    }
}

fn is_full_commit(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn fetch_failed(url: &str) -> impl Fn(oci::Error) -> StepCause + '_ {
    move |source| StepCause::Fetch { url: redacted(url), source: Box::new(source) }
}
