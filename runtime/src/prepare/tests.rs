//! Plans as data.

use super::*;
use crate::spec::{Namespaces, Process, Rootfs, Seccomp, SystemPaths};
use crate::user::User;

fn spec() -> Spec {
    Spec {
        rootfs: Rootfs::Path("/".into()),
        process: Process {
            args: vec!["true".into()],
            env: Vec::new(),
            cwd: "/".into(),
            user: User { uid: 0, gid: 0, additional_gids: vec![10], home: "/root".into() },
            umask: 0o022,
            limits: Vec::new(),
        },
        hostname: "test".into(),
        domain: None,
        namespaces: Namespaces::default(),
        sysctls: Vec::new(),
        oom_score_adj: None,
        network: Network::Host,
        mounts: Vec::new(),
        files: Vec::new(),
        capabilities: CapabilitySet::DOCKER,
        seccomp: Seccomp::Default,
        no_new_privileges: true,
        read_only: false,
        system_paths: SystemPaths::Protected,
        init: false,
        limits: crate::Limits::default(),
        fake_ids: false,
        stdio: Stdio { stdin: Stream::Null, stdout: Stream::Null, stderr: Stream::Null },
    }
}

/// The names of the steps, filters without their program.
fn names(steps: &[Step]) -> Vec<String> {
    steps
        .iter()
        .map(|step| match step {
            Step::Filter(_) => "Filter".into(),
            other => format!("{other:?}"),
        })
        .collect()
}

#[test]
fn privileges_are_given_up_in_order() {
    let docker = format!("{:?}", CapabilitySet::DOCKER);
    let root = names(&privileges(&Privileges::of(&spec())).unwrap());
    assert_eq!(
        root,
        [
            format!("Bound({docker})").as_str(),
            "Groups([Gid(0), Gid(10)])",
            "Identity { uid: 0, gid: 0 }",
            "Undumpable",
            format!("Capabilities({docker})").as_str(),
            "NoNewPrivileges",
            "EndWithParent",
            "Filter",
        ]
    );
}

#[test]
fn a_user_holds_no_capability() {
    let mut spec = spec();
    spec.process.user.uid = 1000;
    assert!(
        privileges(&Privileges::of(&spec))
            .unwrap()
            .contains(&Step::Capabilities(CapabilitySet::NONE))
    );
}

#[test]
fn without_no_new_privs_the_filter_comes_while_it_may() {
    let mut spec = spec();
    spec.no_new_privileges = false;
    spec.init = true;
    let steps = privileges(&Privileges::of(&spec)).unwrap();
    assert!(matches!(steps[0], Step::Filter(_)));
    assert!(!steps.contains(&Step::NoNewPrivileges));
    assert_eq!(steps.last(), Some(&Step::Init));
}

#[test]
fn faked_ids_are_never_set() {
    let mut spec = spec();
    spec.fake_ids = true;
    spec.process.user.uid = 1000;
    let steps = privileges(&Privileges::of(&spec)).unwrap();
    assert!(!steps.iter().any(|step| matches!(step, Step::Groups(_) | Step::Identity { .. })));
    assert!(steps.contains(&Step::Capabilities(CapabilitySet::DOCKER)));
}

#[test]
fn nul_bytes_are_refused() {
    let mut spec = spec();
    spec.process.args.push("a\0b".into());
    let error = prepare(spec).unwrap_err();
    assert_eq!(error.to_string(), "argument 1 contains a nul byte");
}
