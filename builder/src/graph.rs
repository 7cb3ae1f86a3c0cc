//! The steps of a build and what they need of each other.

use std::collections::HashSet;

use crate::op::Op;
use crate::progress::StepId;
use crate::syntax::Span;

/// One step. Where it stands in the Dockerfile and what it is called are for people: neither is
/// part of its key.
#[derive(Debug, Clone)]
pub(crate) struct Vertex {
    /// What is done.
    pub(crate) op: Op,
    /// What it is done to: first the tree that it changes, then those that it reads.
    pub(crate) inputs: Vec<StepId>,
    /// The instruction.
    pub(crate) span: Span,
    /// The instruction's text, for errors.
    pub(crate) text: String,
    /// What the progress display calls it.
    pub(crate) name: String,
}

/// Vertices, each after its inputs: a cycle cannot be written down.
#[derive(Debug, Default)]
pub(crate) struct Graph {
    vertices: Vec<Vertex>,
    anew: HashSet<usize>,
}

impl Graph {
    /// Adds a vertex over vertices of this graph.
    pub(crate) fn add(&mut self, vertex: Vertex) -> StepId {
        debug_assert!(vertex.inputs.iter().all(|input| input.0 < self.vertices.len()));
        self.vertices.push(vertex);
        StepId(self.vertices.len() - 1)
    }

    /// The vertex of a step.
    pub(crate) fn get(&self, step: StepId) -> &Vertex {
        &self.vertices[step.0]
    }

    /// Lets a step run although its result may be kept.
    pub(crate) fn run_anew(&mut self, step: StepId) {
        self.anew.insert(step.0);
    }

    /// Whether a step runs although its result may be kept.
    pub(crate) fn runs_anew(&self, step: StepId) -> bool {
        self.anew.contains(&step.0)
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.vertices.len()
    }

    /// Which steps the result of `target` needs, itself included, by number.
    pub(crate) fn needed_by(&self, target: StepId) -> Vec<bool> {
        let mut needed = vec![false; self.vertices.len()];
        needed[target.0] = true;
        // Inputs stand before what uses them, so that one walk from the end finds all.
        for step in (0..=target.0).rev() {
            if needed[step] {
                self.vertices[step].inputs.iter().for_each(|input| needed[input.0] = true);
            }
        }
        needed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::Base;

    #[test]
    fn only_what_the_target_uses_is_needed() {
        let mut graph = Graph::default();
        let mut add = |inputs: &[usize]| {
            graph.add(Vertex {
                op: Op::Base(Base { layers: Vec::new() }),
                inputs: inputs.iter().map(|input| StepId(*input)).collect(),
                span: Span::default(),
                text: String::new(),
                name: String::new(),
            })
        };
        let base = add(&[]);
        let unused = add(&[0]);
        let tool = add(&[]);
        let target = add(&[0, 2]);
        let after = add(&[3]);
        let needed = graph.needed_by(target);
        let all: Vec<bool> =
            [base, unused, tool, target, after].iter().map(|step| needed[step.0]).collect();
        assert_eq!(all, [true, false, true, true, false]);
    }
}
