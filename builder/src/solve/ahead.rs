//! Looks at what later steps read of the build context while earlier ones run.
//!
//! A file that is not there ends the build at once and not after an hour of compiling, and the
//! digests of those that are there are known when their step's turn comes.

use crossbeam_channel::Sender;

use super::{Message, Session};
use crate::error::StepCause;
use crate::graph::Graph;
use crate::op::{CopySource, Op, SourceTree};
use crate::progress::StepId;

impl Session<'_> {
    /// Reads what the steps copy from the context, in order, until one of them cannot succeed or
    /// the build ends.
    pub(super) fn look_ahead(&self, graph: &Graph, copies: &[StepId], sender: &Sender<Message>) {
        for step in copies {
            let Op::Copy(op) = &graph.get(*step).op else { continue };
            let of_context = |source: &CopySource| {
                matches!(source, CopySource::Path { tree: SourceTree::Context, .. })
            };
            if !op.sources.iter().any(of_context) {
                continue;
            }
            if self.is_cancelled() {
                return;
            }
            // A copy reads either the context or another tree, never both.
            match self.sources(op, graph, &[]) {
                Ok(_) => {}
                Err(cause @ (StepCause::NotFound { .. } | StepCause::Pattern { .. })) => {
                    let _ = sender.send(Message::Doomed(*step, cause));
                    return;
                }
                // What else goes wrong may go right when its turn comes.
                Err(_) => return,
            }
        }
    }
}
