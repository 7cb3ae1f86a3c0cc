//! What a build hands to RUN and keeps nothing of: secrets and ssh agents, whoever builds.

#![allow(clippy::unwrap_used, reason = "what fails in a test fails the test")]

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use testutil::{
    OrdinaryUser, Output, Peer, SubordinateIds, Tierce, busybox_in, processes_with, run_ok,
    wait_until,
};

const BINARY: &str = env!("CARGO_BIN_EXE_tierce");

/// Two secrets, as nothing else is written.
const SECRETS: [&str; 2] = ["jw5Qhnpq4nZ8", "v7Ycgxs2Lk3R"];

fn directory(tierce: &Tierce, name: &str) -> String {
    let dir = tierce.scratch().join(name);
    fs::create_dir_all(&dir).unwrap();
    dir.display().to_string()
}

/// A build of this Dockerfile, with a busybox in the store and two secrets in the surroundings.
fn command(tierce: &Tierce, dockerfile: &str, args: &[&str]) -> Command {
    tierce.scratch().write("context/Dockerfile", dockerfile);
    tierce.scratch().write("secret", SECRETS[0]);
    let mut command = tierce.command(["build", "--progress", "plain", "-t", "made"]);
    command.args(args).arg(directory(tierce, "context"));
    command.env("TIERCE_LOG", "trace").env("TOKEN", SECRETS[1]);
    command
}

fn build(tierce: &Tierce, dockerfile: &str, args: &[&str]) -> Output {
    command(tierce, dockerfile, args).output().unwrap().into()
}

fn with_busybox(tierce: Tierce) -> Tierce {
    busybox_in(&tierce, Path::new(&directory(&tierce, "base")));
    tierce
}

/// As root, and as both kinds of users.
fn everybody() -> Vec<(Option<OrdinaryUser>, Tierce)> {
    let mut all = vec![(None, Tierce::new(BINARY))];
    for ids in [SubordinateIds::Many, SubordinateIds::None] {
        let user = OrdinaryUser::new(ids);
        let tierce = user.tierce(BINARY);
        all.push((Some(user), tierce));
    }
    all.into_iter().map(|(user, tierce)| (user, with_busybox(tierce))).collect()
}

/// Every regular file below a directory that holds one of the secrets.
fn traces(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            found.extend(traces(&entry.path()));
        } else if kind.is_file() && tells(&fs::read(entry.path()).unwrap()) {
            found.push(entry.path());
        }
    }
    found
}

fn tells(bytes: &[u8]) -> bool {
    let has = |secret: &str| bytes.windows(secret.len()).any(|part| part == secret.as_bytes());
    SECRETS.into_iter().any(has)
}

#[test]
fn secrets_are_seen_once_and_kept_nowhere() {
    const DOCKERFILE: &str = "FROM busybox\n\
        RUN --mount=type=secret,id=file,required --mount=type=secret,id=TOKEN,env=NAME \
            cat /run/secrets/file | md5sum > /sums && echo -n $NAME | md5sum >> /sums\n\
        RUN echo ${NAME-unset} >> /sums; ls /run >> /sums 2>&1; true\n\
        CMD cat /sums\n";
    let sum = |secret: &str| {
        let mut md5 = Peer::command("sh");
        run_ok(&mut md5, ["-c", &format!("printf %s {secret} | md5sum")])
    };
    let expected = format!(
        "{}{}unset\nls: /run: No such file or directory\n",
        sum(SECRETS[0]),
        sum(SECRETS[1])
    );
    for (_user, tierce) in everybody() {
        let file = format!("id=file,src={}", tierce.scratch().join("secret").display());
        let output = build(&tierce, DOCKERFILE, &["--secret", &file, "--secret", "id=TOKEN"]);
        assert_eq!(output.code, 0, "{output:#?}");
        assert_eq!(tierce.run(["run", "--rm", "made"]).stdout, expected);
        assert!(!tells(output.stderr.as_bytes()), "{output:#?}");
        assert!(!tells(tierce.ok(["inspect", "made"]).as_bytes()));
        assert_eq!(traces(tierce.root()), Vec::<PathBuf>::new());

        // The key knows what a secret is called, not what it holds.
        tierce.scratch().write("secret", "another");
        let again = tierce.ok(["build", "-q", &directory(&tierce, "context")]);
        let made = tierce.ok(["inspect", "--format", "{{.Id}}", "made"]);
        assert_eq!(again, made);
    }
}

#[test]
fn a_killed_build_leaves_no_secret() {
    const DOCKERFILE: &str = "FROM busybox\n\
        RUN --mount=type=secret,id=file --mount=type=secret,id=TOKEN,env=TOKEN sleep 1007\n";
    for (_user, tierce) in everybody() {
        let file = format!("id=file,src={}", tierce.scratch().join("secret").display());
        let args = ["--secret", &file, "--secret", "id=TOKEN"];
        let mut child = command(&tierce, DOCKERFILE, &args).stderr(Stdio::null()).spawn().unwrap();
        let mark = tierce.root().display().to_string();
        let sleeps = |line: &String| line.starts_with("sleep 1007");
        wait_until("it runs", || processes_with(&mark).iter().any(sleeps));
        assert_eq!(traces(tierce.root()), Vec::<PathBuf>::new());
        child.kill().unwrap();
        child.wait().unwrap();
        wait_until("all processes are gone", || processes_with(&mark).is_empty());
        assert_eq!(traces(tierce.root()), Vec::<PathBuf>::new());
    }
}

#[test]
fn a_secret_that_cannot_be_had_is_named() {
    let tierce = with_busybox(Tierce::new(BINARY));
    let required = "FROM busybox\nRUN --mount=type=secret,id=token,required true\n";
    let output = build(&tierce, required, &[]);
    assert_eq!(output.code, 1, "{output:#?}");
    assert!(output.stderr.contains("secret \"token\": not found"), "{output:#?}");

    let nowhere = tierce.scratch().join("nowhere").display().to_string();
    let output = build(&tierce, required, &["--secret", &format!("id=token,src={nowhere}")]);
    assert_eq!(output.code, 1, "{output:#?}");
    assert!(output.stderr.contains("\"token\"") && output.stderr.contains(&nowhere), "{output:#?}");

    let large = tierce.scratch().write("large", vec![b'a'; (500 << 10) + 1]);
    let large = format!("id=token,src={}", large.display());
    let output = build(&tierce, required, &["--secret", &large]);
    assert_eq!(output.code, 1, "{output:#?}");
    assert!(output.stderr.contains("\"token\" is larger than 500 KiB"), "{output:#?}");
    tierce.scratch().write("large", vec![b'a'; 500 << 10]);
    assert_eq!(build(&tierce, required, &["--secret", &large]).code, 0);
}

#[test]
fn privileges_are_asked_for() {
    let tierce = with_busybox(Tierce::new(BINARY));
    let dockerfile = "FROM busybox\nRUN --security=insecure mount -t tmpfs t /tmp\n";
    let output = build(&tierce, dockerfile, &[]);
    assert_eq!(output.code, 1, "{output:#?}");
    assert!(output.stderr.contains("--allow security.insecure"), "{output:#?}");
    assert_eq!(build(&tierce, dockerfile, &["--allow", "security.insecure"]).code, 0);
    // The machine's devices that privileges are good for.
    let devices =
        ["fuse", "kvm", "loop0", "loop-control", "kmsg"].map(|name| format!("/dev/{name}"));
    let there = devices.iter().filter(|path| Path::new(path).exists());
    let tests: String = there.map(|path| format!(" && test -e {path}")).collect();
    let dockerfile = format!("FROM busybox\nRUN --security=insecure true{tests}\n");
    assert_eq!(build(&tierce, &dockerfile, &["--allow", "security.insecure"]).code, 0);

    let dockerfile = "FROM busybox\nRUN --network=host true\n";
    assert_eq!(build(&tierce, dockerfile, &["--network", "none"]).code, 1);
    let allowed = ["--network", "none", "--allow", "network.host"];
    assert_eq!(build(&tierce, dockerfile, &allowed).code, 0);
    assert_eq!(build(&tierce, dockerfile, &["--network", "default"]).code, 0);
}

#[test]
fn devices_are_asked_for() {
    const SPEC: &str = "cdiVersion: 0.6.0\nkind: vendor.com/gpu\ndevices:\n- name: a\n  \
        containerEdits:\n    deviceNodes: [{path: /dev/gpu, hostPath: /dev/null}]\n";
    for (_user, tierce) in everybody() {
        let dir = directory(&tierce, "cdi");
        tierce.scratch().write("cdi/gpu.yaml", SPEC);
        let dockerfile = "FROM busybox\nRUN --device=vendor.com/gpu=a,required echo > /dev/gpu\n";
        let output = build(&tierce, dockerfile, &["--cdi-spec-dir", &dir]);
        assert_eq!(output.code, 1, "{output:#?}");
        assert!(output.stderr.contains("--allow device=vendor.com/gpu=a"), "{output:#?}");
        let output = build(&tierce, dockerfile, &["--cdi-spec-dir", &dir, "--allow", "device"]);
        assert_eq!(output.code, 0, "{output:#?}");
        let nowhere = format!("{dir}/none");
        let output = build(&tierce, dockerfile, &["--cdi-spec-dir", &nowhere, "--no-cache"]);
        assert_eq!(output.code, 1, "{output:#?}");
        assert!(output.stderr.contains("\"vendor.com/gpu=a\": not found"), "{output:#?}");
    }
}

/// `ssh-agent` with one key, ended with the test.
struct Agent {
    child: Child,
    socket: PathBuf,
    key: PathBuf,
}

impl Agent {
    /// An agent of the user's, with its files in `dir`.
    fn start(user: Option<&OrdinaryUser>, dir: &Path) -> Agent {
        let (socket, key) = (dir.join("agent.sock"), dir.join("key"));
        let as_user = |program: &str| {
            drop(Peer::command(program));
            let mut words: Vec<OsString> =
                user.map(|user| user.launcher(BINARY)).unwrap_or_default();
            words.push(program.into());
            let mut command = Command::new(&words[0]);
            command.args(&words[1..]);
            command
        };
        fs::set_permissions(dir, PermissionsExt::from_mode(0o777)).unwrap();
        run_ok(
            as_user("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-C", "test", "-f"]),
            [&key],
        );
        let child = as_user("ssh-agent")
            .args(["-D", "-a"])
            .arg(&socket)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let agent = Agent { child, socket, key };
        wait_until("the agent listens", || agent.socket.exists());
        let mut add = as_user("ssh-add");
        run_ok(add.arg("-q").env("SSH_AUTH_SOCK", &agent.socket), [&agent.key]);
        agent
    }

    fn public_key(&self) -> String {
        fs::read_to_string(self.key.with_extension("pub")).unwrap()
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Puts a program of this machine into a context, with what it is linked with.
fn add_program(context: &Path, name: &str) {
    let path = run_ok(&mut Peer::command("which"), [name]);
    let path = path.trim();
    let linked = run_ok(&mut Peer::command("ldd"), [path]);
    let libraries = linked.split_whitespace().filter(|word| word.starts_with('/'));
    for file in libraries.chain([path]) {
        let to = context.join(format!("root{file}"));
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(file, to).unwrap();
    }
}

#[test]
fn an_agent_signs_and_is_not_changed() {
    const DOCKERFILE: &str = "FROM busybox\n\
        COPY root /\n\
        COPY key.pub /\n\
        RUN mkdir -m 777 /seen\n\
        RUN --mount=type=ssh,required ssh-add -L > /seen/root && stat -c '%a %F' $SSH_AUTH_SOCK > /seen/socket\n\
        RUN --mount=type=ssh ssh-add -D; ssh-add -x < /dev/null; ssh-add -L > /seen/still\n\
        RUN --mount=type=ssh,id=other,target=/a/sock echo $SSH_AUTH_SOCK > /seen/other; test ! -e /a/sock\n\
        RUN --mount=type=ssh,id=git,target=sock for i in 1 2 3 4 5 6; do ssh-add -L & done > /seen/many; wait\n\
        RUN echo ${SSH_AUTH_SOCK-unset} > /seen/after; ls /run >> /seen/after 2>&1; true\n\
        RUN echo somebody:x:1000:1000::/:/bin/sh >> /etc/passwd\n\
        USER 1000\n\
        RUN --mount=type=ssh,uid=1000 ssh-add -L > /seen/user; echo hello > /tmp/text; \
            ssh-keygen -q -Y sign -f /key.pub -n test /tmp/text && mv /tmp/text.sig /seen/\n\
        CMD cat /seen/*\n";
    for (user, tierce) in everybody() {
        let agent = Agent::start(user.as_ref(), Path::new(&directory(&tierce, "agent")));
        let context = PathBuf::from(directory(&tierce, "context"));
        add_program(&context, "ssh-add");
        add_program(&context, "ssh-keygen");
        fs::write(context.join("key.pub"), agent.public_key()).unwrap();
        let named = format!("git={}", agent.socket.display());
        let output: Output = command(&tierce, DOCKERFILE, &["--ssh", "default", "--ssh", &named])
            .env("SSH_AUTH_SOCK", &agent.socket)
            .output()
            .unwrap()
            .into();
        assert_eq!(output.code, 0, "{output:#?}");
        let seen = |file: &str| tierce.ok(["run", "--rm", "made", "cat", &format!("/seen/{file}")]);
        let key = agent.public_key();
        assert_eq!(seen("root"), key);
        assert_eq!(seen("socket"), "600 socket\n");
        assert_eq!(seen("still"), key);
        assert_eq!(seen("user"), key);
        assert_eq!(seen("other"), "\n");
        assert_eq!(seen("many"), key.repeat(6));
        assert_eq!(seen("after"), "unset\nls: /run: No such file or directory\n");
        let signature = tierce.scratch().write("text.sig", seen("text.sig"));
        let text = fs::File::open(tierce.scratch().write("text", "hello\n")).unwrap();
        let mut check = Peer::command("ssh-keygen");
        check.args(["-Y", "check-novalidate", "-n", "test", "-s"]).stdin(text);
        assert!(run_ok(&mut check, [signature]).contains("Good"));
    }
}

#[test]
fn an_agent_that_cannot_be_had_is_named() {
    let tierce = with_busybox(Tierce::new(BINARY));
    let dockerfile = "FROM busybox\nRUN --mount=type=ssh,id=git,required true\n";
    let said = |args: &[&str]| {
        let output: Output =
            command(&tierce, dockerfile, args).env_remove("SSH_AUTH_SOCK").output().unwrap().into();
        assert_eq!(output.code, 1, "{output:#?}");
        output.stderr
    };
    assert!(said(&[]).contains("ssh agent \"git\": not found"));
    assert!(said(&["--ssh", "git"]).contains("SSH_AUTH_SOCK"));
    let key = tierce.scratch().write("key", "no socket").display().to_string();
    assert!(said(&["--ssh", &format!("git={key}")]).contains("ssh-add"));
    let twice = format!("git={key}/x");
    assert!(said(&["--ssh", &twice]).contains("key/x"));
}
