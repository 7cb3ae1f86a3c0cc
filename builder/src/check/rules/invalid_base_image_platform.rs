//! A base image for another platform than the one that is built for.

use super::{Phase, Report, Rule, Subject};
use crate::check::finding::Place;

/// The rule.
pub(super) static RULE: Rule = Rule {
    name: "InvalidBaseImagePlatform",
    description: "Base image platform does not match expected target platform",
    url: "",
    is_experimental: false,
    phase: Phase::Bases,
    find,
};

fn find(subject: &Subject<'_>, report: &mut Report) {
    for (index, image) in subject.stages.images.iter().enumerate() {
        let (Some(image), Some(from)) = (image, subject.stages.froms.get(index)) else { continue };
        let expected = from.platform.as_ref().unwrap_or(&subject.stages.platform).normalized();
        let actual = image.config.platform().normalized();
        if (&expected.os, &expected.architecture) != (&actual.os, &actual.architecture) {
            let detail = format!(
                "Base image {} was pulled with platform \"{actual}\", expected \"{expected}\" \
                 for current build",
                from.image
            );
            let place = Place::of(&subject.dockerfile.stages[index].from);
            report.add(&RULE, place.without_comments(), detail);
        }
    }
}
