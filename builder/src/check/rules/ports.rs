//! The ports of EXPOSE, for the rules about them.

use crate::check::subject::Subject;
use crate::check::walk::Visit;
use crate::instruction::{ExposedPorts, Instruction, parse_port};

/// The ports that `visit` exposes, as they are written once expanded, and what they mean.
pub(super) fn ports(subject: &Subject<'_>, visit: &Visit<'_>) -> Vec<(String, ExposedPorts)> {
    let Instruction::Expose(expose) = visit.instruction else { return Vec::new() };
    let expanded = expose.ports.iter().filter_map(|w| subject.expand(w, &visit.state.env));
    let words = expanded.flat_map(|expansion| expansion.words);
    words.filter_map(|word| parse_port(&word).ok().map(|ports| (word, ports))).collect()
}
