//! What stages start from.

use std::collections::HashMap;

use oci::{Platform, Reference};

use super::meaning::{Meaning, Meanings};
use super::{Lowerer, Scope, sources};
use crate::diagnostic::Diagnostic;
use crate::environment::Environment;
use crate::error::BuildError;
use crate::images::{BaseImage, BaseImages};
use crate::progress::StepId;
use crate::stage::{MOST_ERRORS, Stage};
use crate::syntax::{Escape, Span, Word};

/// The name of the image without files.
pub(crate) const SCRATCH: &str = "scratch";

/// A FROM with its words expanded.
#[derive(Debug, Clone)]
pub(crate) struct FromLine {
    /// The image or stage.
    pub(crate) image: String,
    /// Where the image stands.
    pub(crate) span: Span,
    /// The stage that it means, if it means one.
    pub(crate) base: Option<usize>,
    /// The named context whose files it means, if it means one.
    pub(crate) context: Option<usize>,
    /// Whether a named context is there in place of the whole stage.
    pub(crate) is_replaced: bool,
    /// `--platform`.
    pub(crate) platform: Option<Platform>,
}

/// Expands every FROM, also those of stages that are not built.
///
/// # Errors
/// Those that are wrong, in order.
pub(crate) fn expand_froms(
    meanings: &Meanings<'_>,
    global: &Environment,
    escape: Escape,
) -> Result<Vec<FromLine>, Vec<Diagnostic>> {
    let scope = Scope { env: global, escape };
    let mut froms = Vec::new();
    let mut wrong = Vec::new();
    for stage in &meanings.dockerfile.stages {
        match expand_from(meanings, &scope, stage) {
            Ok(from) => froms.push(from),
            Err(diagnostic) => wrong.push(diagnostic),
        }
        if wrong.len() >= MOST_ERRORS {
            break;
        }
    }
    if wrong.is_empty() { Ok(froms) } else { Err(wrong) }
}

fn expand_from(
    meanings: &Meanings<'_>,
    scope: &Scope<'_>,
    stage: &Stage,
) -> Result<FromLine, Diagnostic> {
    let from = &stage.from.instruction;
    let span = from.image.span;
    if let Some(meaning) = meanings.in_place_of(stage.index, meanings.platform) {
        let name = stage.name().unwrap_or_default();
        let from = FromLine::new(meaning, name, span, None);
        return Ok(FromLine { is_replaced: true, ..from });
    }
    let image = scope.word(&from.image)?;
    if image.is_empty() {
        let message = format!("base name ({}) should not be blank", from.image.text);
        return Err(Diagnostic::error(span, message));
    }
    let platform = match &from.platform {
        None => None,
        Some(flag) => Some(expand_platform(scope, &flag.value)?),
    };
    let wanted = platform.as_ref().unwrap_or(meanings.platform);
    let meaning = meanings.base(&image, stage.index, wanted);
    // What a context stands for was looked at when it was given.
    if meaning == Meaning::Image(image.clone()) && image != SCRATCH {
        check_name(&image, span)?;
    }
    Ok(FromLine::new(meaning, &image, span, platform))
}

impl FromLine {
    /// A FROM of `name`.
    fn new(meaning: Meaning, name: &str, span: Span, platform: Option<Platform>) -> FromLine {
        let mut from = FromLine {
            image: name.to_owned(),
            span,
            base: None,
            context: None,
            is_replaced: false,
            platform,
        };
        match meaning {
            Meaning::Stage(index) => from.base = Some(index),
            Meaning::Files(index) => from.context = Some(index),
            Meaning::Image(image) => from.image = image,
            // FROM sees no stage that comes later.
            Meaning::TooLate => {}
        }
        from
    }

    /// Whether it starts from an image of a registry or the store.
    pub(crate) fn is_image(&self) -> bool {
        self.base.is_none() && self.context.is_none() && self.image != SCRATCH
    }
}

fn expand_platform(scope: &Scope<'_>, word: &Word) -> Result<Platform, Diagnostic> {
    let text = scope.word(word)?;
    if text.is_empty() {
        let message = format!("empty platform value from expression {}", word.text);
        return Err(Diagnostic::error(word.span, message));
    }
    text.parse::<Platform>().map_err(|error| Diagnostic::error(word.span, error.to_string()))
}

fn check_name(image: &str, span: Span) -> Result<(), Diagnostic> {
    // What reads as an image's id is looked up in the store.
    let is_id = image.len() == 64 && image.bytes().all(|b| b.is_ascii_hexdigit());
    if is_id || image.starts_with("sha256:") {
        return Ok(());
    }
    match image.parse::<Reference>() {
        Ok(_) => Ok(()),
        Err(error) => Err(Diagnostic::error(span, error.to_string())),
    }
}

/// The images that are resolved, each once.
pub(super) struct Bases<'a> {
    images: &'a dyn BaseImages,
    pull: bool,
    resolved: HashMap<Name, oci::Result<BaseImage>>,
    steps: HashMap<Name, StepId>,
    used: Vec<(StepId, BaseImage)>,
}

/// An image's name and platform.
type Name = (String, String);

impl<'a> Bases<'a> {
    pub(super) fn new(images: &'a dyn BaseImages, pull: bool) -> Bases<'a> {
        let (resolved, steps, used) = (HashMap::new(), HashMap::new(), Vec::new());
        Bases { images, pull, resolved, steps, used }
    }

    /// The image `name` and, if it was used before, the step that stands for it.
    pub(super) fn get(
        &mut self,
        name: &str,
        platform: &Platform,
        span: Span,
    ) -> Result<(BaseImage, Option<StepId>), BuildError> {
        let key = (name.to_owned(), platform.to_string());
        let resolved = match self.resolved.remove(&key) {
            Some(resolved) => resolved,
            None => self.images.resolve(name, platform, self.pull),
        };
        let image = resolved.map_err(|source| BuildError::Image {
            span,
            name: name.to_owned(),
            source: Box::new(source),
        })?;
        let step = self.steps.get(&key).copied();
        self.resolved.insert(key, Ok(image.clone()));
        Ok((image, step))
    }

    /// Notes that `step` stands for the image.
    pub(super) fn used(&mut self, name: &str, platform: &Platform, step: StepId, image: BaseImage) {
        self.steps.insert((name.to_owned(), platform.to_string()), step);
        self.used.push((step, image));
    }

    pub(super) fn into_used(self) -> Vec<(StepId, BaseImage)> {
        self.used
    }
}

impl Lowerer<'_> {
    /// Resolves the images of the needed stages at once: each may be a round trip to a registry.
    /// Errors are kept for who asks for the image.
    pub(super) fn resolve_ahead(&mut self, needed: &[bool]) {
        let mut wanted: Vec<(String, Platform)> = Vec::new();
        let mut want = |name: &str, platform: &Platform| {
            let image = (name.to_owned(), platform.clone());
            if name != SCRATCH && !wanted.contains(&image) {
                wanted.push(image);
            }
        };
        let meanings = self.meanings();
        for stage in self.dockerfile.stages.iter().filter(|stage| needed[stage.index]) {
            let from = &self.froms[stage.index];
            if from.is_image() {
                want(&from.image, from.platform.as_ref().unwrap_or(&self.platform));
            }
            let body = if from.is_replaced { &[][..] } else { &stage.body };
            for statement in body {
                for (_, meant) in sources(&meanings, &statement.instruction, stage.index) {
                    if let Meaning::Image(name) = &meant {
                        want(name, &self.platform);
                    }
                }
            }
        }
        if wanted.len() < 2 {
            return;
        }
        let (images, pull) = (self.bases.images, self.bases.pull);
        let resolved = std::thread::scope(|scope| {
            let threads: Vec<_> = wanted
                .iter()
                .map(|(name, platform)| scope.spawn(move || images.resolve(name, platform, pull)))
                .collect();
            threads.into_iter().map(std::thread::ScopedJoinHandle::join).collect::<Vec<_>>()
        });
        for ((name, platform), resolved) in wanted.into_iter().zip(resolved) {
            // A panic of the source shows again where the image is asked for.
            if let Ok(resolved) = resolved {
                self.bases.resolved.insert((name, platform.to_string()), resolved);
            }
        }
    }
}
