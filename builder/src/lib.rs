//! Dockerfile text to image: syntax, instructions, graph, solver.

pub mod diagnostic;
pub mod dockerignore;
pub mod expand;
pub mod glob;
pub mod instruction;
pub mod stage;
pub mod syntax;
