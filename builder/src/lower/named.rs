//! What named contexts give to steps.

use oci::{History, ImageConfig, Platform};

use super::{Lowerer, StageState};
use crate::graph::Vertex;
use crate::history::COMMENT;
use crate::named_context::NamedContext;
use crate::op::{self, ContextId, Op, SourceTree, Take, Times};
use crate::progress::StepId;
use crate::syntax::Span;

/// Where a step reads that is given a name.
pub(super) enum SourceOf {
    /// In a directory of the machine.
    Context(ContextId),
    /// In the tree of a step.
    Step(StepId),
}

impl Lowerer<'_> {
    /// Where the files of a named context are.
    pub(super) fn named_tree(&mut self, index: usize, span: Span) -> SourceOf {
        let (name, context) = self.request.contexts.at(index);
        match context {
            NamedContext::Remote(remote) => {
                SourceOf::Step(self.fetch(span, name, remote.0.clone()))
            }
            // Images are known by their own names.
            NamedContext::Directory(_) | NamedContext::Image(_) => {
                SourceOf::Context(ContextId::Named(index))
            }
        }
    }

    /// What a stage starts with that starts from the files of a named context: these, and nothing
    /// else.
    pub(super) fn context_state(
        &mut self,
        index: usize,
        platform: &Platform,
        span: Span,
    ) -> StageState {
        let tip = match self.named_tree(index, span) {
            SourceOf::Context(id) => self.whole_context(id, index, span),
            SourceOf::Step(step) => step,
        };
        let mut state = self.fresh_state(ImageConfig::empty(platform), tip);
        let (name, _) = self.request.contexts.at(index);
        state.draft.config.history.push(History {
            created_by: Some(format!("FROM {name}")),
            comment: Some(COMMENT.into()),
            ..History::default()
        });
        state
    }

    /// The step that takes all files of a directory.
    fn whole_context(&mut self, id: ContextId, index: usize, span: Span) -> StepId {
        let below = self.add_scratch(span);
        let (name, _) = self.request.contexts.at(index);
        let (text, name) = (name.to_owned(), format!("[context {name}] load"));
        let source = op::CopySource::Path {
            tree: SourceTree::Context(id),
            take: Take::Matches,
            pattern: "/".to_owned(),
            unpack: false,
            written: text.clone(),
            span,
        };
        let op = Op::Copy(op::Copy {
            sources: vec![source],
            destination: "/".to_owned(),
            strip: 0,
            excludes: op::Excludes::default(),
            owner: None,
            chmod: None,
            times: Times { made: 0, latest: self.epoch },
        });
        self.graph.add(Vertex { op, inputs: vec![below], span, text, name })
    }
}
