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
            let reads = |tree: fn(&SourceTree) -> bool| {
                op.sources.iter().any(|source| match source {
                    CopySource::Path { tree: of, .. } => tree(of),
                    CopySource::Inline { .. } => false,
                })
            };
            // What else it reads may not be there yet.
            if !reads(|tree| matches!(tree, SourceTree::Context(_)))
                || reads(|tree| matches!(tree, SourceTree::Input(_)))
            {
                continue;
            }
            if self.is_cancelled() {
                return;
            }
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
