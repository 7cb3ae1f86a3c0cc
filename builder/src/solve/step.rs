//! One step: its key, a look into the cache, and its run.

use layerfs::{BuildSnapshot, DirectoryTimes, Root, View};

use super::{Failure, Outcome, Session};
use crate::cache::{CacheKey, KeyHasher, StepRecord};
use crate::error::StepCause;
use crate::graph::Graph;
use crate::op::copy::{self, Found};
use crate::op::{Copy, CopySource, Op, SourceTree, run, workdir};
use crate::progress::{Event, StepId};
use crate::select::{Selected, content_digest, select};
use crate::tree::FileTree;

/// What is known of a step before it runs.
pub(super) enum Probe {
    /// Its result.
    Known(Outcome),
    /// What there is to do.
    Work(Work),
}

/// A step that has to run.
pub(super) struct Work {
    key: CacheKey,
    /// For a copy whose sources were looked at for the key: what they came to.
    found: Option<Vec<Found>>,
}

impl Session<'_> {
    /// Computes a step's key and looks whether its result is there.
    pub(super) fn probe(
        &self,
        graph: &Graph,
        step: StepId,
        inputs: &[Outcome],
    ) -> Result<Probe, StepCause> {
        let vertex = graph.get(step);
        let below = inputs.first();
        let (key, found) = match (&vertex.op, below) {
            (Op::Base(base), _) => {
                self.say_if_present(graph, step)?;
                let layers = base.layers.clone().into();
                return Ok(Probe::Known(Outcome { layers, created: [].into() }));
            }
            (_, None) => unreachable!("every step but a base has a tree to change"),
            (Op::Run(op), Some(below)) => (run::key(op, &below.layers), None),
            (Op::Workdir(op), Some(below)) => (workdir::key(op, &below.layers), None),
            (Op::Copy(op), Some(below)) => {
                let (contents, found) = self.sources(op, graph, inputs)?;
                (copy::key(op, &below.layers, &contents), found)
            }
        };
        let below = below.expect("a base has returned");
        if let Some(outcome) = self.recorded(key, below)? {
            self.event(Event::Cached { step, name: &vertex.name });
            return Ok(Probe::Known(outcome));
        }
        Ok(Probe::Work(Work { key, found }))
    }

    /// A base image whose files are all there is a cached step. One whose files are not is
    /// reported when they are fetched, if ever.
    fn say_if_present(&self, graph: &Graph, step: StepId) -> Result<(), StepCause> {
        let vertex = graph.get(step);
        let Op::Base(base) = &vertex.op else { return Ok(()) };
        if vertex.name.is_empty() {
            return Ok(());
        }
        for layer in &base.layers {
            let there = self
                .store
                .layer(layer)
                .map_err(|source| StepCause::Store { operation: "look up layers", source })?;
            if there.is_none() {
                return Ok(());
            }
        }
        self.event(Event::Cached { step, name: &vertex.name });
        Ok(())
    }

    /// The content of what a copy reads: one digest per source that is no here-document; and the
    /// files, unless their digests were known without looking.
    fn sources(
        &self,
        op: &Copy,
        graph: &Graph,
        inputs: &[Outcome],
    ) -> Result<(Vec<CacheKey>, Option<Vec<Found>>), StepCause> {
        let known = self.known_digests(op, inputs)?;
        if let Some(contents) = known {
            return Ok((contents, None));
        }
        let found = self.find(op, graph, inputs)?;
        let mut contents = Vec::new();
        for (source, found) in op.sources.iter().zip(&found) {
            let (CopySource::Path { tree, pattern, written }, Found::Files { selected, .. }) =
                (source, found)
            else {
                continue;
            };
            contents.push(self.digest(*tree, pattern, written, selected, graph, inputs)?);
        }
        Ok((contents, Some(found)))
    }

    /// The digests of a copy that reads layers only, if they were all computed before.
    fn known_digests(
        &self,
        op: &Copy,
        inputs: &[Outcome],
    ) -> Result<Option<Vec<CacheKey>>, StepCause> {
        let mut contents = Vec::new();
        for source in &op.sources {
            match source {
                CopySource::Inline { .. } => {}
                CopySource::Path { tree: SourceTree::Context, .. } => return Ok(None),
                CopySource::Path { tree: SourceTree::Input(number), pattern, .. } => {
                    match self.recorded_digest(selection_key(&inputs[*number], pattern))? {
                        Some(digest) => contents.push(digest),
                        None => return Ok(None),
                    }
                }
            }
        }
        Ok(Some(contents))
    }

    fn find(&self, op: &Copy, graph: &Graph, inputs: &[Outcome]) -> Result<Vec<Found>, StepCause> {
        let mut found = Vec::new();
        for source in &op.sources {
            found.push(match source {
                CopySource::Inline { name, content } => {
                    Found::Inline { name: name.clone(), content: content.clone() }
                }
                CopySource::Path { tree, pattern, written } => {
                    let read = |files: &FileTree<'_>| select(files, pattern, written);
                    let selected = self.with_tree(*tree, written, graph, inputs, read)?;
                    Found::Files { tree: *tree, selected }
                }
            });
        }
        Ok(found)
    }

    fn digest(
        &self,
        tree: SourceTree,
        pattern: &str,
        written: &str,
        selected: &[Selected],
        graph: &Graph,
        inputs: &[Outcome],
    ) -> Result<CacheKey, StepCause> {
        let threads = self.hash_threads();
        match tree {
            SourceTree::Context => {
                let context = self.context.get(written)?;
                content_digest(&context.tree(), selected, Some(&*context), threads)
            }
            SourceTree::Input(number) => {
                let read = |files: &FileTree<'_>| content_digest(files, selected, None, threads);
                let digest = self.with_tree(tree, written, graph, inputs, read)?;
                self.record_digest(selection_key(&inputs[number], pattern), digest)?;
                Ok(digest)
            }
        }
    }

    fn with_tree<T>(
        &self,
        tree: SourceTree,
        written: &str,
        graph: &Graph,
        inputs: &[Outcome],
        read: impl FnOnce(&FileTree<'_>) -> Result<T, StepCause>,
    ) -> Result<T, StepCause> {
        match tree {
            SourceTree::Context => read(&self.context.get(written)?.tree()),
            SourceTree::Input(number) => {
                let view = self.view(&inputs[number], graph)?;
                read(&FileTree { root: &view.root, ignore: None })
            }
        }
    }

    fn view(&self, of: &Outcome, graph: &Graph) -> Result<View, StepCause> {
        self.ensure(&of.layers, graph)?;
        self.store
            .view(self.lease, &of.layers)
            .map_err(|source| StepCause::Store { operation: "put the layers together", source })
    }

    /// Runs a step and keeps its result.
    pub(super) fn execute(
        &self,
        graph: &Graph,
        step: StepId,
        inputs: &[Outcome],
        work: Work,
    ) -> Result<Outcome, Failure> {
        let bare = |cause| (cause, Vec::new());
        let below = inputs.first().expect("a step that runs has a tree to change");
        self.ensure(&below.layers, graph).map_err(bare)?;
        let prepared = self.store.prepare(self.lease, &below.layers);
        let snapshot = prepared
            .map_err(|source| StepCause::Store { operation: "put the layers together", source })
            .map_err(bare)?;
        let mut keep = true;
        let mut times = DirectoryTimes::Keep;
        match &graph.get(step).op {
            Op::Base(_) => {}
            Op::Run(op) => {
                let bench = run::Bench {
                    tree: &snapshot.active,
                    sandbox: &self.request.sandbox,
                    ids: self.ids,
                    cancel: self.cancel,
                    progress: self.progress,
                    step,
                };
                run::run(op, &bench)?;
            }
            Op::Workdir(op) => {
                workdir::run(op, &self.place(&snapshot.active.root)).map_err(bare)?;
            }
            Op::Copy(op) => {
                // What an archive does to directories is not watched entry by entry.
                times = if op.unpack { DirectoryTimes::Restore } else { DirectoryTimes::Keep };
                keep = self
                    .copy(op, graph, inputs, work.found, &snapshot.active.root)
                    .map_err(bare)?;
            }
        }
        let record = self.commit(snapshot, times).map_err(bare)?;
        if keep {
            self.record(work.key, &record).map_err(bare)?;
        }
        Ok(below.with(record))
    }

    fn copy(
        &self,
        op: &Copy,
        graph: &Graph,
        inputs: &[Outcome],
        found: Option<Vec<Found>>,
        into: &Root,
    ) -> Result<bool, StepCause> {
        let found = match found {
            Some(found) => found,
            None => self.find(op, graph, inputs)?,
        };
        let mut views: Vec<(usize, View)> = Vec::new();
        let mut context = None;
        for source in &op.sources {
            match source {
                CopySource::Path { tree: SourceTree::Input(number), .. }
                    if views.iter().all(|(known, _)| known != number) =>
                {
                    views.push((*number, self.view(&inputs[*number], graph)?));
                }
                CopySource::Path { tree: SourceTree::Context, written, .. } => {
                    context = Some(self.context.get(written)?);
                }
                _ => {}
            }
        }
        let trees = |tree: SourceTree| match tree {
            SourceTree::Context => context.as_ref().map(|context| context.tree()),
            SourceTree::Input(number) => views
                .iter()
                .find(|(known, _)| *known == number)
                .map(|(_, view)| FileTree { root: &view.root, ignore: None }),
        };
        let trees = |tree| trees(tree).expect("every tree of a source was opened");
        copy::run(op, &found, &trees, &self.place(into))
    }

    fn place<'r>(&'r self, into: &'r Root) -> copy::Place<'r> {
        copy::Place { into, ids: self.ids, cancel: self.cancel }
    }

    fn commit(
        &self,
        snapshot: BuildSnapshot,
        times: DirectoryTimes,
    ) -> Result<StepRecord, StepCause> {
        let committed = self.store.commit(self.lease, snapshot, times).map_err(|source| {
            StepCause::Store { operation: "make a layer of what changed", source }
        })?;
        Ok(StepRecord { layer: committed.layer.diff_id, created: self.created.clone() })
    }
}

/// What the digest of the files that `pattern` names in a tree is kept under.
fn selection_key(tree: &Outcome, pattern: &str) -> CacheKey {
    let mut hasher = KeyHasher::new("selection/1");
    hasher.layers(&tree.layers);
    hasher.text(pattern);
    hasher.finish()
}
