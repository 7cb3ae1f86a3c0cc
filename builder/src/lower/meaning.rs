//! What the names in FROM, `--from` and a mount's `from` mean.

use oci::Platform;

use crate::named_context::{NamedContext, NamedContexts};
use crate::stage::{Dockerfile, StageRef};

/// What a name means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// This stage.
    Stage(usize),
    /// A stage, which comes too late in the file to be used here.
    TooLate,
    /// The files of the named context of this number.
    Files(usize),
    /// The image of this name.
    Image(String),
}

/// The names of a file that is built with named contexts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Meanings<'a> {
    /// The file.
    pub(crate) dockerfile: &'a Dockerfile,
    /// What stands in for stages and images.
    pub(crate) contexts: &'a NamedContexts,
    /// The platform that is built for.
    pub(crate) platform: &'a Platform,
}

impl Meanings<'_> {
    /// What FROM means in `stage`: a context, else a stage before it, else an image.
    pub(crate) fn base(&self, name: &str, stage: usize, platform: &Platform) -> Meaning {
        let context = self.context(name, platform);
        context.unwrap_or_else(|| match self.dockerfile.base(name, stage) {
            Some(index) => Meaning::Stage(index),
            None => Meaning::Image(name.to_owned()),
        })
    }

    /// What `COPY --from` means in `stage`; numbers are stages.
    pub(crate) fn copy_source(&self, name: &str, stage: usize) -> Meaning {
        let context = self.context(name, self.platform);
        context.unwrap_or_else(|| of(self.dockerfile.copy_source(name, stage), name))
    }

    /// What the `from` of a mount means in `stage`.
    pub(crate) fn mount_source(&self, name: &str, stage: usize) -> Meaning {
        let context = self.context(name, self.platform);
        context.unwrap_or_else(|| of(self.dockerfile.mount_source(name, stage), name))
    }

    /// What is there in place of a stage, if a context has its name.
    pub(crate) fn in_place_of(&self, stage: usize, platform: &Platform) -> Option<Meaning> {
        self.context(self.dockerfile.stages[stage].name()?, platform)
    }

    fn context(&self, name: &str, platform: &Platform) -> Option<Meaning> {
        Some(match self.contexts.get(name, platform)? {
            (_, NamedContext::Image(image)) => Meaning::Image(image.clone()),
            (index, _) => Meaning::Files(index),
        })
    }
}

fn of(stage: StageRef, name: &str) -> Meaning {
    match stage {
        StageRef::Stage(index) => Meaning::Stage(index),
        StageRef::TooLate(_) => Meaning::TooLate,
        StageRef::NotAStage => Meaning::Image(name.to_owned()),
    }
}
