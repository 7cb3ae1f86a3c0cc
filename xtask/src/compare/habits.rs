//! What a peer does in its own way in every image, and in which cases it is known to do otherwise
//! than docker, whose ways are Tierce's.

use serde::Deserialize;
use serde_json::Value;
use testutil::Case;

use super::image::Image;
use super::options::Peer;
use crate::cargo::workspace;
use crate::step::Result;

/// Cases in which a peer does otherwise, for one reason.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Otherwise {
    /// Why, or in what.
    why: String,
    /// Which: `*` at the end stands for anything.
    cases: Vec<String>,
}

/// A peer's own ways.
#[derive(Debug, Default)]
pub(crate) struct Habits {
    known: Vec<Otherwise>,
    is_buildah: bool,
}

impl Habits {
    /// Those of a peer, as `testdata/buildah.json` lists them.
    pub(crate) fn of(peer: Peer) -> Result<Habits> {
        if peer != Peer::Buildah {
            return Ok(Habits::default());
        }
        let path = workspace().join("testdata/buildah.json");
        let text =
            std::fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
        let known = serde_json::from_str(&text).map_err(|e| format!("{}: {e}", path.display()))?;
        Ok(Habits { known, is_buildah: true })
    }

    /// Makes alike what differs in every image: buildah labels it, and writes its history in
    /// words of its own.
    pub(crate) fn leave_out(&self, ours: &mut Image, theirs: &mut Image) {
        if !self.is_buildah {
            return;
        }
        for image in [ours, theirs] {
            image.document["history"] = Value::Null;
            if let Some(labels) = image.document["config"]["Labels"].as_object_mut() {
                labels.remove("io.buildah.version");
            }
        }
    }

    /// Why a case comes out otherwise, if that is known.
    pub(crate) fn reason(&self, case: &Case) -> Option<&str> {
        let is_named = |pattern: &String| match pattern.strip_suffix('*') {
            Some(beginning) => case.name.starts_with(beginning),
            None => case.name == *pattern,
        };
        let known = self.known.iter().find(|one| one.cases.iter().any(is_named));
        known.map(|one| one.why.as_str())
    }
}
