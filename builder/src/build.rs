//! A build from its request to its image.

use layerfs::{IdMode, Lease, NewImage, Store};
use oci::{Descriptor, DiffId, ImageConfig, Raw};

use crate::assemble::assemble;
use crate::cancel::Cancel;
use crate::check::{Finding, Reach, Remembered, check_parsed};
use crate::context::Contexts;
use crate::diagnostic::Diagnostic;
use crate::dockerignore::Ignore;
use crate::error::BuildError;
use crate::graph::{Graph, Vertex};
use crate::images::BaseImages;
use crate::layers::BaseLayers;
use crate::lower::{Lowered, certain_errors, lower};
use crate::op::{Base, Op};
use crate::progress::{Event, Progress, StepId};
use crate::provenance::{self, Provenance};
use crate::remote::Remotes;
use crate::request::BuildRequest;
use crate::shared_cache::{CacheImage, CacheRecords, SharedCache};
use crate::solve::{Brought, Outcome, Session, solve};
use crate::stage::{MOST_ERRORS, Parsed, parse};
use crate::syntax::Span;

/// How often a build is begun again because somebody removed, while it ran, a layer that it had
/// found.
const ATTEMPTS: usize = 3;

/// Builds images in a store.
pub struct Builder<'a> {
    /// Where layers, results and images are kept.
    pub store: &'a Store,
    /// Keeps what the build needs from being removed; it must outlive what is done with the
    /// result.
    pub lease: &'a Lease,
    /// Where base images come from.
    pub images: &'a dyn BaseImages,
    /// Where ADD fetches files from.
    pub remotes: &'a dyn Remotes,
    /// Who is told what happens.
    pub progress: &'a dyn Progress,
    /// Ends the build from outside. A build that fails uses it, too: take a new one for each.
    pub cancel: &'a Cancel,
    /// Which owners files can have.
    pub ids: IdMode,
}

/// An image that was built.
#[derive(Debug, Clone)]
pub struct Built {
    /// Its config; the digest is the image's id.
    pub config: Raw<ImageConfig>,
    /// Its layers, lowest first, with the blobs of those that came with a base image and may not
    /// be unpacked in the store.
    pub layers: Vec<(DiffId, Option<Descriptor>)>,
    /// What its steps came to, and the steps of what it was made of.
    pub records: CacheRecords,
    /// The blobs of layers that images with results of other builds have.
    pub cached: Vec<(DiffId, Descriptor)>,
    /// What it was made of, and how, if that was to be put down.
    pub provenance: Option<Provenance>,
}

impl Builder<'_> {
    /// Builds an image and puts it into the store under the names asked for.
    ///
    /// # Errors
    /// See [`BuildError`]. No image is changed then; what steps have made is kept for the next
    /// build.
    pub fn build(&self, request: &BuildRequest) -> Result<Built, BuildError> {
        let parsed = parse(&request.dockerfile);
        if parsed.has_errors() {
            return Err(BuildError::Diagnostics(certain_errors(request, parsed)));
        }
        let ignores = Ignores::read(request)?;
        let images = Remembered::new(self.images);
        let mut lowered = Some(lower(request, &parsed.dockerfile, &images, self.progress));
        self.check(request, &parsed, &images.known_only())?;
        for attempt in 1.. {
            let lowered = lowered
                .take()
                .unwrap_or_else(|| lower(request, &parsed.dockerfile, self.images, self.progress));
            match self.solve(request, lowered?, ignores.clone()) {
                Err(BuildError::Store { source, .. })
                    if attempt < ATTEMPTS
                        && matches!(*source, layerfs::Error::LayerNotFound { .. }) => {}
                result => return result,
            }
        }
        Err(BuildError::Cancelled)
    }

    /// Tells what is doubtful in the file.
    fn check(
        &self,
        request: &BuildRequest,
        parsed: &Parsed,
        images: &dyn BaseImages,
    ) -> Result<(), BuildError> {
        let checked = check_parsed(request, parsed, images, Reach::Target)?;
        if checked.is_error && !checked.findings.is_empty() {
            let findings = checked.findings.iter().take(MOST_ERRORS);
            let errors = findings.map(Finding::to_error).collect();
            return Err(BuildError::Diagnostics(errors));
        }
        for finding in &checked.findings {
            self.progress.event(Event::Finding(finding));
        }
        Ok(())
    }

    fn solve(
        &self,
        request: &BuildRequest,
        mut lowered: Lowered,
        ignores: Ignores,
    ) -> Result<Built, BuildError> {
        let bases = std::mem::take(&mut lowered.bases);
        let described = request.with_provenance.then(|| bases.clone());
        let caches = caches(&request.caches, &mut lowered.graph);
        let epoch = lowered.epoch.and_then(|epoch| jiff::Timestamp::from_second(epoch).ok());
        let session = Session {
            store: self.store,
            lease: self.lease,
            request,
            remotes: self.remotes,
            progress: self.progress,
            cancel: self.cancel,
            ids: self.ids,
            contexts: Contexts::new(request, ignores, self.store, self.ids),
            bases: BaseLayers::new(&bases, &caches),
            shared: SharedCache::of(&request.caches),
            brought: Brought::default(),
            created: epoch.map_or_else(|| request.now.clone(), |epoch| epoch.to_string()),
        };
        let outcome = solve(&session, &lowered.graph, lowered.tip);
        // What was read of the context holds whether the build succeeded or not.
        session.contexts.save();
        let outcome = outcome?;
        let provenance = match described {
            Some(bases) => Some(provenance::of(&session, &lowered, &bases).map_err(|source| {
                BuildError::Io { operation: "put down what the image is made of", source }
            })?),
            None => None,
        };
        Ok(Built { provenance, ..self.finish(request, lowered, &outcome, &session)? })
    }

    fn finish(
        &self,
        request: &BuildRequest,
        lowered: Lowered,
        outcome: &Outcome,
        session: &Session<'_>,
    ) -> Result<Built, BuildError> {
        if self.cancel.is_cancelled() {
            return Err(BuildError::Cancelled);
        }
        let layers: Vec<(DiffId, Option<Descriptor>)> = outcome
            .layers
            .iter()
            .map(|layer| (layer.clone(), session.bases.blob(layer).cloned()))
            .collect();
        let claimed = layers.iter().take_while(|(_, blob)| blob.is_some()).count();
        let failed = |cause| BuildError::Io {
            operation: "fetch the layers of the image",
            source: std::io::Error::other(cause),
        };
        session.ensure(&outcome.layers[claimed..], &lowered.graph).map_err(failed)?;
        let config = assemble(request, lowered, outcome);
        // The store takes the blobs of the lowest layers, as far up as there are any.
        let base: Vec<Descriptor> = layers.iter().map_while(|(_, blob)| blob.clone()).collect();
        let image = NewImage {
            config: &config,
            names: &request.names,
            manifest: None,
            index: None,
            base: &base,
        };
        self.store.put_image(self.lease, &image).map_err(|source| BuildError::Store {
            operation: "put the image into the store",
            source: Box::new(source),
        })?;
        let cached = session.bases.cached();
        let records = session.shared.used();
        Ok(Built { config, layers, records, cached, provenance: None })
    }
}

/// Images with results of other builds, with vertices that stand for them: nothing needs those,
/// but what is fetched is shown under their names.
fn caches<'a>(images: &'a [CacheImage], graph: &mut Graph) -> Vec<(StepId, &'a CacheImage)> {
    let vertex = |image: &CacheImage| Vertex {
        op: Op::Base(Base { layers: Vec::new() }),
        inputs: Vec::new(),
        span: Span::new(0, 0),
        text: String::new(),
        name: format!("importing cache from {}", image.image.name),
    };
    images.iter().map(|image| (graph.add(vertex(image)), image)).collect()
}

/// The ignore files of a build, read.
#[derive(Debug, Clone)]
pub(crate) struct Ignores {
    /// That of the build context.
    pub(crate) main: Ignore,
    /// Those of the named contexts that are directories, in their order.
    pub(crate) named: Vec<Ignore>,
}

impl Ignores {
    fn read(request: &BuildRequest) -> Result<Ignores, BuildError> {
        let main = read_ignore(request.ignore())?;
        let named = request.contexts.directories();
        let named = named.map(|(_, directory)| read_ignore(directory.ignore()));
        Ok(Ignores { main, named: named.collect::<Result<_, _>>()? })
    }
}

/// Reads the text of an ignore file.
pub(crate) fn read_ignore(text: &str) -> Result<Ignore, BuildError> {
    Ignore::parse(text).map_err(|error| {
        let message = format!("the ignore file cannot be read: {error}");
        BuildError::Diagnostics(vec![Diagnostic::error((0..0).into(), message)])
    })
}

impl std::fmt::Debug for Builder<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Builder").field("store", &self.store).finish_non_exhaustive()
    }
}

/// Steps are numbered, so that a display can keep them apart.
impl From<StepId> for usize {
    fn from(step: StepId) -> usize {
        step.0
    }
}
