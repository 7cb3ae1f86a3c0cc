//! Dockerfile text to image: syntax, instructions, graph, solver.
