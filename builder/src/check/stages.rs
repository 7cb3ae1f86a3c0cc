//! What stages start from, as far as it can be known without building.

use oci::Platform;

use crate::environment::Environment;
use crate::error::BuildError;
use crate::images::{BaseImage, BaseImages};
use crate::lower;
use crate::lower::arguments;
use crate::lower::bases::{FromLine, expand_froms};
use crate::lower::meaning::Meanings;
use crate::request::BuildRequest;
use crate::stage::Dockerfile;

use super::Reach;

/// The stages of a file.
pub(super) struct Stages {
    /// The platform that is built for.
    pub(super) platform: Platform,
    /// The arguments that FROM sees.
    pub(super) global: Environment,
    /// The same if no build argument is given; none if a default cannot be expanded.
    pub(super) defaults: Option<Environment>,
    /// What each FROM means; empty if one of them is wrong.
    pub(super) froms: Vec<FromLine>,
    /// The stages that the rules about instructions look at.
    pub(super) reached: Vec<bool>,
    /// The stage that is built, if it is there.
    pub(super) target: Option<usize>,
    /// The image of each stage that starts from one.
    pub(super) images: Vec<Option<BaseImage>>,
}

impl Stages {
    /// Expands what every FROM says and resolves the images that the target needs; and why that
    /// cannot be done.
    pub(super) fn resolve(
        request: &BuildRequest,
        dockerfile: &Dockerfile,
        images: &dyn BaseImages,
        reach: Reach,
    ) -> (Stages, Option<BuildError>) {
        let platform = request.platform.as_ref().unwrap_or(&request.build_platform).normalized();
        let contexts = &request.contexts;
        let meanings = Meanings { dockerfile, contexts, platform: &platform };
        let target = lower::target(request, dockerfile);
        let name = target.as_ref().ok().and_then(|target| dockerfile.stages[*target].name());
        let predefined = arguments::predefined(request, &platform, name);
        let escape = dockerfile.directives.escape;
        let bare = BuildRequest { build_args: indexmap::IndexMap::new(), ..request.clone() };
        let defaults = arguments::global(&bare, dockerfile, predefined.clone(), escape).ok();
        let global = arguments::global(request, dockerfile, predefined.clone(), escape);
        let count = dockerfile.stages.len();
        let mut stages = Stages {
            platform: platform.clone(),
            global: predefined,
            defaults,
            froms: Vec::new(),
            reached: vec![false; count],
            target: target.as_ref().ok().copied(),
            images: vec![None; count],
        };
        let expanded = global.map_err(BuildError::Diagnostics).and_then(|global| {
            let froms = expand_froms(&meanings, &global, escape);
            let froms = froms.map_err(BuildError::Diagnostics);
            stages.global = global;
            froms
        });
        let failure = match (expanded, target) {
            (Ok(froms), Ok(target)) => {
                stages.froms = froms;
                let needed = lower::needed_stages(&meanings, &stages.froms, target);
                let failure = stages.resolve_images(request, images, &needed);
                let all = reach == Reach::All && request.target.is_none();
                stages.reached = if all { vec![true; count] } else { needed };
                failure
            }
            (Err(error), _) | (Ok(_), Err(error)) => Some(error),
        };
        (stages, failure)
    }

    fn resolve_images(
        &mut self,
        request: &BuildRequest,
        images: &dyn BaseImages,
        needed: &[bool],
    ) -> Option<BuildError> {
        let mut failure = None;
        for (index, from) in self.froms.iter().enumerate() {
            if !needed[index] || !from.is_image() {
                continue;
            }
            let platform = from.platform.as_ref().unwrap_or(&self.platform);
            match images.resolve(&from.image, platform, request.pull) {
                Ok(image) => self.images[index] = Some(image),
                Err(source) => {
                    failure.get_or_insert(BuildError::Image {
                        span: from.span,
                        name: from.image.clone(),
                        source: Box::new(source),
                    });
                }
            }
        }
        failure
    }
}
