//! What the process is and how it ends.
#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod support;

use std::fs;
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::time::{Duration, Instant};

use runtime::{
    CapabilitySet, Error, ExitStatus, Join, Limit, Network, Resource, Seccomp, Signal, Stdio,
    Stream, User, spawn,
};
use rustix::event::{PollFd, PollFlags, poll};
use support::{Root, chain, field, output, run};

#[test]
fn exit_statuses_come_back() {
    let root = Root::new();
    for init in [false, true] {
        for (script, expected, code) in [
            ("exit 0", ExitStatus::Code(0), 0),
            ("exit 42", ExitStatus::Code(42), 42),
            ("exit 255", ExitStatus::Code(255), 255),
            ("sh -c 'kill -9 $$'; exit $?", ExitStatus::Code(137), 137),
        ] {
            let mut spec = root.sh(script);
            spec.init = init;
            let (status, output) = run(spec).unwrap();
            assert_eq!((status, status.shell_code()), (expected, code), "{script} {output}");
        }
    }
}

#[test]
fn the_process_is_number_one() {
    let root = Root::new();
    assert_eq!(output(root.sh("echo $$")), "1\n");
    let mut spec = root.sh("echo $$; cat /proc/1/comm");
    spec.init = true;
    assert_eq!(output(spec), "2\ntierce-init\n");
}

#[test]
fn environment_directory_user_and_mask_are_as_given() {
    let root = Root::new();
    fs::create_dir(root.path().join("work")).unwrap();
    let mut spec = root.sh("pwd; umask; id -u; id -g; grep Groups: /proc/self/status; hostname");
    spec.process.env = vec!["PATH=/bin".into(), "A=b c".into()];
    spec.process.cwd = "/work".into();
    spec.process.umask = 0o027;
    spec.process.user = User { uid: 12, gid: 34, additional_gids: vec![56, 78], home: "/".into() };
    assert_eq!(output(spec), "/work\n0027\n12\n34\nGroups:\t34 56 78 \nbox\n");

    let mut spec = root.exec(&["cat", "/proc/1/environ"]);
    spec.process.env = vec!["PATH=/bin".into(), "A=b c".into()];
    assert_eq!(output(spec), "PATH=/bin\0A=b c\0");
}

#[test]
fn capabilities_are_dockers() {
    let root = Root::new();
    let status = output(root.sh("cat /proc/self/status"));
    for (name, value) in [
        ("CapInh", "0000000000000000"),
        ("CapPrm", "00000000a80425fb"),
        ("CapEff", "00000000a80425fb"),
        ("CapBnd", "00000000a80425fb"),
        ("CapAmb", "0000000000000000"),
        ("Seccomp", "2"),
        ("NoNewPrivs", "1"),
    ] {
        assert_eq!(field(&status, name), value, "{name}");
    }
    let mut spec = root.sh("cat /proc/self/status");
    spec.process.user.uid = 1000;
    spec.capabilities = CapabilitySet::DOCKER.without("CHOWN".parse().unwrap());
    let status = output(spec);
    assert_eq!(field(&status, "CapEff"), "0000000000000000");
    assert_eq!(field(&status, "CapPrm"), "0000000000000000");
    assert_eq!(field(&status, "CapBnd"), "00000000a80425fa");
}

#[test]
fn the_filter_can_be_left_out_and_privileges_kept() {
    let root = Root::new();
    let mut spec = root.sh("cat /proc/self/status");
    spec.seccomp = Seccomp::Unconfined;
    spec.no_new_privileges = false;
    let status = output(spec);
    assert_eq!((field(&status, "Seccomp"), field(&status, "NoNewPrivs")), ("0", "0"));
    for (no_new_privileges, uid) in [(false, 0), (false, 1000), (true, 1000)] {
        let mut spec = root.sh("cat /proc/self/status");
        spec.no_new_privileges = no_new_privileges;
        spec.process.user.uid = uid;
        assert_eq!(field(&output(spec), "Seccomp"), "2");
    }
}

#[test]
fn refused_calls_are_refused() {
    let root = Root::new();
    for script in ["mount -t tmpfs none /bin", "unshare -U true", "umount /proc"] {
        let (status, output) = run(root.sh(script)).unwrap();
        assert_eq!(status, ExitStatus::Code(1), "{script}: {output}");
        assert!(output.contains("ermi"), "{script}: {output}");
    }
}

#[test]
fn signals_reach_the_process_and_its_init_passes_them_on() {
    let root = Root::new();
    let script = "trap 'exit 7' TERM; touch /ready; while true; do sleep 0.01; done";
    for init in [false, true] {
        let mut spec = root.sh(script);
        spec.init = init;
        let mut container = spawn(spec).unwrap();
        wait_for(|| root.path().join("ready").exists());
        assert_eq!(container.try_wait().unwrap(), None);
        container.signal(Signal::TERM).unwrap();
        assert_eq!(container.wait().unwrap(), ExitStatus::Code(7));
        assert_eq!(container.wait().unwrap(), ExitStatus::Code(7), "it may be asked again");
        assert!(container.signal(Signal::TERM).is_err());
        container.kill_all().unwrap();
        fs::remove_file(root.path().join("ready")).unwrap();
    }
}

#[test]
fn an_init_lets_default_actions_happen() {
    let root = Root::new();
    let mut spec = root.exec(&["sleep", "100"]);
    spec.init = true;
    let mut container = spawn(spec).unwrap();
    std::thread::sleep(Duration::from_millis(20));
    container.signal(Signal::TERM).unwrap();
    assert_eq!(container.wait().unwrap(), ExitStatus::Code(143));
}

#[test]
fn an_init_reaps_orphans() {
    let root = Root::new();
    let mut spec = root.sh("sh -c 'sleep 0.01 &'; sleep 0.1; grep -l Z /proc/[0-9]*/stat; true");
    spec.init = true;
    assert_eq!(output(spec), "");
}

#[test]
fn an_init_cannot_be_read() {
    let root = Root::new();
    let mut spec =
        root.sh("cat /proc/1/environ; cat /proc/1/mem; ls -l /proc/1/fd; ls /proc/1/exe");
    spec.init = true;
    spec.capabilities = CapabilitySet::DOCKER;
    let (_, output) = run(spec).unwrap();
    assert_eq!(output.matches("ermission denied").count(), 3, "{output}");
}

#[test]
fn kill_ends_the_whole_namespace() {
    let root = Root::new();
    let mut container = spawn(root.sh("sleep 100 & sleep 100 & sleep 100")).unwrap();
    container.kill_all().unwrap();
    assert_eq!(container.wait().unwrap(), ExitStatus::Signal(9));
}

#[test]
fn dropping_kills_and_reaps() {
    let root = Root::new();
    let container = spawn(root.sh("sleep 100")).unwrap();
    let pid = container.pid();
    assert!(fs::exists(format!("/proc/{pid}")).unwrap());
    drop(container);
    assert!(!fs::exists(format!("/proc/{pid}")).unwrap());
}

#[test]
fn a_container_of_this_thread_is_watched_to_its_end_and_killed_when_nobody_watches() {
    let root = Root::new();
    let ends = |pidfd: BorrowedFd<'_>| {
        let mut fds = [PollFd::from_borrowed_fd(pidfd, PollFlags::IN)];
        poll(&mut fds, None).unwrap();
    };
    let (said, status) = runtime::run(root.sh("exit 7"), |container| {
        ends(container.pidfd());
        "watched"
    })
    .unwrap();
    assert_eq!((said, status.unwrap()), ("watched", ExitStatus::Code(7)));

    let (pid, status) = runtime::run(root.sh("sleep 1000"), runtime::Container::pid).unwrap();
    assert_eq!(status.unwrap(), ExitStatus::Signal(9));
    assert!(!Path::new(&format!("/proc/{pid}")).exists());

    let mut seen = 0;
    let panics = std::panic::AssertUnwindSafe(|| {
        let _ = runtime::run(root.sh("sleep 1000"), |container| {
            seen = container.pid();
            panic!("who watches fails");
        });
    });
    assert!(std::panic::catch_unwind(panics).is_err());
    assert!(seen > 0 && !Path::new(&format!("/proc/{seen}")).exists());

    let refused = runtime::run(root.exec(&["nothing"]), |_| ());
    assert!(matches!(refused, Err(Error::ExecNotFound { .. })), "{refused:?}");
}

#[test]
fn the_starting_thread_may_end() {
    let root = Root::new();
    let spec = root.sh("sleep 0.2; exit 5");
    let mut container = std::thread::spawn(move || spawn(spec).unwrap()).join().unwrap();
    assert_eq!(container.wait().unwrap(), ExitStatus::Code(5));
}

#[test]
fn many_at_once() {
    std::thread::scope(|scope| {
        for code in 0..16 {
            scope.spawn(move || {
                let root = Root::new();
                let (status, output) = run(root.sh(&format!("echo {code}; exit {code}"))).unwrap();
                assert_eq!((status, output), (ExitStatus::Code(code), format!("{code}\n")));
                assert!(root.listing().is_empty(), "{:?}", root.listing());
            });
        }
    });
}

#[test]
fn what_cannot_be_executed_says_why() {
    let root = Root::new();
    fs::write(root.path().join("bin/plain"), "no program").unwrap();
    fs::write(root.path().join("bin/text"), "no program").unwrap();
    fs::write(root.path().join("bin/script"), "#!/proc/self/exe\n").unwrap();
    fs::write(root.path().join("bin/again"), "#! /bin/script -x\n").unwrap();
    for name in ["text", "script", "again"] {
        let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(root.path().join("bin").join(name), executable).unwrap();
    }
    let cases = [
        ("nothing", 127, "exec \"nothing\": executable file not found in $PATH"),
        ("/nothing", 127, "exec \"/nothing\": executable file not found"),
        ("/bin/sh/x", 127, "exec \"/bin/sh/x\": executable file not found"),
        ("plain", 126, "exec \"plain\": Permission denied (os error 13)"),
        ("/bin", 126, "exec \"/bin\": Permission denied (os error 13)"),
        ("text", 126, "exec \"text\": Exec format error (os error 8)"),
        // What this process is on the machine, before it becomes the container's program.
        ("/proc/self/exe", 126, "exec \"/proc/self/exe\": Permission denied (os error 13)"),
        // So is what reads a script, and what reads that.
        ("script", 126, "exec \"script\": Permission denied (os error 13)"),
        ("again", 126, "exec \"again\": Permission denied (os error 13)"),
        ("", 127, "exec \"\": executable file not found in $PATH"),
    ];
    for (program, code, message) in cases {
        let error = run(root.exec(&[program])).unwrap_err();
        assert_eq!((error.exit_code(), chain(&error).as_str()), (code, message));
    }
    assert!(matches!(run(root.exec(&[])), Err(Error::NoCommand)));
    assert!(root.listing().is_empty(), "{:?}", root.listing());
}

#[test]
fn the_working_directory_must_be_there() {
    let root = Root::new();
    for cwd in ["/missing", "/proc/self/fd", "/proc/self/root"] {
        let mut spec = root.sh("pwd");
        spec.process.cwd = cwd.into();
        let result = run(spec);
        match cwd {
            "/proc/self/fd" => assert_eq!(result.unwrap().0, ExitStatus::Code(0)),
            _ => assert!(matches!(result, Err(Error::WorkingDirectory { .. })), "{cwd}"),
        }
    }
}

#[test]
fn no_descriptor_leaks_in() {
    let root = Root::new();
    let open = output(root.sh("ls /proc/self/fd"));
    // The fourth is the directory that ls reads.
    assert_eq!(open, "0\n1\n2\n3\n");
    for init in [true, false] {
        let mut spec = root.sh("echo text > /dev/stdout; echo error > /proc/self/fd/2");
        spec.init = init;
        spec.process.user.uid = 1000;
        assert_eq!(output(spec), "text\nerror\n");
    }
}

#[test]
fn standard_input_is_connected() {
    let root = Root::new();
    let (reader, mut writer) = std::io::pipe().unwrap();
    std::io::Write::write_all(&mut writer, b"hello").unwrap();
    drop(writer);
    let mut spec = root.exec(&["cat"]);
    spec.stdio.stdin = Stream::Fd(reader.into());
    assert_eq!(output(spec), "hello");
}

#[test]
fn a_network_of_its_own_has_only_loopback() {
    let root = Root::new();
    let mut spec =
        root.sh("ls /sys/class/net; ip -o addr; cat /proc/sys/net/ipv4/ping_group_range");
    spec.network = Network::None;
    let text = output(spec);
    assert!(text.starts_with("lo\n"), "{text}");
    assert!(text.contains("inet 127.0.0.1/8"), "{text}");
    assert!(!text.contains("eth"), "{text}");
    assert!(text.ends_with("0\t2147483647\n"), "{text}");
}

#[test]
fn signals_start_with_their_default_actions() {
    let root = Root::new();
    let status = output(root.exec(&["cat", "/proc/self/status"]));
    for name in ["SigBlk", "SigIgn"] {
        assert_eq!(field(&status, name), "0000000000000000", "{name}");
    }
}

fn wait_for(condition: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(10);
    while !condition() {
        assert!(Instant::now() < end, "it did not happen");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn limits_are_as_given() {
    let root = Root::new();
    let mut spec = root.sh("ulimit -n; ulimit -Hn; ulimit -c");
    spec.process.limits = vec![
        Limit { resource: Resource::Nofile, soft: Some(100), hard: Some(200) },
        Limit { resource: Resource::Core, soft: Some(0), hard: Some(0) },
    ];
    assert_eq!(output(spec), "100\n200\n0\n");
}

#[test]
fn one_more_process_joins_a_container() {
    let root = Root::new();
    let first = root.sh("echo here > /first; mkdir /made; exec sleep 1000");
    let mut container = spawn(first).unwrap();
    while !root.path().join("made").exists() {
        std::thread::sleep(Duration::from_millis(1));
    }
    let (mut reader, writer) = std::io::pipe().unwrap();
    let spec = root.sh("cat /first; cat /proc/1/comm; hostname; [ $$ != 1 ]; exit 7");
    let join = Join {
        process: spec.process,
        capabilities: CapabilitySet::DOCKER,
        seccomp: Seccomp::Default,
        no_new_privileges: true,
        fake_ids: false,
        groups: Vec::new(),
        confinement: None,
        stdio: Stdio {
            stdin: Stream::Null,
            stdout: Stream::Fd(writer.into()),
            stderr: Stream::Null,
        },
    };
    let mut joined = runtime::join(container.pidfd(), container.pid(), join).unwrap();
    let mut said = String::new();
    std::io::Read::read_to_string(&mut reader, &mut said).unwrap();
    assert_eq!(said, "here\nsleep\nbox\n");
    assert_eq!(joined.wait().unwrap(), ExitStatus::Code(7));
    assert_eq!(container.try_wait().unwrap(), None);
    container.kill_all().unwrap();
}
