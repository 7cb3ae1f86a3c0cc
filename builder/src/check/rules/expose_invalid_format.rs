//! An address or a host's port in EXPOSE, which mean nothing there.

use super::ports::ports;
use super::{Phase, Report, Rule, Subject};
use crate::check::walk::walk;

/// The rule.
pub(super) static RULE: Rule = Rule {
    name: "ExposeInvalidFormat",
    description: "IP address and host-port mapping should not be used in EXPOSE instruction. This will \
                  become an error in a future release",
    url: "https://docs.docker.com/go/dockerfile/rule/expose-invalid-format/",
    is_experimental: false,
    phase: Phase::Instructions,
    find,
};

fn find(subject: &Subject<'_>, report: &mut Report) {
    walk(subject, |visit| {
        for (written, port) in ports(subject, visit) {
            if port.with_host {
                let detail = format!(
                    "EXPOSE instruction should not define an IP address or host-port mapping, \
                     found '{written}'"
                );
                report.add(&RULE, visit.place, detail);
            }
        }
    });
}
