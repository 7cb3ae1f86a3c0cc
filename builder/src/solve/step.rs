//! One step: its key, a look into the cache, and its run.

use std::sync::Arc;

use layerfs::{BuildSnapshot, DirectoryTimes, IdMode, Root, Timestamp, View};

use super::remote::Fetch;
use super::{Failure, Outcome, Session};
use crate::cache::{CacheKey, KeyHasher, StepRecord};
use crate::context::Context;
use crate::error::StepCause;
use crate::graph::Graph;
use crate::op::copy::{self, Found};
use crate::op::{Copy, CopySource, Op, SourceTree, Take, run, workdir};
use crate::progress::{Event, StepId};
use crate::select::{DigestIndex, Wanted, content_digest, select};
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
    /// What the result is kept under; none for what cannot be known again.
    key: Option<CacheKey>,
    /// For a fetch: what comes.
    fetch: Option<Fetch>,
    /// For a copy whose sources were looked at for the key: those.
    sources: Option<Sources>,
}

impl Work {
    /// Something that is to be fetched.
    pub(super) fn fetch(key: Option<CacheKey>, fetch: Fetch) -> Work {
        Work { key, fetch: Some(fetch), sources: None }
    }
}

/// What a copy reads.
pub(super) struct Sources {
    pub(super) context: Option<Arc<Context>>,
    /// The trees of stages and images, by the number of the input.
    views: Vec<(usize, View)>,
    /// What is copied, in the order of the instruction.
    pub(super) found: Vec<Found>,
    ids: IdMode,
    threads: usize,
}

impl Sources {
    fn has(&self, input: usize) -> bool {
        self.views.iter().any(|(known, _)| *known == input)
    }

    fn tree(&self, tree: SourceTree) -> FileTree<'_> {
        let opened = match tree {
            SourceTree::Context(_) => self.context.as_ref().map(|context| context.tree()),
            SourceTree::Input(number) => {
                self.views.iter().find(|(known, _)| *known == number).map(|(_, view)| FileTree {
                    root: &view.root,
                    ignore: None,
                    ids: self.ids,
                    threads: self.threads,
                })
            }
        };
        opened.expect("a tree is opened before it is read")
    }
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
        let (key, sources) = match (&vertex.op, below) {
            (Op::Base(base), _) => {
                self.say_if_present(graph, step)?;
                let layers = base.layers.clone().into();
                return Ok(Probe::Known(Outcome { layers, created: [].into() }));
            }
            (Op::Remote(op), _) => {
                let probe = self.probe_remote(op)?;
                if let Probe::Known(_) = probe {
                    self.event(Event::Cached { step, name: &vertex.name });
                }
                return Ok(probe);
            }
            (Op::Stack, Some(below)) => return Ok(Probe::Known(below.under(&inputs[1]))),
            (_, None) => unreachable!("every other step has a tree to change"),
            (Op::Run(op), Some(below)) => {
                let contents = self.mounted_content(op, graph, inputs)?;
                (run::key(op, &below.layers, &contents), None)
            }
            (Op::Workdir(op), Some(below)) => (workdir::key(op, &below.layers), None),
            (Op::Copy(op), Some(below)) => {
                let (contents, sources) = self.sources(op, graph, inputs)?;
                (copy::key(op, &below.layers, &contents), sources)
            }
        };
        let below = below.expect("a base has returned");
        if !graph.runs_anew(step)
            && let Some(outcome) = self.recorded(key, below)?
        {
            self.event(Event::Cached { step, name: &vertex.name });
            return Ok(Probe::Known(outcome));
        }
        Ok(Probe::Work(Work { key: Some(key), fetch: None, sources }))
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
            let there = self.store.layer(layer).map_err(StepCause::store("look up layers"))?;
            if there.is_none() {
                return Ok(());
            }
        }
        self.event(Event::Cached { step, name: &vertex.name });
        Ok(())
    }

    /// The content of what a copy reads: one digest per source that is no here-document; and the
    /// files, unless their digests were known without looking.
    pub(super) fn sources(
        &self,
        op: &Copy,
        graph: &Graph,
        inputs: &[Outcome],
    ) -> Result<(Vec<CacheKey>, Option<Sources>), StepCause> {
        if let Some(contents) = self.known_digests(op, inputs)? {
            return Ok((contents, None));
        }
        let mut sources = self.find(op, graph, inputs)?;
        let mut contents = Vec::new();
        let mut all = std::mem::take(&mut sources.found);
        for (source, found) in op.sources.iter().zip(&mut all) {
            let (Some(wanted), Found::Files { tree, selected, .. }) =
                (Wanted::of(op, source), found)
            else {
                continue;
            };
            let files = sources.tree(*tree);
            let is_context = matches!(tree, SourceTree::Context(_));
            let index = sources.context.as_deref().filter(|_| is_context);
            let index = index.map(|context| context as &dyn DigestIndex);
            let digest = {
                // One after the other: each uses all threads, and finds what the one before read.
                let _alone = index.map(|_| self.contexts.hashing());
                content_digest(&files, selected, index, self.parallelism())?
            };
            if let SourceTree::Input(number) = tree {
                self.record_digest(selection_key(&inputs[*number], &wanted), digest)?;
            }
            contents.push(digest);
        }
        sources.found = all;
        Ok((contents, Some(sources)))
    }

    /// The digests of a copy that reads layers only, if they were all computed before.
    fn known_digests(
        &self,
        op: &Copy,
        inputs: &[Outcome],
    ) -> Result<Option<Vec<CacheKey>>, StepCause> {
        let mut contents = Vec::new();
        for source in &op.sources {
            let (Some(wanted), CopySource::Path { tree, .. }) = (Wanted::of(op, source), source)
            else {
                continue;
            };
            let SourceTree::Input(number) = tree else { return Ok(None) };
            match self.recorded_digest(selection_key(&inputs[*number], &wanted))? {
                Some(digest) => contents.push(digest),
                None => return Ok(None),
            }
        }
        Ok(Some(contents))
    }

    /// Opens what a copy reads, and finds in it what is copied.
    fn find(&self, op: &Copy, graph: &Graph, inputs: &[Outcome]) -> Result<Sources, StepCause> {
        let mut sources = Sources {
            context: None,
            views: Vec::new(),
            found: Vec::new(),
            ids: self.ids,
            threads: self.parallelism(),
        };
        for source in &op.sources {
            let found = match source {
                CopySource::Inline { name, content } => {
                    Found::Inline { name: name.clone(), content: content.clone() }
                }
                CopySource::Path { tree, take, pattern, written, unpack, .. } => {
                    let excludes = &op.excludes;
                    let wanted = Wanted { take, pattern, written, excludes };
                    match tree {
                        SourceTree::Context(id) => {
                            sources.context = Some(self.contexts.get(*id, written)?);
                        }
                        SourceTree::Input(number) if !sources.has(*number) => {
                            let view = self.view(&inputs[*number], graph)?;
                            sources.views.push((*number, view));
                        }
                        SourceTree::Input(_) => {}
                    }
                    let selected = select(&sources.tree(*tree), &wanted)?;
                    Found::Files { tree: *tree, selected, unpack: *unpack }
                }
            };
            sources.found.push(found);
        }
        Ok(sources)
    }

    pub(super) fn view(&self, of: &Outcome, graph: &Graph) -> Result<View, StepCause> {
        self.ensure(&of.layers, graph)?;
        self.store.view(self.lease, &of.layers).map_err(StepCause::store("put the layers together"))
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
        if let (Op::Remote(op), Some(fetch)) = (&graph.get(step).op, work.fetch) {
            return self.fetch(step, op, work.key, fetch);
        }
        let below = inputs.first().expect("a step that runs has a tree to change");
        self.ensure(&below.layers, graph).map_err(bare)?;
        let prepared = self.store.prepare(self.lease, &below.layers);
        let snapshot =
            prepared.map_err(StepCause::store("put the layers together")).map_err(bare)?;
        let (mut keep, mut before) = (true, None);
        let mut times = DirectoryTimes::Keep;
        match &graph.get(step).op {
            Op::Base(_) | Op::Remote(_) | Op::Stack => {}
            Op::Run(op) => {
                let bench = run::Bench {
                    tree: &snapshot.active,
                    sandbox: &self.request.sandbox,
                    grants: &self.request.grants,
                    ids: self.ids,
                    cancel: self.cancel,
                    progress: self.progress,
                    step,
                };
                let mut opened = self.open_mounts(op, graph, inputs, &bench).map_err(bare)?;
                let mounts = std::mem::take(&mut opened.mounts);
                let ran = run::run(op, mounts, &bench);
                opened.close(self);
                ran?;
            }
            Op::Workdir(op) => {
                workdir::run(op, &self.place(&snapshot.active.root, None)).map_err(bare)?;
            }
            Op::Copy(op) => {
                // What an archive does to directories is not watched entry by entry.
                times = if op.unpacks() { DirectoryTimes::Restore } else { DirectoryTimes::Keep };
                let sources = match work.sources {
                    Some(sources) => sources,
                    None => self.find(op, graph, inputs).map_err(bare)?,
                };
                let upper = Root::open(&snapshot.active.direct);
                let upper = upper.map_err(StepCause::store("open the new layer")).map_err(bare)?;
                before = self.copied_before(op, &sources, &snapshot);
                let earlier = before.and_then(|key| self.earlier(key));
                let mut place = self.place(&snapshot.active.root, Some(&upper));
                place.earlier = earlier.as_ref();
                let trees = |tree| sources.tree(tree);
                let copied = copy::run(op, &sources.found, &trees, &place).map_err(bare)?;
                keep = copied.unchanged;
                if before.is_some() && keep {
                    let kept = snapshot.keep_contents(&copied.contents);
                    kept.map_err(StepCause::store("note what was copied")).map_err(bare)?;
                }
            }
        }
        let latest = latest(&graph.get(step).op).map(Timestamp::at);
        let record = self.commit(snapshot, times, latest).map_err(bare)?;
        if !keep {
            return Ok(below.with(record));
        }
        if let Some(before) = before {
            self.keep_copied(before, &record.layer).map_err(bare)?;
        }
        let Some(key) = work.key else { return Ok(below.with(record)) };
        if is_pure(&graph.get(step).op)
            && let Some(before) = self.lookup(key).map_err(bare)?
        {
            return Ok(below.with(before));
        }
        self.record(key, &record).map_err(bare)?;
        Ok(below.with(record))
    }

    pub(super) fn place<'r>(&'r self, into: &'r Root, upper: Option<&'r Root>) -> copy::Place<'r> {
        let threads = self.parallelism();
        let (earlier, ids, cancel) = (None, self.ids, self.cancel);
        copy::Place { into, upper, earlier, threads, ids, cancel }
    }

    pub(super) fn commit(
        &self,
        snapshot: BuildSnapshot,
        times: DirectoryTimes,
        latest: Option<Timestamp>,
    ) -> Result<StepRecord, StepCause> {
        let committed = self
            .store
            .commit(self.lease, snapshot, times, latest)
            .map_err(StepCause::store("make a layer of what changed"))?;
        Ok(StepRecord { layer: committed.layer.diff_id, created: self.created.clone() })
    }
}

/// Whether a step's key says all about its result but the times of the sources. Such a step gives
/// the layer that it gave before, here or in a build beside this one, so that a new checkout of
/// the same files, which has other times, makes the same image.
fn is_pure(op: &Op) -> bool {
    matches!(op, Op::Copy(_) | Op::Workdir(_))
}

/// The latest time that files of the step's layer may have, if there is one. What copies make has
/// its times already, but for archives.
fn latest(op: &Op) -> Option<i64> {
    match op {
        Op::Base(_) | Op::Remote(_) | Op::Workdir(_) | Op::Stack => None,
        Op::Run(op) => op.times.latest,
        Op::Copy(op) => op.times.latest.filter(|_| op.unpacks()),
    }
}

/// What the digest of the files that a source names in a tree is kept under.
pub(super) fn selection_key(tree: &Outcome, wanted: &Wanted<'_>) -> CacheKey {
    let mut hasher = KeyHasher::new("selection/2");
    hasher.layers(&tree.layers);
    match wanted.take {
        Take::Matches => hasher.text("matches"),
        Take::Itself => hasher.text("itself"),
        Take::Below(includes) => {
            hasher.text("below");
            hasher.text(&includes.text);
        }
    }
    hasher.text(wanted.pattern);
    hasher.texts(wanted.excludes.texts.iter().map(String::as_str));
    hasher.finish()
}
