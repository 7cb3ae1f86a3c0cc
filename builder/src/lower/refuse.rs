//! What a build may do only if it is allowed to. It is
//! refused before anything runs, all of it at once, each at its place: nothing is ever ignored.

use crate::diagnostic::Diagnostic;
use crate::instruction::{Flag, Instruction, Network, Run, Security};
use crate::request::{BuildRequest, NetworkMode};
use crate::syntax::Span;

/// What of one instruction cannot be built.
pub(super) fn check(
    instruction: &Instruction,
    request: &BuildRequest,
    refused: &mut Vec<Diagnostic>,
) {
    if let Instruction::Run(run) = instruction {
        check_run(run, request, refused);
    }
}

fn check_run(run: &Run, request: &BuildRequest, refused: &mut Vec<Diagnostic>) {
    let grants = &request.grants;
    if let Some(Flag { span, value: Security::Insecure }) = run.security
        && !grants.insecure
    {
        refused.push(not_allowed("security.insecure", span));
    }
    // Where the build has the machine's network, so has every RUN.
    if let Some(Flag { span, value: Network::Host }) = run.network
        && request.sandbox.network != NetworkMode::Host
        && !grants.host_network
    {
        refused.push(not_allowed("network.host", span));
    }
}

fn not_allowed(what: &str, span: Span) -> Diagnostic {
    Diagnostic::error(span, format!("{what} is not allowed"))
        .help(format!("allow it with `--allow {what}`"))
}
