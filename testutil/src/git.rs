//! Git repositories, and a server of them.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::{Scratch, WebAnswer, WebRequest, WebServer, run_ok};

/// The time of every commit, in seconds since 1970.
pub const COMMIT_TIME: i64 = 1_600_000_000;

/// What git says to `input`.
///
/// # Panics
/// If git cannot be run.
fn piped(dir: &Path, args: &[&str], input: &str) -> String {
    let answer = output(command(dir).args(args), input.as_bytes());
    String::from_utf8(answer).expect("git speaks UTF-8").trim().to_owned()
}

/// Runs git in a directory, with nobody's configuration; answers with what it said.
///
/// # Panics
/// If git fails.
pub fn git(dir: &Path, args: &[&str]) -> String {
    run_ok(command(dir).args(args), [] as [&str; 0]).trim().to_owned()
}

fn command(dir: &Path) -> Command {
    let mut command = Command::new("git");
    command.current_dir(dir).env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_CONFIG_GLOBAL", "/dev/null");
    for who in ["AUTHOR", "COMMITTER"] {
        command.env(format!("GIT_{who}_NAME"), "a").env(format!("GIT_{who}_EMAIL"), "a@a");
        command.env(format!("GIT_{who}_DATE"), format!("{COMMIT_TIME} +0000"));
    }
    command.args(["-c", "init.defaultBranch=main", "-c", "protocol.file.allow=always"]);
    command
}

/// A server of the repositories `NAME` below a directory, as `/NAME`.
pub struct GitServer {
    scratch: Scratch,
    /// The server.
    pub web: WebServer,
}

impl GitServer {
    /// A server that answers those whom `admits` lets in.
    pub fn start(admits: impl Fn(&WebRequest) -> bool + Send + Sync + 'static) -> GitServer {
        GitServer::answering(move |request| admits(request).then(|| request.clone()))
    }

    /// A server of git's first protocol, which gives what its references mean and nothing else.
    pub fn old() -> GitServer {
        GitServer::answering(|request| {
            let mut request = request.clone();
            request.headers.retain(|(name, _)| name != "git-protocol");
            Some(request)
        })
    }

    fn answering(
        admitted: impl Fn(&WebRequest) -> Option<WebRequest> + Send + Sync + 'static,
    ) -> GitServer {
        let scratch = Scratch::new();
        let root = scratch.path().to_owned();
        let web = WebServer::start(move |request| match admitted(request) {
            Some(request) => answer(&root, &request),
            None => WebAnswer::status(401),
        });
        GitServer { scratch, web }
    }

    /// Makes a repository with a commit of these files; answers with the commit.
    ///
    /// # Panics
    /// If git fails.
    pub fn repository(&self, name: &str, files: &[(&str, &str)]) -> String {
        let dir = self.scratch.join(name);
        std::fs::create_dir(&dir).expect("a new directory");
        git(&dir, &["init", "-q", "."]);
        self.commit(name, files)
    }

    /// Commits these files; answers with the commit.
    ///
    /// # Panics
    /// If git fails.
    pub fn commit(&self, name: &str, files: &[(&str, &str)]) -> String {
        for (path, content) in files {
            self.scratch.write(&format!("{name}/{path}"), content);
        }
        let dir = self.scratch.join(name);
        git(&dir, &["add", "-A"]);
        git(&dir, &["commit", "-q", "--allow-empty", "-m", "x"]);
        git(&dir, &["rev-parse", "HEAD"])
    }

    /// Makes a branch of a commit whose tree has these entries, in the words of `git mktree`;
    /// git itself would make no such commit of all of them. `BLOB`, `LINK` and `TREE` stand for a
    /// file, a link to `/tmp`, and a directory with a file.
    ///
    /// # Panics
    /// If git fails.
    pub fn odd_branch(&self, name: &str, branch: &str, entries: &str) {
        let dir = self.scratch.join(name);
        let blob = piped(&dir, &["hash-object", "-w", "--stdin"], "x");
        let link = piped(&dir, &["hash-object", "-w", "--stdin"], "/tmp");
        let tree = piped(&dir, &["mktree"], &format!("100644 blob {blob}\tx\n"));
        let entries = entries.replace("BLOB", &blob).replace("LINK", &link).replace("TREE", &tree);
        let tree = piped(&dir, &["mktree"], &entries);
        let commit = git(&dir, &["commit-tree", "-m", "x", &tree]);
        git(&dir, &["update-ref", &format!("refs/heads/{branch}"), &commit]);
    }

    /// Runs git in a repository.
    ///
    /// # Panics
    /// If git fails.
    pub fn git(&self, name: &str, args: &[&str]) -> String {
        git(&self.scratch.join(name), args)
    }
}

fn answer(root: &Path, request: &WebRequest) -> WebAnswer {
    let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
    let serve = |name: &str, args: &[&str]| {
        let dir = root.join(name.trim_start_matches('/'));
        if !dir.is_dir() {
            return None;
        }
        let mut command = command(&dir);
        command.env("GIT_PROTOCOL", request.header("git-protocol").unwrap_or_default());
        command.args(["upload-pack", "--stateless-rpc"]).args(args).arg(".");
        Some(output(&mut command, &request.body))
    };
    let answered = if let Some(name) = path.strip_suffix("/info/refs") {
        let is_v2 = request.header("git-protocol").is_some_and(|text| text.contains("version=2"));
        let service = if is_v2 { "" } else { "001e# service=git-upload-pack\n0000" };
        let refs = serve(name, &["--advertise-refs"]).filter(|_| query.contains("git-upload-pack"));
        refs.map(|refs| ([service.as_bytes(), &refs].concat(), "advertisement"))
    } else if let Some(name) = path.strip_suffix("/git-upload-pack") {
        serve(name, &[]).map(|pack| (pack, "result"))
    } else {
        None
    };
    match answered {
        Some((body, kind)) => WebAnswer::ok(body)
            .with("Content-Type", &format!("application/x-git-upload-pack-{kind}")),
        None => WebAnswer::status(404),
    }
}

fn output(command: &mut Command, input: &[u8]) -> Vec<u8> {
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().expect("git starts");
    let mut stdin = child.stdin.take().expect("an input");
    let input = input.to_vec();
    let writer = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().expect("git ends");
    writer.join().expect("the input is written");
    output.stdout
}
